"""Streams in RDB data: the nodes as they are kept, what XINFO knows, the groups with what is pending.

Written is the second of three forms, which Redis 7.0 and all later servers read. The first knows neither when
entries were taken out nor how far groups have counted; the third also says when a consumer last got
something, which Redis 7.2 and later keep apart from when it last asked.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

from shoal.node.dataset.numbers import as_int64
from shoal.node.dataset.stream_filling import NodeFiller, NodeLimits
from shoal.node.dataset.stream_groups import Consumer, ConsumerGroup
from shoal.node.dataset.stream_ids import ID_BYTES, SEQUENCE_BITS, SEQUENCE_MAX, make_id
from shoal.node.dataset.stream_nodes import DELETED, SAME_FIELDS, StreamNode
from shoal.node.dataset.streams import Stream
from shoal.node.persistence import rdb_format as rdb
from shoal.node.persistence.errors import NeedMore, RdbError
from shoal.node.persistence.rdb_encodings import listpack
from shoal.node.persistence.rdb_primitives import StringEncoder, encode_length, encode_string
from shoal.node.persistence.rdb_source import Source

NOTHING_READ = -1
"""What stands for a group's unknown count of read entries."""

TIME_BYTES = 8
_UINT64_MAX = (1 << 64) - 1

_DAMAGED = "Stream listpack integrity check failed"

Primitive = Callable[[Source], Any]
Reading = Generator[Primitive, Any, Stream]

# --- writing -------------------------------------------------------------------------------------------


def encode_stream(stream: Stream, string: StringEncoder = encode_string) -> Iterator[bytes]:
    """A stream's RDB form, a node or a pending entry at a step."""
    yield encode_length(len(stream.nodes))
    for node in stream.nodes.values():
        yield encode_string(_encode_id(node.first_id)) + string(node.listpack())
    yield encode_length(stream.length)
    for entry_id in (stream.last_id, stream.first_id, stream.max_deleted_id):
        yield _encode_two_lengths(entry_id)
    yield _encode_int64(stream.entries_added)
    yield encode_length(len(stream.groups))
    for name, group in sorted(stream.groups.items()):
        yield encode_string(name) + _encode_two_lengths(group.last_id)
        yield _encode_int64(NOTHING_READ if group.entries_read is None else group.entries_read)
        yield encode_length(len(group.pending))
        for entry_id, pending in group.pending.items():
            yield (
                _encode_id(entry_id) + _encode_time(pending.delivered_ms) + _encode_int64(pending.deliveries)
            )
        yield encode_length(len(group.consumers))
        for consumer in group.by_name():
            yield encode_string(consumer.name) + _encode_time(consumer.seen_ms)
            yield encode_length(len(consumer.pending))
            yield from map(_encode_id, consumer.pending)


def _encode_int64(number: int) -> bytes:
    """A count, which may have wrapped around as Redis's do: XSETID and XCLAIM set any."""
    return encode_length(number & _UINT64_MAX)


def _encode_id(entry_id: int) -> bytes:
    return entry_id.to_bytes(ID_BYTES, "big")


def _encode_two_lengths(entry_id: int) -> bytes:
    return encode_length(entry_id >> SEQUENCE_BITS) + encode_length(entry_id & SEQUENCE_MAX)


def _encode_time(unix_ms: int) -> bytes:
    return unix_ms.to_bytes(TIME_BYTES, "little", signed=True)


# --- reading -------------------------------------------------------------------------------------------


class StreamReader:
    """Reads one stream of the given object type, as far as its bytes are there."""

    __slots__ = ("_reading", "_wanted")

    def __init__(self, kind: int) -> None:
        self._reading = _read_stream(kind)
        self._wanted = next(self._reading)

    def read(self, source: Source) -> Stream:
        """The stream; or NeedMore, after which `read` goes on with a source that begins at its position."""
        while True:
            before = source.position
            try:
                found = self._wanted(source)
            except NeedMore:
                source.position = before
                raise
            try:
                self._wanted = self._reading.send(found)
            except StopIteration as end:
                stream: Stream = end.value
                return stream


