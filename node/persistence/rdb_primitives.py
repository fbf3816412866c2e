"""Lengths and strings as RDB data has them; `rdb_source.py` reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from shoal.node.persistence.lzf import compress

StringEncoder: TypeAlias = Callable[[bytes | bytearray], bytes]
"""How strings are written: `encode_string` or `encode_compressed`."""

LEAST_COMPRESSED_BYTES = 21
"""Shorter strings are written as they are: four bytes and more must be won."""

_LEAST_WON_BYTES = 4
_COMPRESSED = b"\xc3"
_ONE_BYTE = [bytes((size,)) for size in range(64)]


def encode_string(text: bytes | bytearray) -> bytes:
    """A string as it is, after its length."""
    size = len(text)
    return (_ONE_BYTE[size] if size < 64 else encode_length(size)) + text


def encode_compressed(text: bytes | bytearray) -> bytes:
    """A string in fewer bytes, or as it is where that wins nothing."""
    size = len(text)
    if size >= LEAST_COMPRESSED_BYTES:
        packed = compress(bytes(text), size - _LEAST_WON_BYTES)
        if packed is not None:
            return _COMPRESSED + encode_length(len(packed)) + encode_length(size) + packed
    return encode_string(text)


def encode_length(number: int) -> bytes:
    """An unsigned number below 2^64: in 6 bits of one byte, 14 bits of two, or 32 or 64 bits after a mark."""
    if number < 1 << 6:
        return _ONE_BYTE[number]
    if number < 1 << 14:
        return (number | 1 << 14).to_bytes(2, "big")
    if number < 1 << 32:
        return b"\x80" + number.to_bytes(4, "big")
    return b"\x81" + number.to_bytes(8, "big")
