"""The checksum of RDB files and DUMP payloads: CRC-64 with the Jones polynomial, bits reflected.

Source: the parameters Redis uses: polynomial 0xad93d23594c935a9, start 0, input and output reflected, no
final xor; the check value over b"123456789" is 0xe9c6d914c4b8d9ca.

A table walk in Python costs 60 ns a byte or more, too slow for a whole data set. Long input is first
shortened by arithmetic on one large integer, where Python works at memory speed. Read the message as a
polynomial over GF(2), of which the checksum is the remainder modulo the polynomial P. Modulo P,

    x^214 = the sum of x^e for the twenty e in `_EXPONENTS`, all at most 61,

which is the sparsest such identity of a small degree. Squaring in GF(2) only doubles exponents, so
the same twenty terms hold at every scale: x^(214 s) = the sum of x^(e s), s any power of two. Whatever
stands at degree 214 s or above can thus be moved down by twenty shifts and xors without changing the
remainder. Each fold takes at least a sixth of the message away, until a few dozen bytes are left for
the table. Measured: 80 to 100 MB/s, against 14 for the table alone.
"""

from __future__ import annotations

from struct import unpack_from

_POLYNOMIAL_REFLECTED = 0x95AC9329AC4BC9B5
_DEGREE = 214
_EXPONENTS = (0, 1, 3, 6, 7, 8, 18, 19, 27, 29, 30, 34, 35, 36, 41, 48, 49, 54, 55, 61)
_FOLD_ABOVE_BYTES = 400
_BLOCK_BYTES = 1 << 16


def crc64(data: bytes | bytearray | memoryview, checksum: int = 0) -> int:
    """The checksum of what `checksum` already covers followed by `data`."""
    if len(data) <= _FOLD_ABOVE_BYTES:
        return _by_table(data, checksum)
    for start in range(0, len(data), _BLOCK_BYTES):
        block = data[start : start + _BLOCK_BYTES]
        if len(block) > _FOLD_ABOVE_BYTES:
            block, checksum = _fold(block, checksum), 0
        checksum = _by_table(block, checksum)
    return checksum


def _fold(block: bytes | bytearray | memoryview, checksum: int) -> bytes:
    """A short message with the same checksum (from start 0) as the block has from start `checksum`.

    Reflected order makes bit 0 of the first byte the highest degree, which is the lowest bit of a
    little-endian integer: what is to be moved down is the integer's low end. A running
    checksum counts as if it were added to the message's first eight bytes.
    """
    message = int.from_bytes(block, "little") ^ checksum
    bits = len(block) * 8
    while bits >= 2 * _DEGREE:
        scale = (bits // (2 * _DEGREE)).bit_length() - 1
        top, gap = _SHIFTS[scale]
        count = min(bits - (_DEGREE << scale), gap)
        head = message & ((1 << count) - 1)
        moved = head
        for shift in top:
            moved ^= head << shift
        message = (message >> count) ^ (moved << (gap - count))
        bits -= count
    padding = -bits % 8
    return (message << padding).to_bytes((bits + padding) // 8, "little")


def _by_table(data: bytes | bytearray | memoryview, checksum: int) -> int:
    """Eight bytes a round, each through the table of its distance from the round's end."""
    t0, t1, t2, t3, t4, t5, t6, t7 = _TABLES
    words = len(data) >> 3
    for word in unpack_from(f"<{words}Q", data):
        a, b, c, d, e, f, g, h = (word ^ checksum).to_bytes(8, "little")
        checksum = t7[a] ^ t6[b] ^ t5[c] ^ t4[d] ^ t3[e] ^ t2[f] ^ t1[g] ^ t0[h]
    for byte in data[words << 3 :]:
        checksum = t0[(checksum ^ byte) & 0xFF] ^ (checksum >> 8)
    return checksum


def _make_tables() -> list[list[int]]:
    """Table n gives what a byte contributes after n more bytes of zeros."""
    first = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL_REFLECTED if value & 1 else 0)
        first.append(value)
    tables = [first]
    while len(tables) < 8:
        tables.append([first[value & 0xFF] ^ (value >> 8) for value in tables[-1]])
    return tables


def _make_shifts(scale: int) -> tuple[tuple[int, ...], int]:
    """Shifts of all terms but the greatest, relative to it, and the bits between it and the degree."""
    greatest = _EXPONENTS[-1]
    shifts = tuple((greatest - exponent) << scale for exponent in _EXPONENTS[:-1])
    return shifts, (_DEGREE - greatest) << scale


_TABLES = _make_tables()
_SHIFTS = [_make_shifts(scale) for scale in range((_BLOCK_BYTES * 8 // _DEGREE).bit_length())]
