"""Doubles as Redis prints them."""

from __future__ import annotations

import math


def format_float(number: float) -> bytes:
    """The shortest text that reads back as the same double, as Redis prints scores: 3, 0.1, inf, 1e+20."""
    if math.isnan(number):
        return b"nan"
    if math.isinf(number):
        return b"inf" if number > 0 else b"-inf"
    if number == int(number) and abs(number) < 1e17:
        return b"-0" if number == 0 and math.copysign(1, number) < 0 else b"%d" % int(number)
    text = repr(number)
    mantissa, e, exponent = text.partition("e")
    if not e:
        return text.encode()
    mantissa = mantissa.removesuffix(".0")
    return f"{mantissa}e{exponent[0]}{exponent[1:].lstrip('0')}".encode()
