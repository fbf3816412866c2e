"""Tables, of few keys and of many: what a dict would say, cursors that survive changes, fair draws."""

from __future__ import annotations

from collections import Counter
from random import Random
from sys import getsizeof

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shoal.node.dataset.extendible_hashing import FEW_IN_BUCKET, MOST_IN_BUCKET, Directory
from shoal.node.dataset.hashes import ExpiringHash, HashValue, WideExpiringHash, WideHash, new_hash
from shoal.node.dataset.table import MOST_IN_ONE_DICT, Table, WideTable
from shoal.node.dataset.values import SetValue, WideSet, copy_value

KINDS: list[type[Table[int]]] = [Table, SetValue]


def table_of(size: int, kind: type[Table[int]] = Table) -> Table[int]:
    table = kind()
    for number in range(size):
        table.put(b"%d" % number, 0)
    return table


def check(directory: Directory[int]) -> None:
    """What holds of a directory after every change."""
    assert len(directory) == 1 << directory.depth
    assert {id(bucket) for bucket in directory} == {id(bucket) for bucket in directory.buckets}
    assert directory.size == sum(map(len, directory.buckets))
    assert any(bucket.depth == directory.depth for bucket in directory.buckets)
    for position, bucket in enumerate(directory.buckets):
        assert bucket.position == position
        assert len(bucket) <= MOST_IN_BUCKET
        entries = [entry for entry, found in enumerate(directory) if found is bucket]
        assert len(entries) == 1 << directory.depth - bucket.depth
        assert entries == list(range(entries[0], entries[0] + len(entries)))
        assert entries[0] == bucket.beginning << directory.depth - bucket.depth
        for key in bucket:
            assert directory[hash(key) >> directory.shift] is bucket
    for depth, buckets in enumerate(directory.at_depth):
        assert buckets == sum(bucket.depth == depth for bucket in directory.buckets)


class LargeTable(RuleBasedStateMachine):
    """A table that grows and shrinks by hundreds, beside a dict; and copies of it."""

    def __init__(self) -> None:
        super().__init__()
        self.copies: list[tuple[Table[int], dict[bytes, int]]] = []

    @initialize(size=st.integers(0, 3 * MOST_IN_ONE_DICT))
    def begin(self, size: int) -> None:
        self.table: Table[int] = table_of(size)
        self.model = dict.fromkeys([b"%d" % number for number in range(size)], 0)

    @rule(start=st.integers(0, 4000), count=st.integers(1, 700), value=st.integers())
    def put(self, start: int, count: int, value: int) -> None:
        for number in range(start, start + count):
            self.table.put(b"%d" % number, value)
            self.model[b"%d" % number] = value

    @rule(start=st.integers(0, 4000), count=st.integers(1, 700), value=st.integers())
    def put_all(self, start: int, count: int, value: int) -> None:
        pairs = [(b"%d" % number, value) for number in range(start, start + count)]
        self.table.put_all(pairs)
        self.model.update(pairs)

    @rule(start=st.integers(0, 4000), count=st.integers(1, 700), value=st.integers())
    def exchange(self, start: int, count: int, value: int) -> None:
        for number in range(start, start + count):
            assert self.table.exchange(b"%d" % number, value) == self.model.get(b"%d" % number)
            self.model[b"%d" % number] = value

    @rule(start=st.integers(0, 4000), count=st.integers(1, 2000))
    def discard(self, start: int, count: int) -> None:
        for number in range(start, start + count):
            was_there = self.model.pop(b"%d" % number, None) is not None
            assert self.table.discard(b"%d" % number) is was_there

    @rule(count=st.integers(1, 2000))
    def discard_in_the_order_of_a_scan(self, count: int) -> None:
        cursor, keys = self.table.scan(0, count)
        for key in keys:
            self.table.discard(key)
            del self.model[key]
        assert cursor or not self.table

    @rule(seed=st.integers(0, 1 << 30), count=st.integers(1, 500))
    def pop_at_random(self, seed: int, count: int) -> None:
        rng = Random(seed)
        for _ in range(min(count, len(self.model))):
            del self.model[self.table.pop_random(rng)]

    @rule(goes_on_with_the_copy=st.booleans())
    def copy(self, goes_on_with_the_copy: bool) -> None:
        """From now on the one is changed, and the other must stay as it is."""
        copied = self.table.copied()
        if goes_on_with_the_copy:
            self.table, copied = copied, self.table
        self.copies = [*self.copies[-1:], (copied, dict(self.model))]

    @invariant()
    def copies_stay_as_they_are(self) -> None:
        for copied, model in self.copies:
            assert copied == model
            if isinstance(copied, WideTable):
                check(copied.directory)

    @invariant()
    def holds_what_a_dict_would(self) -> None:
        if not hasattr(self, "table"):
            return
        table, model = self.table, self.model
        assert len(table) == len(model)
        assert bool(table) == bool(model)
        assert dict(table.items()) == table.copy() == dict(table) == model
        assert sorted(table) == sorted(table.keys()) == sorted(model)
        assert sorted(table.values()) == sorted(model.values())
        assert table == model
        assert b"none" not in table
        assert table.get(b"none", 7) == 7
        for key in list(model)[:20]:
            assert key in table
            assert table[key] == table.get(key) == model[key]
        if isinstance(table, WideTable):
            assert not dict.__len__(table)
            check(table.directory)
        else:
            assert len(table) <= MOST_IN_ONE_DICT


