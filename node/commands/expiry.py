"""Commands on a key's time to live."""

from __future__ import annotations

from collections.abc import Set

from shoal.node.commands.call import Call
from shoal.node.commands.options import EXPIRE_CONDITION, expire_time, parse_expire_conditions
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, key_arg, one_key
from shoal.node.dataset.database import Database
from shoal.node.dataset.expiry_mode import ExpiryMode
from shoal.node.resp.replies import Reply

UPDATED = one_key(KeyUse.RW | KeyUse.UPDATE)
ACCESSED = one_key(KeyUse.RO | KeyUse.ACCESS)
WRITES = Flag.WRITE | Flag.FAST
READS = Flag.READONLY | Flag.FAST
CONDITIONS_CAME = (("7.0.0", "The options `NX`, `XX`, `GT` and `LT`."),)

NO_KEY = -2
NO_EXPIRY = -1

# --- setting -------------------------------------------------------------------------------------------


@command(
    "EXPIRE",
    arity=-3,
    flags=WRITES,
    group="generic",
    since="1.0.0",
    complexity="O(1)",
    summary="Lets a key live for some seconds from now.",
    keys=UPDATED,
    arguments=(key_arg(), Arg("seconds", "integer"), EXPIRE_CONDITION),
    history=CONDITIONS_CAME,
)
def expire(call: Call, key: bytes, seconds: bytes, *conditions: bytes) -> Reply:
    allowed = parse_expire_conditions(conditions)
    return _expire_at(call, key, expire_time(seconds, 1000, call.now_ms, "expire"), allowed)


@command(
    "PEXPIRE",
    arity=-3,
    flags=WRITES,
    group="generic",
    since="2.6.0",
    complexity="O(1)",
    summary="Lets a key live for some milliseconds from now.",
    keys=UPDATED,
    arguments=(key_arg(), Arg("milliseconds", "integer"), EXPIRE_CONDITION),
    history=CONDITIONS_CAME,
)
def pexpire(call: Call, key: bytes, milliseconds: bytes, *conditions: bytes) -> Reply:
    allowed = parse_expire_conditions(conditions)
    return _expire_at(call, key, expire_time(milliseconds, 1, call.now_ms, "pexpire"), allowed)


@command(
    "EXPIREAT",
    arity=-3,
    flags=WRITES,
    group="generic",
    since="1.2.0",
    complexity="O(1)",
    summary="Lets a key live until a moment given in unix seconds.",
    keys=UPDATED,
    arguments=(key_arg(), Arg("unix-time-seconds", "unix-time"), EXPIRE_CONDITION),
    history=CONDITIONS_CAME,
)
def expireat(call: Call, key: bytes, unix_seconds: bytes, *conditions: bytes) -> Reply:
    allowed = parse_expire_conditions(conditions)
    return _expire_at(call, key, expire_time(unix_seconds, 1000, 0, "expireat"), allowed)


@command(
    "PEXPIREAT",
    arity=-3,
    flags=WRITES,
    group="generic",
    since="2.6.0",
    complexity="O(1)",
    summary="Lets a key live until a moment given in unix milliseconds.",
    keys=UPDATED,
    arguments=(key_arg(), Arg("unix-time-milliseconds", "unix-time"), EXPIRE_CONDITION),
    history=CONDITIONS_CAME,
)
def pexpireat(call: Call, key: bytes, unix_milliseconds: bytes, *conditions: bytes) -> Reply:
    allowed = parse_expire_conditions(conditions)
    return _expire_at(call, key, expire_time(unix_milliseconds, 1, 0, "pexpireat"), allowed)


