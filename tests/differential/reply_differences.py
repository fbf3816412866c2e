"""What two replies may differ in and still say the same; and differences with their reasons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.differential.grammar import Command
from tests.differential.typed_replies import Reply, sorted_pairs, sorted_parts

UNORDERED = frozenset({b"KEYS", b"SMEMBERS", b"SUNION", b"SINTER", b"SDIFF", b"HKEYS", b"HVALS"})
"""Commands whose array has no promised order."""
DRAWS = frozenset({b"SPOP", b"SRANDMEMBER"})
PAIRED_DRAWS = frozenset({b"HRANDFIELD", b"ZRANDMEMBER"})
"""Commands that draw by chance; the grammar asks for none or for all there is."""
SCANS = frozenset({b"SCAN", b"SSCAN"})
PAIRED_SCANS = frozenset({b"HSCAN", b"ZSCAN"})
TIMES = frozenset({b"idle", b"seen-time"})
SINCE_7_2 = frozenset({b"inactive", b"active-time"})
"""Fields of XINFO that Redis 7.0 does not have; they tell times as well."""
MILLISECONDS = frozenset({b"PTTL", b"PEXPIRETIME", b"HPTTL", b"HPEXPIRETIME"})
SECONDS = frozenset({b"TTL", b"EXPIRETIME", b"HTTL", b"HEXPIRETIME"})
LATE_MS = 20_000
"""How much later than the other a busy server may have run a command."""


def comparable(command: Command | Sequence[Command], reply: Reply) -> Reply:
    """A reply without the order that means nothing; of EXEC (a list of commands), those of its parts."""
    kind, parts = reply
    if not isinstance(parts, list):
        return reply
    if isinstance(command, list):
        return kind, [comparable(asked, part) for asked, part in zip(command, parts, strict=True)]
    name = command[0].upper()
    assert isinstance(name, bytes)
    if name in UNORDERED or name in DRAWS:
        return sorted_parts(reply)
    if name == b"HGETALL":
        return sorted_pairs(reply)
    if name in PAIRED_DRAWS:
        nested = bool(parts) and isinstance(parts[0][1], list)
        return sorted_parts(reply) if nested or len(command) < 4 else sorted_pairs(reply)
    if name in SCANS or name in PAIRED_SCANS:
        cursor, found = parts
        if command[1 if name == b"SCAN" else 2].strip(b"0") or b"1000" not in command:
            return kind, []  # how far another server's walk goes, and from where, nobody knows
        return kind, [cursor, sorted_parts(found) if name in SCANS else sorted_pairs(found)]
    if name == b"XINFO":
        return _without_times(reply)
    if name == b"XPENDING" and len(command) > 3:
        return kind, [(entry[0], entry[1][:2] + entry[1][3:]) for entry in parts]
    return reply


def _without_times(reply: Reply) -> Reply:
    """XINFO's reply without idle times, times when consumers were seen and times of delivery."""
    kind, parts = reply
    if not isinstance(parts, list):
        return reply
    if len(parts) in (3, 4) and parts[-1][0] == parts[-2][0] == b":":
        return kind, [*parts[:-2], parts[-1]]
    shown = [_without_times(part) for part in parts]
    names = [(place, name) for place, (_, name) in enumerate(shown) if isinstance(name, bytes)]
    hidden = {place + 1 for place, name in names if name in TIMES | SINCE_7_2}
    hidden |= {place for place, name in names if name in SINCE_7_2}
    return kind, [part for place, part in enumerate(shown) if place not in hidden]


@dataclass(frozen=True)
class Difference:
    """Replies to these commands may differ in what `applies` says, and why that is so."""

    reason: str
    applies: Callable[[Command, Reply, Reply], bool]
    """Of a command, its name in capitals, and the two replies."""


def _same_number(mine: Reply, real: Reply) -> bool:
    """Alike but for how numbers are printed."""
    if mine == real:
        return True
    if mine[0] != real[0]:
        return False
    if isinstance(mine[1], list) and isinstance(real[1], list):
        return len(mine[1]) == len(real[1]) and all(
            _same_number(first, second) for first, second in zip(mine[1], real[1], strict=True)
        )
    if not (isinstance(mine[1], bytes) and isinstance(real[1], bytes)) or len(real[1]) < 17:
        return False
    try:
        return float(mine[1]) == float(real[1])
    except ValueError:
        return False


