"""Bits of a byte string, numbered as Redis does: bit 0 is the most significant of the first byte.

What lies beyond the end reads as zero.
"""

from __future__ import annotations

Bytes = bytes | bytearray


def get_bits(value: Bytes, offset: int, width: int) -> int:
    """`width` bits from a bit offset on, as an unsigned number."""
    first, end = offset >> 3, (offset + width + 7) >> 3
    window = int.from_bytes(value[first:end].ljust(end - first, b"\0"))
    return window >> ((end << 3) - offset - width) & ((1 << width) - 1)


def set_bits(value: bytearray, offset: int, width: int, number: int) -> None:
    """Overwrite `width` bits, which must lie inside the value."""
    first, end = offset >> 3, (offset + width + 7) >> 3
    shift = (end << 3) - offset - width
    window = int.from_bytes(value[first:end])
    window = window & ~(((1 << width) - 1) << shift) | number << shift
    value[first:end] = window.to_bytes(end - first)


def count_bits(value: Bytes, start: int, stop: int) -> int:
    """How many bits from `start` up to and without `stop` are one."""
    return int.from_bytes(_window(value, start, stop, outside=0)).bit_count()


def find_bit(value: Bytes, bit: int, start: int, stop: int) -> int | None:
    """The first bit of a kind from `start` up to and without `stop`, or None."""
    window = _window(value, start, stop, outside=1 - bit)
    rest = window.lstrip(b"\0" if bit else b"\xff")
    if not rest:
        return None
    leading = rest[0] if bit else rest[0] ^ 0xFF
    return (start >> 3 << 3) + ((len(window) - len(rest)) << 3) + 8 - leading.bit_length()


def _window(value: Bytes, start: int, stop: int, outside: int) -> bytes:
    """The bytes that hold bits `start` to `stop`, their other bits set to `outside`."""
    window = bytearray(value[start >> 3 : (stop + 7) >> 3])
    before, after = 0xFF00 >> (start & 7) & 0xFF, 0xFF >> ((stop - 1 & 7) + 1)
    if outside:
        window[0] |= before
        window[-1] |= after
    else:
        window[0] &= ~before
        window[-1] &= ~after
    return bytes(window)
