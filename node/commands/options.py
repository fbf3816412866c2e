"""Options that several commands share, parsed once, with one spelling of every refusal."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from shoal.node.commands.spec import Arg, one_of, token
from shoal.node.dataset.numbers import (
    INT64_MAX,
    INT64_MIN,
    NOT_AN_INTEGER,
    parse_c_unsigned,
    parse_integer,
    require_integer,
)
from shoal.node.resp.replies import CommandError, quoted

SYNTAX_ERROR = "ERR syntax error"

# --- SET and GETEX -------------------------------------------------------------------------------------

UNITS: dict[bytes, tuple[int, bool]] = {
    b"EX": (1000, True),
    b"PX": (1, True),
    b"EXAT": (1000, False),
    b"PXAT": (1, False),
}
"""What the number after the word means: milliseconds per unit, and whether it counts from now."""

SET_OPTIONS = frozenset({b"NX", b"XX", b"GET", b"KEEPTTL", *UNITS})
GETEX_OPTIONS = frozenset({b"PERSIST", *UNITS})


@dataclass(slots=True)
class StringOptions:
    """What SET or GETEX was asked to do beside its main work."""

    condition: bytes | None = None
    """NX or XX."""
    get: bool = False
    expiration: bytes | None = None
    """One of EX, PX, EXAT, PXAT, KEEPTTL and PERSIST."""
    amount: bytes | None = None
    """The number after EX and its kin, not yet checked: Redis refuses it later than bad syntax."""

    def expiry(self, now_ms: int, command: str) -> int | None:
        """The absolute time asked for, in unix milliseconds; CommandError if it makes no sense."""
        if self.expiration is None or self.amount is None:
            return None
        return absolute_expiry(self.expiration, self.amount, now_ms, command)


def parse_string_options(words: Sequence[bytes], allowed: frozenset[bytes]) -> StringOptions:
    """Read the options; CommandError for an unknown word, a missing number or two that exclude each other."""
    options = StringOptions()
    rest = iter(words)
    for word in rest:
        name = word.upper()
        if name not in allowed:
            raise CommandError(SYNTAX_ERROR)
        if name == b"GET":
            options.get = True
        elif name in (b"NX", b"XX"):
            if options.condition not in (None, name):
                raise CommandError(SYNTAX_ERROR)
            options.condition = name
        else:
            if options.expiration not in (None, name):
                raise CommandError(SYNTAX_ERROR)
            options.expiration = name
            if name in UNITS:
                options.amount = next(rest, None)
                if options.amount is None:
                    raise CommandError(SYNTAX_ERROR)
    return options


def absolute_expiry(unit: bytes, amount: bytes, now_ms: int, command: str) -> int:
    """EX, PX, EXAT or PXAT with its number as unix milliseconds; CommandError unless positive and 64-bit."""
    scale, is_relative = UNITS[unit]
    at_ms = parse_integer(amount)
    if at_ms is None:
        raise CommandError(NOT_AN_INTEGER)
    if at_ms > 0:
        at_ms = at_ms * scale + (now_ms if is_relative else 0)
    if not 0 < at_ms <= INT64_MAX:
        raise CommandError(invalid_expire_time(command))
    return at_ms


def invalid_expire_time(command: str) -> str:
    return f"ERR invalid expire time in '{command}' command"


def expiration_args(
    last: Arg, *, relative_since: str | None = None, absolute_since: str | None = None
) -> Arg:
    """The `EX seconds | PX … | KEEPTTL` choice of SET and GETEX; `last` is the choice without a number."""
    return one_of(
        "expiration",
        Arg("seconds", "integer", token="EX", since=relative_since),
        Arg("milliseconds", "integer", token="PX", since=relative_since),
        Arg("unix-time-seconds", "unix-time", token="EXAT", since=absolute_since),
        Arg("unix-time-milliseconds", "unix-time", token="PXAT", since=absolute_since),
        last,
        optional=True,
    )


# --- EXPIRE and its kin --------------------------------------------------------------------------------

EXPIRE_CONDITION = one_of(
    "condition", token("NX"), token("XX"), token("GT"), token("LT"), optional=True, since="7.0.0"
)

_NO_CONDITIONS: frozenset[bytes] = frozenset()


def parse_expire_conditions(words: Sequence[bytes]) -> Set[bytes]:
    """Which of NX, XX, GT and LT were given; CommandError if they contradict each other."""
    if not words:
        return _NO_CONDITIONS
    conditions = {word.upper() for word in words}
    for word in words:
        if word.upper() not in (b"NX", b"XX", b"GT", b"LT"):
            raise CommandError(b"ERR Unsupported option " + quoted(word))
    if b"NX" in conditions and len(conditions) > 1:
        raise CommandError("ERR NX and XX, GT or LT options at the same time are not compatible")
    if conditions >= {b"GT", b"LT"}:
        raise CommandError("ERR GT and LT options at the same time are not compatible")
    return conditions


def expire_time(amount: bytes, scale: int, base_ms: int, command: str) -> int:
    """EXPIRE's number as unix milliseconds: it may be negative, but must stay within 64 bits."""
    at_ms = require_integer(amount) * scale
    if not INT64_MIN <= at_ms <= INT64_MAX - base_ms:
        raise CommandError(invalid_expire_time(command))
    return at_ms + base_ms