def _late(command: Command, mine: Reply, real: Reply) -> bool:
    name = command[0]
    tolerance = LATE_MS if name in MILLISECONDS else LATE_MS // 1000 if name in SECONDS else 0
    if not tolerance or mine[0] != real[0]:
        return False
    if isinstance(mine[1], list) and isinstance(real[1], list):
        return all(
            first == second or _late(command, first, second)
            for first, second in zip(mine[1], real[1], strict=True)
        )
    is_number = _within_tolerance(mine, real, tolerance)
    return is_number and min(_number(mine), _number(real)) > 0


def _within_tolerance(mine: Reply, real: Reply, tolerance: int) -> bool:
    """Whether these are two numbers that are hardly apart."""
    return mine[0] == real[0] == b":" and abs(_number(mine) - _number(real)) <= tolerance


def _number(reply: Reply) -> int:
    assert isinstance(reply[1], bytes)
    return int(reply[1])


_TOO_SMALL = b"ERR The ID specified in XADD is equal or smaller than the target stream top item"
_WRONG_ID = b"ERR Invalid stream ID specified as stream command argument"
_TOO_LARGE = b"ERR Elements are too large to be stored"

KNOWN = (
    Difference(
        "Redis 7.0 prints scores with 17 digits; ours, like later servers, with as few as read back alike.",
        lambda command, mine, real: command[0].startswith((b"Z", b"GEO", b"BZ")) and _same_number(mine, real),
    ),
    Difference(
        "A hash none of whose fields expires any more is an ordinary one; Redis keeps the larger form.",
        lambda command, mine, real: (
            command[0] == b"OBJECT" and (mine[1], real[1]) == (b"listpack", b"listpackex")
        ),
    ),
    Difference(
        "OBJECT ENCODING tells what is there now; Redis keeps the larger form of what once was large.",
        lambda command, mine, real: (
            command[0] == b"OBJECT" and mine[1] in (b"listpack", b"listpackex") and real[1] == b"hashtable"
        ),
    ),
    Difference(
        "What INCRBYFLOAT leaves is text to Redis even where it spells an integer; ours looks at the value.",
        lambda command, mine, real: command[0] == b"OBJECT" and (mine[1], real[1]) == (b"int", b"embstr"),
    ),
    Difference(
        "Where no sequence number is left for `ms-*`, Redis's text is by an errno that something else set.",
        lambda command, mine, real: command[0] == b"XADD" and {mine[1], real[1]} == {_TOO_SMALL, _TOO_LARGE},
    ),
    Difference(
        "XREAD knows `+`, the last entry, since 7.4, and XREADGROUP says why it does not.",
        lambda command, mine, real: command[0] in (b"XREAD", b"XREADGROUP") and real == (b"-", _WRONG_ID),
    ),
    Difference("The two run a command at different times.", _late),
    Difference(
        "GT and LT compare with an earlier time to live, since which no millisecond may have passed here.",
        lambda command, mine, real: (
            command[0] in (b"EXPIRE", b"PEXPIRE")
            and not {b"GT", b"LT"}.isdisjoint(word.upper() for word in command)
            and _within_tolerance(mine, real, 1)
        ),
    ),
    Difference(
        "The two are asked at different times how long a key has been idle.",
        lambda command, mine, real: (
            command[0] == b"OBJECT" and _within_tolerance(mine, real, LATE_MS // 1000)
        ),
    ),
)


def is_known(command: Command | Sequence[Command], mine: Reply, real: Reply) -> bool:
    """Whether two replies that are not the same may differ as they do."""
    if isinstance(command, list):
        return (
            isinstance(mine[1], list)
            and isinstance(real[1], list)
            and len(mine[1]) == len(real[1]) == len(command)
            and all(
                comparable(asked, first) == comparable(asked, second) or is_known(asked, first, second)
                for asked, first, second in zip(command, mine[1], real[1], strict=True)
            )
        )
    assert isinstance(command, tuple)
    asked = (command[0].upper(), *command[1:])
    first, second = comparable(command, mine), comparable(command, real)
    return any(difference.applies(asked, first, second) for difference in KNOWN)
