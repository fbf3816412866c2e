"""Commands that read and write whole strings."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.node.commands.call import Call
from shoal.node.commands.expiry import has_passed
from shoal.node.commands.options import (
    GETEX_OPTIONS,
    SET_OPTIONS,
    UNITS,
    absolute_expiry,
    expiration_args,
    parse_string_options,
)
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, all_keys, block, key_arg, one_key, one_of, token
from shoal.node.resp.replies import OK, CommandError, Reply

VALUE = Arg("value")
KEYS_AND_VALUES = block("key_value", key_arg(), VALUE, multiple=True)


# --- reading -------------------------------------------------------------------------------------------


@command(
    "GET",
    arity=2,
    flags=Flag.READONLY | Flag.FAST,
    group="string",
    since="1.0.0",
    complexity="O(1)",
    summary="Returns the string a key holds.",
    keys=one_key(KeyUse.RO | KeyUse.ACCESS),
    arguments=(key_arg(),),
)
def get(call: Call, key: bytes) -> Reply:
    return call.db.read_string(key)


@command(
    "MGET",
    arity=-2,
    flags=Flag.READONLY | Flag.FAST,
    group="string",
    since="1.0.0",
    complexity="O(N) for N keys.",
    summary="Returns the strings of several keys, null for those that hold none.",
    keys=all_keys(KeyUse.RO | KeyUse.ACCESS),
    arguments=(key_arg(multiple=True),),
    tips=("request_policy:multi_shard",),
)
def mget(call: Call, *keys: bytes) -> Reply:
    found: list[Reply] = []
    for key in keys:
        value = call.db.read(key)
        if type(value) is bytearray:
            value = bytes(value)
        found.append(value if type(value) is bytes else None)
    return found


@command(
    "STRLEN",
    arity=2,
    flags=Flag.READONLY | Flag.FAST,
    group="string",
    since="2.2.0",
    complexity="O(1)",
    summary="Returns the number of bytes in a string.",
    keys=one_key(KeyUse.RO),
    arguments=(key_arg(),),
)
def strlen(call: Call, key: bytes) -> Reply:
    return len(call.db.view_string(key) or b"")


# --- writing -------------------------------------------------------------------------------------------


def _use_by_set(argv: Sequence[bytes]) -> KeyUse:
    """SET reads the old value only if it is asked for it."""
    if b"GET" in [word.upper() for word in argv[3:]]:
        return KeyUse.RW | KeyUse.ACCESS | KeyUse.UPDATE
    return KeyUse.OW | KeyUse.UPDATE


@command(
    "SET",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="string",
    since="1.0.0",
    complexity="O(1)",
    summary="Gives a key a string value, under conditions and with a time to live if asked.",
    keys=one_key(KeyUse.RW | KeyUse.ACCESS | KeyUse.UPDATE | KeyUse.VARIABLE_FLAGS, used_as=_use_by_set),
    arguments=(
        key_arg(),
        VALUE,
        one_of("condition", token("NX"), token("XX"), optional=True, since="2.6.12"),
        token("GET", optional=True, since="6.2.0"),
        expiration_args(token("KEEPTTL", since="6.0.0"), relative_since="2.6.12", absolute_since="6.2.0"),
    ),
    history=(
        ("2.6.12", "The options `EX`, `PX`, `NX` and `XX`."),
        ("6.0.0", "The option `KEEPTTL`."),
        ("6.2.0", "The options `GET`, `EXAT` and `PXAT`."),
        ("7.0.0", "`NX` and `GET` may be given together."),
    ),
)
def set_(call: Call, key: bytes, value: bytes, *options: bytes) -> Reply:
    db = call.db
    if not options:
        db.set(key, value)
        db.changed(key, "set")
        return OK
    if len(options) == 2 and (unit := options[0].upper()) in UNITS:  # nothing else is asked
        return _set_until(call, key, value, absolute_expiry(unit, options[1], call.now_ms, "set"))
    asked = parse_string_options(options, SET_OPTIONS)
    expiry = asked.expiry(call.now_ms, "set")
    old = db.read_string(key) if asked.get else None
    if asked.condition is not None and (db.peek(key) is None) == (asked.condition == b"XX"):
        return old
    if expiry is not None:
        _set_until(call, key, value, expiry)
    else:
        keeps = asked.expiration == b"KEEPTTL"
        db.set(key, value, keep_expiry=keeps)
        db.changed(key, "set")
        call.propagate(b"SET", key, value, *([b"KEEPTTL"] if keeps else []))
    return old if asked.get else OK


def _set_until(call: Call, key: bytes, value: bytes, expiry: int) -> Reply:
    """Set a string with a time to live, which goes to replicas as the absolute time it is."""
    db, keyspace = call.db, call.keyspace
    db.set_until(key, value, expiry)
    db.changed(key, "set")
    if db.watchers or keyspace.is_heard:
        db.announce(key, "expire")
    if keyspace.is_repeated:
        call.propagate(b"SET", key, value, b"PXAT", b"%d" % expiry)
    return OK


@command(
    "SETEX",
    arity=4,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="string",
    since="2.0.0",
    complexity="O(1)",
    summary="Gives a key a string value that lives for some seconds.",
    keys=one_key(KeyUse.OW | KeyUse.UPDATE),
    arguments=(key_arg(), Arg("seconds", "integer"), VALUE),
)
def setex(call: Call, key: bytes, seconds: bytes, value: bytes) -> Reply:
    return _set_until(call, key, value, absolute_expiry(b"EX", seconds, call.now_ms, "setex"))


@command(
    "PSETEX",
    arity=4,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="string",
    since="2.6.0",
    complexity="O(1)",
    summary="Gives a key a string value that lives for some milliseconds.",
    keys=one_key(KeyUse.OW | KeyUse.UPDATE),
    arguments=(key_arg(), Arg("milliseconds", "integer"), VALUE),
)
def psetex(call: Call, key: bytes, milliseconds: bytes, value: bytes) -> Reply:
    return _set_until(call, key, value, absolute_expiry(b"PX", milliseconds, call.now_ms, "psetex"))


@command(
    "SETNX",
    arity=3,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="string",
    since="1.0.0",
    complexity="O(1)",
    summary="Gives a key a string value unless the key exists.",
    keys=one_key(KeyUse.OW | KeyUse.INSERT),
    arguments=(key_arg(), VALUE),
)
def setnx(call: Call, key: bytes, value: bytes) -> Reply:
    if call.db.peek(key) is not None:
        return 0
    call.db.set(key, value)
    call.db.changed(key, "set")
    return 1


@command(
    "MSET",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="string",
    since="1.0.1",
    complexity="O(N) for N keys.",
    summary="Gives several keys their string values at once.",
    keys=all_keys(KeyUse.OW | KeyUse.UPDATE, step=2),
    arguments=(KEYS_AND_VALUES,),
    tips=("request_policy:multi_shard", "response_policy:all_succeeded"),
)
def mset(call: Call, *words: bytes) -> Reply:
    _require_pairs(words, "mset")
    call.db.set_strings(words[::2], words[1::2])
    return OK


@command(
    "MSETNX",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="string",
    since="1.0.1",
    complexity="O(N) for N keys.",
    summary="Gives several keys their string values at once, unless one of the keys exists.",
    keys=all_keys(KeyUse.OW | KeyUse.INSERT, step=2),
    arguments=(KEYS_AND_VALUES,),
    tips=("request_policy:multi_shard", "response_policy:agg_min"),
)
def msetnx(call: Call, *words: bytes) -> Reply:
    _require_pairs(words, "msetnx")
    if any(call.db.peek(key) is not None for key in words[::2]):
        return 0
    call.db.set_strings(words[::2], words[1::2])
    return 1


def _require_pairs(words: tuple[bytes, ...], name: str) -> None:
    if len(words) % 2:
        raise CommandError(f"ERR wrong number of arguments for '{name}' command")


# --- reading and writing -------------------------------------------------------------------------------


@command(
    "GETSET",
    arity=3,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="string",
    since="1.0.0",
    complexity="O(1)",
    summary="Gives a key a string value and returns the one it had.",
    keys=one_key(KeyUse.RW | KeyUse.ACCESS | KeyUse.UPDATE),
    arguments=(key_arg(), VALUE),
    deprecated_since="6.2.0",
    replaced_by="`SET` with the `!GET` argument",
)
def getset(call: Call, key: bytes, value: bytes) -> Reply:
    old = call.db.read_string(key)
    call.db.set(key, value)
    call.db.changed(key, "set")
    call.propagate(b"SET", key, value)
    return old


@command(
    "GETDEL",
    arity=2,
    flags=Flag.WRITE | Flag.FAST,
    group="string",
    since="6.2.0",
    complexity="O(1)",
    summary="Returns the string a key holds and deletes the key.",
    keys=one_key(KeyUse.RW | KeyUse.ACCESS | KeyUse.DELETE),
    arguments=(key_arg(),),
)
def getdel(call: Call, key: bytes) -> Reply:
    value = call.db.read_string(key)
    if value is not None:
        call.db.delete(key)
        call.db.changed(key, "del")
        call.propagate(b"DEL", key)
    return value


@command(
    "GETEX",
    arity=-2,
    flags=Flag.WRITE | Flag.FAST,
    group="string",
    since="6.2.0",
    complexity="O(1)",
    summary="Returns the string a key holds, and sets or removes the key's time to live.",
    keys=one_key(KeyUse.RW | KeyUse.ACCESS | KeyUse.UPDATE),
    arguments=(key_arg(), expiration_args(token("PERSIST"))),
)
def getex(call: Call, key: bytes, *options: bytes) -> Reply:
    db = call.db
    asked = parse_string_options(options, GETEX_OPTIONS)
    value = db.read_string(key)
    if value is None:
        return None
    expiry = asked.expiry(call.now_ms, "getex")
    if expiry is not None:
        if has_passed(call, expiry):
            db.delete(key)
            db.changed(key, "del")
            call.propagate(b"DEL", key)
        else:
            db.set_expiry(key, expiry)
            db.changed(key, "expire")
            call.propagate(b"PEXPIREAT", key, b"%d" % expiry)
    elif asked.expiration == b"PERSIST" and db.expiry(key) is not None:
        db.set_expiry(key, None)
        db.changed(key, "persist")
        call.propagate(b"PERSIST", key)
    return value
