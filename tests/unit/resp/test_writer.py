"""Whatever a reply holds, the client reads back exactly one."""

from __future__ import annotations

import math

import hiredis
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shoal.node.resp.bulk_strings import frame
from shoal.node.resp.replies import (
    NO_REPLY,
    NULL_ARRAY,
    BigNumber,
    BulkStrings,
    CommandError,
    FramedBulkStrings,
    PairList,
    Pairs,
    Push,
    Reply,
    SetReply,
    Status,
    Verbatim,
)
from shoal.node.resp.writer import encode, encode_command

FORGERY = b"x\r\n+OK\r\n$3\r\nfoo\r\n"
words = st.binary(max_size=20) | st.just(FORGERY)
leaves = st.one_of(
    words,
    words.map(bytearray),
    words.map(Status),
    words.map(CommandError),
    words.map(Verbatim),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.integers().map(lambda number: BigNumber(b"%d" % number)),
    st.floats(),
    st.booleans(),
    st.none(),
    st.just(NULL_ARRAY),
)
keys = words | st.integers(-9, 9)


def pair_list(pairs: list[tuple[bytes, Reply]]) -> PairList:
    return PairList([key for key, _ in pairs], [value for _, value in pairs])


def grown(inner: st.SearchStrategy[Reply]) -> st.SearchStrategy[Reply]:
    lists = st.lists(inner, max_size=4)
    return st.one_of(
        lists,
        lists.map(tuple),
        lists.map(SetReply),
        lists.map(Push),
        st.dictionaries(words, inner, max_size=4),
        st.lists(st.tuples(keys, inner), max_size=4).map(Pairs),
        st.lists(st.tuples(words, inner), max_size=4).map(pair_list),
    )


replies = st.recursive(leaves, grown, max_leaves=8)


def read_back(data: bytes) -> list[object]:
    """Every reply in these bytes; nothing may be left over."""
    incomplete = object()
    reader = hiredis.Reader(notEnoughData=incomplete)
    reader.feed(data)
    found = []
    while reader.has_data():
        found.append(reader.gets())
        assert found[-1] is not incomplete, data
    return found


@pytest.mark.parametrize("resp", [2, 3])
@given(reply=replies)
@example(reply=CommandError(FORGERY))
@example(reply=Status(FORGERY))
@example(reply=[Status(b"\r\n"), CommandError(b"\n"), FORGERY])
def test_a_reply_is_read_back_as_exactly_one(resp, reply):
    assert len(read_back(encode(reply, resp) + b":1\r\n")) == 2


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("kind", [Status, CommandError])
def test_a_line_break_cannot_forge_a_second_reply(resp, kind):
    assert str(read_back(encode(kind(b"a\r\n+OK\nb\rc"), resp))).count("a  +OK b c") == 1


@pytest.mark.parametrize("resp", [2, 3])
def test_no_reply_is_no_byte(resp):
    assert encode(NO_REPLY, resp) == b""


@pytest.mark.parametrize(
    ("reply", "resp2", "resp3"),
    [
        (None, b"$-1\r\n", b"_\r\n"),
        (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
        (True, b":1\r\n", b"#t\r\n"),
        (False, b":0\r\n", b"#f\r\n"),
        (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
        (math.inf, b"$3\r\ninf\r\n", b",inf\r\n"),
        (math.nan, b"$3\r\nnan\r\n", b",nan\r\n"),
        (b"", b"$0\r\n\r\n", b"$0\r\n\r\n"),
        ([], b"*0\r\n", b"*0\r\n"),
        ({b"a": 1}, b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
        (SetReply([1]), b"*1\r\n:1\r\n", b"~1\r\n:1\r\n"),
        (Push([1]), b"*1\r\n:1\r\n", b">1\r\n:1\r\n"),
        (Pairs([(1, 2)]), b"*2\r\n:1\r\n:2\r\n", b"%1\r\n:1\r\n:2\r\n"),
        (PairList([b"a"], [2]), b"*2\r\n$1\r\na\r\n:2\r\n", b"*1\r\n*2\r\n$1\r\na\r\n:2\r\n"),
        (PairList([b"a"], [2.0]), b"*2\r\n$1\r\na\r\n$1\r\n2\r\n", b"*1\r\n*2\r\n$1\r\na\r\n,2\r\n"),
        ((b"a", 2.0), b"*2\r\n$1\r\na\r\n$1\r\n2\r\n", b"*2\r\n$1\r\na\r\n,2\r\n"),
        (Verbatim(b"x"), b"$1\r\nx\r\n", b"=5\r\ntxt:x\r\n"),
        (BigNumber(b"7"), b"$1\r\n7\r\n", b"(7\r\n"),
    ],
)
def test_each_type_in_both_protocols(reply, resp2, resp3):
    assert (encode(reply, 2), encode(reply, 3)) == (resp2, resp3)


@given(st.sampled_from([2, 3]), st.lists(words | st.integers(500, 520).map(bytes), max_size=20))
@example(2, [b"xx"] * 20)
@example(2, [b"a", *[b"bb"] * 20, b"c"])
def test_bulk_strings_are_the_array_that_a_list_of_them_is(resp, texts):
    one_by_one = b"".join([encode(text, resp) for text in texts])
    assert encode(BulkStrings(texts), resp) == encode(texts, resp) == b"*%d\r\n" % len(texts) + one_by_one


@given(st.sampled_from([2, 3]), st.lists(words | st.integers(500, 520).map(bytes), min_size=1, max_size=20))
def test_framed_bulk_strings_are_sent_as_they_are_and_can_be_read(resp, texts):
    half = len(texts) // 2
    reply = FramedBulkStrings(len(texts), [frame(part) for part in (texts[:half], texts[half:]) if part])
    assert encode(reply, resp) == encode(texts, resp)
    assert [*reply] == texts


scored = st.lists(st.tuples(words | st.just(b"a" * 600), st.floats()), max_size=20)


@given(st.sampled_from([2, 3]), scored)
def test_members_with_scores_are_the_arrays_that_lists_of_them_are(resp, pairs):
    as_lists = [list(pair) for pair in pairs] if resp == 3 else [item for pair in pairs for item in pair]
    assert encode(pair_list(pairs), resp) == encode(as_lists, resp)
    assert [encode(pair, resp) for pair in pairs] == [encode(list(pair), resp) for pair in pairs]


@given(st.lists(words, max_size=5))
def test_a_command_is_read_back(arguments):
    assert read_back(encode_command(arguments)) == [arguments]