def _expire_at(call: Call, key: bytes, at_ms: int, conditions: Set[bytes]) -> Reply:
    """Set a key's expiry, or delete it if that is past. Replicas get what was decided, as absolute time."""
    db, keyspace = call.db, call.keyspace
    if db.peek(key) is None or (conditions and not _allowed(db.expiry(key), at_ms, conditions)):
        return 0
    if at_ms <= keyspace.now_ms and has_passed(call, at_ms):
        db.delete(key)
        db.changed(key, "del")
        call.propagate(b"DEL", key)
    else:
        db.set_expiry(key, at_ms)
        db.changed(key, "expire")
        if keyspace.is_repeated:
            call.propagate(b"PEXPIREAT", key, b"%d" % at_ms)
    return 1


def has_passed(call: Call, at_ms: int) -> bool:
    """Whether a time to live is over before it begins. Only a primary may conclude so."""
    return at_ms <= call.now_ms and call.keyspace.expiry_mode is ExpiryMode.DELETE


def _allowed(current_ms: int | None, at_ms: int, conditions: Set[bytes]) -> bool:
    """Whether NX, XX, GT and LT let the expiry change; a key without one counts as living for ever."""
    if current_ms is None:
        return not conditions & {b"XX", b"GT"}
    return not (
        b"NX" in conditions
        or (b"GT" in conditions and at_ms <= current_ms)
        or (b"LT" in conditions and at_ms >= current_ms)
    )


@command(
    "PERSIST",
    arity=2,
    flags=WRITES,
    group="generic",
    since="2.2.0",
    complexity="O(1)",
    summary="Takes a key's time to live away.",
    keys=UPDATED,
    arguments=(key_arg(),),
)
def persist(call: Call, key: bytes) -> Reply:
    if call.db.peek(key) is None or call.db.expiry(key) is None:
        return 0
    call.db.set_expiry(key, None)
    call.db.changed(key, "persist")
    return 1


# --- asking --------------------------------------------------------------------------------------------


@command(
    "TTL",
    arity=2,
    flags=READS,
    group="generic",
    since="1.0.0",
    complexity="O(1)",
    summary="Returns how many seconds a key has left to live.",
    keys=ACCESSED,
    arguments=(key_arg(),),
    tips=("nondeterministic_output",),
    history=(("2.8.0", "Replies -2 if there is no such key."),),
)
def ttl(call: Call, key: bytes) -> Reply:
    left = _milliseconds_left(call, key)
    return (left + 500) // 1000 if left >= 0 else left


@command(
    "PTTL",
    arity=2,
    flags=READS,
    group="generic",
    since="2.6.0",
    complexity="O(1)",
    summary="Returns how many milliseconds a key has left to live.",
    keys=ACCESSED,
    arguments=(key_arg(),),
    tips=("nondeterministic_output",),
    history=(("2.8.0", "Replies -2 if there is no such key."),),
)
def pttl(call: Call, key: bytes) -> Reply:
    return _milliseconds_left(call, key)


@command(
    "EXPIRETIME",
    arity=2,
    flags=READS,
    group="generic",
    since="7.0.0",
    complexity="O(1)",
    summary="Returns the unix second at which a key expires.",
    keys=ACCESSED,
    arguments=(key_arg(),),
)
def expiretime(call: Call, key: bytes) -> Reply:
    at_ms = _expires_at(call.db, key)
    return (at_ms + 500) // 1000 if at_ms >= 0 else at_ms


@command(
    "PEXPIRETIME",
    arity=2,
    flags=READS,
    group="generic",
    since="7.0.0",
    complexity="O(1)",
    summary="Returns the unix millisecond at which a key expires.",
    keys=ACCESSED,
    arguments=(key_arg(),),
)
def pexpiretime(call: Call, key: bytes) -> Reply:
    return _expires_at(call.db, key)


def _expires_at(db: Database, key: bytes) -> int:
    if db.look(key) is None:
        return NO_KEY
    at_ms = db.expiry(key)
    return NO_EXPIRY if at_ms is None else at_ms


def _milliseconds_left(call: Call, key: bytes) -> int:
    at_ms = _expires_at(call.db, key)
    return at_ms if at_ms in (NO_KEY, NO_EXPIRY) else max(at_ms - call.now_ms, 0)
