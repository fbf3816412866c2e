"""Commands on sorted sets that wait for a member where there is none."""

from __future__ import annotations

from collections.abc import Callable

from shoal.node.commands.call import Call, KeyWait
from shoal.node.commands.counts import parse_multiple_pop, parse_pop_count
from shoal.node.commands.registry import command
from shoal.node.commands.sorted_set_pops import POP, WHERE, parse_end, pop_members
from shoal.node.commands.spec import Arg, Flag, KeySpec, counted_keys, key_arg
from shoal.node.commands.timeouts import parse_timeout
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.resp.replies import NO_REPLY, Reply

_FLAGS = Flag.WRITE | Flag.FAST | Flag.BLOCKING
_KEYS_AND_TIMEOUT = (KeySpec(POP, 1, last=-2),)
_TIMEOUT = Arg("timeout", "double")
_DOUBLE_SINCE_6_0 = (("6.0.0", "Takes a `timeout` with a fraction."),)


@command(
    "BZPOPMIN",
    arity=-3,
    flags=_FLAGS,
    group="sorted-set",
    since="5.0.0",
    complexity="O(log(N)) for a sorted set of N members.",
    summary="Pops the member with the lowest score of the first sorted set that has any, and waits for one.",
    keys=_KEYS_AND_TIMEOUT,
    arguments=(key_arg(multiple=True), _TIMEOUT),
    history=_DOUBLE_SINCE_6_0,
)
def bzpopmin(call: Call, *keys_and_timeout: bytes) -> Reply:
    return _pop(call, keys_and_timeout, highest=False)


@command(
    "BZPOPMAX",
    arity=-3,
    flags=_FLAGS,
    group="sorted-set",
    since="5.0.0",
    complexity="O(log(N)) for a sorted set of N members.",
    summary="Pops the member with the highest score of the first sorted set that has any, and waits for one.",
    keys=_KEYS_AND_TIMEOUT,
    arguments=(key_arg(multiple=True), _TIMEOUT),
    history=_DOUBLE_SINCE_6_0,
)
def bzpopmax(call: Call, *keys_and_timeout: bytes) -> Reply:
    return _pop(call, keys_and_timeout, highest=True)


def _pop(call: Call, keys_and_timeout: tuple[bytes, ...], *, highest: bool) -> Reply:
    *keys, timeout = keys_and_timeout
    timeout_ms = parse_timeout(timeout, call.now_ms)

    def take(key: bytes, value: SortedSet) -> Reply:
        ((member, score),) = pop_members(call, key, value, 1, highest=highest)
        call.propagate(b"ZPOPMAX" if highest else b"ZPOPMIN", key)
        return [key, member, score]

    return _take_or_wait(call, tuple(keys), take, timeout_ms)


@command(
    "BZMPOP",
    arity=-5,
    flags=Flag.WRITE | Flag.BLOCKING,
    group="sorted-set",
    since="7.0.0",
    complexity="O(K) + O(M*log(N)) for K keys named and M members popped, from a sorted set of N.",
    summary="Pops members at either end of the first of several sorted sets that has any, and waits for one.",
    keys=(counted_keys(POP, count_at=2),),
    arguments=(
        _TIMEOUT,
        Arg("numkeys", "integer"),
        key_arg(multiple=True),
        WHERE,
        Arg("count", "integer", token="COUNT", optional=True),
    ),
)
def bzmpop(call: Call, timeout: bytes, numkeys: bytes, *rest: bytes) -> Reply:
    keys, where, options = parse_multiple_pop(numkeys, rest)
    highest = parse_end(where)
    count = parse_pop_count(options)
    timeout_ms = parse_timeout(timeout, call.now_ms)

    def take(key: bytes, value: SortedSet) -> Reply:
        popped = pop_members(call, key, value, count, highest=highest)
        call.propagate(b"ZPOPMAX" if highest else b"ZPOPMIN", key, b"%d" % len(popped))
        return [key, [[member, score] for member, score in popped]]

    return _take_or_wait(call, keys, take, timeout_ms)


def _take_or_wait(
    call: Call, keys: tuple[bytes, ...], take: Callable[[bytes, SortedSet], Reply], timeout_ms: int
) -> Reply:
    """Take from the first sorted set that holds anything; wait for one of them if none does."""

    def serve(key: bytes) -> Reply:
        value = call.db.change_as(key, SortedSet)
        return NO_REPLY if value is None else take(key, value)

    for key in keys:
        reply = serve(key)
        if reply is not NO_REPLY:
            return reply
    return call.wait_for_keys(KeyWait(keys, SortedSet, serve, timeout_ms))
