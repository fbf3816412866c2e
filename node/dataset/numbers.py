"""Numbers as Redis reads and writes them: strict where Python's `int` and `float` are generous."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from shoal.node.resp.floats import format_float as format_float
from shoal.node.resp.replies import CommandError

INT64_MAX = (1 << 63) - 1
INT64_MIN = -(1 << 63)
UINT64_MAX = (1 << 64) - 1

NOT_AN_INTEGER = "ERR value is not an integer or out of range"
NOT_A_FLOAT = "ERR value is not a valid float"

_INT64_DIGITS = 19
_ZERO = ord("0")
_FLOAT = re.compile(
    rb"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]{1,4})?|inf(?:inity)?)\Z", re.IGNORECASE
)
_HEXADECIMAL = re.compile(
    rb"[+-]?0x(?:[0-9a-f]{1,99}\.?[0-9a-f]{0,99}|\.[0-9a-f]{1,99})(?:p[+-]?[0-9]{1,3})?\Z", re.IGNORECASE
)
_UNSIGNED = re.compile(rb"[ \t\n\v\f\r]*([+-]?)([0-9]+)\Z")
_NOT_ZERO = b"123456789"
_INFINITIES = {b"-inf": -math.inf, b"+inf": math.inf, b"inf": math.inf}
"""As nearly all write them."""
_LONGEST_FLOAT = 4096
"""More than a double printed in full, fewer digits than Python refuses to convert."""
_SHORT_FLOAT = 32
_LONG_DOUBLE_LIMIT = 1 << 16384
_SMALLEST_LONG_DOUBLE = Fraction(1, 1 << 16446)
"""Half the least there is, which is the least that is not rounded to zero."""
_SPACE = b" \t\n\v\f\r"


def as_int64(number: int) -> int:
    """The signed number of 64 bits that C arithmetic would have come to, wrapping around."""
    return (number - INT64_MIN & (1 << 64) - 1) + INT64_MIN


def parse_integer(text: bytes | bytearray) -> int | None:
    """A signed 64-bit integer in canonical form (no plus sign, no leading zero, no space), or None.

    Every INCR asks this, so it looks no further than it must: a pattern would take twice as long.
    """
    if len(text) < _INT64_DIGITS and text.isdigit() and (text[0] != _ZERO or len(text) == 1):
        return int(text)
    digits = text if text.isdigit() else text[1:] if text[:1] == b"-" else b""
    if not digits.isdigit() or (digits[0] == _ZERO and text != b"0") or len(digits) > _INT64_DIGITS:
        return None
    number = int(text)
    return number if INT64_MIN <= number <= INT64_MAX else None


def require_integer(text: bytes | bytearray, error: str = NOT_AN_INTEGER) -> int:
    """`parse_integer`, or a CommandError with the given text."""
    number = parse_integer(text)
    if number is None:
        raise CommandError(error)
    return number


def parse_c_unsigned(text: bytes) -> int | None:
    """An unsigned number of 64 bits as C's `strtoull` reads all of the text; `-1` is the greatest."""
    found = _UNSIGNED.match(text)
    if found is None or len(found[2]) > _LONGEST_FLOAT or int(found[2]) > UINT64_MAX:
        return None
    number = int(found[2])
    return -number & UINT64_MAX if found[1] == b"-" else number


def parse_float(text: bytes) -> float | None:
    """A double as C's `strtod` reads all of the text, or None.

    Infinity may be meant and hexadecimal be written; no space before it, no underscore, no NaN, and nothing
    that no double can hold, be it too large or too small.
    """
    if len(text) < _SHORT_FLOAT and text.isdigit():  # most scores
        return float(text)
    if len(text) >= _LONGEST_FLOAT or not _FLOAT.match(text):
        return float.fromhex(text.decode()) if _HEXADECIMAL.match(text) else None
    number = float(text)
    if number and not math.isinf(number):
        return number
    if math.isinf(number):
        return number if b"n" in text.lower() else None
    is_too_small = any(digit in _NOT_ZERO for digit in text.lower().partition(b"e")[0])
    return None if is_too_small else number


def parse_range_end(text: bytes) -> float | None:
    """A double as the ends of score ranges are read: more loosely, since Redis lets `strtod` alone decide.

    Space may stand before it, nothing at all is 0, a zero byte ends it, and what is too large is infinite.
    """
    if len(text) < _SHORT_FLOAT and text.isdigit():
        return float(text)
    if text in _INFINITIES:
        return _INFINITIES[text]
    text = text.partition(b"\0")[0].lstrip(_SPACE)
    if not text:
        return 0.0
    if _FLOAT.match(text) and len(text) < _LONGEST_FLOAT:
        return float(text)
    return parse_float(text)


def require_float(text: bytes, error: str = NOT_A_FLOAT) -> float:
    """`parse_float`, or a CommandError with the given text."""
    number = parse_float(text)
    if number is None:
        raise CommandError(error)
    return number


def parse_long_double(text: bytes) -> Fraction | float | None:
    """An x87 long double exactly, an infinite float where infinity is meant, or None; as `strtold` reads."""
    if len(text) >= _LONGEST_FLOAT:
        return None
    if _HEXADECIMAL.match(text):
        if text.lstrip(b"+-")[2:].isalnum() and not set(text) & set(b"pP"):  # all 64 bits of a whole number
            return _as_long_double(Fraction(int(text, 16)))
        return Fraction(float.fromhex(text.decode()))
    if not _FLOAT.match(text):
        return None
    if b"n" in text.lower():
        return float(text)
    number = Fraction(text.decode())
    rounded = _as_long_double(number)
    if abs(rounded) >= _LONG_DOUBLE_LIMIT or (number and abs(number) < _SMALLEST_LONG_DOUBLE):
        return None
    return rounded


def add_as_long_double(value: Fraction | float, increment: Fraction | float) -> bytes:
    """The sum of two numbers as INCRBYFLOAT prints it: 17 decimals, trailing zeros trimmed.

    Raises CommandError if it is not finite.
    """
    if not isinstance(value, Fraction) or not isinstance(increment, Fraction):
        raise CommandError("ERR increment would produce NaN or Infinity")
    total = _as_long_double(value + increment)
    if abs(total) >= _LONG_DOUBLE_LIMIT:
        raise CommandError("ERR increment would produce NaN or Infinity")
    sign = "-" if total < 0 else ""
    whole, decimals = divmod(round(abs(total) * 10**17), 10**17)
    text = f"{sign}{whole}.{decimals:017d}".rstrip("0").removesuffix(".")
    return b"0" if text == "-0" else text.encode()


def _as_long_double(number: Fraction) -> Fraction:
    """Round to the 64-bit mantissa of an x87 long double, which is what Redis computes with."""
    if not number:
        return number
    exponent = number.numerator.bit_length() - number.denominator.bit_length()
    for shift in (64 - exponent, 63 - exponent):
        scaled = number * Fraction(2) ** shift
        if abs(scaled) < 1 << 64:
            break
    return Fraction(round(scaled)) / Fraction(2) ** shift
