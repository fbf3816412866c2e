"""Commands on ranges of a sorted set: by rank, by score or by the members' bytes, read or stored."""

from __future__ import annotations

from shoal.node.commands.call import Call
from shoal.node.commands.range_queries import By, RangeQuery, parse_query, parse_score_range
from shoal.node.commands.registry import command
from shoal.node.commands.results import store_result
from shoal.node.commands.spec import Arg, Flag, KeyUse, key_arg, key_at, one_key, one_of, token
from shoal.node.dataset.numbers import require_integer
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.resp.replies import BulkStrings, PairList, Reply

_READ = KeyUse.RO | KeyUse.ACCESS


# --- reading ---------------------------------------------------------------------------------------


def _token(name: str, *, since: str | None = None) -> Arg:
    return token(name, optional=True, since=since)


def _limit(*, since: str | None = None) -> Arg:
    parts = (Arg("offset", "integer"), Arg("count", "integer"))
    return Arg("offset_count", "block", token="LIMIT", optional=True, since=since, arguments=parts)


def _sort_by(*, since: str | None = None) -> Arg:
    return one_of("sortby", token("BYSCORE"), token("BYLEX"), optional=True, since=since)


def _read(call: Call, key: bytes, query: RangeQuery) -> Reply:
    value = call.db.read_as(key, SortedSet)
    if value is None:
        return []
    ranks = query.select(value)
    members = value.members(ranks)
    return PairList(members, value.scores_at(ranks)) if query.with_scores else BulkStrings(members)


def _read_by_rank(call: Call, key: bytes, start: bytes, stop: bytes, *, reverse: bool = False) -> Reply:
    """`_read` of ranks without further options, in half the time."""
    first, last = require_integer(start), require_integer(stop)
    value = call.db.read_as(key, SortedSet)
    if value is None:
        return []
    ranks = value.ranks_between(first, last)
    if not reverse:
        return BulkStrings(value.order.members(ranks.start, ranks.stop))
    size = len(value.scores)
    return BulkStrings(reversed(value.order.members(size - ranks.stop, size - ranks.start)))


def _read_by_score(call: Call, key: bytes, low: bytes, high: bytes) -> Reply:
    """`_read` of scores in rising order without further options, in half the time."""
    lowest, highest, low_open, high_open = parse_score_range(low, high)
    value = call.db.read_as(key, SortedSet)
    if value is None:
        return []
    return BulkStrings(value.order.members_of_scores(lowest, highest, low_open, high_open))


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
    if not options:
        return _read_by_rank(call, key, start, stop)
    if len(options) == 1 and options[0].upper() == b"BYSCORE":
        return _read_by_score(call, key, start, stop)
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
    if not options:
        return _read_by_rank(call, key, start, stop, reverse=True)
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
    if not options:
        return _read_by_score(call, key, low, high)
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
    value = call.db.read_as(source, SortedSet)
    chosen = {} if value is None else dict(value.at(query.select(value)))
    return store_result(call, destination, SortedSet.of(chosen), "zrangestore")
