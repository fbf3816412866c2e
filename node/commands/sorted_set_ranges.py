"""Commands on ranges of a sorted set: by rank, by score or by the members' bytes, read or stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from shoal.node.commands.call import Call
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, key_arg, key_at, one_key, one_of, token
from shoal.node.dataset.numbers import parse_float, require_integer
from shoal.node.dataset.sorted_sets import LexEnd, LexRange, ScoreRange, SortedSet
from shoal.node.resp.replies import CommandError, PairList, Reply

_READ = KeyUse.RO | KeyUse.ACCESS


# --- what the arguments ask for --------------------------------------------------------------------


class By(Enum):
    """What the two ends of a range are."""

    RANK = "rank"
    SCORE = "score"
    LEX = "lex"


_BY_TOKENS = {b"BYSCORE": By.SCORE, b"BYLEX": By.LEX}


@dataclass(frozen=True, slots=True)
class RangeQuery:
    """A range of one sorted set, the order it is wanted in, and the part of it that LIMIT leaves."""

    ends: tuple[int, int] | ScoreRange | LexRange
    reverse: bool
    offset: int
    limit: int
    with_scores: bool

    def select(self, value: SortedSet) -> range:
        """The ranks asked for, falling if reversed."""
        if self.offset < 0:
            return range(0)
        ranks = self._ranks(value)
        if self.reverse:
            ranks = ranks[::-1]
        ranks = ranks[self.offset :]
        return ranks if self.limit < 0 else ranks[: self.limit]

    def _ranks(self, value: SortedSet) -> range:
        match self.ends:
            case ScoreRange():
                return value.ranks_of_scores(self.ends)
            case LexRange():
                return value.ranks_of_members(self.ends)
            case start, stop:
                ranks = value.ranks_between(start, stop)
                return range(len(value) - ranks.stop, len(value) - ranks.start) if self.reverse else ranks


def parse_query(
    start: bytes,
    stop: bytes,
    options: Sequence[bytes],
    *,
    by: By | None = None,
    reverse: bool | None = None,
    storing: bool = False,
) -> RangeQuery:
    """Parse `start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]`.

    `by` and `reverse` are what the command's name says; None leaves it to the options.
    """
    offset, limit, with_scores, place = 0, -1, False, 0
    while place < len(options):
        word = options[place].upper()
        if word == b"WITHSCORES" and not storing:
            with_scores = True
        elif word == b"LIMIT" and place + 2 < len(options):
            offset, limit = require_integer(options[place + 1]), require_integer(options[place + 2])
            place += 2
        elif word == b"REV" and reverse is None:
            reverse = True
        elif word in _BY_TOKENS and by is None:
            by = _BY_TOKENS[word]
        else:
            raise CommandError(SYNTAX_ERROR)
        place += 1
    by, reverse = by or By.RANK, bool(reverse)
    if by is By.RANK:
        if limit != -1:
            raise CommandError(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
            )
        return RangeQuery(_parse_ranks(start, stop), reverse, 0, -1, with_scores)
    if by is By.LEX and with_scores:
        raise CommandError("ERR syntax error, WITHSCORES not supported in combination with BYLEX")
    low, high = (stop, start) if reverse else (start, stop)
    ends = parse_score_range(low, high) if by is By.SCORE else parse_lex_range(low, high)
    return RangeQuery(ends, reverse, offset, limit, with_scores)


def _parse_ranks(start: bytes, stop: bytes) -> tuple[int, int]:
    return require_integer(start), require_integer(stop)


def parse_score_range(low: bytes, high: bytes) -> ScoreRange:
    """Two scores, each with a leading `(` if it is itself outside."""
    low_open, high_open = low.startswith(b"("), high.startswith(b"(")
    lowest, highest = parse_float(low[low_open:]), parse_float(high[high_open:])
    if lowest is None or highest is None:
        raise CommandError("ERR min or max is not a float")
    return ScoreRange(lowest, highest, low_open, high_open)


def parse_lex_range(low: bytes, high: bytes) -> LexRange:
    """Two members, each after `[` or, if it is itself outside, `(`; `-` and `+` are before and after all."""
    lowest, highest = _parse_lex_end(low), _parse_lex_end(high)
    return LexRange(lowest, highest, nothing=low == b"+" or high == b"-")


def _parse_lex_end(text: bytes) -> LexEnd | None:
    if text in (b"-", b"+"):
        return None
    if text[:1] not in (b"[", b"("):
        raise CommandError("ERR min or max not valid string range item")
    return LexEnd(text[1:], open=text[:1] == b"(")


# --- reading ---------------------------------------------------------------------------------------


def _token(name: str, *, since: str | None = None) -> Arg:
    return token(name, optional=True, since=since)


def _limit(*, since: str | None = None) -> Arg:
    parts = (Arg("offset", "integer"), Arg("count", "integer"))
    return Arg("offset_count", "block", token="LIMIT", optional=True, since=since, arguments=parts)


def _sort_by(*, since: str | None = None) -> Arg:
    return one_of("sortby", token("BYSCORE"), token("BYLEX"), optional=True, since=since)


def _read(call: Call, key: bytes, query: RangeQuery) -> Reply:
    value = call.db.read_sorted_set(key)
    if value is None:
        return []
    found = value.at(query.select(value))
    if query.with_scores:
        return PairList([(member, score) for member, score in found])
    return [member for member, _ in found]


@command(
    "ZRANGE",
    arity=-4,
    flags=Flag.READONLY,
    group="sorted-set",
    since="1.2.0",
    complexity="O(log(N)+M) for M members returned, from a sorted set of N.",
    summary="Returns the members in a range of ranks, scores or members.",
    keys=one_key(_READ),
    arguments=(
        key_arg(),
        Arg("start"),
        Arg("stop"),
        _sort_by(since="6.2.0"),
        _token("REV", since="6.2.0"),
        _limit(since="6.2.0"),
        _token("WITHSCORES"),
    ),
    history=(("6.2.0", "Knows `REV`, `BYSCORE`, `BYLEX` and `LIMIT`."),),
)
def zrange(call: Call, key: bytes, start: bytes, stop: bytes, *options: bytes) -> Reply:
    return _read(call, key, parse_query(start, stop, options))


@command(
    "ZREVRANGE",
    arity=-4,
    flags=Flag.READONLY,
    group="sorted-set",
    since="1.2.0",
    complexity="O(log(N)+M) for M members returned, from a sorted set of N.",
    summary="Returns the members in a range of ranks, counted and ordered from the highest score.",
    keys=one_key(_READ),
    arguments=(key_arg(), Arg("start", "integer"), Arg("stop", "integer"), _token("WITHSCORES")),
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `REV` argument",
)
def zrevrange(call: Call, key: bytes, start: bytes, stop: bytes, *options: bytes) -> Reply:
    return _read(call, key, parse_query(start, stop, options, by=By.RANK, reverse=True))


@command(
    "ZRANGEBYSCORE",
    arity=-4,
    flags=Flag.READONLY,
    group="sorted-set",
    since="1.0.5",
    complexity="O(log(N)+M) for M members returned, from a sorted set of N.",
    summary="Returns the members in a range of scores.",
    keys=one_key(_READ),
    arguments=(
        key_arg(),
        Arg("min", "double"),
        Arg("max", "double"),
        _token("WITHSCORES", since="2.0.0"),
        _limit(),
    ),
    history=(("2.0.0", "Knows `WITHSCORES`."),),
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `BYSCORE` argument",
)
def zrangebyscore(call: Call, key: bytes, low: bytes, high: bytes, *options: bytes) -> Reply:
    return _read(call, key, parse_query(low, high, options, by=By.SCORE, reverse=False))


@command(
    "ZREVRANGEBYSCORE",
    arity=-4,
    flags=Flag.READONLY,
    group="sorted-set",
    since="2.2.0",
    complexity="O(log(N)+M) for M members returned, from a sorted set of N.",
    summary="Returns the members in a range of scores, from the highest down.",
    keys=one_key(_READ),
    arguments=(
        key_arg(),
        Arg("max", "double"),
        Arg("min", "double"),
        _token("WITHSCORES"),
        _limit(),
    ),
    history=(("2.1.6", "Either end can be left out of the range."),),
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `REV` and `BYSCORE` arguments",
)
def zrevrangebyscore(call: Call, key: bytes, high: bytes, low: bytes, *options: bytes) -> Reply:
    return _read(call, key, parse_query(high, low, options, by=By.SCORE, reverse=True))


@command(
    "ZRANGEBYLEX",
    arity=-4,
    flags=Flag.READONLY,
    group="sorted-set",
    since="2.8.9",
    complexity="O(log(N)+M) for M members returned, from a sorted set of N.",
    summary="Returns the members between two byte strings, where all scores are equal.",
    keys=one_key(_READ),
    arguments=(key_arg(), Arg("min"), Arg("max"), _limit()),
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `BYLEX` argument",
)
def zrangebylex(call: Call, key: bytes, low: bytes, high: bytes, *options: bytes) -> Reply:
    return _read(call, key, parse_query(low, high, options, by=By.LEX, reverse=False))


@command(
    "ZREVRANGEBYLEX",
    arity=-4,
    flags=Flag.READONLY,
    group="sorted-set",
    since="2.8.9",
    complexity="O(log(N)+M) for M members returned, from a sorted set of N.",
    summary="Returns the members between two byte strings in falling order, where all scores are equal.",
    keys=one_key(_READ),
    arguments=(key_arg(), Arg("max"), Arg("min"), _limit()),
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `REV` and `BYLEX` arguments",
)
def zrevrangebylex(call: Call, key: bytes, high: bytes, low: bytes, *options: bytes) -> Reply:
    return _read(call, key, parse_query(high, low, options, by=By.LEX, reverse=True))


@command(
    "ZRANGESTORE",
    arity=-5,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="sorted-set",
    since="6.2.0",
    complexity="O(log(N)+M) for M members stored, from a sorted set of N.",
    summary="Stores the members in a range of ranks, scores or members in another key.",
    keys=(key_at(1, KeyUse.OW | KeyUse.UPDATE), key_at(2, _READ)),
    arguments=(
        key_arg("dst"),
        key_arg("src", spec=1),
        Arg("min"),
        Arg("max"),
        _sort_by(),
        _token("REV"),
        _limit(),
    ),
)
def zrangestore(
    call: Call, destination: bytes, source: bytes, start: bytes, stop: bytes, *options: bytes
) -> Reply:
    query = parse_query(start, stop, options, storing=True)
    value = call.db.read_sorted_set(source)
    chosen = {} if value is None else dict(value.at(query.select(value)))
    if chosen:
        call.db.set(destination, SortedSet.of(chosen))
        call.db.changed(destination, "zrangestore")
    elif call.db.delete(destination):
        call.db.changed(destination, "del")
    return len(chosen)
