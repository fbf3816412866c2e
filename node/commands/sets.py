"""Commands on sets: adding, removing, moving, asking, and drawing a member out."""

from __future__ import annotations

from shoal.node.commands.call import Call
from shoal.node.commands.counts import require_count
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, key_arg, key_at, one_key
from shoal.node.dataset.values import SetValue
from shoal.node.resp.replies import CommandError, Reply, SetReply

_READ = KeyUse.RO | KeyUse.ACCESS
_TAKE = KeyUse.RW | KeyUse.ACCESS | KeyUse.DELETE
_MEMBERS = (key_arg(), Arg("member", multiple=True))
_NAMED_AT_ONCE = 1024
"""How many popped members one SREM names, so that no command to replicas grows without limit."""


@command(
    "SADD",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="set",
    since="1.0.0",
    complexity="O(N) for N members named.",
    summary="Adds members to a set, which is created if needed, and returns how many are new.",
    keys=one_key(KeyUse.RW | KeyUse.INSERT),
    arguments=_MEMBERS,
    history=(("2.4.0", "Takes more than one `member`."),),
)
def sadd(call: Call, key: bytes, *members: bytes) -> Reply:
    value = call.db.change_as(key, SetValue)
    if value is None:
        value = SetValue()
        call.db.set(key, value)
    added = 0
    for member in members:
        added += value.put(member, 0)
    if added:
        call.db.changed(key, "sadd")
    return added


@command(
    "SREM",
    arity=-3,
    flags=Flag.WRITE | Flag.FAST,
    group="set",
    since="1.0.0",
    complexity="O(N) for N members named.",
    summary="Removes members of a set and returns how many there were.",
    keys=one_key(KeyUse.RW | KeyUse.DELETE),
    arguments=_MEMBERS,
    history=(("2.4.0", "Takes more than one `member`."),),
)
def srem(call: Call, key: bytes, *members: bytes) -> Reply:
    value = call.db.change_as(key, SetValue)
    if value is None:
        return 0
    removed = sum(value.discard(member) for member in members)
    if removed:
        call.db.changed(key, "srem")
        call.db.delete_if_empty(key, value)
    return removed


@command(
    "SMOVE",
    arity=4,
    flags=Flag.WRITE | Flag.FAST,
    group="set",
    since="1.0.0",
    complexity="O(1)",
    summary="Moves a member from one set to another.",
    keys=(key_at(1, _TAKE), key_at(2, KeyUse.RW | KeyUse.INSERT)),
    arguments=(key_arg("source"), key_arg("destination", spec=1), Arg("member")),
)
def smove(call: Call, source: bytes, destination: bytes, member: bytes) -> Reply:
    taken_from = call.db.change_as(source, SetValue)
    if taken_from is None:
        return 0
    put_into = call.db.change_as(destination, SetValue)
    if taken_from is put_into:
        return int(member in taken_from)
    if not taken_from.discard(member):
        return 0
    call.db.changed(source, "srem")
    call.db.delete_if_empty(source, taken_from)
    if put_into is None:
        put_into = SetValue()
        call.db.set(destination, put_into)
    if member not in put_into:
        put_into.put(member, 0)
        call.db.changed(destination, "sadd")
    return 1


@command(
    "SPOP",
    arity=-2,
    flags=Flag.WRITE | Flag.FAST,
    group="set",
    since="1.0.0",
    complexity="O(N) for N members popped.",
    summary="Removes and returns members drawn at random.",
    keys=one_key(_TAKE),
    arguments=(key_arg(), Arg("count", "integer", optional=True, since="3.2.0")),
    tips=("nondeterministic_output",),
    history=(("3.2.0", "Takes a `count`."),),
)
def spop(call: Call, key: bytes, *count: bytes) -> Reply:
    if len(count) > 1:
        raise CommandError(SYNTAX_ERROR)
    wanted = require_count(count[0]) if count else None
    value = call.db.change_as(key, SetValue)
    if value is None:
        return None if wanted is None else SetReply([])
    if wanted is None:
        member = value.pop_random(call.rng)
        call.propagate(b"SREM", key, member)
        call.db.changed(key, "spop")
        call.db.delete_if_empty(key, value)
        return member
    members = value.random_keys(call.rng, wanted)
    _remove_drawn(call, key, value, members)
    return SetReply(list(members))


def _remove_drawn(call: Call, key: bytes, value: SetValue, members: list[bytes]) -> None:
    """Remove what chance chose, and tell replicas the choice instead of letting them draw again."""
    if not members:
        return
    if len(members) == len(value):
        call.propagate(b"DEL", key)
    else:
        for start in range(0, len(members), _NAMED_AT_ONCE):
            call.propagate(b"SREM", key, *members[start : start + _NAMED_AT_ONCE])
    for member in members:
        value.discard(member)
    call.db.changed(key, "spop")
    call.db.delete_if_empty(key, value)


@command(
    "SMEMBERS",
    arity=2,
    flags=Flag.READONLY,
    group="set",
    since="1.0.0",
    complexity="O(N) for a set of N members.",
    summary="Returns every member of a set.",
    keys=one_key(_READ),
    arguments=(key_arg(),),
    tips=("nondeterministic_output_order",),
)
def smembers(call: Call, key: bytes) -> Reply:
    value = call.db.read_as(key, SetValue)
    return SetReply([] if value is None else list(value))


@command(
    "SISMEMBER",
    arity=3,
    flags=Flag.READONLY | Flag.FAST,
    group="set",
    since="1.0.0",
    complexity="O(1)",
    summary="Tells whether a set has a member.",
    keys=one_key(KeyUse.RO),
    arguments=(key_arg(), Arg("member")),
)
def sismember(call: Call, key: bytes, member: bytes) -> Reply:
    value = call.db.read_as(key, SetValue)
    return int(value is not None and member in value)


@command(
    "SMISMEMBER",
    arity=-3,
    flags=Flag.READONLY | Flag.FAST,
    group="set",
    since="6.2.0",
    complexity="O(N) for N members named.",
    summary="Tells of several members whether a set has them.",
    keys=one_key(_READ),
    arguments=_MEMBERS,
)
def smismember(call: Call, key: bytes, *members: bytes) -> Reply:
    value = call.db.read_as(key, SetValue)
    return [int(value is not None and member in value) for member in members]


@command(
    "SCARD",
    arity=2,
    flags=Flag.READONLY | Flag.FAST,
    group="set",
    since="1.0.0",
    complexity="O(1)",
    summary="Returns how many members a set has.",
    keys=one_key(KeyUse.RO),
    arguments=(key_arg(),),
)
def scard(call: Call, key: bytes) -> Reply:
    value = call.db.read_as(key, SetValue)
    return 0 if value is None else len(value)
