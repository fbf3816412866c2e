"""Commands that count or remove the members of a sorted set in a range."""

from __future__ import annotations

from collections.abc import Callable

from shoal.node.commands.call import Call
from shoal.node.commands.range_queries import parse_lex_range, parse_score_range
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, key_arg, one_key
from shoal.node.dataset.numbers import require_integer
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.resp.replies import Reply

_READ = KeyUse.RO | KeyUse.ACCESS
_REMOVE = KeyUse.RW | KeyUse.DELETE
_SCORES = (key_arg(), Arg("min", "double"), Arg("max", "double"))
_MEMBERS = (key_arg(), Arg("min"), Arg("max"))


@command(
    "ZCOUNT",
    arity=4,
    flags=Flag.READONLY | Flag.FAST,
    group="sorted-set",
    since="2.0.0",
    complexity="O(log(N)) in a sorted set of N members.",
    summary="Counts the members in a range of scores.",
    keys=one_key(_READ),
    arguments=_SCORES,
)
def zcount(call: Call, key: bytes, low: bytes, high: bytes) -> Reply:
    scores = parse_score_range(low, high)
    value = call.db.read_as(key, SortedSet)
    return 0 if value is None else len(value.ranks_of_scores(scores))


@command(
    "ZLEXCOUNT",
    arity=4,
    flags=Flag.READONLY | Flag.FAST,
    group="sorted-set",
    since="2.8.9",
    complexity="O(log(N)) in a sorted set of N members.",
    summary="Counts the members between two byte strings, where all scores are equal.",
    keys=one_key(_READ),
    arguments=_MEMBERS,
)
def zlexcount(call: Call, key: bytes, low: bytes, high: bytes) -> Reply:
    members = parse_lex_range(low, high)
    value = call.db.read_as(key, SortedSet)
    return 0 if value is None else len(value.ranks_of_members(members))


@command(
    "ZREMRANGEBYRANK",
    arity=4,
    flags=Flag.WRITE,
    group="sorted-set",
    since="2.0.0",
    complexity="O(log(N)+M) for M members removed, from a sorted set of N.",
    summary="Removes the members in a range of ranks.",
    keys=one_key(_REMOVE),
    arguments=(key_arg(), Arg("start", "integer"), Arg("stop", "integer")),
)
def zremrangebyrank(call: Call, key: bytes, start: bytes, stop: bytes) -> Reply:
    first, last = require_integer(start), require_integer(stop)
    return _remove(call, key, "zremrangebyrank", lambda value: value.ranks_between(first, last))


@command(
    "ZREMRANGEBYSCORE",
    arity=4,
    flags=Flag.WRITE,
    group="sorted-set",
    since="1.2.0",
    complexity="O(log(N)+M) for M members removed, from a sorted set of N.",
    summary="Removes the members in a range of scores.",
    keys=one_key(_REMOVE),
    arguments=_SCORES,
)
def zremrangebyscore(call: Call, key: bytes, low: bytes, high: bytes) -> Reply:
    scores = parse_score_range(low, high)
    return _remove(call, key, "zremrangebyscore", lambda value: value.ranks_of_scores(scores))


@command(
    "ZREMRANGEBYLEX",
    arity=4,
    flags=Flag.WRITE,
    group="sorted-set",
    since="2.8.9",
    complexity="O(log(N)+M) for M members removed, from a sorted set of N.",
    summary="Removes the members between two byte strings, where all scores are equal.",
    keys=one_key(_REMOVE),
    arguments=_MEMBERS,
)
def zremrangebylex(call: Call, key: bytes, low: bytes, high: bytes) -> Reply:
    members = parse_lex_range(low, high)
    return _remove(call, key, "zremrangebylex", lambda value: value.ranks_of_members(members))


def _remove(call: Call, key: bytes, event: str, ranks_in: Callable[[SortedSet], range]) -> int:
    value = call.db.change_as(key, SortedSet)
    if value is None:
        return 0
    ranks = ranks_in(value)
    if ranks:
        value.remove(ranks)
        call.db.changed(key, event)
        call.db.delete_if_empty(key, value)
    return len(ranks)
