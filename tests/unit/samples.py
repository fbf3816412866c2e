"""Values and keyspaces to test with, and plain forms to compare them by."""

from __future__ import annotations

from hypothesis import strategies as st

from shoal.node.dataset.keyspace import Keyspace
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.values import HashValue, ListValue, SetValue, Value
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
        value.put(member, None)
    return value


def sorted_set(scores: dict[bytes, float]) -> SortedSet:
    value = SortedSet()
    for member, score in scores.items():
        value.add(member, score)
    return value


_texts = st.one_of(
    st.binary(max_size=20),
    st.integers(-(1 << 63), (1 << 63) - 1).map(lambda n: b"%d" % n),
    st.binary(min_size=64),
)
_scores = st.floats(allow_nan=False)

values: st.SearchStrategy[Value] = st.one_of(
    _texts,
    _texts.map(bytearray),
    st.lists(_texts, min_size=1, max_size=20).map(ListValue),
    st.lists(_texts, min_size=1, max_size=20, unique=True).map(set_value),
    st.dictionaries(_texts, _texts, min_size=1, max_size=20).map(hash_value),
    st.dictionaries(_texts, _scores, min_size=1, max_size=20).map(sorted_set),
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
    return ("fields", dict(value))


def plain_keyspace(keyspace: Keyspace) -> Plain:
    """Everything in a keyspace, expired keys included."""
    return {
        (database.index, key): (plain(value), database.expiry(key))
        for database in keyspace.databases
        if len(database)
        for table in database.tables
        for key, value in table.items()
    }


def save(keyspace: Keyspace, *, checksum: bool = True) -> bytes:
    """A keyspace as one RDB file."""
    writer = RdbWriter(checksum=checksum)
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
