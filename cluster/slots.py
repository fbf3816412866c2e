"""Which of the 16,384 hash slots a key belongs to, and sets of slots.

Slot of a key: CRC16 (XMODEM: polynomial 0x1021, start 0) of the key modulo 16,384. If the key holds a
`{`, and a `}` after it with at least one byte between, only those bytes count (a hash tag), so that
related keys can be made to share a slot. Source: Redis Cluster specification, "Key distribution model".
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterable, Iterator

SLOT_COUNT = 16384
SLOT_BITMAP_BYTES = SLOT_COUNT // 8

BRACE = ord("{")
"""To be looked for as a number: of a byte string Python first tries to make one, at ten times the cost."""


def key_slot(key: bytes) -> int:
    """The hash slot of a key, 0 to 16383, computed from its hash tag if it has one."""
    opening = key.find(b"{")
    if opening >= 0:
        closing = key.find(b"}", opening + 1)
        if closing > opening + 1:
            key = key[opening + 1 : closing]
    return crc_hqx(key, 0) & 16383


def slots_to_bitmap(slots: Iterable[int]) -> bytes:
    """The 2,048-byte bitmap of the bus protocol: slot n is bit n & 7 of byte n >> 3."""
    bitmap = bytearray(SLOT_BITMAP_BYTES)
    for slot in slots:
        bitmap[slot >> 3] |= 1 << (slot & 7)
    return bytes(bitmap)


def bitmap_to_slots(bitmap: bytes) -> Iterator[int]:
    """The slots of a 2,048-byte bitmap, ascending."""
    for index, byte in enumerate(bitmap):
        if byte:
            base = index << 3
            for bit in range(8):
                if byte & (1 << bit):
                    yield base + bit


def slot_ranges(slots: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending slots folded into inclusive ranges: 1 2 3 7 -> [(1, 3), (7, 7)]."""
    ranges: list[tuple[int, int]] = []
    for slot in slots:
        if ranges and ranges[-1][1] == slot - 1:
            ranges[-1] = (ranges[-1][0], slot)
        else:
            ranges.append((slot, slot))
    return ranges
