"""The slot walk: whatever is written meanwhile, it tells the data as they were when it began."""

from collections.abc import Iterator, Mapping
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.cluster.slots import key_slot
from shoal.node.dataset import snapshot
from shoal.node.dataset.database import Database
from shoal.node.dataset.expiry_mode import ExpiryMode
from shoal.node.dataset.hashes import HashValue, hash_of
from shoal.node.dataset.keyspace import Keyspace
from shoal.node.dataset.lists import ListValue
from shoal.node.dataset.snapshot import LARGE_VALUE_ELEMENTS, MOST_KEYS_AHEAD, MOST_KEYS_AT_ONCE, SlotWalk
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.stream_filling import NodeLimits
from shoal.node.dataset.stream_groups import ConsumerGroup
from shoal.node.dataset.streams import Stream
from shoal.node.dataset.usage import UNKNOWN, Usage
from shoal.node.dataset.values import SetValue, Value, copy_value
from shoal.node.persistence.rdb_writer import RdbWriter
from tests.unit.samples import NOW_MS, Plain, load, plain, plain_keyspace

KEYS = [b"{same}%d" % number for number in range(5)] + [b"other%d" % number for number in range(3)]

keys = st.tuples(st.integers(0, 1), st.sampled_from(KEYS))
actions = st.one_of(
    st.tuples(st.just("set"), keys),
    st.tuples(st.just("push"), keys),
    st.tuples(st.just("append"), keys),
    st.tuples(st.just("set field"), keys, st.sampled_from([b"a", b"b", b"c"])),
    st.tuples(st.just("acknowledge"), keys),
    st.tuples(st.just("delete"), keys),
    st.tuples(st.just("rename"), keys, st.sampled_from(KEYS)),
    st.tuples(st.just("expire at"), keys, st.integers(-3, 3)),
    st.tuples(st.just("persist"), keys),
    st.tuples(st.just("read"), keys),
    st.tuples(st.just("time"), st.integers(1, 3)),
    st.tuples(st.just("flush"), st.integers(0, 1)),
    st.tuples(st.just("swap")),
)
beginnings = st.tuples(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["set", "push", "append"]), keys),
            st.tuples(st.just("set field"), keys, st.just(b"a")),
        ),
        min_size=5,
        max_size=20,
    ),
    st.lists(actions, max_size=5),
)
"""Keys of every kind, then anything."""

programs = st.lists(st.tuples(st.integers(0, 4), actions), min_size=3, max_size=20)
"""How many steps the walk takes, then an action."""


class Told:
    """A sink that notes what it is told and lets no key come twice."""

    def __init__(self) -> None:
        self.keys: Plain = {}

    def add_short_strings(
        self, database: int, keys: Mapping[bytes, Value], expires: Mapping[bytes, int]
    ) -> int:
        if any(type(value) is not bytes or key in expires for key, value in keys.items()):
            return 0
        return sum(self.add(database, key, value, None, UNKNOWN) for key, value in keys.items())

    def add(self, database: int, key: bytes, value: Value, expiry_ms: int | None, usage: Usage) -> int:
        assert (database, key) not in self.keys
        self.keys[database, key] = (plain(value), expiry_ms)
        return 1

    def add_in_pieces(
        self, database: int, key: bytes, value: Value, expiry_ms: int | None, usage: Usage
    ) -> Iterator[int]:
        if isinstance(value, Stream):
            before = plain(value)
            for _ in value.entries():
                yield 1
            assert plain(value) == before
            self.add(database, key, value, expiry_ms, usage)
            return
        if isinstance(value, HashValue):
            words = list[bytes]()
            for pair in value.pairs():
                words += pair
                yield 1
            self.add(database, key, hash_of(words), expiry_ms, usage)
            return
        assert isinstance(value, ListValue)
        told = ListValue()
        for element in value:
            told.push_right((element,))
            yield 1
        self.add(database, key, told, expiry_ms, usage)


def act(keyspace: Keyspace, action: tuple) -> None:
    """One command as the commands would do it: `for_change`, alter, `changed`."""
    name, *arguments = action
    if name == "time":
        keyspace.now_ms += arguments[0]
    elif name == "flush":
        keyspace.databases[arguments[0]].flush()
    elif name == "swap":
        keyspace.swap(0, 1)
    else:
        (index, key), *rest = arguments
        database = keyspace.databases[index]
        if name == "set":
            database.set(key, b"set at change %d" % keyspace.changes)
            database.changed(key, "set")
        elif name == "push":
            value = database.for_change(key)
            if isinstance(value, ListValue):
                value.push_right((b"one more",))
            else:
                database.set(key, ListValue([b"first", b"second", b"third"]))
            database.changed(key, "rpush")
        elif name == "append":
            append(database, key)
        elif name == "set field":
            set_field(database, key, rest[0])
        elif name == "acknowledge":
            value = database.for_change(key)
            if isinstance(value, Stream):
                value.groups[b"g"].forget(value.last_id)
                database.changed_unwatched(key)
        elif name == "delete":
            database.delete(key)
        elif name == "rename":
            rename(database, key, rest[0])
        elif name == "read":
            database.read(key)
        elif database.for_change(key) is not None:
            database.set_expiry(key, keyspace.now_ms + rest[0] if rest else None)


