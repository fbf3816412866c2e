"""MurmurHash64A, the hash by which HyperLogLog counts.

Source: Austin Appleby's MurmurHash2, 64-bit version, which is in the public domain.
"""

from __future__ import annotations

from struct import unpack_from

_MASK = (1 << 64) - 1
_MULTIPLIER = 0xC6A4A7935BD1E995
_SHIFT = 47


def murmur_hash_64a(data: bytes, seed: int) -> int:
    """The 64-bit hash, reading the bytes as little-endian words."""
    size = len(data)
    words = size >> 3
    state = seed ^ (size * _MULTIPLIER & _MASK)
    for word in unpack_from(f"<{words}Q", data):
        mixed = word * _MULTIPLIER & _MASK
        mixed = (mixed ^ mixed >> _SHIFT) * _MULTIPLIER & _MASK
        state = (state ^ mixed) * _MULTIPLIER & _MASK
    if size & 7:
        state = (state ^ int.from_bytes(data[words << 3 :], "little")) * _MULTIPLIER & _MASK
    state = (state ^ state >> _SHIFT) * _MULTIPLIER & _MASK
    return state ^ state >> _SHIFT
