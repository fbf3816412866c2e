"""Commands that combine sets: union, intersection and difference, answered or stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from shoal.node.commands.call import Call
from shoal.node.commands.counts import parse_intersection_limit
from shoal.node.commands.registry import command
from shoal.node.commands.results import store_result
from shoal.node.commands.spec import Arg, Flag, KeyUse, all_keys, counted_keys, key_arg, key_at
from shoal.node.dataset.table import WALKS_PER_QUESTION
from shoal.node.dataset.values import SetValue
from shoal.node.resp.replies import Reply, SetReply

_READ = KeyUse.RO | KeyUse.ACCESS
_EMPTY = SetValue()
_KEYS = (key_arg(multiple=True),)
_DESTINATION_AND_KEYS = (key_arg("destination"), key_arg(spec=1, multiple=True))
_OVERWRITE_FROM_SETS = (key_at(1, KeyUse.OW | KeyUse.UPDATE), key_at(2, _READ, last=-1))


@command(
    "SUNION",
    arity=-2,
    flags=Flag.READONLY,
    group="set",
    since="1.0.0",
    complexity="O(N) for N members in all the sets.",
    summary="Returns the members of any of the sets.",
    keys=all_keys(_READ),
    arguments=_KEYS,
    tips=("nondeterministic_output_order",),
)
def sunion(call: Call, *keys: bytes) -> Reply:
    return SetReply(list(union(_read_sets(call, keys))))


@command(
    "SINTER",
    arity=-2,
    flags=Flag.READONLY,
    group="set",
    since="1.0.0",
    complexity="O(N*M) for M sets, the smallest of N members.",
    summary="Returns the members of all of the sets.",
    keys=all_keys(_READ),
    arguments=_KEYS,
    tips=("nondeterministic_output_order",),
)
def sinter(call: Call, *keys: bytes) -> Reply:
    return SetReply(list(intersection(_read_sets(call, keys))))


@command(
    "SDIFF",
    arity=-2,
    flags=Flag.READONLY,
    group="set",
    since="1.0.0",
    complexity="O(N) for N members in all the sets.",
    summary="Returns the members of the first set that none of the others has.",
    keys=all_keys(_READ),
    arguments=_KEYS,
    tips=("nondeterministic_output_order",),
)
def sdiff(call: Call, *keys: bytes) -> Reply:
    return SetReply(list(difference(_read_sets(call, keys))))


@command(
    "SINTERCARD",
    arity=-3,
    flags=Flag.READONLY,
    group="set",
    since="7.0.0",
    complexity="O(N*M) for M sets, the smallest of N members.",
    summary="Returns how many members all of the sets have in common, counting no further than a limit.",
    keys=(counted_keys(_READ, count_at=1),),
    arguments=(
        Arg("numkeys", "integer"),
        key_arg(multiple=True),
        Arg("limit", "integer", token="LIMIT", optional=True),
    ),
)
def sintercard(call: Call, numkeys: bytes, *rest: bytes) -> Reply:
    keys, limit = parse_intersection_limit(numkeys, rest)
    common = intersection(_read_sets(call, keys))
    return sum(1 for _ in islice(common, limit or None))


@command(
    "SUNIONSTORE",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="set",
    since="1.0.0",
    complexity="O(N) for N members in all the sets.",
    summary="Stores the members of any of the sets in a key.",
    keys=_OVERWRITE_FROM_SETS,
    arguments=_DESTINATION_AND_KEYS,
)
def sunionstore(call: Call, destination: bytes, *keys: bytes) -> Reply:
    return store_result(call, destination, SetValue.of(union(_read_sets(call, keys))), "sunionstore")


@command(
    "SINTERSTORE",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="set",
    since="1.0.0",
    complexity="O(N*M) for M sets, the smallest of N members.",
    summary="Stores the members of all of the sets in a key.",
    keys=(key_at(1, KeyUse.RW | KeyUse.UPDATE), key_at(2, _READ, last=-1)),
    arguments=_DESTINATION_AND_KEYS,
)
def sinterstore(call: Call, destination: bytes, *keys: bytes) -> Reply:
    return store_result(call, destination, SetValue.of(intersection(_read_sets(call, keys))), "sinterstore")


@command(
    "SDIFFSTORE",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="set",
    since="1.0.0",
    complexity="O(N) for N members in all the sets.",
    summary="Stores the members of the first set that none of the others has in a key.",
    keys=_OVERWRITE_FROM_SETS,
    arguments=_DESTINATION_AND_KEYS,
)
def sdiffstore(call: Call, destination: bytes, *keys: bytes) -> Reply:
    return store_result(call, destination, SetValue.of(difference(_read_sets(call, keys))), "sdiffstore")


def _read_sets(call: Call, keys: Iterable[bytes]) -> list[SetValue]:
    """The sets of these keys, empty ones for missing keys; WRONGTYPE before anything is computed."""
    return [call.db.read_as(key, SetValue) or _EMPTY for key in keys]


def union(sets: Sequence[SetValue]) -> set[bytes]:
    """Members of any of the sets."""
    return set[bytes]().union(*sets)


def intersection(sets: Sequence[SetValue]) -> Iterator[bytes]:
    """Members of all of the sets, one by one: a walk over the smallest that asks the others."""
    smallest, *others = sorted(sets, key=len)
    return (member for member in smallest if all(member in other for other in others))


def difference(sets: Sequence[SetValue]) -> set[bytes]:
    """Members of the first set alone.

    Each other set is walked, or asked about what is left, whichever is quicker: never more steps than
    there are members in all the sets.
    """
    left = set(sets[0])
    for other in sets[1:]:
        if len(other) < WALKS_PER_QUESTION * len(left):
            left.difference_update(other)
        else:
            left = {member for member in left if member not in other}
    return left
