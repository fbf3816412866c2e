"""Times of keys, kept for each of many groups of slots: nothing grows with the dataset as one piece."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.cluster.slots import SLOT_COUNT, key_slot
from shoal.node.dataset.database import CONTENTS
from shoal.node.dataset.expiries import ORDER_LIMIT, Expiries
from shoal.node.dataset.frequencies import CountingRules
from shoal.node.dataset.keyspace import Keyspace
from shoal.node.dataset.slot_tables import NOTHING, TIMES_SHIFT

KEYS = 20_000
NOW_MS = 1_700_000_000_000


@pytest.mark.parametrize("is_counting", [False, True])
def test_no_container_of_a_database_holds_more_than_its_share_of_the_keys(is_counting: bool) -> None:
    keyspace = Keyspace(1)
    keyspace.now_ms = NOW_MS
    database = keyspace.databases[0]
    keys = [b"key:%d" % number for number in range(KEYS)]
    for seconds in (100, 50, 200):
        for key in keys:
            database.set(key, b"value")
            database.set_expiry(key, NOW_MS + seconds * 1000)
    keyspace.count_uses(CountingRules(Random(1)) if is_counting else None)
    database.set_strings(keys[:100], keys[:100])
    assert len(database) == KEYS
    assert database.expires.count == KEYS - 100
    sizes = [len(part) for name in CONTENTS for part in containers(getattr(database, name))]
    assert max(size for size in sizes if size != SLOT_COUNT) <= ORDER_LIMIT < KEYS / 5


def containers(root: object) -> Iterator[dict[object, object] | list[object]]:
    """Every dict and list that can be reached from an object, but for what classes hold."""
    met, waiting = {id(root)}, [root]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict | list):
            yield found
        if isinstance(found, type):
            continue
        for referent in gc.get_referents(found):
            if id(referent) not in met and not isinstance(referent, bytes | int | str):
                met.add(id(referent))
                waiting.append(referent)


KEY = st.integers(0, 30).map(lambda number: b"key:%d" % number)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEY, st.integers(0, 20)),
        st.tuples(st.just("discard"), KEY, st.just(0)),
        st.tuples(st.just("due"), st.just(b""), st.integers(0, 20)),
    ),
    max_size=60,
)


@given(STEPS)
def test_the_next_of_all_keys_is_known_whatever_was_set_before(steps: list[tuple[str, bytes, int]]) -> None:
    expiries, model = Expiries(), dict[bytes, int]()
    for what, key, at_ms in steps:
        if what == "set":
            expiries.set(key_slot(key), key, at_ms)
            model[key] = at_ms
        elif what == "discard":
            expiries.discard(key_slot(key), key)
            model.pop(key, None)
        else:
            soonest = min(model.values(), default=None)
            due = expiries.pop_due(at_ms)
            assert (due is None) == (soonest is None or soonest > at_ms)
            if due is not None:
                assert model.pop(due) == soonest
        found = expiries.next()
        assert (None if found is None else found[0]) == min(model.values(), default=None)
        assert found is None or model[found[1]] == found[0]
        assert expiries.count == len(model)
        assert sorted(expiries) == sorted(model)
        assert sorted(expiries.moments()) == sorted(model.values())
        assert set(expiries.random_keys(Random(1), 3)) <= set(model)
        assert set(expiries.random_keys(Random(1), len(model))) == set(model)


def test_times_that_come_ever_sooner_leave_no_more_behind_than_there_are_groups_for() -> None:
    expiries = Expiries()
    for at_ms in range(20 * ORDER_LIMIT, 0, -1):
        key = b"key:%d" % (at_ms % 100)
        expiries.set(key_slot(key), key, at_ms)
    assert max(len(part) for part in containers(expiries)) <= ORDER_LIMIT
    assert [expiries.pop_due(1000) for _ in range(101)] == [
        *(b"key:%d" % (n % 100) for n in range(1, 101)),
        None,
    ]


def test_a_key_drawn_at_random_is_one_that_expires_though_most_no_longer_do() -> None:
    expiries = Expiries()
    for number in range(2000):
        expiries.set(0, b"key:%d" % number, NOW_MS + number)
    for number in range(1999):
        expiries.discard(0, b"key:%d" % number)
    assert expiries.random_keys(Random(1), 1) == [b"key:1999"]
    assert Expiries().random_keys(Random(1), 5) == []


def test_a_slot_that_was_emptied_and_filled_again_knows_its_keys_times() -> None:
    keyspace = Keyspace(1)
    keyspace.now_ms = NOW_MS
    database = keyspace.databases[0]
    for at_ms in (NOW_MS + 5, NOW_MS + 7):
        database.set(b"k", b"v")
        database.set_expiry(b"k", at_ms)
        assert database.expiry(b"k") == at_ms
        assert database.times_of_use(b"k") == {b"k": NOW_MS}
        assert database.delete(b"k")
        assert (database.expires.count, database.expiry(b"k"), database.times_of_use(b"k")) == (0, None, {})
    assert database.expire_due(10) == 0


def test_a_time_to_live_is_known_to_every_slot_beside_and_goes_with_their_last_key() -> None:
    keyspace = Keyspace(1)
    keyspace.now_ms = NOW_MS
    database = keyspace.databases[0]
    near = [key for number in range(9999) if key_slot(key := b"key:%d" % number) >> TIMES_SHIFT == 7]
    assert len({key_slot(key) for key in near}) > 5
    for key in near:
        database.set(key, b"v")
    database.set_expiry(near[0], NOW_MS + 1)
    for key in near[1:]:
        assert database.expiry(key) is None
        database.set_expiry(key, NOW_MS + 1)
    assert [database.expiry(key) for key in near] == [NOW_MS + 1] * len(near)
    keyspace.now_ms += 1
    assert database.expire_due(len(near) + 1) == len(near)
    assert database.tables == [NOTHING] * SLOT_COUNT
    assert not any(database.accessed) and not any(map(database.expires.near, range(SLOT_COUNT)))
    database.set(near[1], b"w")
    assert (database.expiry(near[1]), database.expires.next()) == (None, None)


def test_a_string_that_keeps_a_time_to_live_that_is_over_is_new() -> None:
    keyspace = Keyspace(1)
    keyspace.now_ms = NOW_MS
    database = keyspace.databases[0]
    database.set(b"k", b"v")
    database.set_expiry(b"k", NOW_MS)
    database.set(b"k", b"w", keep_expiry=True)
    assert (database.peek(b"k"), database.expiry(b"k"), keyspace.expired) == (b"w", None, 1)
    assert len(database) == 1
