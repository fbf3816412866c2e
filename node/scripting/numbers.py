"""What Lua 5.1 cannot do with numbers by itself: their bits."""

from __future__ import annotations

from collections.abc import Callable
from math import copysign, inf
from struct import pack, unpack


def numeric_tools() -> dict[bytes, Callable[..., object]]:
    """Functions for the libraries of the sandbox; doubles and floats have their first byte first."""
    return {
        b"bit_and": lambda a, b: int(a) & int(b),
        b"bit_or": lambda a, b: int(a) | int(b),
        b"bit_xor": lambda a, b: int(a) ^ int(b),
        b"pack_double": lambda number: pack(">d", number),
        b"unpack_double": lambda data: unpack(">d", data)[0],
        b"pack_float": _pack_float,
        b"unpack_float": lambda data: unpack(">f", data)[0],
    }


def _pack_float(number: float) -> bytes:
    """A double cut down to a float; what is too great becomes infinite, as in C."""
    try:
        return pack(">f", number)
    except OverflowError:
        return pack(">f", copysign(inf, number))
