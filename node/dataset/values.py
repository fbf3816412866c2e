"""What a key can hold: one Python type per Redis type.

A string is `bytes`, or a `bytearray` once it was appended to or written in the middle (so that many
small appends cost what they say). Read it through `Database.read_string`, which always gives `bytes`.
The others are structures with methods; commands never reach inside them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

from shoal.node.dataset.deadlines import Deadlines
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.streams import Stream
from shoal.node.dataset.table import Table


class ListValue(deque[bytes]):
    """A list: O(1) at both ends, O(n) in the middle."""

    __slots__ = ()

    def between(self, first: int, last: int) -> list[bytes]:
        """Elements `first` to `last`, both included and inside the list, reached from the nearer end."""
        from_tail = len(self) - 1 - last
        if first <= from_tail:
            return list(islice(self, first, last + 1))
        elements = list(islice(reversed(self), from_tail, len(self) - first))
        elements.reverse()
        return elements

    def remove_matching(self, element: bytes, count: int) -> int:
        """Remove up to `count` equal elements, from the tail if negative, all if 0; returns how many."""
        found = self.count(element)
        if not found:
            return 0
        limit = min(abs(count), found) if count else found
        kept: list[bytes] = []
        left = limit
        for candidate in reversed(self) if count < 0 else self:
            if left and candidate == element:
                left -= 1
            else:
                kept.append(candidate)
        self.clear()
        if count < 0:
            self.extendleft(kept)
        else:
            self.extend(kept)
        return limit


class HashValue(Table[bytes]):
    """A hash: field -> value, in order of insertion. `deadlines` is there once it is an `ExpiringHash`."""

    __slots__ = ("deadlines",)

    def replace(self, field: bytes, content: bytes) -> None:
        """Change a field's value, but not when it expires; or add it."""
        self.put(field, content)

    def expiring(self) -> ExpiringHash:
        """This very hash, from now on one whose fields may expire. Costs nothing, whatever it holds."""
        if not isinstance(self, ExpiringHash):
            self.__class__ = ExpiringHash
            self.deadlines = Deadlines()
        assert isinstance(self, ExpiringHash)
        return self


class ExpiringHash(HashValue):
    """A hash some of whose fields have a time to live.

    A class of its own, so that what is done to other hashes asks nothing and costs nothing more.
    """

    __slots__ = ()
    deadlines: Deadlines

    def put(self, key: bytes, value: bytes) -> None:
        """Add or replace a field, which has no time to live then."""
        super().put(key, value)
        self.deadlines.discard(key)

    def replace(self, field: bytes, content: bytes) -> None:
        super().put(field, content)

    def discard(self, key: bytes) -> bool:
        self.deadlines.discard(key)
        return super().discard(key)

    def take_due(self, now_ms: int) -> list[bytes]:
        """Remove the fields whose time has come; returns them, the earliest first."""
        gone = []
        while (field := self.deadlines.pop_due(now_ms)) is not None:
            super().discard(field)
            gone.append(field)
        return gone

    def at_time(self, now_ms: int) -> HashValue:
        """A plain copy of what is not over."""
        left = HashValue()
        at = self.deadlines.at
        left.update((field, content) for field, content in self.items() if at.get(field, now_ms + 1) > now_ms)
        return left


class SetValue(Table[None]):
    """A set of members, in order of insertion."""

    __slots__ = ()

    @classmethod
    def of(cls, members: Iterable[bytes]) -> SetValue:
        """A set of these members, repeated ones once."""
        made = cls()
        for member in members:
            made.put(member, None)
        return made


StringValue = bytes | bytearray
Value = bytes | bytearray | ListValue | HashValue | SetValue | SortedSet | Stream


def type_name(value: Value) -> bytes:
    """The word TYPE answers with."""
    return _TYPE_NAMES[type(value)]


def copy_value(value: Value) -> Value:
    """A value that shares nothing alterable with the original."""
    match value:
        case bytes():
            return value
        case bytearray():
            return bytearray(value)
        case ListValue():
            return ListValue(value)
        case HashValue():
            fields = HashValue()
            fields.update(value)
            if isinstance(value, ExpiringHash):
                fields.expiring().deadlines = value.deadlines.copy()
            return fields
        case SetValue():
            return SetValue.of(value)
        case SortedSet():
            return SortedSet.of(value.scores)
        case Stream():
            return value.copy()


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
    ExpiringHash: b"hash",
    SetValue: b"set",
    SortedSet: b"zset",
    Stream: b"stream",
}
