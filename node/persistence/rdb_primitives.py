"""Lengths and strings as RDB data has them; `rdb_source.py` reads them."""

from __future__ import annotations

_ONE_BYTE = [bytes((size,)) for size in range(64)]


def encode_string(text: bytes | bytearray) -> bytes:
    """A string as it is, after its length."""
    size = len(text)
    return (_ONE_BYTE[size] if size < 64 else encode_length(size)) + text


def encode_length(number: int) -> bytes:
    """An unsigned number below 2^64: in 6 bits of one byte, 14 bits of two, or 32 or 64 bits after a mark."""
    if number < 1 << 6:
        return _ONE_BYTE[number]
    if number < 1 << 14:
        return (number | 1 << 14).to_bytes(2, "big")
    if number < 1 << 32:
        return b"\x80" + number.to_bytes(4, "big")
    return b"\x81" + number.to_bytes(8, "big")
