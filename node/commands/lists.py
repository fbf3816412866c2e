"""Commands on lists: pushing, popping and moving at the ends, reading and changing inside."""

from __future__ import annotations

from shoal.node.commands.call import Call
from shoal.node.commands.counts import parse_multiple_pop, parse_pop_count, require_count
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command
from shoal.node.commands.spec import (
    Arg,
    Flag,
    KeySpec,
    KeyUse,
    counted_keys,
    key_arg,
    key_at,
    one_key,
    one_of,
    token,
)
from shoal.node.dataset.lists import ListValue
from shoal.node.resp.replies import NULL_ARRAY, CommandError, Reply

POP = KeyUse.RW | KeyUse.ACCESS | KeyUse.DELETE
_PUSH = KeyUse.RW | KeyUse.INSERT
FROM_ONE_TO_ANOTHER: tuple[KeySpec, ...] = (key_at(1, POP), key_at(2, _PUSH))
_ELEMENTS = (key_arg(), Arg("element", multiple=True))


def side_arg(name: str) -> Arg:
    return one_of(name, token("LEFT"), token("RIGHT"))


def parse_side(word: bytes) -> bool:
    """True for LEFT, False for RIGHT."""
    side = word.upper()
    if side not in (b"LEFT", b"RIGHT"):
        raise CommandError(SYNTAX_ERROR)
    return side == b"LEFT"


# --- pushing ---------------------------------------------------------------------------------------


@command(
    "LPUSH",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="list",
    since="1.0.0",
    complexity="O(N) for N elements pushed.",
    summary="Adds elements at the head of a list, which is created if needed.",
    keys=one_key(_PUSH),
    arguments=_ELEMENTS,
    history=(("2.4.0", "Takes more than one `element`."),),
)
def lpush(call: Call, key: bytes, *elements: bytes) -> Reply:
    value = call.db.change_as(key, ListValue)
    if value is None:
        value = _new_list(call, key)
    size = value.push_left(elements)
    call.db.changed(key, "lpush")
    return size


@command(
    "RPUSH",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="list",
    since="1.0.0",
    complexity="O(N) for N elements pushed.",
    summary="Adds elements at the tail of a list, which is created if needed.",
    keys=one_key(_PUSH),
    arguments=_ELEMENTS,
    history=(("2.4.0", "Takes more than one `element`."),),
)
def rpush(call: Call, key: bytes, *elements: bytes) -> Reply:
    value = call.db.change_as(key, ListValue)
    if value is None:
        value = _new_list(call, key)
    size = value.push_right(elements)
    call.db.changed(key, "rpush")
    return size


@command(
    "LPUSHX",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="list",
    since="2.2.0",
    complexity="O(N) for N elements pushed.",
    summary="Adds elements at the head of a list if there is one.",
    keys=one_key(_PUSH),
    arguments=_ELEMENTS,
    history=(("4.0.0", "Takes more than one `element`."),),
)
def lpushx(call: Call, key: bytes, *elements: bytes) -> Reply:
    return 0 if call.db.peek(key) is None else lpush(call, key, *elements)


@command(
    "RPUSHX",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="list",
    since="2.2.0",
    complexity="O(N) for N elements pushed.",
    summary="Adds elements at the tail of a list if there is one.",
    keys=one_key(_PUSH),
    arguments=_ELEMENTS,
    history=(("4.0.0", "Takes more than one `element`."),),
)
def rpushx(call: Call, key: bytes, *elements: bytes) -> Reply:
    return 0 if call.db.peek(key) is None else rpush(call, key, *elements)


def _new_list(call: Call, key: bytes) -> ListValue:
    value = ListValue()
    call.db.set(key, value)
    return value


# --- popping ---------------------------------------------------------------------------------------


@command(
    "LPOP",
    arity=-2,
    flags=Flag.WRITE | Flag.FAST,
    group="list",
    since="1.0.0",
    complexity="O(N) for N elements popped.",
    summary="Removes and returns elements from the head of a list.",
    keys=one_key(POP),
    arguments=(key_arg(), Arg("count", "integer", optional=True, since="6.2.0")),
    history=(("6.2.0", "Takes a `count`."),),
)
def lpop(call: Call, key: bytes, *count: bytes) -> Reply:
    return _pop(call, "lpop", key, count, left=True)


@command(
    "RPOP",
    arity=-2,
    flags=Flag.WRITE | Flag.FAST,
    group="list",
    since="1.0.0",
    complexity="O(N) for N elements popped.",
    summary="Removes and returns elements from the tail of a list.",
    keys=one_key(POP),
    arguments=(key_arg(), Arg("count", "integer", optional=True, since="6.2.0")),
    history=(("6.2.0", "Takes a `count`."),),
)
def rpop(call: Call, key: bytes, *count: bytes) -> Reply:
    return _pop(call, "rpop", key, count, left=False)


