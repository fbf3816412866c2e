"""Commands on lists that wait for an element where there is none."""

from __future__ import annotations

from collections.abc import Callable

from shoal.node.commands.call import Call, KeyWait
from shoal.node.commands.counts import parse_multiple_pop, parse_pop_count
from shoal.node.commands.lists import (
    FROM_ONE_TO_ANOTHER,
    POP,
    move_element,
    parse_side,
    pop_elements,
    side_arg,
)
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeySpec, counted_keys, key_arg
from shoal.node.commands.timeouts import parse_timeout
from shoal.node.dataset.lists import ListValue
from shoal.node.resp.replies import NO_REPLY, NULL_ARRAY, Reply

_BLOCKING = Flag.WRITE | Flag.BLOCKING
_KEYS_AND_TIMEOUT = (KeySpec(POP, 1, last=-2),)
_TIMEOUT = Arg("timeout", "double")
_DOUBLE_SINCE_6_0 = (("6.0.0", "Takes a `timeout` with a fraction."),)

Take = Callable[[bytes, ListValue], Reply]
"""Takes what a command asks for out of a list that holds something, and returns the reply."""


# --- popping ---------------------------------------------------------------------------------------


@command(
    "BLPOP",
    arity=-3,
    flags=_BLOCKING,
    group="list",
    since="2.0.0",
    complexity="O(N) for N keys named.",
    summary="Pops the first element of the first of several lists that has any, and waits for one.",
    keys=_KEYS_AND_TIMEOUT,
    arguments=(key_arg(multiple=True), _TIMEOUT),
    history=_DOUBLE_SINCE_6_0,
)
def blpop(call: Call, *keys_and_timeout: bytes) -> Reply:
    return _pop(call, keys_and_timeout, left=True)


@command(
    "BRPOP",
    arity=-3,
    flags=_BLOCKING,
    group="list",
    since="2.0.0",
    complexity="O(N) for N keys named.",
    summary="Pops the last element of the first of several lists that has any, and waits for one.",
    keys=_KEYS_AND_TIMEOUT,
    arguments=(key_arg(multiple=True), _TIMEOUT),
    history=_DOUBLE_SINCE_6_0,
)
def brpop(call: Call, *keys_and_timeout: bytes) -> Reply:
    return _pop(call, keys_and_timeout, left=False)


def _pop(call: Call, keys_and_timeout: tuple[bytes, ...], *, left: bool) -> Reply:
    *keys, timeout = keys_and_timeout
    timeout_ms = parse_timeout(timeout, call.now_ms)

    def take(key: bytes, value: ListValue) -> Reply:
        (element,) = pop_elements(call, key, value, 1, left=left)
        call.propagate(b"LPOP" if left else b"RPOP", key)
        return [key, element]

    return _take_or_wait(call, tuple(keys), take, timeout_ms)


@command(
    "BLMPOP",
    arity=-5,
    flags=Flag.WRITE | Flag.BLOCKING,
    group="list",
    since="7.0.0",
    complexity="O(N+M) for N keys named and M elements popped.",
    summary="Pops elements from the first of several lists that has any, and waits for one.",
    keys=(counted_keys(POP, count_at=2),),
    arguments=(
        _TIMEOUT,
        Arg("numkeys", "integer"),
        key_arg(multiple=True),
        side_arg("where"),
        Arg("count", "integer", token="COUNT", optional=True),
    ),
)
def blmpop(call: Call, timeout: bytes, numkeys: bytes, *rest: bytes) -> Reply:
    keys, where, options = parse_multiple_pop(numkeys, rest)
    left = parse_side(where)
    count = parse_pop_count(options)
    timeout_ms = parse_timeout(timeout, call.now_ms)

    def take(key: bytes, value: ListValue) -> Reply:
        elements = pop_elements(call, key, value, count, left=left)
        call.propagate(b"LPOP" if left else b"RPOP", key, b"%d" % len(elements))
        return [key, list(elements)]

    return _take_or_wait(call, keys, take, timeout_ms)


# --- moving between lists --------------------------------------------------------------------------


@command(
    "BLMOVE",
    arity=6,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.BLOCKING,
    group="list",
    since="6.2.0",
    complexity="O(1)",
    summary="Moves an element from an end of one list to an end of another, and waits for one.",
    keys=FROM_ONE_TO_ANOTHER,
    arguments=(
        key_arg("source"),
        key_arg("destination", spec=1),
        side_arg("wherefrom"),
        side_arg("whereto"),
        _TIMEOUT,
    ),
)
def blmove(
    call: Call, source: bytes, destination: bytes, wherefrom: bytes, whereto: bytes, timeout: bytes
) -> Reply:
    from_left, to_left = parse_side(wherefrom), parse_side(whereto)
    timeout_ms = parse_timeout(timeout, call.now_ms)

    def take(key: bytes, value: ListValue) -> Reply:
        element = move_element(call, key, destination, from_left=from_left, to_left=to_left)
        call.propagate(b"LMOVE", key, destination, wherefrom, whereto)
        return element

    return _take_or_wait(call, (source,), take, timeout_ms, destination)


@command(
    "BRPOPLPUSH",
    arity=4,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.BLOCKING,
    group="list",
    since="2.2.0",
    complexity="O(1)",
    summary="Moves the last element of a list to the head of another, and waits for one.",
    keys=FROM_ONE_TO_ANOTHER,
    arguments=(key_arg("source"), key_arg("destination", spec=1), _TIMEOUT),
    history=_DOUBLE_SINCE_6_0,
    deprecated_since="6.2.0",
    replaced_by="`BLMOVE` with the `RIGHT` and `LEFT` arguments",
)
def brpoplpush(call: Call, source: bytes, destination: bytes, timeout: bytes) -> Reply:
    timeout_ms = parse_timeout(timeout, call.now_ms)

    def take(key: bytes, value: ListValue) -> Reply:
        element = move_element(call, key, destination, from_left=False, to_left=True)
        call.propagate(b"RPOPLPUSH", key, destination)
        return element

    return _take_or_wait(call, (source,), take, timeout_ms, destination)


def _take_or_wait(
    call: Call,
    keys: tuple[bytes, ...],
    take: Take,
    timeout_ms: int,
    destination: bytes | None = None,
) -> Reply:
    """Take from the first list that holds anything; wait for one of them if none does."""

    def serve(key: bytes) -> Reply:
        value = call.db.change_as(key, ListValue)
        return NO_REPLY if value is None else take(key, value)

    for key in keys:
        reply = serve(key)
        if reply is not NO_REPLY:
            return reply
    no_wait_reply = NULL_ARRAY if destination is None else None
    return call.wait_for_keys(
        KeyWait(keys, ListValue, serve, timeout_ms, no_wait_reply=no_wait_reply, destination=destination)
    )
