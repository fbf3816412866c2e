"""The reply parser: right about what is well formed, bounded about what is hostile."""

from __future__ import annotations

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.cli.errors import ReplyError
from shoal.cli.replies import Limits, ProtocolError, Reply, ReplyParser

simple_text = st.binary(max_size=20).filter(lambda data: b"\r" not in data and b"\n" not in data)
wire = st.recursive(
    st.one_of(
        st.binary(max_size=30).map(lambda data: b"$%d\r\n%b\r\n" % (len(data), data)),
        st.integers(-(2**63), 2**63 - 1).map(lambda number: b":%d\r\n" % number),
        simple_text.map(lambda data: b"+%b\r\n" % data),
        st.just(b"$-1\r\n"),
        st.just(b"*-1\r\n"),
    ),
    lambda inner: st.lists(inner, max_size=4).map(lambda items: b"*%d\r\n%b" % (len(items), b"".join(items))),
    max_leaves=12,
)


@given(replies=st.lists(wire, max_size=4), cuts=st.lists(st.integers(1, 7), min_size=1))
def test_any_cutting_of_the_stream_gives_what_hiredis_gives(replies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(replies)
    oracle = hiredis.Reader()
    oracle.feed(stream)
    expected = [oracle.gets() for _ in replies]
    parser = ReplyParser()
    parsed: list[Reply] = []
    at = turn = 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        parsed += parser.feed(stream[at : at + size])
        at += size
        turn += 1
    assert parsed == expected


def test_an_error_is_a_value_with_its_code() -> None:
    (error,) = ReplyParser().feed(b"-MOVED 7 127.0.0.1:7001\r\n")
    assert isinstance(error, ReplyError)
    assert error.code == "MOVED"


@pytest.mark.parametrize(
    "hostile",
    [
        b"$9223372036854775807\r\n",
        b"$" + b"9" * 5000 + b"\r\n",
        b"*2147483647\r\n",
        b"*-2\r\n",
        b"$-2\r\n",
        b":1_000\r\n",
        b":+1\r\n",
        b"*1\r\n" * 100,
        b"*1000\r\n" * 3 + b":1\r\n",
        b"+" + b"x" * 200,
        b"$3\r\nabcXX",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"%1\r\n+RESP3\r\n+map\r\n",
        b"*40\r\n" + b"$60\r\n%b\r\n" % (b"x" * 60) * 40,
    ],
)
def test_a_hostile_reply_is_refused_before_it_costs_anything(hostile: bytes) -> None:
    parser = ReplyParser(Limits(line=100, bulk=1000, total=2000, elements=2000, depth=8))
    with pytest.raises(ProtocolError):
        parser.feed(hostile)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_protocol_error(data: bytes) -> None:
    try:
        ReplyParser().feed(data)
    except ProtocolError as refused:
        assert str(refused)


def test_limits_are_per_reply_not_per_connection() -> None:
    parser = ReplyParser(Limits(total=100, elements=10))
    for _ in range(50):
        assert parser.feed(b"*5\r\n" + b":1\r\n" * 5) == [[1] * 5]