def _pop(call: Call, name: str, key: bytes, count: tuple[bytes, ...], *, left: bool) -> Reply:
    if count:
        return _pop_several(call, name, key, count, left=left)
    value = call.db.change_as(key, ListValue)
    if value is None:
        return None
    element = value.pop_left() if left else value.pop_right()
    _popped(call, key, value, name)
    return element


def _pop_several(call: Call, name: str, key: bytes, count: tuple[bytes, ...], *, left: bool) -> Reply:
    if len(count) > 1:
        raise CommandError(f"ERR wrong number of arguments for '{name}' command")
    wanted = require_count(count[0])
    value = call.db.change_as(key, ListValue)
    return NULL_ARRAY if value is None else pop_elements(call, key, value, wanted, left=left)


def pop_elements(call: Call, key: bytes, value: ListValue, count: int, *, left: bool) -> list[bytes]:
    """Take up to `count` elements from an end; the key goes with its last element."""
    elements = value.take(count, left=left)
    if elements:
        _popped(call, key, value, "lpop" if left else "rpop")
    return elements


def _popped(call: Call, key: bytes, value: ListValue, event: str) -> None:
    call.db.changed(key, event)
    if not value.size:
        call.db.delete_if_empty(key, value)


@command(
    "LMPOP",
    arity=-4,
    flags=Flag.WRITE,
    group="list",
    since="7.0.0",
    complexity="O(N+M) for N keys named and M elements popped.",
    summary="Pops elements from the first of several lists that has any.",
    keys=(counted_keys(POP, count_at=1),),
    arguments=(
        Arg("numkeys", "integer"),
        key_arg(multiple=True),
        side_arg("where"),
        Arg("count", "integer", token="COUNT", optional=True),
    ),
)
def lmpop(call: Call, numkeys: bytes, *rest: bytes) -> Reply:
    keys, where, count = parse_multiple_pop(numkeys, rest)
    left = parse_side(where)
    count_limit = parse_pop_count(count)
    for key in keys:
        value = call.db.change_as(key, ListValue)
        if value is not None:
            elements = pop_elements(call, key, value, count_limit, left=left)
            call.propagate(b"LPOP" if left else b"RPOP", key, b"%d" % len(elements))
            return [key, list(elements)]
    return NULL_ARRAY


# --- moving between lists --------------------------------------------------------------------------


@command(
    "LMOVE",
    arity=5,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="list",
    since="6.2.0",
    complexity="O(1)",
    summary="Moves an element from an end of one list to an end of another, or of the same, and returns it.",
    keys=FROM_ONE_TO_ANOTHER,
    arguments=(key_arg("source"), key_arg("destination", spec=1), side_arg("wherefrom"), side_arg("whereto")),
)
def lmove(call: Call, source: bytes, destination: bytes, wherefrom: bytes, whereto: bytes) -> Reply:
    return move_element(
        call, source, destination, from_left=parse_side(wherefrom), to_left=parse_side(whereto)
    )


@command(
    "RPOPLPUSH",
    arity=3,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="list",
    since="1.2.0",
    complexity="O(1)",
    summary="Moves the last element of a list to the head of another and returns it.",
    keys=FROM_ONE_TO_ANOTHER,
    arguments=(key_arg("source"), key_arg("destination", spec=1)),
    deprecated_since="6.2.0",
    replaced_by="`LMOVE` with the `RIGHT` and `LEFT` arguments",
)
def rpoplpush(call: Call, source: bytes, destination: bytes) -> Reply:
    return move_element(call, source, destination, from_left=False, to_left=True)


def move_element(
    call: Call, source: bytes, destination: bytes, *, from_left: bool, to_left: bool
) -> bytes | None:
    """Move one element and return it; None if there is no source list."""
    popped_from = call.db.change_as(source, ListValue)
    if popped_from is None:
        return None
    pushed_to = call.db.change_as(destination, ListValue)
    element = popped_from.pop_left() if from_left else popped_from.pop_right()
    if pushed_to is None:
        pushed_to = ListValue()
        call.db.set(destination, pushed_to)
    if to_left:
        pushed_to.push_left((element,))
    else:
        pushed_to.push_right((element,))
    call.db.changed(destination, "lpush" if to_left else "rpush")
    call.db.changed(source, "lpop" if from_left else "rpop")
    call.db.delete_if_empty(source, popped_from)
    return element
