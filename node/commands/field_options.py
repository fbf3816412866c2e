"""How commands on the fields of a hash say which fields they mean, and until when these live."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.node.commands.spec import Arg, block, one_of, token
from shoal.node.dataset.numbers import parse_integer, require_integer
from shoal.node.resp.replies import CommandError

LATEST_MS = (1 << 46) - 1
"""The last moment a field can expire at: Redis keeps the upper bits for later use."""

NOT_POSITIVE = "ERR Number of fields must be a positive integer"

FIELDS = block("fields", Arg("numfields", "integer"), Arg("field", multiple=True), token="FIELDS")
_TIMES = (
    Arg("seconds", "integer", token="EX"),
    Arg("milliseconds", "integer", token="PX"),
    Arg("unix-time-seconds", "unix-time", token="EXAT"),
    Arg("unix-time-milliseconds", "unix-time", token="PXAT"),
)
EXPIRATION_OR_PERSIST = one_of("expiration", *_TIMES, token("PERSIST"), optional=True)
EXPIRATION_OR_KEEPTTL = one_of("expiration", *_TIMES, token("KEEPTTL"), optional=True)

TIME_WORDS = {b"EX": (1000, True), b"PX": (1, True), b"EXAT": (1000, False), b"PXAT": (1, False)}
"""By the option's word: how many milliseconds its unit has, and whether it counts from now."""


def fields_of(words: Sequence[bytes], *, not_positive: str = NOT_POSITIVE) -> Sequence[bytes]:
    """The fields of `FIELDS <number> <field> …`, which is all that is left of a command."""
    if len(words) < 2 or words[0].upper() != b"FIELDS":
        raise CommandError("ERR Mandatory argument FIELDS is missing or not at the right position")
    number = parse_integer(words[1])
    if number is None or number < 1:
        raise CommandError(not_positive)
    if number != len(words) - 2:
        raise CommandError("ERR The `numfields` parameter must match the number of arguments")
    return words[2:]


def moment(digits: bytes, unit_ms: int, base_ms: int, command: str) -> int:
    """A deadline in unix milliseconds from a number of units since `base_ms`."""
    number = require_integer(digits)
    if number < 0:
        raise CommandError("ERR invalid expire time, must be >= 0")
    if number * unit_ms + base_ms > LATEST_MS:
        raise CommandError(f"ERR invalid expire time in '{command}' command")
    return number * unit_ms + base_ms


def moment_of(word: bytes, digits: bytes, now_ms: int, command: str) -> int:
    """A deadline from one of the `TIME_WORDS` and its number."""
    unit_ms, is_relative = TIME_WORDS[word]
    return moment(digits, unit_ms, now_ms if is_relative else 0, command)
