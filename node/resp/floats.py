"""Doubles as Redis prints them."""

from __future__ import annotations

import math


def format_float(number: float) -> bytes:
    """The shortest text that reads back as the same double, as Redis prints scores: 3, 0.1, inf, 1e+20."""
    if -1e17 < number < 1e17 and (whole := int(number)) == number:
        return b"-0" if not whole and math.copysign(1, number) < 0 else b"%d" % whole
    if math.isnan(number):
        return b"nan"
    if math.isinf(number):
        return b"inf" if number > 0 else b"-inf"
    text = repr(number)
    mantissa, e, exponent = text.partition("e")
    if not e:
        return text.encode()
    mantissa = mantissa.removesuffix(".0")
    return f"{mantissa}e{exponent[0]}{exponent[1:].lstrip('0')}".encode()
