"""How long a blocking command waits, as clients write it."""

from __future__ import annotations

import math

from shoal.node.dataset.numbers import INT64_MAX, parse_float, parse_long_double, require_integer
from shoal.node.resp.replies import CommandError

NOT_A_FLOAT = "ERR timeout is not a float or out of range"
NOT_AN_INTEGER = "ERR timeout is not an integer or out of range"
NEGATIVE = "ERR timeout is negative"
OUT_OF_RANGE = "ERR timeout is out of range"


def parse_timeout(text: bytes, now_ms: int) -> int:
    """Seconds with a fraction, as milliseconds rounded up; 0 means for ever."""
    seconds = parse_float(text)
    if seconds is None:
        return _parse_beyond_doubles(text)
    if math.isinf(seconds) or seconds * 1000 >= INT64_MAX:
        raise CommandError(NEGATIVE)  # beyond 64 bits Redis 7.0 wraps around
    return _checked(math.ceil(seconds * 1000), now_ms)


def _parse_beyond_doubles(text: bytes) -> int:
    """A number of seconds that only a long double can hold: too many, or next to none."""
    seconds = parse_long_double(text)
    if seconds is None:
        raise CommandError(NOT_A_FLOAT)
    if not -1 < seconds < 1:
        raise CommandError(NEGATIVE)
    return 1 if seconds > 0 else 0


def parse_timeout_ms(text: bytes, now_ms: int) -> int:
    """Whole milliseconds; 0 means for ever."""
    return _checked(require_integer(text, NOT_AN_INTEGER), now_ms)


def _checked(timeout_ms: int, now_ms: int) -> int:
    if timeout_ms < 0:
        raise CommandError(NEGATIVE)
    if timeout_ms > INT64_MAX - now_ms:
        raise CommandError(OUT_OF_RANGE)
    return timeout_ms
