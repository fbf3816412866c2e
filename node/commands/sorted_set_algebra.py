"""Commands that combine sorted sets, or sets whose members then score 1: union, intersection, difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from shoal.node.commands.call import Call
from shoal.node.commands.counts import require_count
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command
from shoal.node.commands.results import store_result
from shoal.node.commands.spec import Arg, Flag, KeyUse, counted_keys, key_arg, key_at, token
from shoal.node.dataset.database import WRONG_TYPE
from shoal.node.dataset.numbers import require_float, require_integer
from shoal.node.dataset.scored_algebra import (
    Aggregate,
    Source,
    add,
    difference,
    greater,
    intersection,
    lesser,
    union,
)
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.values import SetValue
from shoal.node.resp.replies import CommandError, PairList, Reply

_AGGREGATES: dict[bytes, Aggregate] = {b"SUM": add, b"MIN": lesser, b"MAX": greater}


# --- arguments -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Combination:
    """What a command line asks to be combined, and how."""

    sources: list[Source]
    aggregate: Aggregate = add
    with_scores: bool = False
    limit: int = 0


def parse_combination(
    call: Call, name: str, numkeys: bytes, rest: Sequence[bytes], options: frozenset[bytes]
) -> Combination:
    """Parse `numkeys key [key …]` and those of WEIGHTS, AGGREGATE, WITHSCORES and LIMIT the command knows."""
    size = require_integer(numkeys)
    if size < 1:
        raise CommandError(f"ERR at least 1 input key is needed for '{name}' command")
    if size > len(rest):
        raise CommandError(SYNTAX_ERROR)
    asked = Combination([_read_source(call, key) for key in rest[:size]])
    place = size
    while place < len(rest):
        word, left = rest[place].upper(), len(rest) - place - 1
        if word not in options:
            raise CommandError(SYNTAX_ERROR)
        if word == b"WITHSCORES":
            asked.with_scores = True
            place += 1
        elif word == b"WEIGHTS" and left >= size:
            for source, weight in zip(asked.sources, rest[place + 1 :], strict=False):
                source.weight = require_float(weight, "ERR weight value is not a float")
            place += 1 + size
        elif word == b"AGGREGATE" and left and rest[place + 1].upper() in _AGGREGATES:
            asked.aggregate = _AGGREGATES[rest[place + 1].upper()]
            place += 2
        elif word == b"LIMIT" and left:
            asked.limit = require_count(rest[place + 1], "ERR LIMIT can't be negative")
            place += 2
        else:
            raise CommandError(SYNTAX_ERROR)
    return asked


def _read_source(call: Call, key: bytes) -> Source:
    match call.db.read(key):
        case None:
            return Source(SetValue())
        case SetValue() | SortedSet() as members:
            return Source(members)
        case _:
            raise CommandError(WRONG_TYPE)


_READ = KeyUse.RO | KeyUse.ACCESS
_WITHSCORES = token("WITHSCORES", optional=True)
_WEIGHTS = (
    Arg("weight", "integer", token="WEIGHTS", optional=True, multiple=True),
    Arg(
        "aggregate",
        "oneof",
        token="AGGREGATE",
        optional=True,
        arguments=(token("SUM"), token("MIN"), token("MAX")),
    ),
)
_READ_KEYS = (counted_keys(_READ, count_at=1),)
_READ_ARGUMENTS = (Arg("numkeys", "integer"), key_arg(multiple=True))
_STORE_KEYS = (key_at(1, KeyUse.OW | KeyUse.UPDATE), counted_keys(_READ, count_at=2))
_STORE_ARGUMENTS = (key_arg("destination"), Arg("numkeys", "integer"), key_arg(spec=1, multiple=True))

_WEIGHTED = frozenset({b"WEIGHTS", b"AGGREGATE"})
_SCORED = frozenset({b"WITHSCORES"})


# --- answered --------------------------------------------------------------------------------------


def _answer(scores: dict[bytes, float], with_scores: bool) -> Reply:
    ordered = sorted((score, member) for member, score in scores.items())
    members = [member for _, member in ordered]
    return PairList(members, [score for score, _ in ordered]) if with_scores else members


@command(
    "ZUNION",
    arity=-3,
    flags=Flag.READONLY,
    group="sorted-set",
    since="6.2.0",
    complexity="O(N)+O(M*log(M)) for N members in all the sources and M in the result.",
    summary="Returns the members of any of the sorted sets, with their scores combined.",
    keys=_READ_KEYS,
    arguments=(*_READ_ARGUMENTS, *_WEIGHTS, _WITHSCORES),
)
def zunion(call: Call, numkeys: bytes, *rest: bytes) -> Reply:
    asked = parse_combination(call, "zunion", numkeys, rest, _WEIGHTED | _SCORED)
    return _answer(union(asked.sources, asked.aggregate), asked.with_scores)


@command(
    "ZINTER",
    arity=-3,
    flags=Flag.READONLY,
    group="sorted-set",
    since="6.2.0",
    complexity="O(N*K)+O(M*log(M)) for K sources, the smallest of N members, and M members in the result.",
    summary="Returns the members of all of the sorted sets, with their scores combined.",
    keys=_READ_KEYS,
    arguments=(*_READ_ARGUMENTS, *_WEIGHTS, _WITHSCORES),
)
def zinter(call: Call, numkeys: bytes, *rest: bytes) -> Reply:
    asked = parse_combination(call, "zinter", numkeys, rest, _WEIGHTED | _SCORED)
    return _answer(dict(intersection(asked.sources, asked.aggregate)), asked.with_scores)


@command(
    "ZDIFF",
    arity=-3,
    flags=Flag.READONLY,
    group="sorted-set",
    since="6.2.0",
    complexity="O(L + M*log(M)) for L members in all the sources and M in the result.",
    summary="Returns the members of the first sorted set that none of the others has.",
    keys=_READ_KEYS,
    arguments=(*_READ_ARGUMENTS, _WITHSCORES),
)
def zdiff(call: Call, numkeys: bytes, *rest: bytes) -> Reply:
    asked = parse_combination(call, "zdiff", numkeys, rest, _SCORED)
    return _answer(difference(asked.sources), asked.with_scores)


@command(
    "ZINTERCARD",
    arity=-3,
    flags=Flag.READONLY,
    group="sorted-set",
    since="7.0.0",
    complexity="O(N*K) for K sources, the smallest of N members.",
    summary="Returns how many members all of the sorted sets have in common, counted up to a limit.",
    keys=_READ_KEYS,
    arguments=(*_READ_ARGUMENTS, Arg("limit", "integer", token="LIMIT", optional=True)),
)
def zintercard(call: Call, numkeys: bytes, *rest: bytes) -> Reply:
    asked = parse_combination(call, "zintercard", numkeys, rest, frozenset({b"LIMIT"}))
    common = intersection(asked.sources, asked.aggregate)
    return sum(1 for _ in islice(common, asked.limit or None))


# --- stored ----------------------------------------------------------------------------------------


@command(
    "ZUNIONSTORE",
    arity=-4,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="sorted-set",
    since="2.0.0",
    complexity="O(N)+O(M*log(M)) for N members in all the sources and M in the result.",
    summary="Stores the members of any of the sorted sets, with their scores combined.",
    keys=_STORE_KEYS,
    arguments=(*_STORE_ARGUMENTS, *_WEIGHTS),
)
def zunionstore(call: Call, destination: bytes, numkeys: bytes, *rest: bytes) -> Reply:
    asked = parse_combination(call, "zunionstore", numkeys, rest, _WEIGHTED)
    result = SortedSet.of(union(asked.sources, asked.aggregate))
    return store_result(call, destination, result, "zunionstore")


@command(
    "ZINTERSTORE",
    arity=-4,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="sorted-set",
    since="2.0.0",
    complexity="O(N*K)+O(M*log(M)) for K sources, the smallest of N members, and M members in the result.",
    summary="Stores the members of all of the sorted sets, with their scores combined.",
    keys=_STORE_KEYS,
    arguments=(*_STORE_ARGUMENTS, *_WEIGHTS),
)
def zinterstore(call: Call, destination: bytes, numkeys: bytes, *rest: bytes) -> Reply:
    asked = parse_combination(call, "zinterstore", numkeys, rest, _WEIGHTED)
    result = SortedSet.of(dict(intersection(asked.sources, asked.aggregate)))
    return store_result(call, destination, result, "zinterstore")


@command(
    "ZDIFFSTORE",
    arity=-4,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="sorted-set",
    since="6.2.0",
    complexity="O(L + M*log(M)) for L members in all the sources and M in the result.",
    summary="Stores the members of the first sorted set that none of the others has.",
    keys=_STORE_KEYS,
    arguments=_STORE_ARGUMENTS,
)
def zdiffstore(call: Call, destination: bytes, numkeys: bytes, *rest: bytes) -> Reply:
    asked = parse_combination(call, "zdiffstore", numkeys, rest, frozenset())
    result = SortedSet.of(difference(asked.sources))
    return store_result(call, destination, result, "zdiffstore")
