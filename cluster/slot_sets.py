"""Sets of slots as integers: bit n stands for slot n.

That makes union, difference and counting single operations, and the integer's little-endian bytes are exactly
the bitmap the bus carries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shoal.cluster.slots import SLOT_BITMAP_BYTES, SLOT_COUNT, bitmap_to_slots

NO_SLOTS = bytes(SLOT_BITMAP_BYTES)
"""The bitmap of the empty set."""
ALL_SLOTS = (1 << SLOT_COUNT) - 1


FEW_SLOTS = 16
"""Up to here it is cheaper to look for each slot than to walk the bitmap: moving one slot asks for one."""


def slots_of(bits: int) -> Iterator[int]:
    """The slots of a slot set, ascending."""
    if bits.bit_count() > FEW_SLOTS:
        yield from bitmap_to_slots(bits_to_bitmap(bits))
        return
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def ranges_of(bits: int) -> list[tuple[int, int]]:
    """A slot set as ascending inclusive ranges, at a cost per range and not per slot."""
    ranges: list[tuple[int, int]] = []
    first = 0
    while bits:
        gap = (bits & -bits).bit_length() - 1
        bits >>= gap
        first += gap
        length = (bits ^ (bits + 1)).bit_length() - 1
        bits >>= length
        ranges.append((first, first + length - 1))
        first += length
    return ranges


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
