"""Values and keyspaces to test with, and plain forms to compare them by."""

from __future__ import annotations

from itertools import chain

from hypothesis import strategies as st

from shoal.node.dataset.hashes import HashValue
from shoal.node.dataset.keyspace import Keyspace
from shoal.node.dataset.lists import ListValue
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.stream_filling import NodeLimits
from shoal.node.dataset.stream_groups import ConsumerGroup
from shoal.node.dataset.streams import Stream
from shoal.node.dataset.values import SetValue, Value
from shoal.node.persistence.rdb_loader import RdbLoader
from shoal.node.persistence.rdb_reader import RdbReader
from shoal.node.persistence.rdb_writer import RdbWriter

Plain = dict[tuple[int, bytes], tuple[object, int | None]]
NOW_MS = 1_700_000_000_000


def hash_value(fields: dict[bytes, bytes]) -> HashValue:
    value = HashValue()
    for field, content in fields.items():
        value.put(field, content)
    return value


def set_value(members: list[bytes]) -> SetValue:
    value = SetValue()
    for member in members:
        value.put(member, 0)
    return value


def sorted_set(scores: dict[bytes, float]) -> SortedSet:
    value = SortedSet()
    for member, score in scores.items():
        value.add(member, score)
    return value


SMALL_NODES = NodeLimits(200, 4)


def stream_of(steps: list[tuple[int, list[bytes], int]]) -> Stream:
    """A stream of small nodes with some entries deleted, and a group that has some of them pending."""
    value = Stream()
    group = value.groups[b"group"] = ConsumerGroup(0, 0)
    consumers = [group.add_consumer(name, NOW_MS) for name in (b"alice", b"bob")]
    for step, pairs, use in steps:
        value.append(value.last_id + step, tuple(pairs), SMALL_NODES)
        if use < len(consumers):
            value.deliver(group, value.last_id)
            group.assign(value.last_id, consumers[use], NOW_MS - 1).deliveries = use
        elif use == len(consumers):
            value.delete(value.last_id)
    return value


_texts = st.one_of(
    st.binary(max_size=20),
    st.integers(-(1 << 63), (1 << 63) - 1).map(lambda n: b"%d" % n),
    st.binary(min_size=64),
)
_scores = st.floats(allow_nan=False)
_steps = st.one_of(st.integers(1, 5), st.integers(1, 1 << 100))
_pairs = st.one_of(
    _texts.map(lambda text: [b"field", text]),
    st.lists(st.tuples(_texts, _texts), min_size=1, max_size=3).map(lambda pairs: [*chain(*pairs)]),
)

values: st.SearchStrategy[Value] = st.one_of(
    _texts,
    _texts.map(bytearray),
    st.lists(_texts, min_size=1, max_size=20).map(ListValue),
    st.lists(_texts, min_size=10, max_size=20).map(lambda texts: ListValue(texts * 10)),
    st.lists(_texts, min_size=1, max_size=20, unique=True).map(set_value),
    st.dictionaries(_texts, _texts, min_size=1, max_size=20).map(hash_value),
    st.dictionaries(_texts, _scores, min_size=1, max_size=20).map(sorted_set),
    st.lists(st.tuples(_steps, _pairs, st.integers(0, 5)), max_size=20).map(stream_of),
)


def plain(value: Value) -> object:
    """Something to compare two values by: type and content, not the order of a hash or a set."""
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, ListValue):
        return list(value)
    if isinstance(value, SetValue):
        return set(value)
    if isinstance(value, SortedSet):
        return ("scores", list(value), dict(value.scores))
    if isinstance(value, Stream):
        return ("stream", *_plain_stream(value))
    return ("fields", dict(value))


def _plain_stream(value: Stream) -> list[object]:
    groups = {
        name: (
            group.last_id,
            group.entries_read,
            {
                key: (one.consumer.name, one.delivered_ms, one.deliveries)
                for key, one in group.pending.items()
            },
            {one.name: (one.seen_ms, list(one.pending)) for one in group.consumers.values()},
        )
        for name, group in value.groups.items()
    }
    nodes = [(key, node.listpack()) for key, node in value.nodes.items()]
    counts = [value.length, value.last_id, value.max_deleted_id, value.entries_added, value.radix_nodes]
    return [list(value.entries()), nodes, groups, *counts]


def plain_keyspace(keyspace: Keyspace) -> Plain:
    """Everything in a keyspace, expired keys included."""
    return {
        (database.index, key): (plain(value), database.expiry(key))
        for database in keyspace.databases
        if len(database)
        for table in database.tables
        for key, value in table.items()
    }


def save(keyspace: Keyspace, *, checksum: bool = True, compress: bool = False) -> bytes:
    """A keyspace as one RDB file."""
    writer = RdbWriter(checksum=checksum, compress=compress)
    writer.header({b"redis-ver": b"7.0.15", b"redis-bits": b"64"})
    for (index, key), (_, expiry_ms) in plain_keyspace(keyspace).items():
        value = keyspace.databases[index].peek(key)
        assert value is not None
        writer.add(index, key, value, expiry_ms)
    writer.end()
    return writer.take()


def load(data: bytes, *, chunk: int = 1 << 20) -> Keyspace:
    """The keyspace of one RDB file, fed in pieces of `chunk` bytes."""
    keyspace = Keyspace(16)
    keyspace.now_ms = NOW_MS
    reader, loader = RdbReader(), RdbLoader(keyspace)
    for start in range(0, len(data), chunk):
        loader.apply(reader.feed(data[start : start + chunk]))
    assert reader.finished
    assert reader.surplus == b""
    return keyspace
