"""What a key can hold: one Python type per Redis type.

A string is `bytes`, or a `bytearray` once it was appended to or written in the middle (so that many
small appends cost what they say). Read it through `Database.read_string`, which always gives `bytes`.
The others are structures with methods; commands never reach inside them.
"""

from __future__ import annotations

from collections import deque

from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.table import Table


class ListValue(deque[bytes]):
    """A list: O(1) at both ends, O(n) in the middle."""

    __slots__ = ()


class HashValue(Table[bytes]):
    """A hash: field -> value, in order of insertion."""

    __slots__ = ()


class SetValue(Table[None]):
    """A set of members, in order of insertion."""

    __slots__ = ()


StringValue = bytes | bytearray
Value = bytes | bytearray | ListValue | HashValue | SetValue | SortedSet


def type_name(value: Value) -> bytes:
    """The word TYPE answers with."""
    return _TYPE_NAMES[type(value)]


_TYPE_NAMES: dict[type, bytes] = {
    bytes: b"string",
    bytearray: b"string",
    ListValue: b"list",
    HashValue: b"hash",
    SetValue: b"set",
    SortedSet: b"zset",
}
