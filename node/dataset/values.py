"""What a key can hold: one Python type per Redis type.

A string is `bytes`, or a `bytearray` once it was appended to or written in the middle (so that many
small appends cost what they say). Read it through `Database.read_string`, which always gives `bytes`.
The others are structures with methods; commands never reach inside them.
"""

from __future__ import annotations

from collections.abc import Iterable

from shoal.node.dataset.hashes import ExpiringHash, HashValue, PackedHash, WideExpiringHash, WideHash
from shoal.node.dataset.lists import ListValue
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.streams import Stream
from shoal.node.dataset.table import Table, WideTable


class SetValue(Table[int]):
    """A set of members, each with the value 0, which says nothing."""

    __slots__ = ()

    @classmethod
    def of(cls, members: Iterable[bytes]) -> SetValue:
        """A set of these members, repeated ones once."""
        made = cls()
        made.put_all(dict.fromkeys(members, 0).items())
        return made


class WideSet(WideTable[int], SetValue):
    """A set of many members."""

    __slots__ = ()


SetValue.wide = WideSet

StringValue = bytes | bytearray
Value = bytes | bytearray | ListValue | HashValue | SetValue | SortedSet | Stream


def type_name(value: Value) -> bytes:
    """The word TYPE answers with."""
    return _TYPE_NAMES[type(value)]


def copy_value(value: Value) -> Value:
    """A value that shares nothing alterable with the original."""
    if isinstance(value, bytes | bytearray):
        return value[:]
    return value.copied()


def parts_of(value: Value) -> int:
    """How many things a container holds: how long it takes to walk through it."""
    if isinstance(value, bytes | bytearray):
        return 1
    if isinstance(value, Stream):
        return len(value) + sum(len(group.pending) for group in value.groups.values())
    return len(value)


_TYPE_NAMES: dict[type, bytes] = {
    bytes: b"string",
    bytearray: b"string",
    ListValue: b"list",
    HashValue: b"hash",
    PackedHash: b"hash",
    ExpiringHash: b"hash",
    WideHash: b"hash",
    WideExpiringHash: b"hash",
    SetValue: b"set",
    WideSet: b"set",
    SortedSet: b"zset",
    Stream: b"stream",
}
