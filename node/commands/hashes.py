"""Commands on hashes."""

from __future__ import annotations

from fractions import Fraction

from shoal.node.commands.call import Call
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, block, key_arg, one_key
from shoal.node.dataset.hashes import ExpiringHash, HashValue, new_hash
from shoal.node.dataset.numbers import (
    INT64_MAX,
    INT64_MIN,
    NOT_A_FLOAT,
    add_as_long_double,
    parse_long_double,
    require_integer,
)
from shoal.node.resp.replies import OK, CommandError, Pairs, Reply

_READ = KeyUse.RO | KeyUse.ACCESS
_FIELD_VALUES = (key_arg(), block("field_value", Arg("field"), Arg("value"), multiple=True))


# --- writing ---------------------------------------------------------------------------------------


@command(
    "HSET",
    arity=-4,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="hash",
    since="2.0.0",
    complexity="O(N) for N fields set.",
    summary="Sets fields of a hash, which is created if needed, and returns how many of them are new.",
    keys=one_key(KeyUse.RW | KeyUse.UPDATE),
    arguments=_FIELD_VALUES,
    history=(("4.0.0", "Takes more than one `field` and `value`."),),
)
def hset(call: Call, key: bytes, *pairs: bytes) -> Reply:
    return _set_fields(call, "hset", key, pairs)


@command(
    "HMSET",
    arity=-4,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="hash",
    since="2.0.0",
    complexity="O(N) for N fields set.",
    summary="Sets fields of a hash, which is created if needed.",
    keys=one_key(KeyUse.RW | KeyUse.UPDATE),
    arguments=_FIELD_VALUES,
    deprecated_since="4.0.0",
    replaced_by="`HSET` with multiple field-value pairs",
)
def hmset(call: Call, key: bytes, *pairs: bytes) -> Reply:
    _set_fields(call, "hmset", key, pairs)
    return OK


def _set_fields(call: Call, name: str, key: bytes, pairs: tuple[bytes, ...]) -> int:
    if len(pairs) % 2:
        raise CommandError(f"ERR wrong number of arguments for '{name}' command")
    value = _change_or_create(call, key)
    added = value.put_words(pairs)
    call.db.changed(key, "hset")
    return added


def _change_or_create(call: Call, key: bytes) -> HashValue:
    value = call.db.change_hash(key)
    return _create(call, key) if value is None else value


def _create(call: Call, key: bytes) -> HashValue:
    value = new_hash()
    call.db.set(key, value)
    return value


@command(
    "HSETNX",
    arity=4,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="hash",
    since="2.0.0",
    complexity="O(1)",
    summary="Sets a field of a hash if it has no such field yet.",
    keys=one_key(KeyUse.RW | KeyUse.INSERT),
    arguments=(key_arg(), Arg("field"), Arg("value")),
)
def hsetnx(call: Call, key: bytes, field: bytes, content: bytes) -> Reply:
    value = _change_or_create(call, key)
    if field in value:
        return 0
    value.put(field, content)
    call.db.changed(key, "hset")
    return 1


@command(
    "HDEL",
    arity=-3,
    flags=Flag.WRITE | Flag.FAST,
    group="hash",
    since="2.0.0",
    complexity="O(N) for N fields named.",
    summary="Removes fields of a hash and returns how many there were.",
    keys=one_key(KeyUse.RW | KeyUse.DELETE),
    arguments=(key_arg(), Arg("field", multiple=True)),
    history=(("2.4.0", "Takes more than one `field`."),),
)
def hdel(call: Call, key: bytes, *fields: bytes) -> Reply:
    value = call.db.change_hash(key)
    if value is None:
        return 0
    removed = sum(value.discard(field) for field in fields)
    if removed:
        call.db.changed(key, "hdel")
        call.db.delete_if_empty(key, value)
    return removed


@command(
    "HINCRBY",
    arity=4,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="hash",
    since="2.0.0",
    complexity="O(1)",
    summary="Adds an integer to the integer in a field, which counts as 0 if it does not exist.",
    keys=one_key(KeyUse.RW | KeyUse.ACCESS | KeyUse.UPDATE),
    arguments=(key_arg(), Arg("field"), Arg("increment", "integer")),
)
def hincrby(call: Call, key: bytes, field: bytes, increment: bytes) -> Reply:
    delta = require_integer(increment)
    value = call.db.change_hash(key)
    old = None if value is None else value.get(field)
    total = delta + (0 if old is None else require_integer(old, "ERR hash value is not an integer"))
    if not INT64_MIN <= total <= INT64_MAX:
        raise CommandError("ERR increment or decrement would overflow")
    if value is None:
        value = _create(call, key)
    value.replace(field, b"%d" % total)
    call.db.changed(key, "hincrby")
    return total


