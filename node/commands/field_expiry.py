"""Commands on the times to live of a hash's fields."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.node.commands.call import Call
from shoal.node.commands.expiry import has_passed
from shoal.node.commands.field_options import FIELDS, fields_of, moment
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, key_arg, one_key, one_of, token
from shoal.node.dataset.field_expiry import watch_fields
from shoal.node.dataset.hashes import ExpiringHash, HashValue
from shoal.node.resp.replies import Reply

_UPDATED = one_key(KeyUse.RW | KeyUse.UPDATE)
_READ = one_key(KeyUse.RO | KeyUse.ACCESS)
_WRITES = Flag.WRITE | Flag.FAST
_READS = Flag.READONLY | Flag.FAST
_CONDITION = one_of("condition", token("NX"), token("XX"), token("GT"), token("LT"), optional=True)
_CONDITIONS = frozenset([b"NX", b"XX", b"GT", b"LT"])
_COMPLEXITY = "O(N) for N fields named."

NO_FIELD, NO_EXPIRY = -2, -1
REFUSED, DONE, DELETED = 0, 1, 2

# --- setting -------------------------------------------------------------------------------------------


@command(
    "HEXPIRE",
    arity=-6,
    flags=_WRITES,
    group="hash",
    since="7.4.0",
    complexity=_COMPLEXITY,
    summary="Lets fields of a hash live for some seconds from now.",
    keys=_UPDATED,
    arguments=(key_arg(), Arg("seconds", "integer"), _CONDITION, FIELDS),
)
def hexpire(call: Call, key: bytes, seconds: bytes, *words: bytes) -> Reply:
    return _expire_fields(call, "hexpire", key, (seconds, 1000, call.now_ms), words)


@command(
    "HPEXPIRE",
    arity=-6,
    flags=_WRITES,
    group="hash",
    since="7.4.0",
    complexity=_COMPLEXITY,
    summary="Lets fields of a hash live for some milliseconds from now.",
    keys=_UPDATED,
    arguments=(key_arg(), Arg("milliseconds", "integer"), _CONDITION, FIELDS),
)
def hpexpire(call: Call, key: bytes, milliseconds: bytes, *words: bytes) -> Reply:
    return _expire_fields(call, "hpexpire", key, (milliseconds, 1, call.now_ms), words)


@command(
    "HEXPIREAT",
    arity=-6,
    flags=_WRITES,
    group="hash",
    since="7.4.0",
    complexity=_COMPLEXITY,
    summary="Lets fields of a hash live until a moment given in unix seconds.",
    keys=_UPDATED,
    arguments=(key_arg(), Arg("unix-time-seconds", "unix-time"), _CONDITION, FIELDS),
)
def hexpireat(call: Call, key: bytes, unix_seconds: bytes, *words: bytes) -> Reply:
    return _expire_fields(call, "hexpireat", key, (unix_seconds, 1000, 0), words)


@command(
    "HPEXPIREAT",
    arity=-6,
    flags=_WRITES,
    group="hash",
    since="7.4.0",
    complexity=_COMPLEXITY,
    summary="Lets fields of a hash live until a moment given in unix milliseconds.",
    keys=_UPDATED,
    arguments=(key_arg(), Arg("unix-time-milliseconds", "unix-time"), _CONDITION, FIELDS),
)
def hpexpireat(call: Call, key: bytes, unix_milliseconds: bytes, *words: bytes) -> Reply:
    return _expire_fields(call, "hpexpireat", key, (unix_milliseconds, 1, 0), words)


def _expire_fields(
    call: Call, name: str, key: bytes, time: tuple[bytes, int, int], words: Sequence[bytes]
) -> list[Reply]:
    """`time` is a number, how many milliseconds its unit has, and since when it counts."""
    value = call.db.change_hash(key)
    at_ms = moment(*time, name)
    conditions = words[:1] if words[0].upper() in _CONDITIONS else ()
    fields = fields_of(
        words[len(conditions) :], not_positive="ERR Parameter `numFields` should be greater than 0"
    )
    if value is None:
        return [NO_FIELD] * len(fields)
    condition = conditions[0].upper() if conditions else b""
    replies: list[Reply] = []
    done: list[bytes] = []
    is_over = has_passed(call, at_ms)
    for field in fields:
        if field not in value:
            replies.append(NO_FIELD)
        elif not _allows(condition, deadline(value, field), at_ms):
            replies.append(REFUSED)
        else:
            replies.append(DELETED if is_over else DONE)
            done.append(field)
            if is_over:
                value.discard(field)
            else:
                value.expiring().deadlines.set(field, at_ms)
    if done and is_over:
        fields_deleted(call, key, value, done)
    elif done:
        deadlines_changed(call, key, value, "hexpire")
        call.propagate(b"HPEXPIREAT", key, b"%d" % at_ms, *conditions, b"FIELDS", b"%d" % len(done), *done)
    return replies


def _allows(condition: bytes, old_ms: int | None, new_ms: int) -> bool:
    """A field that never expires is one whose deadline is later than any."""
    match condition:
        case b"NX":
            return old_ms is None
        case b"XX":
            return old_ms is not None
        case b"GT":
            return old_ms is not None and new_ms > old_ms
        case b"LT":
            return old_ms is None or new_ms < old_ms
    return True


def deadline(value: HashValue, field: bytes) -> int | None:
    """When a field expires, unix milliseconds; None if it does not."""
    return value.deadlines.at.get(field) if isinstance(value, ExpiringHash) else None


def deadlines_changed(call: Call, key: bytes, value: HashValue, event: str) -> None:
    """Fields got or lost their times to live."""
    watch_fields(call.db, key, value)
    call.db.changed(key, event)


def fields_deleted(call: Call, key: bytes, value: HashValue, fields: Sequence[bytes]) -> None:
    """Fields were removed because of what a command says about them: tell of it as of an HDEL."""
    call.db.changed(key, "hdel")
    call.db.delete_if_empty(key, value)
    call.propagate(b"HDEL", key, *fields)


@command(
    "HPERSIST",
    arity=-5,
    flags=_WRITES,
    group="hash",
    since="7.4.0",
    complexity=_COMPLEXITY,
    summary="Takes the times to live of fields of a hash away.",
    keys=_UPDATED,
    arguments=(key_arg(), FIELDS),
)
def hpersist(call: Call, key: bytes, *words: bytes) -> Reply:
    value = call.db.change_hash(key)
    fields = fields_of(words)
    if value is None:
        return [NO_FIELD] * len(fields)
    replies: list[Reply] = []
    for field in fields:
        if field not in value:
            replies.append(NO_FIELD)
        else:
            is_changed = isinstance(value, ExpiringHash) and value.deadlines.discard(field)
            replies.append(DONE if is_changed else NO_EXPIRY)
    if DONE in replies:
        deadlines_changed(call, key, value, "hpersist")
    return replies


# --- asking --------------------------------------------------------------------------------------------


def _rounded_up(milliseconds: int) -> int:
    return (milliseconds + 999) // 1000


def _ask(call: Call, key: bytes, words: Sequence[bytes], *, since_ms: int, in_seconds: bool) -> list[Reply]:
    value = call.db.read_hash(key)
    fields = fields_of(words)
    if value is None:
        return [NO_FIELD] * len(fields)
    replies: list[Reply] = []
    for field in fields:
        at_ms = deadline(value, field)
        if field not in value:
            replies.append(NO_FIELD)
        elif at_ms is None:
            replies.append(NO_EXPIRY)
        else:
            replies.append(_rounded_up(at_ms - since_ms) if in_seconds else at_ms - since_ms)
    return replies


@command(
    "HTTL",
    arity=-5,
    flags=_READS,
    group="hash",
    since="7.4.0",
    complexity=_COMPLEXITY,
    summary="Returns how many seconds fields of a hash have to live.",
    keys=_READ,
    arguments=(key_arg(), FIELDS),
    tips=("nondeterministic_output",),
)
def httl(call: Call, key: bytes, *words: bytes) -> Reply:
    return _ask(call, key, words, since_ms=call.now_ms, in_seconds=True)


@command(
    "HPTTL",
    arity=-5,
    flags=_READS,
    group="hash",
    since="7.4.0",
    complexity=_COMPLEXITY,
    summary="Returns how many milliseconds fields of a hash have to live.",
    keys=_READ,
    arguments=(key_arg(), FIELDS),
    tips=("nondeterministic_output",),
)
def hpttl(call: Call, key: bytes, *words: bytes) -> Reply:
    return _ask(call, key, words, since_ms=call.now_ms, in_seconds=False)


@command(
    "HEXPIRETIME",
    arity=-5,
    flags=_READS,
    group="hash",
    since="7.4.0",
    complexity=_COMPLEXITY,
    summary="Returns when fields of a hash expire, in unix seconds.",
    keys=_READ,
    arguments=(key_arg(), FIELDS),
)
def hexpiretime(call: Call, key: bytes, *words: bytes) -> Reply:
    return _ask(call, key, words, since_ms=0, in_seconds=True)


@command(
    "HPEXPIRETIME",
    arity=-5,
    flags=_READS,
    group="hash",
    since="7.4.0",
    complexity=_COMPLEXITY,
    summary="Returns when fields of a hash expire, in unix milliseconds.",
    keys=_READ,
    arguments=(key_arg(), FIELDS),
)
def hpexpiretime(call: Call, key: bytes, *words: bytes) -> Reply:
    return _ask(call, key, words, since_ms=0, in_seconds=False)
