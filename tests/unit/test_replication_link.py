"""A replica's end of a connection, whatever pieces the primary's bytes come in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.node.replication.replica import (
    Continues,
    Failed,
    Introduction,
    LinkEvent,
    ReplicaLink,
    SendBytes,
    SnapshotBegins,
    SnapshotEnds,
    SnapshotPart,
    StreamPart,
)
from shoal.node.replication.transfer import MalformedTransferError, Transfer
from shoal.node.resp.writer import encode_command

ID = "a" * 40
MARK = b"m" * 40
INTRODUCTION = Introduction(7001, ID, 1235)
GREETING = b"+PONG\r\n+OK\r\n+OK\r\n"
PSYNC = [b"PSYNC", ID.encode(), b"1235"]


def encoded(*commands: list[bytes]) -> bytes:
    return b"".join(map(encode_command, commands))


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """The data in pieces of these sizes, the rest as the last."""
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in [*pieces, data] if piece]


def run(data: bytes, sizes: list[int]) -> tuple[list[LinkEvent], bytes, bytes]:
    """The events of a whole connection, the bytes of its snapshot and those of its stream."""
    link = ReplicaLink(INTRODUCTION)
    events = [event for piece in cut(data, sizes) for event in link.feed(piece)]
    snapshot = b"".join(event.data for event in events if isinstance(event, SnapshotPart))
    stream = b"".join(event.data for event in events if isinstance(event, StreamPart))
    others = [event for event in events if not isinstance(event, SnapshotPart | StreamPart)]
    return others, snapshot, stream


def test_a_replica_introduces_itself_before_it_asks() -> None:
    link = ReplicaLink(Introduction(7001, ID, 1235, "10.0.0.1", "user", "secret"))
    assert link.open() == encoded(
        [b"PING"],
        [b"AUTH", b"user", b"secret"],
        [b"REPLCONF", b"listening-port", b"7001"],
        [b"REPLCONF", b"ip-address", b"10.0.0.1"],
        [b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"],
    )
    assert link.feed(b"-NOAUTH Authentication required.\r\n+OK\r\n+OK\r\n+OK\r\n") == []
    [event] = link.feed(b"+OK\r\n")
    assert isinstance(event, SendBytes)
    assert event.data == encoded(PSYNC)


@given(st.binary(max_size=200), st.binary(max_size=100), st.booleans(), st.lists(st.integers(1, 60)))
def test_snapshot_and_stream_are_told_apart_however_they_are_cut(
    snapshot: bytes, stream: bytes, uses_mark: bool, sizes: list[int]
) -> None:
    if uses_mark:
        transfer = b"$EOF:" + MARK + b"\r\n" + snapshot + MARK
    else:
        snapshot += b"."
        transfer = b"$%d\r\n" % len(snapshot) + snapshot
    answer = b"+FULLRESYNC %b 77\r\n\n\n" % ID.encode()
    events, got_snapshot, got_stream = run(GREETING + answer + transfer + stream, sizes)
    assert isinstance(events[0], SendBytes)
    assert events[1:] == [SnapshotBegins(ID, 77), SnapshotEnds(uses_mark)]
    assert (got_snapshot, got_stream) == (snapshot, stream)


@given(st.binary(max_size=100), st.lists(st.integers(1, 30)))
def test_a_stream_continues_at_once(stream: bytes, sizes: list[int]) -> None:
    events, _, got = run(GREETING + b"+CONTINUE " + b"b" * 40 + b"\r\n" + stream, sizes)
    assert events[1:] == [Continues("b" * 40)]
    assert got == stream


@pytest.mark.parametrize(
    "answer",
    [
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"-NOMASTERLINK Can't SYNC while not connected with my master\r\n",
        b"+FULLRESYNC short 1\r\n",
        b"+FULLRESYNC %b x\r\n" % ID.encode(),
        b"+FULLRESYNC %b 1\r\nno size\r\n" % ID.encode(),
        b"HTTP/1.1 400 Bad Request\r\n",
        b"x" * 70_000,
    ],
)
def test_an_answer_that_makes_no_sense_ends_the_connection(answer: bytes) -> None:
    link = ReplicaLink(INTRODUCTION)
    events = link.feed(GREETING + answer)
    assert isinstance(events[-1], Failed)


def test_a_refused_password_ends_the_connection() -> None:
    link = ReplicaLink(Introduction(7001, ID, 1, password="wrong"))
    [event] = link.feed(b"-NOAUTH Authentication required.\r\n-WRONGPASS invalid\r\n")
    assert isinstance(event, Failed)


@pytest.mark.parametrize("line", [b"", b"$", b"$-1", b"$EOF:short", b"$1x", b"-ERR no", b"$" + b"9" * 30])
def test_a_malformed_size_is_refused(line: bytes) -> None:
    with pytest.raises(MalformedTransferError):
        Transfer(line)
