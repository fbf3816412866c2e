"""Hashes: packed small ones, tables, and those whose fields expire. To commands the three are one.

A hash begins packed and becomes a table, as the same object, once it is too large for that, has fields
like no other hash, or a field that expires. It does not go back.

Packed: a shape (see `shapes.py`) says which fields there are, and one `bytes` holds all values, each followed
by a mark: a byte that is in none of them. So C code finds a value (`split`) and exchanges it (`join`), and a
hash of ten short fields takes a fourth of what a dict of ten names and ten values would.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from shoal.node.dataset.deadlines import Deadlines
from shoal.node.dataset.shapes import NO_FIELDS, Fields, Shape, shape_of
from shoal.node.dataset.table import Table, WideTable

if TYPE_CHECKING:
    from _collections_abc import dict_items, dict_keys, dict_values

MOST_PACKED_BYTES = 1024
"""Of a packed hash's values, all together: every change copies them."""
_USUAL_MARK = b"\xc1"
"""Found in no UTF-8 text."""
_ALL_BYTES = bytes(range(256))


class HashValue(Table[bytes]):
    """A hash: field -> value, in order of insertion. As it stands a table; `new_hash` makes them.

    `deadlines` is there once it is an `ExpiringHash`, `shape` and `packed` while it is a `PackedHash`.
    """

    __slots__ = ("deadlines", "packed", "shape")

    with_deadlines: ClassVar[type[ExpiringHash]]
    """What a hash of this class becomes when a field of it is to expire."""

    def replace(self, field: bytes, content: bytes) -> bool:
        """`put`, but a field that is there keeps its time to live."""
        return self.put(field, content)

    def put_words(self, words: Sequence[bytes]) -> int:
        """`put` for fields and values in turn; returns how many fields are new."""
        if len(words) == 2:
            return int(self.put(words[0], words[1]))
        return sum(self.put(field, content) for field, content in zip(words[::2], words[1::2], strict=True))

    def pairs(self) -> Iterable[tuple[bytes, bytes]]:
        """Every field with its value."""
        return self.items()

    def contents(self) -> list[bytes]:
        """Every value, in the order of the fields."""
        return list(self.values())

    def expiring(self) -> ExpiringHash:
        """This very hash, from now on one whose fields may expire. Costs nothing, whatever it holds."""
        self.__class__ = self.with_deadlines
        assert isinstance(self, ExpiringHash)
        self.deadlines = Deadlines()
        return self


class ExpiringHash(HashValue):
    """A hash some of whose fields have a time to live.

    A class of its own, so that what is done to other hashes asks nothing and costs nothing more.
    """

    __slots__ = ()
    deadlines: Deadlines

    def put(self, key: bytes, value: bytes) -> bool:
        """Add or replace a field, which has no time to live then."""
        self.deadlines.discard(key)
        return super().put(key, value)

    def replace(self, field: bytes, content: bytes) -> bool:
        return super().put(field, content)

    def discard(self, key: bytes) -> bool:
        self.deadlines.discard(key)
        return super().discard(key)

    def copied(self) -> Self:
        made = super().copied()
        made.deadlines = self.deadlines.copy()
        return made

    def expiring(self) -> ExpiringHash:
        return self

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
        left.put_all(
            (field, content) for field, content in self.items() if at.get(field, now_ms + 1) > now_ms
        )
        return left


class WideHash(WideTable[bytes], HashValue):
    """A hash of many fields."""

    __slots__ = ()


class WideExpiringHash(ExpiringHash, WideHash):
    """A hash of many fields, some of which have a time to live."""

    __slots__ = ()


HashValue.wide, ExpiringHash.wide = WideHash, WideExpiringHash
HashValue.with_deadlines, WideHash.with_deadlines = ExpiringHash, WideExpiringHash