def rename(database: Database, key: bytes, new_key: bytes) -> None:
    """The very value goes on under another name."""
    table = database.table_for_change(key)
    if table is None or key == new_key:
        return
    value, expiry = table[key], database.expiry(key)
    database.delete(key)
    database.set(new_key, value)
    database.set_expiry(new_key, expiry)
    database.changed(new_key, "rename")


def set_field(database: Database, key: bytes, field: bytes) -> None:
    """Change a hash of two fields, which is packed once there has been another, or one of three."""
    value = database.for_change(key)
    if not isinstance(value, HashValue):
        value = hash_of([b"a", b"1", b"b", b"2"])
        database.set(key, value)
    value.put(field, b"set at change %d" % database.keyspace.changes)
    database.changed(key, "hset")


TWO_ENTRIES = NodeLimits(max_entries=2)


def append(database: Database, key: bytes) -> None:
    """A new entry, given to a consumer at once."""
    value = database.for_change(key)
    if not isinstance(value, Stream):
        value = Stream()
        value.groups[b"g"] = ConsumerGroup(0, 0)
        database.set(key, value)
    value.append(value.last_id + 1, (b"field", b"content"), TWO_ENTRIES)
    group = value.groups[b"g"]
    consumer = group.consumers.get(b"c") or group.add_consumer(b"c", NOW_MS)
    group.assign(value.last_id, consumer, NOW_MS)
    database.changed(key, "xadd")


@settings(max_examples=300, deadline=None)
@given(beginnings, programs, st.sampled_from([None, frozenset({key_slot(b"{same}")})]))
def test_the_walk_tells_the_picture_at_its_start(before, during, slots):
    keyspace = Keyspace(2)
    keyspace.now_ms = NOW_MS
    for action in (*before[0], *before[1]):
        act(keyspace, action)
    expected = {
        (index, key): content
        for (index, key), content in plain_keyspace(keyspace).items()
        if slots is None or key_slot(key) in slots
    }
    told = Told()
    with patch.object(snapshot, "LARGE_VALUE_ELEMENTS", 1):
        walk = SlotWalk(keyspace, told, slots)
        for steps, action in during:
            for _ in range(steps):
                walk.step(1)
            act(keyspace, action)
        while not walk.step(1):
            pass
    assert told.keys == expected
    assert keyspace.snapshots == []


@pytest.mark.parametrize("key", ["{one slot}%d", "many slots %d"])
def test_a_step_keeps_to_its_budget_even_in_one_huge_slot(key):
    keyspace = Keyspace(1)
    for number in range(5000):
        keyspace.databases[0].set(key.encode() % number, b"v" if number % 1000 else ListValue([b"v"]))
    told = Told()
    walk, before = SlotWalk(keyspace, told), 0
    while len(told.keys) < 4500:
        walk.step(100)
        assert 100 <= len(told.keys) - before < 100 + MOST_KEYS_AT_ONCE
        before = len(told.keys)


def test_a_change_amid_a_slot_tells_each_of_its_keys_once():
    keyspace = Keyspace(2)
    for number in range(10):
        keyspace.databases[0].set(b"{slot}%d" % number, ListValue([b"old"]))
    before = plain_keyspace(keyspace)
    told = Told()
    walk = SlotWalk(keyspace, told)
    walk.step(3)
    keyspace.swap(0, 1)
    for number in range(12):
        value = keyspace.databases[1].for_change(b"{slot}%d" % number)
        if isinstance(value, ListValue):
            value.push_right((b"new",))
        keyspace.databases[0].set(b"{slot}%d" % number, b"in the other database")
        keyspace.databases[1].set(b"{slot}%d" % number, b"newer")
        keyspace.databases[1].delete(b"{slot}%d" % number)
    walk.step(100)
    assert told.keys == before


def test_a_large_value_is_told_over_several_steps_with_other_keys_between():
    keyspace = Keyspace(1)
    database = keyspace.databases[0]
    database.set(b"{b}small", b"old")
    database.set(b"{b}large", ListValue([b"element %d" % number for number in range(20_000)]))
    database.set(b"zz", b"old")
    writer = RdbWriter()
    writer.header({})
    before = plain_keyspace(keyspace)
    walk = SlotWalk(keyspace, writer)
    assert key_slot(b"{b}large") < key_slot(b"zz")
    steps = 0
    while not walk.step(1):
        steps += 1
        if steps == 5:
            database.set(b"zz", b"new")
            database.set(b"{b}small", b"new")
        if steps == 10:
            large = database.for_change(b"{b}large")
            assert isinstance(large, ListValue)
            large.push_right((b"more",))
    writer.end()
    assert steps >= 10
    assert plain_keyspace(load(writer.take())) == before


