"""Replies become Lua values and Lua values become replies.

Values with parts cross the border as a string of marks, one per value, and a flat table of the values that
need one: a border crossed once is quicker than one crossed for each part, and what a script built is
never touched from outside, where an error of its metamethods could not be caught.
Source of the rules: Redis's manual, "Data type conversion" of Lua scripts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from shoal.node.resp.floats import format_float
from shoal.node.resp.replies import (
    BigNumber,
    BulkStrings,
    CommandError,
    FramedBulkStrings,
    NullArray,
    PairList,
    Pairs,
    Push,
    Reply,
    SetReply,
    Status,
    Verbatim,
)

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1

ToTable = Callable[[list[Any]], Any]


def to_lua(reply: Reply, resp: int, table: ToTable) -> Any:
    """What `redis.call` gives back: a value, or marks and what they stand for. `table` makes a Lua table."""
    kind = type(reply)
    if kind is bytes or kind is int:
        return reply
    if kind is Status:
        return b"+", True, reply
    if reply is None or kind is NullArray:
        return False if resp == 2 else None
    if kind is BulkStrings or (
        kind is list and all(type(item) is bytes or type(item) is int for item in reply)  # type: ignore[union-attr]
    ):
        return b"*", True, table(reply)  # type: ignore[arg-type]
    if kind is FramedBulkStrings:
        return b"*", True, table(list(reply))  # type: ignore[arg-type]
    marks: list[str] = []
    values: list[Any] = []
    _take_apart(reply, resp, marks, values)
    return "".join(marks).encode(), True, table(values)


def _take_apart(reply: Reply, resp: int, marks: list[str], values: list[Any]) -> None:
    """Append the marks and values of a reply."""

    def value(mark: str, *words: Any) -> None:
        marks.append(mark)
        values.extend(words)

    def several(items: Iterator[Reply], opening: str, closing: str) -> None:
        marks.append(opening)
        for item in items:
            _take_apart(item, resp, marks, values)
        marks.append(closing)

    match reply:
        case CommandError():
            value("-", reply.text)
        case Status():
            value("+", bytes(reply))
        case bytes() | bytearray():
            value("v", bytes(reply))
        case bool():
            value("v", reply if resp == 3 else int(reply))
        case int():
            value("v", reply)
        case None | NullArray():
            if resp == 3:
                marks.append("n")
            else:
                value("v", False)
        case float():
            value(*("d", reply) if resp == 3 else ("v", format_float(reply)))
        case BigNumber():
            value("b" if resp == 3 else "v", reply.digits)
        case Verbatim():
            value(*("t", reply.format, reply.text) if resp == 3 else ("v", reply.text))
        case SetReply():
            several(iter(reply.members), *("<>" if resp == 3 else "[]"))
        case Pairs():
            several((part for pair in reply.items for part in pair), *("{}" if resp == 3 else "[]"))
        case dict():
            several((part for pair in reply.items() for part in pair), *("{}" if resp == 3 else "[]"))
        case PairList():
            pairs = zip(reply.keys, reply.values, strict=True)
            several(map(list, pairs) if resp == 3 else chain.from_iterable(pairs), "[", "]")
        case Push():
            several(iter(reply.elements), "[", "]")
        case _:
            several(iter(reply), "[", "]")  # type: ignore[arg-type]


def from_lua(marks: bytes, values: Iterator[Any], resp: int) -> Reply:
    """The reply to the client of a script that set this protocol version."""
    position = 0

    def one() -> Reply:
        nonlocal position
        mark = marks[position : position + 1]
        position += 1
        if mark == b"s":
            return next(values)  # type: ignore[no-any-return]
        if mark == b"i":
            return to_integer(next(values))
        if mark in b"tf":
            return boolean(mark == b"t", resp)
        if mark == b"n":
            return None
        if mark == b"[":
            return list(until(b"]"))
        if mark == b"<":
            return SetReply(list(until(b">")))
        if mark == b"{":
            parts = until(b"}")
            return Pairs([(key, next(parts)) for key in parts])
        if mark == b"+":
            return Status(next(values))
        if mark == b"-":
            return script_error(next(values), counted=next(values))
        if mark == b"d":
            return float(next(values))
        if mark == b"b":
            return BigNumber(next(values).replace(b"\r", b" ").replace(b"\n", b" "))
        return Verbatim(format=next(values)[:3].ljust(3), text=next(values))

    def until(closing: bytes) -> Iterator[Reply]:
        nonlocal position
        while marks[position : position + 1] != closing:
            yield one()
        position += 1

    return one()


def boolean(value: bool, resp: int) -> Reply:
    """True is 1 and False nothing to a script that knows no booleans."""
    if resp == 3:
        return value
    return 1 if value else None


def to_integer(number: float) -> int:
    """A Lua number as an integer: cut off towards zero, and the least one there is for what has no place."""
    if type(number) is float:
        number = int(number) if number - number == 0 else INT64_MIN
    return int(number) if INT64_MIN <= number <= INT64_MAX else INT64_MIN


def script_error(text: bytes, *, counted: bool) -> CommandError:
    """The error of a script."""
    error = CommandError(text)
    error.counted = counted
    return error
