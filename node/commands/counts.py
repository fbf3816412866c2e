"""Counts and key lists in arguments, which several types' commands share, each with its own error text."""

from __future__ import annotations

from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.dataset.numbers import INT64_MAX, require_integer
from shoal.node.resp.replies import CommandError

NOT_POSITIVE = "ERR value is out of range, must be positive"


def require_count(text: bytes, error: str = NOT_POSITIVE, least: int = 0) -> int:
    """An integer of at least `least`; anything else is the one given error."""
    count = require_integer(text, error)
    if count < least:
        raise CommandError(error)
    return count


def require_signed_count(text: bytes) -> int:
    """An integer whose sign means something, so that its opposite must be an integer too."""
    count = require_integer(text)
    if count < -INT64_MAX:
        raise CommandError(f"ERR value is out of range, value must between {-INT64_MAX} and {INT64_MAX}")
    return count


def parse_random_count(options: tuple[bytes, ...], pairs_token: bytes) -> tuple[int, bool]:
    """`count [WITHVALUES]` of HRANDFIELD and its like: the count, and whether its token was given."""
    count = require_signed_count(options[0])
    if len(options) == 1:
        return count, False
    if len(options) > 2 or options[1].upper() != pairs_token:
        raise CommandError(SYNTAX_ERROR)
    if abs(count) > INT64_MAX // 2:
        raise CommandError("ERR value is out of range")
    return count, True


def parse_multiple_pop(
    numkeys: bytes, rest: tuple[bytes, ...]
) -> tuple[tuple[bytes, ...], bytes, tuple[bytes, ...]]:
    """Split `numkeys key [key …] where [COUNT count]` into the keys, `where` and what follows it."""
    size = require_count(numkeys, "ERR numkeys should be greater than 0", 1)
    if size >= len(rest):
        raise CommandError(SYNTAX_ERROR)
    return rest[:size], rest[size], rest[size + 1 :]


def parse_pop_count(options: tuple[bytes, ...]) -> int:
    """`[COUNT count]`, 1 if it is absent."""
    if not options:
        return 1
    if len(options) != 2 or options[0].upper() != b"COUNT":
        raise CommandError(SYNTAX_ERROR)
    return require_count(options[1], "ERR count should be greater than 0", 1)


def parse_intersection_limit(numkeys: bytes, rest: tuple[bytes, ...]) -> tuple[tuple[bytes, ...], int]:
    """`numkeys key [key …] [LIMIT limit]` of SINTERCARD: the keys and the limit, 0 for none."""
    size = require_count(numkeys, "ERR numkeys should be greater than 0", 1)
    if size > len(rest):
        raise CommandError("ERR Number of keys can't be greater than number of args")
    options = rest[size:]
    limit = 0
    for place in range(0, len(options), 2):
        if options[place].upper() != b"LIMIT" or place + 1 == len(options):
            raise CommandError(SYNTAX_ERROR)
        limit = require_count(options[place + 1], "ERR LIMIT can't be negative")
    return rest[:size], limit