def test_keys_that_change_before_their_turn_are_told_with_the_next_slice_but_never_too_many_at_once():
    keyspace, keys = Keyspace(1), [b"key:%d" % number for number in range(2 * MOST_KEYS_AHEAD + 10)]
    for key in keys:
        keyspace.databases[0].set(key, b"old")
    told = Told()
    walk = SlotWalk(keyspace, told)
    for count, key in enumerate(keys, 1):
        keyspace.databases[0].set(key, b"new")
        assert walk.told == count
        assert walk.copied >= count
        assert count - len(told.keys) < MOST_KEYS_AHEAD
    walk.step(0)
    assert told.keys == {(0, key): (b"old", None) for key in keys}


def test_a_key_with_a_time_to_live_is_told_with_it_though_it_changes_before_its_turn():
    keyspace = Keyspace(1)
    keyspace.now_ms = NOW_MS
    for key in (b"a", b"b"):
        keyspace.databases[0].set(key, b"old")
        keyspace.databases[0].set_expiry(key, NOW_MS + 1000)
    told = Told()
    walk = SlotWalk(keyspace, told)
    keyspace.databases[0].set(b"a", b"new")
    keyspace.databases[0].set_expiry(b"b", NOW_MS + 5000)
    walk.step(1 << 20)
    assert told.keys == {(0, key): (b"old", NOW_MS + 1000) for key in (b"a", b"b")}


def test_two_walks_at_once_tell_what_each_found():
    keyspace = Keyspace(1)
    database = keyspace.databases[0]
    database.set(b"a", b"1")
    first, second = Told(), Told()
    first_walk = SlotWalk(keyspace, first)
    database.set(b"a", b"2")
    second_walk = SlotWalk(keyspace, second)
    database.set(b"a", b"3")
    first_walk.step(1 << 20)
    second_walk.step(1 << 20)
    assert first.keys == {(0, b"a"): (b"1", None)}
    assert second.keys == {(0, b"a"): (b"2", None)}


def test_a_stopped_walk_hears_of_no_more_changes():
    keyspace = Keyspace(1)
    keyspace.databases[0].set(b"a", b"1")
    told = Told()
    walk = SlotWalk(keyspace, told)
    walk.stop()
    keyspace.databases[0].set(b"a", b"2")
    assert walk.step(1)
    assert told.keys == {}


def test_an_expired_key_nobody_touched_is_told_with_its_expiry():
    keyspace = Keyspace(1)
    keyspace.now_ms, keyspace.expiry_mode = NOW_MS, ExpiryMode.HIDE
    keyspace.databases[0].set(b"a", b"1")
    keyspace.databases[0].set_expiry(b"a", NOW_MS - 1)
    told = Told()
    SlotWalk(keyspace, told).step(1)
    assert told.keys == {(0, b"a"): (b"1", NOW_MS - 1)}


def large_values() -> list[Value]:
    numbers = range(2 * LARGE_VALUE_ELEMENTS)
    stream = Stream()
    for number in numbers:
        stream.append(number + 1 << 64, (b"field", b"%d" % number), NodeLimits())
    return [
        ListValue(b"%d" % number for number in numbers),
        SetValue.of(b"%d" % number for number in numbers),
        hash_of([word for number in numbers for word in (b"%d" % number, b"v")]),
        SortedSet.of({b"%d" % number: float(number) for number in numbers}),
        stream,
    ]


def alter(value: Value) -> None:
    match value:
        case ListValue():
            value.push_left((b"new",))
        case SetValue():
            value.put(b"new", 0)
            value.discard(b"7")
        case HashValue():
            value.put(b"new", b"new")
            value.put(b"7", b"new")
        case SortedSet():
            value.add(b"new", 1.5)
            value.add(b"7", 3.0)
            value.discard(b"8")
        case Stream():
            value.delete(1 << 64)


@pytest.mark.parametrize("pieces_before", [0, 2])
@pytest.mark.parametrize("value", large_values(), ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("change", ["alter", "delete", "replace", "rename and alter"])
def test_a_change_to_a_large_value_does_not_have_it_told_at_once(
    value: Value, change: str, pieces_before: int
) -> None:
    """Whether the walk has begun with it or not: that would hold up everybody."""
    keyspace = Keyspace(1)
    database = keyspace.databases[0]
    database.set(b"large", copy_value(value))
    before = plain_keyspace(keyspace)
    writer = RdbWriter()
    writer.header({})
    walk = SlotWalk(keyspace, writer)
    for _ in range(pieces_before):
        walk.step(1)
    written = writer.take()
    match change:
        case "alter":
            altered = database.for_change(b"large")
        case "rename and alter":
            rename(database, b"large", b"renamed")
            altered = database.for_change(b"renamed")
        case "delete":
            altered = None
            database.delete(b"large")
        case "replace":
            altered = None
            database.set(b"large", b"short")
    if altered is not None:
        alter(altered)
        assert plain(altered) != plain(value)
    assert not (at_once := writer.take())
    while not walk.step(1):
        pass
    writer.end()
    assert plain_keyspace(load(written + at_once + writer.take())) == before
