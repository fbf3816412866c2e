"""Numbers as Redis reads and writes them: strict where Python's `int` and `float` are generous."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from shoal.node.resp.floats import format_float as format_float
from shoal.node.resp.replies import CommandError

INT64_MAX = (1 << 63) - 1
INT64_MIN = -(1 << 63)

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
_NOT_ZERO = b"123456789"
_LONGEST_FLOAT = 4096
"""More than a double printed in full, fewer digits than Python refuses to convert."""
_SHORT_FLOAT = 32
_LONG_DOUBLE_LIMIT = 1 << 16384


def parse_integer(text: bytes | bytearray) -> int | None:
    """A signed 64-bit integer in canonical form (no plus sign, no leading zero, no space), or None.

    Every INCR asks this, so it looks no further than it must: a pattern would take twice as long.
    """
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


def parse_float(text: bytes) -> float | None:
    """A double (not NaN; `inf` allowed), or None. No surrounding space, no underscore, no hex."""
    if len(text) < _SHORT_FLOAT and text.isdigit():  # most scores
        return float(text)
    if len(text) >= _LONGEST_FLOAT or not _FLOAT.match(text):
        return None
    return float(text)


def require_float(text: bytes, error: str = NOT_A_FLOAT) -> float:
    """`parse_float`, or a CommandError with the given text."""
    number = parse_float(text)
    if number is None:
        raise CommandError(error)
    return number


def parse_c_float(text: bytes) -> float | None:
    """`parse_float`, and hexadecimal too, as C's `strtod` reads it. None also for what no double can hold."""
    if _HEXADECIMAL.match(text):
        return float.fromhex(text.decode())
    number = parse_float(text)
    if number is None or b"n" in text.lower():  # infinity is meant
        return number
    is_too_small = not number and any(digit in _NOT_ZERO for digit in text.lower().partition(b"e")[0])
    return None if is_too_small or math.isinf(number) else number


def add_as_long_double(value: bytes, increment: bytes) -> bytes:
    """The sum of two decimal texts as INCRBYFLOAT prints it: 17 decimals, trailing zeros trimmed.

    Raises CommandError if either is no float, or the sum is not finite.
    """
    operands = (require_float(value), require_float(increment))
    if any(math.isinf(operand) for operand in operands):
        raise CommandError("ERR increment would produce NaN or Infinity")
    total = _as_long_double(Fraction(value.decode()) + Fraction(increment.decode()))
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
