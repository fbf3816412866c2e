"""Tables: cursors that survive changes, and a slot that is emptied from its end."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.node.dataset.table import WHOLE_TABLE_LIMIT, Table
from shoal.node.dataset.values import SetValue

KINDS: list[type[Table[int]]] = [Table, SetValue]
"""A set keeps the numbers of its index in itself."""


def table_of(size: int, kind: type[Table[int]] = Table) -> Table[int]:
    table = kind()
    for number in range(size):
        table.put(b"%d" % number, 0)
    return table


@given(st.sampled_from(KINDS), st.integers(0, 1 << 30), st.integers(1, 300))
def test_a_scan_returns_all_that_stays_whatever_comes_and_goes(
    kind: type[Table[int]], seed: int, count: int
) -> None:
    rng = Random(seed)
    table = table_of(2 * WHOLE_TABLE_LIMIT, kind)
    staying = set(rng.sample(list(table), 300))
    found: set[bytes] = set()
    cursor, rounds = 0, 0
    while True:
        cursor, keys = table.scan(cursor, count)
        found.update(keys)
        rounds += 1
        if cursor == 0:
            break
        for key in rng.sample(list(table), 20):
            if key not in staying:
                table.discard(key)
        for member in (b"new %d" % rounds, min(staying)):
            table.put(member, 0)
    assert staying <= found


@given(st.sampled_from(KINDS), st.integers(1, 100))
def test_emptying_a_table_by_what_a_scan_gives_leaves_no_holes_behind(
    kind: type[Table[int]], count: int
) -> None:
    table = table_of(2 * WHOLE_TABLE_LIMIT, kind)
    taken: list[bytes] = []
    while table:
        _cursor, keys = table.scan(0, count)
        taken += keys[:count]
        for key in keys[:count]:
            table.discard(key)
        assert table.births is not None
        assert len(table.births.keys) == len(table)
    assert sorted(taken) == sorted(b"%d" % number for number in range(2 * WHOLE_TABLE_LIMIT))


def test_a_draw_finds_every_key_with_holes_about() -> None:
    table = table_of(WHOLE_TABLE_LIMIT + 10)
    rng = Random(3)
    table.random_key(rng)
    for number in range(WHOLE_TABLE_LIMIT + 8):
        table.discard(b"%d" % number)
    assert {table.random_key(rng) for _ in range(100)} == {b"520", b"521"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [10, 3 * WHOLE_TABLE_LIMIT])
def test_what_is_popped_at_random_is_each_key_once(kind: type[Table[int]], size: int) -> None:
    table = table_of(size, kind)
    rng = Random(4)
    table.random_key(rng)
    table.discard(b"7")
    table.put(b"late", 0)
    popped = [table.pop_random(rng) for _ in range(size)]
    assert not table
    assert sorted(popped) == sorted({b"%d" % number for number in range(size)} - {b"7"} | {b"late"})
    with pytest.raises(IndexError):
        table.pop_random(rng)
