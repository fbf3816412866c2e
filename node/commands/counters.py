"""Strings that are numbers, changed by an amount."""

from __future__ import annotations

from shoal.node.commands.call import Call
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, key_arg, one_key
from shoal.node.dataset.database import WRONG_TYPE
from shoal.node.dataset.numbers import (
    INT64_MAX,
    INT64_MIN,
    NOT_A_FLOAT,
    NOT_AN_INTEGER,
    add_as_long_double,
    parse_integer,
    parse_long_double,
    require_integer,
)
from shoal.node.resp.replies import CommandError, Reply

COUNTER = one_key(KeyUse.RW | KeyUse.ACCESS | KeyUse.UPDATE)
WRITES = Flag.WRITE | Flag.DENYOOM | Flag.FAST


@command(
    "INCR",
    arity=2,
    flags=WRITES,
    group="string",
    since="1.0.0",
    complexity="O(1)",
    summary="Adds one to the integer a key holds, 0 if there is none.",
    keys=COUNTER,
    arguments=(key_arg(),),
)
def incr(call: Call, key: bytes, amount: int = 1) -> Reply:
    """INCRBY, DECR and DECRBY call it with other amounts: the commonest has no further call to pay for."""
    db = call.db
    table = db.table_for_change(key)
    if table is None:
        db.set(key, b"%d" % amount)
        db.changed(key, "incrby")
        return amount
    value = table[key]
    if type(value) is not bytes and type(value) is not bytearray:
        raise CommandError(WRONG_TYPE)
    old = parse_integer(value)
    if old is None:
        raise CommandError(NOT_AN_INTEGER)
    number = old + amount
    if not INT64_MIN <= number <= INT64_MAX:
        raise CommandError("ERR increment or decrement would overflow")
    table[key] = b"%d" % number
    db.changed(key, "incrby")
    return number


@command(
    "DECR",
    arity=2,
    flags=WRITES,
    group="string",
    since="1.0.0",
    complexity="O(1)",
    summary="Subtracts one from the integer a key holds, 0 if there is none.",
    keys=COUNTER,
    arguments=(key_arg(),),
)
def decr(call: Call, key: bytes) -> Reply:
    return incr(call, key, -1)


@command(
    "INCRBY",
    arity=3,
    flags=WRITES,
    group="string",
    since="1.0.0",
    complexity="O(1)",
    summary="Adds to the integer a key holds, 0 if there is none.",
    keys=COUNTER,
    arguments=(key_arg(), Arg("increment", "integer")),
)
def incrby(call: Call, key: bytes, increment: bytes) -> Reply:
    return incr(call, key, require_integer(increment))


@command(
    "DECRBY",
    arity=3,
    flags=WRITES,
    group="string",
    since="1.0.0",
    complexity="O(1)",
    summary="Subtracts from the integer a key holds, 0 if there is none.",
    keys=COUNTER,
    arguments=(key_arg(), Arg("decrement", "integer")),
)
def decrby(call: Call, key: bytes, decrement: bytes) -> Reply:
    amount = require_integer(decrement)
    if amount == INT64_MIN:
        raise CommandError("ERR decrement would overflow")
    return incr(call, key, -amount)


@command(
    "INCRBYFLOAT",
    arity=3,
    flags=WRITES,
    group="string",
    since="2.6.0",
    complexity="O(1)",
    summary="Adds to the decimal number a key holds, 0 if there is none.",
    keys=COUNTER,
    arguments=(key_arg(), Arg("increment", "double")),
)
def incrbyfloat(call: Call, key: bytes, increment: bytes) -> Reply:
    """Replicas get the sum: their floating point might round otherwise."""
    value = call.db.change_string(key)
    old = parse_long_double(b"0" if value is None else bytes(value))
    amount = parse_long_double(increment)
    if old is None or amount is None:
        raise CommandError(NOT_A_FLOAT)
    total = add_as_long_double(old, amount)
    call.db.set(key, total, keep_expiry=True)
    call.db.changed(key, "incrbyfloat")
    call.propagate(b"SET", key, total, b"KEEPTTL")
    return total
