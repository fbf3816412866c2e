"""Sets of slots as integers: bit n stands for slot n.

That makes union, difference and counting single operations, and the integer's little-endian bytes are exactly
the bitmap the bus carries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from shoal.cluster.slots import SLOT_BITMAP_BYTES, SLOT_COUNT, bitmap_to_slots

NO_SLOTS = bytes(SLOT_BITMAP_BYTES)
"""The bitmap of the empty set."""
ALL_SLOTS = (1 << SLOT_COUNT) - 1

REMEMBERED_SETS = 64
"""Every save of nodes.conf lists every node's slots, of which one or two nodes' have changed since."""

FEW_SLOTS = 16
"""Up to here it is cheaper to look for each slot than to walk the bitmap: moving one slot asks for one."""

_find_runs = re.compile("1+").finditer


def bits_of(slots: Iterable[int]) -> int:
    """Slots as a slot set."""
    bits = 0
    for slot in slots:
        bits |= 1 << slot
    return bits


def slots_of(bits: int) -> Iterator[int]:
    """The slots of a slot set, ascending."""
    if bits.bit_count() > FEW_SLOTS:
        yield from bitmap_to_slots(bits_to_bitmap(bits))
        return
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


@lru_cache(REMEMBERED_SETS)
def ranges_of(bits: int) -> tuple[tuple[int, int], ...]:
    """A slot set as ascending inclusive ranges."""
    digits = f"{bits:b}"[::-1]
    return tuple((run.start(), run.end() - 1) for run in _find_runs(digits))


def bits_to_bitmap(bits: int) -> bytes:
    """A slot set as the 2,048-byte bitmap of the bus."""
    return bits.to_bytes(SLOT_BITMAP_BYTES, "little")


def bitmap_to_bits(bitmap: bytes) -> int:
    """The 2,048-byte bitmap of the bus as a slot set."""
    return int.from_bytes(bitmap, "little")


def ranges_to_bits(ranges: Iterable[tuple[int, int]]) -> int:
    """Inclusive slot ranges as a slot set."""
    bits = 0
    for first, last in ranges:
        bits |= ((1 << (last - first + 1)) - 1) << first
    return bits