def _read_stream(kind: int) -> Reading:
    """Asks for one primitive after the other; what it says of itself twice must agree."""
    stream, least = Stream(), 0
    for _ in range((yield Source.length)):
        node = _node(*(yield _key_and_listpack))
        if node.first_id < least:
            raise RdbError("a stream's nodes are not in the order of their ids")
        stream.add_node(node)
        stream.length += len(node)
        # Of those that are there: after greater ones were deleted, XSETID may have let lesser ones follow.
        least = 1 + (node.id(len(node) - 1) if len(node) else node.first_id)
    if (yield Source.length) != stream.length:
        raise RdbError("a stream does not hold as many entries as it says")
    stream.last_id = yield _two_lengths
    if stream.last_id < stream.top_id:  # one that was deleted may have been greater
        raise RdbError("a stream's last id is not its greatest")
    stream.entries_added = stream.length
    if kind != rdb.STREAM:
        yield _two_lengths  # the first entry's id, which the nodes tell too
        stream.max_deleted_id = yield _two_lengths
        stream.entries_added = yield _int64
    for _ in range((yield Source.length)):
        name = yield Source.string
        if name in stream.groups:
            raise RdbError("a stream has two groups of one name")
        last_id = yield _two_lengths
        if kind == rdb.STREAM:
            read = stream.count_added_until(last_id)
        else:
            read = yield _int64
        group = ConsumerGroup(last_id, None if read == NOTHING_READ else read)
        yield from _read_pending(group, kind)
        stream.groups[name] = group
    return stream


def _read_pending(group: ConsumerGroup, kind: int) -> Generator[Primitive, Any, None]:
    """What is pending in a group, and for whom: each entry for one consumer."""
    nobody = Consumer(b"", 0)
    for _ in range((yield Source.length)):
        entry_id, delivered_ms, deliveries = yield _pending_entry
        if entry_id in group.pending:
            raise RdbError("an entry is pending twice in one group")
        group.assign(entry_id, nobody, delivered_ms).deliveries = deliveries
    for _ in range((yield Source.length)):
        name = yield Source.string
        if name in group.consumers:
            raise RdbError("Duplicate stream consumer detected: a group has two of one name")
        seen_ms = yield _time
        active_ms = (yield _time) if kind == rdb.STREAM_3 else seen_ms
        consumer = group.add_consumer(name, seen_ms)
        consumer.active_ms = active_ms if active_ms >= 0 else None
        for _ in range((yield Source.length)):
            entry_id = yield _id
            if entry_id not in nobody.pending:
                raise RdbError("an entry is pending for two consumers, or not in its group")
            group.assign(entry_id, consumer, 0)
    if nobody.pending:
        raise RdbError("an entry is pending for no consumer")


def _node(first_id: int, blob: bytes) -> StreamNode:
    """A node from its listpack: counts, the common fields, a zero, and the entries with their sizes."""
    try:
        return _node_of_elements(first_id, listpack(blob))
    except (IndexError, ValueError):
        raise RdbError(f"{_DAMAGED}: a node is cut off or damaged") from None
    except RdbError as error:
        raise RdbError(f"{_DAMAGED}: {error}") from None


def _node_of_elements(first_id: int, elements: list[bytes]) -> StreamNode:
    there, deleted, width = (_number(element) for element in elements[:3])
    position = 4 + width
    fields = elements[3 : position - 1]
    if len(fields) != width or elements[position - 1] != b"0":
        raise RdbError("a stream's node does not have the fields it says")
    node = StreamNode(first_id, fields)
    filler = NodeFiller(node, NodeLimits())
    least = first_id
    while position < len(elements):
        start = position
        flags = _number(elements[position])
        entry_id = make_id(
            (first_id >> SEQUENCE_BITS) + int(elements[position + 1]), first_id + int(elements[position + 2])
        )
        position += 3
        if flags & SAME_FIELDS:
            contents = elements[position : position + width]
            pairs = tuple(text for pair in zip(fields, contents, strict=True) for text in pair)
            position += width
        else:
            size = 2 * _number(elements[position])
            pairs = tuple(elements[position + 1 : position + 1 + size])
            position += 1 + size
        is_deleted = bool(flags & DELETED)  # after which XSETID may have let lesser ones follow
        if entry_id < least or _number(elements[position]) != position - start:
            raise RdbError("a stream's node holds an entry out of order or of another size than it says")
        filler.append(entry_id, pairs)
        if is_deleted:
            node.delete(len(node) - 1, len(node))
        least = least if is_deleted else entry_id + 1
        position += 1
    if (len(node), node.deleted) != (there, deleted):
        raise RdbError("a stream's node does not hold as many entries as it says")
    return node


def _number(element: bytes) -> int:
    """A count; ValueError for a negative one."""
    number = int(element)
    if number < 0:
        raise ValueError(number)
    return number


def _key_and_listpack(source: Source) -> tuple[int, bytes]:
    key = source.string()
    if len(key) != ID_BYTES:
        raise RdbError("a stream's node has no id for a key")
    return int.from_bytes(key, "big"), source.string()


def _two_lengths(source: Source) -> int:
    return make_id(source.length(), source.length())


def _int64(source: Source) -> int:
    return as_int64(source.length())


def _id(source: Source) -> int:
    return int.from_bytes(source.take(ID_BYTES), "big")


def _time(source: Source) -> int:
    return int.from_bytes(source.take(TIME_BYTES), "little", signed=True)


def _pending_entry(source: Source) -> tuple[int, int, int]:
    return _id(source), _time(source), _int64(source)