TestLargeTable = LargeTable.TestCase
TestLargeTable.settings = settings(max_examples=60, stateful_step_count=15)


@given(st.sampled_from(KINDS), st.integers(0, 1 << 30), st.integers(1, 300), st.sampled_from([0, 20, 200]))
def test_a_scan_returns_all_that_stays_once_whatever_comes_and_goes(
    kind: type[Table[int]], seed: int, count: int, changes: int
) -> None:
    rng = Random(seed)
    table = table_of(3 * MOST_IN_ONE_DICT, kind)
    staying = set(rng.sample(list(table), 300))
    found: Counter[bytes] = Counter()
    cursor, rounds = 0, 0
    while True:
        cursor, keys = table.scan(cursor, count)
        found.update(keys)
        rounds += 1
        if cursor == 0:
            break
        for key in rng.sample(list(table), min(changes, len(table))):
            if key not in staying and rng.random() < 0.7:
                table.discard(key)
        for number in range(changes if rng.random() < 0.3 else 0):
            table.put(b"new %d %d" % (rounds, number), 0)
    assert staying <= found.keys()
    assert max(found[key] for key in staying) == 1
    if not changes:
        assert sorted(found) == sorted(table)
        assert rounds >= len(table) // count


def test_a_scan_returns_as_many_as_it_is_asked_for() -> None:
    table = table_of(5 * MOST_IN_ONE_DICT)
    for count in (1, 10, 1000):
        cursor, keys = table.scan(0, count)
        assert len(keys) == count
        assert cursor


@pytest.mark.parametrize("cursor", [(1 << 48) - 1, 1 << 48, (1 << 64) - 1])
def test_a_cursor_that_nobody_gave_ends_the_scan(cursor: int) -> None:
    table = table_of(5 * MOST_IN_ONE_DICT)
    assert table.scan(cursor, 10) == (0, [])


@pytest.mark.parametrize("left", [1, 3, 2 * FEW_IN_BUCKET, MOST_IN_BUCKET, 2 * MOST_IN_ONE_DICT])
def test_draws_are_fair_however_much_was_taken_away(left: int) -> None:
    table = table_of(4 * MOST_IN_ONE_DICT)
    while len(table) > left:
        _, keys = table.scan(0, len(table) - left)
        for key in keys[: len(table) - left]:
            table.discard(key)
    rng = Random(3)
    drawn = Counter(table.random_key(rng) for _ in range(200 * left))
    assert drawn.keys() == set(table)
    assert max(drawn.values()) < 200 + 6 * 200**0.5
    assert min(drawn.values()) > 200 - 6 * 200**0.5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [10, 3 * MOST_IN_ONE_DICT])
def test_what_is_popped_at_random_is_each_key_once(kind: type[Table[int]], size: int) -> None:
    table = table_of(size, kind)
    rng = Random(4)
    table.discard(b"7")
    table.put(b"late", 0)
    popped = [table.pop_random(rng) for _ in range(size)]
    assert not table
    assert sorted(popped) == sorted({b"%d" % number for number in range(size)} - {b"7"} | {b"late"})
    with pytest.raises(IndexError):
        table.pop_random(rng)


def test_a_wide_table_takes_no_more_memory_than_a_dict_of_as_many() -> None:
    size = 100_000
    wide = table_of(size)
    plain = {b"%d" % number: 0 for number in range(size)}
    assert 0.5 * getsizeof(plain) < getsizeof(wide) < getsizeof(plain)
    for number in range(size - 1):
        wide.discard(b"%d" % number)
    assert getsizeof(wide) < 10_000


def test_a_hash_of_many_fields_stays_itself_and_its_fields_may_expire() -> None:
    value = new_hash()
    fields = [b"%d" % number for number in range(2 * MOST_IN_ONE_DICT)]
    value.put_words([word for field in fields for word in (field, b"v" + field)])
    assert type(value) is WideHash
    other = value.copied()
    assert type(other) is WideHash
    assert other == value
    expiring = value.expiring()
    assert expiring is value  # type: ignore[comparison-overlap]
    assert type(expiring) is WideExpiringHash
    expiring.deadlines.set(b"3", 1000)
    expiring.deadlines.set(b"4", 2000)
    expiring.put(b"4", b"changed")
    again = expiring.copied()
    assert isinstance(again, ExpiringHash)
    assert again.deadlines.at == {b"3": 1000}
    assert type(again.at_time(1000)) is WideHash
    assert len(again.at_time(1000)) == len(fields) - 1
    assert again.take_due(1000) == [b"3"]
    assert again.get(b"3") is None
    assert again[b"4"] == b"changed"
    assert sorted(again.pairs()) == sorted(again.items())
    assert sorted(again.contents()) == sorted(again.values())
    assert len(expiring) == len(fields)


def test_a_hash_that_expires_becomes_wide_as_well() -> None:
    value: HashValue = new_hash().expiring()
    for number in range(2 * MOST_IN_ONE_DICT):
        value.put(b"%d" % number, b"")
    assert type(value) is WideExpiringHash
    value.deadlines.set(b"1", 5)
    assert value.discard(b"1")
    assert not value.deadlines.at


def test_sets_of_many_are_made_at_once_copied_and_combined() -> None:
    value = SetValue.of(b"%d" % (number % 2000) for number in range(5000))
    assert type(value) is WideSet
    assert len(value) == 2000
    copied = copy_value(value)
    assert isinstance(copied, WideSet)
    copied.put(b"more", 0)
    assert b"more" not in value
    assert set(copied) - set(value) == {b"more"}
