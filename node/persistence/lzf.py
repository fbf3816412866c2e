"""LZF, the compression of strings in RDB data.

Reading is always there. Writing is left to liblzf (`pip install shoal[compression]` builds it): finding what
comes again costs a hundred nanoseconds a byte in plain Python, fifty times what writing the byte costs.
Where it is installed it reads as well.

A compressed string is a row of instructions, told apart by the first byte's upper three bits. 0: the
lower five bits plus 1 say how many literal bytes follow. Otherwise a copy from what was already put out:
the upper three bits are its length less 2, where 7 means that one more byte is to be added to the 7; the
lower five bits and the byte after them are the distance back, less 1. A copy may overlap its own output.
Source: the format of LibLZF.
"""

from __future__ import annotations

from contextlib import suppress
from types import ModuleType

from shoal.node.persistence.errors import RdbError

try:
    import lzf
except ImportError:
    lzf = None

liblzf: ModuleType | None = lzf
CAN_COMPRESS = liblzf is not None
_MOST_GROWTH = 88
"""A copy of 264 bytes takes three."""


def compress(data: bytes, most: int) -> bytes | None:
    """The data in at most so many bytes; None if that cannot be done."""
    return None if liblzf is None else liblzf.compress(data, most)


def decompress(data: bytes, size: int) -> bytes:
    """The `size` bytes that were compressed into `data`; RdbError if it says anything else.

    Where liblzf makes nothing of them, the way on foot tells what is wrong. It is not asked for more than
    the data can hold, for it makes room for all of it first.
    """
    if liblzf is not None and size <= _MOST_GROWTH * len(data):
        with suppress(ValueError):
            quick: bytes | None = liblzf.decompress(data, size)
            if quick is not None and len(quick) == size:
                return quick
    return decompress_on_foot(data, size)


def decompress_on_foot(data: bytes, size: int) -> bytes:
    """`decompress` without a library."""
    out = bytearray()
    position, end = 0, len(data)
    try:
        while position < end:
            control = data[position]
            position += 1
            if control < 32:
                literal = data[position : position + control + 1]
                if len(literal) != control + 1:
                    raise RdbError("compressed string ends inside a literal")
                out += literal
                position += control + 1
                continue
            length = control >> 5
            if length == 7:
                length += data[position]
                position += 1
            distance = ((control & 31) << 8) + data[position] + 1
            position += 1
            _copy_back(out, distance, length + 2, size)
    except IndexError:
        raise RdbError("compressed string ends inside a copy") from None
    if len(out) != size:
        raise RdbError(f"compressed string holds {len(out)} bytes, not the {size} announced")
    return bytes(out)


def _copy_back(out: bytearray, distance: int, length: int, size: int) -> None:
    """Append `length` bytes from `distance` back, repeating them where the copy overlaps its output."""
    start = len(out) - distance
    if start < 0:
        raise RdbError("compressed string copies from before its beginning")
    if len(out) + length > size:
        raise RdbError(f"compressed string holds more than the {size} bytes announced")
    piece = out[start : start + length]
    if len(piece) < length:
        piece = (piece * (length // distance + 1))[:length]
    out += piece
