"""Streams in RDB data: all three forms are read, and damage is refused by name before it costs anything."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.node.dataset.listpack import assemble, encode_text
from shoal.node.dataset.streams import Stream
from shoal.node.persistence import rdb_format as rdb
from shoal.node.persistence.errors import NeedMore, RdbError
from shoal.node.persistence.rdb_primitives import encode_length, encode_string
from shoal.node.persistence.rdb_source import Source
from shoal.node.persistence.rdb_values import ValueReader
from shoal.node.persistence.rdb_writer import encode_value

SEEN_MS = 1_700_000_000_000
NODE = [2, 1, 1, b"f", 0, 2, 0, 0, b"a", 4, 3, 1, 0, b"b", 4, 0, 2, 0, 1, b"g", b"c", 6]
"""Counts, a field; then 5-0 with that field, 6-0 with it and deleted, 7-0 with another."""


def pack(elements: list[int | bytes]) -> bytes:
    texts = [element if isinstance(element, bytes) else b"%d" % element for element in elements]
    return assemble(len(texts), b"".join(map(encode_text, texts)))


def an_id(milliseconds: int) -> bytes:
    return milliseconds.to_bytes(8, "big") + bytes(8)


def lengths(*numbers: int) -> bytes:
    return b"".join(map(encode_length, numbers))


def time_of(unix_ms: int) -> bytes:
    return unix_ms.to_bytes(8, "little")


def stream_data(kind: int = rdb.STREAM_2, **changes: Any) -> bytes:
    """A stream of one node, one group and one consumer with one pending entry, parts of it changed."""
    nodes = changes.get("nodes", [(an_id(5), pack(NODE))])
    data = lengths(len(nodes)) + b"".join(encode_string(key) + encode_string(node) for key, node in nodes)
    data += lengths(changes.get("length", 2), changes.get("last_id", 9), 0)
    if kind != rdb.STREAM:
        data += lengths(5, 0, 6, 0, changes.get("entries_added", 3))
    groups = changes.get("groups", [b"g"])
    data += lengths(len(groups))
    for name in groups:
        data += encode_string(name) + lengths(5, 0)
        if kind != rdb.STREAM:
            data += lengths(changes.get("entries_read", 1))
        pending = changes.get("pending", [5])
        data += lengths(len(pending))
        data += b"".join(an_id(entry) + time_of(SEEN_MS - 1) + lengths(4) for entry in pending)
        consumers = changes.get("consumers", [(b"alice", [5])])
        data += lengths(len(consumers))
        for consumer, theirs in consumers:
            data += encode_string(consumer) + time_of(SEEN_MS)
            data += time_of(SEEN_MS - 1) if kind == rdb.STREAM_3 else b""
            data += lengths(len(theirs)) + b"".join(map(an_id, theirs))
    return data


def read(kind: int, data: bytes) -> Stream:
    source = Source(data)
    stream = ValueReader(kind).read(source)
    assert isinstance(stream, Stream)
    assert source.position == len(data)
    return stream


@pytest.mark.parametrize("kind", [rdb.STREAM, rdb.STREAM_2, rdb.STREAM_3])
def test_every_form_is_read(kind: int) -> None:
    stream = read(kind, stream_data(kind))
    assert list(stream.entries()) == [(5 << 64, [b"f", b"a"]), (7 << 64, [b"g", b"c"])]
    assert (len(stream), stream.last_id, stream.first_id) == (2, 9 << 64, 5 << 64)
    group = stream.groups[b"g"]
    pending = group.pending[5 << 64]
    assert (pending.consumer.name, pending.delivered_ms, pending.deliveries) == (b"alice", SEEN_MS - 1, 4)
    assert group.consumers[b"alice"].pending[5 << 64] is pending
    assert group.consumers[b"alice"].seen_ms == SEEN_MS
    assert group.entries_read == 1
    counted = (2, 0) if kind == rdb.STREAM else (3, 6 << 64)
    assert (stream.entries_added, stream.max_deleted_id) == counted


def test_what_is_written_is_the_second_form() -> None:
    stream = read(rdb.STREAM_2, stream_data())
    assert encode_value(stream) == (bytes((rdb.STREAM_2,)), stream_data())


def test_a_node_may_begin_below_what_was_deleted_in_the_one_before() -> None:
    """XDEL takes 7-0 away, XSETID steps back to 5-1, and XADD puts 6-0 into a new node."""
    first = pack([1, 1, 1, b"f", 0, 2, 0, 0, b"a", 4, 3, 2, 0, b"b", 4])
    second = pack([1, 0, 1, b"f", 0, 2, 0, 0, b"c", 4])
    stream = read(rdb.STREAM_2, stream_data(nodes=[(an_id(5), first), (an_id(6), second)], last_id=6))
    assert list(stream.entries()) == [(5 << 64, [b"f", b"a"]), (6 << 64, [b"f", b"c"])]


def test_an_unknown_count_stays_unknown() -> None:
    stream = read(rdb.STREAM_2, stream_data(entries_read=(1 << 64) - 1))
    assert stream.groups[b"g"].entries_read is None
    assert encode_value(stream)[1] == stream_data(entries_read=(1 << 64) - 1)


def test_counts_that_wrapped_around_are_kept() -> None:
    """Redis counts in 64 bits, and XSETID sets the count to what the next XADD makes overflow."""
    stream = read(rdb.STREAM_2, stream_data(entries_added=1 << 63))
    assert stream.entries_added == -(1 << 63)
    assert encode_value(stream)[1] == stream_data(entries_added=1 << 63)


def test_a_stream_that_arrives_byte_by_byte_is_read() -> None:
    data = stream_data()
    reader, received = ValueReader(rdb.STREAM_2), b""
    for place in range(len(data) - 1):
        received += data[place : place + 1]
        source = Source(received)
        with pytest.raises(NeedMore):
            reader.read(source)
        received = received[source.position :]
    stream = reader.read(Source(received + data[-1:]))
    assert encode_value(stream)[1] == data


def node_with(place: int, *elements: int | bytes) -> list[tuple[bytes, bytes]]:
    """The node with other elements from one place on."""
    return [(an_id(5), pack([*NODE[:place], *elements, *NODE[place + len(elements) :]]))]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nodes": [(b"short", pack(NODE))]}, "no id for a key"),
        ({"nodes": [(an_id(5), b"\x07\0\0\0\0\0\xff")]}, "cut off or damaged"),
        ({"nodes": [(an_id(5), pack(NODE)[:-1])]}, "listpack"),
        ({"nodes": [(an_id(5), pack(NODE[:-2]))]}, "cut off or damaged"),
        ({"nodes": [(an_id(5), pack([*NODE, 2]))]}, "cut off or damaged"),
        ({"nodes": node_with(0, 3)}, "not hold as many entries"),
        ({"nodes": node_with(1, 0)}, "not hold as many entries"),
        ({"nodes": node_with(2, -1)}, "cut off or damaged"),
        ({"nodes": node_with(2, 1 << 40)}, "the fields it says"),
        ({"nodes": node_with(4, 7)}, "the fields it says"),
        ({"nodes": node_with(5, b"flags")}, "cut off or damaged"),
        ({"nodes": node_with(9, 5)}, "another size than it says"),
        ({"nodes": node_with(11, -1)}, "out of order"),
        ({"nodes": node_with(18, 1 << 60)}, "cut off or damaged"),
        ({"nodes": [(an_id(5), pack(NODE)), (an_id(6), pack(NODE))]}, "order of their ids"),
        ({"length": 3}, "as many entries as it says"),
        ({"last_id": 6}, "last id is not its greatest"),
        ({"groups": [b"g", b"g"]}, "two groups of one name"),
        ({"pending": [5, 5]}, "pending twice"),
        ({"pending": [5, 7]}, "pending for no consumer"),
        ({"pending": []}, "or not in its group"),
        ({"consumers": [(b"alice", [5]), (b"bob", [5])]}, "pending for two consumers"),
        ({"consumers": [(b"alice", [5]), (b"alice", [])]}, "Duplicate stream consumer"),
    ],
)
def test_damage_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RdbError, match=words):
        read(rdb.STREAM_2, stream_data(**changes))


@pytest.mark.parametrize("size", [1 << 30, (1 << 64) - 1])
def test_an_announced_size_costs_nothing_until_it_arrives(size: int) -> None:
    for data in (encode_length(size), lengths(0, 0, 9, 0, 0, 0, 0, 0, 0) + encode_length(size)):
        with pytest.raises(NeedMore):
            ValueReader(rdb.STREAM_2).read(Source(data))
