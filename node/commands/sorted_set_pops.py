"""Commands that pop the members with the lowest or highest scores."""

from __future__ import annotations

from shoal.node.commands.call import Call
from shoal.node.commands.counts import parse_multiple_pop, parse_pop_count, require_count
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, counted_keys, key_arg, one_key, one_of, token
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.resp.replies import NULL_ARRAY, CommandError, PairList, Reply

POP = KeyUse.RW | KeyUse.ACCESS | KeyUse.DELETE
WHERE = one_of("where", token("MIN"), token("MAX"))


def parse_end(word: bytes) -> bool:
    """True for MAX, False for MIN."""
    end = word.upper()
    if end not in (b"MIN", b"MAX"):
        raise CommandError(SYNTAX_ERROR)
    return end == b"MAX"


@command(
    "ZPOPMIN",
    arity=-2,
    flags=Flag.WRITE | Flag.FAST,
    group="sorted-set",
    since="5.0.0",
    complexity="O(M*log(N)) for M members popped, from a sorted set of N.",
    summary="Removes and returns the members with the lowest scores.",
    keys=one_key(POP),
    arguments=(key_arg(), Arg("count", "integer", optional=True)),
)
def zpopmin(call: Call, key: bytes, *count: bytes) -> Reply:
    return _pop_several(call, key, count, highest=False) if count else _pop_one(call, key, False)


@command(
    "ZPOPMAX",
    arity=-2,
    flags=Flag.WRITE | Flag.FAST,
    group="sorted-set",
    since="5.0.0",
    complexity="O(M*log(N)) for M members popped, from a sorted set of N.",
    summary="Removes and returns the members with the highest scores.",
    keys=one_key(POP),
    arguments=(key_arg(), Arg("count", "integer", optional=True)),
)
def zpopmax(call: Call, key: bytes, *count: bytes) -> Reply:
    return _pop_several(call, key, count, highest=True) if count else _pop_one(call, key, True)


def _pop_one(call: Call, key: bytes, highest: bool) -> Reply:
    db = call.db
    value = db.change_as(key, SortedSet)
    if value is None:
        return []
    popped = value.pop(highest)
    keyspace = db.keyspace
    keyspace.changes += 1  # `changed`, on the spot
    if keyspace.is_heard or db.watchers:
        db.announce(key, "zpopmax" if highest else "zpopmin")
    if not value.scores:
        db.delete_if_empty(key, value)
    return popped


def _pop_several(call: Call, key: bytes, count: tuple[bytes, ...], *, highest: bool) -> Reply:
    if len(count) > 1:
        raise CommandError(SYNTAX_ERROR)
    wanted = require_count(count[0])
    value = call.db.change_as(key, SortedSet)
    if value is None:
        return []
    popped = pop_members(call, key, value, wanted, highest=highest)
    return PairList([member for member, _ in popped], [score for _, score in popped])


def pop_members(
    call: Call, key: bytes, value: SortedSet, count: int, *, highest: bool
) -> list[tuple[bytes, float]]:
    """Take up to `count` members from an end; the key goes with its last member."""
    size = len(value)
    count = min(count, size)
    ranks = range(size - 1, size - 1 - count, -1) if highest else range(count)
    popped = value.at(ranks)
    if popped:
        value.remove(ranks)
        call.db.changed(key, "zpopmax" if highest else "zpopmin")
        call.db.delete_if_empty(key, value)
    return popped


@command(
    "ZMPOP",
    arity=-4,
    flags=Flag.WRITE,
    group="sorted-set",
    since="7.0.0",
    complexity="O(K) + O(M*log(N)) for K keys named and M members popped, from a sorted set of N.",
    summary="Pops members at either end of the first of several sorted sets that has any.",
    keys=(counted_keys(POP, count_at=1),),
    arguments=(
        Arg("numkeys", "integer"),
        key_arg(multiple=True),
        WHERE,
        Arg("count", "integer", token="COUNT", optional=True),
    ),
)
def zmpop(call: Call, numkeys: bytes, *rest: bytes) -> Reply:
    keys, where, options = parse_multiple_pop(numkeys, rest)
    highest = parse_end(where)
    count = parse_pop_count(options)
    for key in keys:
        value = call.db.change_as(key, SortedSet)
        if value is not None:
            popped = pop_members(call, key, value, count, highest=highest)
            call.propagate(b"ZPOPMAX" if highest else b"ZPOPMIN", key, b"%d" % len(popped))
            return [key, [[member, score] for member, score in popped]]
    return NULL_ARRAY