class PackedHash(HashValue):
    """A small hash of a shape that others have too.

    The dict that it is by its class stays empty, and is filled when it becomes a table (`_become_table`);
    so every method of a dict or a table that is of use for a hash is redefined here.
    """

    __slots__ = ()
    shape: Shape
    packed: bytes

    def __init__(self) -> None:
        self.shape = NO_FIELDS
        self.packed = b""

    # --- reading -----------------------------------------------------------------------------------

    def get(self, field: bytes, default: Any = None, /) -> Any:
        place = self.shape.places.get(field)
        if place is None:
            return default
        packed = self.packed
        return packed.split(packed[-1:], place + 1)[place]

    def __getitem__(self, field: bytes) -> bytes:
        place = self.shape.places[field]
        packed = self.packed
        return packed.split(packed[-1:], place + 1)[place]

    def __contains__(self, field: object) -> bool:
        return field in self.shape.places

    def __len__(self) -> int:
        return len(self.shape.fields)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.shape.fields)

    def pairs(self) -> Iterable[tuple[bytes, bytes]]:
        packed = self.packed
        return zip(self.shape.fields, packed.split(packed[-1:] or _USUAL_MARK), strict=False)

    def contents(self) -> list[bytes]:
        packed = self.packed
        return packed[:-1].split(packed[-1:]) if packed else []

    def keys(self) -> dict_keys[bytes, bytes]:
        return dict(self.pairs()).keys()

    def values(self) -> dict_values[bytes, bytes]:
        return dict(self.pairs()).values()

    def items(self) -> dict_items[bytes, bytes]:
        return dict(self.pairs()).items()

    def __eq__(self, other: object) -> bool:
        return dict(self.pairs()) == (dict(other.pairs()) if isinstance(other, PackedHash) else other)

    __hash__ = None  # type: ignore[assignment]

    def copied(self) -> Self:
        made = type(self)()
        made.shape, made.packed = self.shape, self.packed
        return made

    # --- changing ----------------------------------------------------------------------------------

    def put(self, field: bytes, content: bytes) -> bool:
        shape, packed = self.shape, self.packed
        mark = packed[-1:]
        if mark in content:  # as any content does the mark of an empty hash, which is no byte
            self._put_all((field, content))
            return len(self) > len(shape.fields)
        place = shape.places.get(field)
        if place is not None:
            parts = packed.split(mark, place + 1)
            parts[place] = content
            self.packed = packed = mark.join(parts)
        elif (longer := shape_of((*shape.fields, field))) is not None:
            self.shape = shape = longer
            self.packed = packed = packed + content + mark
        else:
            self._become_table((*shape.fields, field), [*self.contents(), content])
            return True
        if len(packed) > MOST_PACKED_BYTES:
            self._become_table(shape.fields, self.contents())
        return place is None

    replace = put

    def put_words(self, words: Sequence[bytes]) -> int:
        before = len(self.shape.fields)
        if len(words) == 2:
            self.put(words[0], words[1])
        elif len(words) >= 2 * before or not self._exchange(words):
            self._put_all(words)
        return len(self) - before

    def _exchange(self, words: Sequence[bytes]) -> bool:
        """Change some of the values; False, and no change, if a field is new or the mark will not do."""
        places, packed = self.shape.places, self.packed
        mark = packed[-1:]
        parts = packed.split(mark)
        for field, content in zip(words[::2], words[1::2], strict=True):
            place = places.get(field)
            if place is None:
                return False
            parts[place] = content
        packed = mark.join(parts)
        if len(packed) > MOST_PACKED_BYTES or packed.count(mark) != len(places):
            return False
        self.packed = packed
        return True

    def _put_all(self, words: Sequence[bytes]) -> None:
        before = self.shape
        fields, contents = tuple(words[::2]), words[1::2]
        if before is NO_FIELDS:
            shape = shape_of(fields)
        elif fields == before.fields:
            shape = before
        else:
            fields, contents = self._with(fields, contents)
            shape = shape_of(fields) if len(fields) > len(before.fields) else before
        self._become(shape, fields, contents)

    def _with(self, fields: Fields, contents: Sequence[bytes]) -> tuple[Fields, list[bytes]]:
        """What fields and values there are after these have been put."""
        places, merged, added = self.shape.places, self.contents(), dict[bytes, bytes]()
        for field, content in zip(fields, contents, strict=True):
            if field in places:
                merged[places[field]] = content
            else:
                added[field] = content
        merged += added.values()
        return (*self.shape.fields, *added), merged

    def discard(self, field: bytes) -> bool:
        """Remove a field; False if it was not there."""
        place = self.shape.places.get(field)
        if place is None:
            return False
        fields, contents = self.shape.fields, self.contents()
        fields = fields[:place] + fields[place + 1 :]
        del contents[place]
        self._become(shape_of(fields), fields, contents)
        return True

    def expiring(self) -> ExpiringHash:
        self._become_table(self.shape.fields, self.contents())
        return HashValue.expiring(self)

    def _become(self, shape: Shape | None, fields: Fields, contents: Sequence[bytes]) -> None:
        """Hold these, packed if possible."""
        packed = None if shape is None else _pack(contents)
        if shape is None:
            self._become_table(fields, contents)
        elif packed is None:
            self._become_table(shape.fields, contents)
        else:
            self.shape, self.packed = shape, packed

    def _become_table(self, fields: Fields, contents: Sequence[bytes]) -> None:
        """Go on as a table of these. The names of a shape are shared even then."""
        del self.shape, self.packed
        self.__class__ = HashValue  # type: ignore[assignment]
        self.put_all(zip(fields, contents, strict=True))


def _pack(contents: Sequence[bytes]) -> bytes | None:
    """Values, each followed by a byte that is in none; None if they are too much."""
    mark = _USUAL_MARK
    packed = mark.join(contents) + mark if contents else b""
    if len(packed) > MOST_PACKED_BYTES:
        return None
    if packed.count(mark) == len(contents):
        return packed
    free = _ALL_BYTES.translate(None, packed)
    return free[:1].join([*contents, b""]) if free else None


def new_hash() -> HashValue:
    """A hash without fields."""
    return PackedHash()


def hash_of(words: Sequence[bytes]) -> HashValue:
    """A hash of these fields and values, given in turn; of a field given twice, the last value."""
    made = new_hash()
    made.put_words(words)
    return made