# --- SCAN, SSCAN, HSCAN and ZSCAN ----------------------------------------------------------------------

DEFAULT_SCAN_COUNT = 10

SCAN_ARGS = (
    Arg("cursor", "integer"),
    Arg("pattern", "pattern", token="MATCH", optional=True),
    Arg("count", "integer", token="COUNT", optional=True),
)


@dataclass(slots=True)
class ScanOptions:
    """How much to scan in one call and what to leave out."""

    count: int = DEFAULT_SCAN_COUNT
    pattern: bytes | None = None
    """None where every key matches."""
    type: bytes | None = None
    with_values: bool = True


def parse_cursor(text: bytes) -> int:
    """A SCAN cursor, an unsigned 64-bit number read as generously as C reads; CommandError otherwise."""
    text = text.partition(b"\0")[0]
    cursor = parse_c_unsigned(text) if text else 0
    if cursor is None or text[:1].isspace():
        raise CommandError("ERR invalid cursor")
    return cursor


def parse_scan_options(
    words: Sequence[bytes], *, with_type: bool = False, of_hash: bool = False
) -> ScanOptions:
    """MATCH, COUNT, for SCAN itself TYPE and for HSCAN NOVALUES; CommandError for anything else."""
    options = ScanOptions()
    rest = iter(words)
    for word in rest:
        name = word.upper()
        if name == b"NOVALUES":
            if not of_hash:
                raise CommandError("ERR NOVALUES option can only be used in HSCAN")
            options.with_values = False
            continue
        value = next(rest, None)
        if value is None:
            raise CommandError(SYNTAX_ERROR)
        if name == b"COUNT":
            options.count = require_integer(value)
            if options.count < 1:
                raise CommandError(SYNTAX_ERROR)
        elif name == b"MATCH":
            options.pattern = None if value == b"*" else value
        elif name == b"TYPE" and with_type:
            options.type = value.lower()
        else:
            raise CommandError(SYNTAX_ERROR)
    return options


# --- several databases ---------------------------------------------------------------------------------

INT32_MAX = (1 << 31) - 1
INT32_MIN = -(1 << 31)


def parse_int32(text: bytes, error: str = "") -> int:
    """A number of 32 bits; CommandError with `error`, if given, where it is none."""
    number = require_integer(text, error or NOT_AN_INTEGER)
    if not INT32_MIN <= number <= INT32_MAX:
        raise CommandError(
            error or f"ERR value is out of range, value must between {INT32_MIN} and {INT32_MAX}"
        )
    return number


def check_database(number: int, databases: int) -> None:
    """CommandError if there is no database with this number."""
    if not 0 <= number < databases:
        raise CommandError("ERR DB index is out of range")


def parse_database(text: bytes, databases: int) -> int:
    """A database number; CommandError if it is no number or there is no such database."""
    number = parse_int32(text)
    check_database(number, databases)
    return number