@command(
    "HINCRBYFLOAT",
    arity=4,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="hash",
    since="2.6.0",
    complexity="O(1)",
    summary="Adds a floating point number to the number in a field, which counts as 0 if it does not exist.",
    keys=one_key(KeyUse.RW | KeyUse.ACCESS | KeyUse.UPDATE),
    arguments=(key_arg(), Arg("field"), Arg("increment", "double")),
)
def hincrbyfloat(call: Call, key: bytes, field: bytes, increment: bytes) -> Reply:
    amount = parse_long_double(increment)
    if amount is None:
        raise CommandError(NOT_A_FLOAT)
    if not isinstance(amount, Fraction):
        raise CommandError("ERR value is NaN or Infinity")
    value = call.db.change_hash(key)
    text = None if value is None else value.get(field)
    old = Fraction() if text is None else parse_long_double(text)
    if old is None:
        raise CommandError("ERR hash value is not a float")
    total = add_as_long_double(old, amount)
    if value is None:
        value = _create(call, key)
    value.replace(field, total)
    call.db.changed(key, "hincrbyfloat")
    if isinstance(value, ExpiringHash) and field in value.deadlines.at:
        call.propagate(b"HSETEX", key, b"KEEPTTL", b"FIELDS", b"1", field, total)
    else:
        call.propagate(b"HSET", key, field, total)
    return total


# --- reading ---------------------------------------------------------------------------------------


@command(
    "HGET",
    arity=3,
    flags=Flag.READONLY | Flag.FAST,
    group="hash",
    since="2.0.0",
    complexity="O(1)",
    summary="Returns the value of a field.",
    keys=one_key(_READ),
    arguments=(key_arg(), Arg("field")),
)
def hget(call: Call, key: bytes, field: bytes) -> Reply:
    value = call.db.read_hash(key)
    return None if value is None else value.get(field)


@command(
    "HMGET",
    arity=-3,
    flags=Flag.READONLY | Flag.FAST,
    group="hash",
    since="2.0.0",
    complexity="O(N) for N fields named.",
    summary="Returns the values of several fields.",
    keys=one_key(_READ),
    arguments=(key_arg(), Arg("field", multiple=True)),
)
def hmget(call: Call, key: bytes, *fields: bytes) -> Reply:
    value = call.db.read_hash(key)
    if value is None:
        return [None] * len(fields)
    return [value.get(field) for field in fields]


@command(
    "HGETALL",
    arity=2,
    flags=Flag.READONLY,
    group="hash",
    since="2.0.0",
    complexity="O(N) for a hash of N fields.",
    summary="Returns every field of a hash with its value.",
    keys=one_key(_READ),
    arguments=(key_arg(),),
    tips=("nondeterministic_output_order",),
)
def hgetall(call: Call, key: bytes) -> Reply:
    value = call.db.read_hash(key)
    return Pairs([] if value is None else list(value.pairs()))


@command(
    "HKEYS",
    arity=2,
    flags=Flag.READONLY,
    group="hash",
    since="2.0.0",
    complexity="O(N) for a hash of N fields.",
    summary="Returns every field of a hash.",
    keys=one_key(_READ),
    arguments=(key_arg(),),
    tips=("nondeterministic_output_order",),
)
def hkeys(call: Call, key: bytes) -> Reply:
    value = call.db.read_hash(key)
    return [] if value is None else list(value)


@command(
    "HVALS",
    arity=2,
    flags=Flag.READONLY,
    group="hash",
    since="2.0.0",
    complexity="O(N) for a hash of N fields.",
    summary="Returns the value of every field of a hash.",
    keys=one_key(_READ),
    arguments=(key_arg(),),
    tips=("nondeterministic_output_order",),
)
def hvals(call: Call, key: bytes) -> Reply:
    value = call.db.read_hash(key)
    return [] if value is None else value.contents()


@command(
    "HLEN",
    arity=2,
    flags=Flag.READONLY | Flag.FAST,
    group="hash",
    since="2.0.0",
    complexity="O(1)",
    summary="Returns how many fields a hash has.",
    keys=one_key(KeyUse.RO),
    arguments=(key_arg(),),
)
def hlen(call: Call, key: bytes) -> Reply:
    value = call.db.read_hash(key)
    return 0 if value is None else len(value)


@command(
    "HEXISTS",
    arity=3,
    flags=Flag.READONLY | Flag.FAST,
    group="hash",
    since="2.0.0",
    complexity="O(1)",
    summary="Tells whether a hash has a field.",
    keys=one_key(KeyUse.RO),
    arguments=(key_arg(), Arg("field")),
)
def hexists(call: Call, key: bytes, field: bytes) -> Reply:
    value = call.db.read_hash(key)
    return int(value is not None and field in value)


@command(
    "HSTRLEN",
    arity=3,
    flags=Flag.READONLY | Flag.FAST,
    group="hash",
    since="3.2.0",
    complexity="O(1)",
    summary="Returns how many bytes the value of a field has.",
    keys=one_key(KeyUse.RO),
    arguments=(key_arg(), Arg("field")),
)
def hstrlen(call: Call, key: bytes, field: bytes) -> Reply:
    value = call.db.read_hash(key)
    return 0 if value is None else len(value.get(field, b""))
