"""A dict of byte keys that can also be walked by a cursor and drawn from at random.

As long as there are few keys, it is a dict and no more: a walk returns them all at once, a draw steps to the
one that chance names. With more it becomes, as the same object, a `WideTable`, which keeps them in many small
dicts (`extendible_hashing.py`). So no table is ever laid out anew or indexed as a whole: with a million keys
either would hold up all clients for a tenth of a second or more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self

from shoal.node.dataset.extendible_hashing import FEW_IN_BUCKET, MOST_IN_BUCKET, Directory, V

if TYPE_CHECKING:
    from _collections_abc import dict_items, dict_keys, dict_values


MOST_IN_ONE_DICT = 512
"""Tables of more keys are wide."""
WALKS_PER_QUESTION = 4
"""To ask a wide table for a key takes as long as to walk over so many of its keys."""


class Table(dict[bytes, V], Generic[V]):
    """Keys and values, the keys added by `put` and removed by `discard`, so that a large one becomes wide."""

    __slots__ = ("directory",)

    wide: ClassVar[type[WideTable[Any]]]
    """What a table of this class becomes when it is large."""

    def put(self, key: bytes, value: V) -> bool:
        """Add or replace; False if the key was there."""
        before = len(self)
        self[key] = value
        size = len(self)
        if size > MOST_IN_ONE_DICT:
            self.wide.take_over(self)
        return size != before

    def exchange(self, key: bytes, value: V) -> V | None:
        """`put`; returns what was there before."""
        before = self.get(key)
        self[key] = value
        if len(self) > MOST_IN_ONE_DICT:
            self.wide.take_over(self)
        return before

    def put_all(self, pairs: Iterable[tuple[bytes, V]]) -> None:
        """`put` for many."""
        self.update(pairs)
        if len(self) > MOST_IN_ONE_DICT:
            self.wide.take_over(self)

    def discard(self, key: bytes) -> bool:
        """Remove a key; False if it was not there."""
        if key not in self:
            return False
        del self[key]
        return True

    def copied(self) -> Self:
        """Another table of the same keys and values."""
        made: Self = type(self)()
        made.update(self)
        return made

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """About `count` keys from the cursor on, and the cursor to go on from: 0 starts and 0 ends.

        What is there from the first call to the last is returned, whatever comes and goes meanwhile. A table
        of few keys returns all of them, wherever the cursor stands: it may have been wide before.
        """
        return 0, list(self)

    def random_key(self, rng: Random) -> bytes:
        """A key drawn uniformly; IndexError from an empty table."""
        if not self:
            raise IndexError("the table is empty")
        return next(islice(self, int(rng.random() * len(self)), None))

    def pop_random(self, rng: Random) -> bytes:
        """Remove a key drawn uniformly; IndexError from an empty table."""
        key = self.random_key(rng)
        self.discard(key)
        return key

    def random_picks(self, rng: Random, count: int) -> list[bytes]:
        """Different keys for a positive count; for a negative one that many draws, repeats and all."""
        return self.random_keys(rng, count) if count >= 0 else self.random_draws(rng, -count)

    def random_keys(self, rng: Random, count: int) -> list[bytes]:
        """Up to `count` different keys, each equally likely, in O(count)."""
        if count >= len(self):
            return list(self)
        if count * 3 > len(self):
            return rng.sample(list(self), count)
        drawn: dict[bytes, None] = {}
        while len(drawn) < count:
            drawn[self.random_key(rng)] = None
        return list(drawn)

    def random_draws(self, rng: Random, count: int) -> list[bytes]:
        """`count` keys, the same one perhaps several times, in O(count); none from an empty table."""
        if not self:
            return []
        if count * 3 > len(self):
            return rng.choices(list(self), k=count)
        return [self.random_key(rng) for _ in range(count)]


class WideTable(Table[V]):
    """A table of many keys, kept in the buckets of a directory. The dict that it is by its class stays empty.

    So each method of a dict or a table that is of use is redefined here.
    """

    __slots__ = ()
    directory: Directory[V]

    # --- reading -----------------------------------------------------------------------------------

    def get(self, key: bytes, default: Any = None, /) -> Any:
        directory = self.directory
        return directory[hash(key) >> directory.shift].get(key, default)

    def __getitem__(self, key: bytes) -> V:
        directory = self.directory
        return directory[hash(key) >> directory.shift][key]

    def __contains__(self, key: object) -> bool:
        directory = self.directory
        return key in directory[hash(key) >> directory.shift]

    def __len__(self) -> int:
        return self.directory.size

    def __iter__(self) -> Iterator[bytes]:
        return chain.from_iterable(self.directory.buckets)

    def keys(self) -> dict_keys[bytes, V]:
        return dict(self.items()).keys()

    def values(self) -> dict_values[bytes, V]:
        return chain.from_iterable(map(dict.values, self.directory.buckets))  # type: ignore

    def items(self) -> dict_items[bytes, V]:
        return chain.from_iterable(map(dict.items, self.directory.buckets))  # type: ignore

    def copy(self) -> dict[bytes, V]:
        return dict(self.items())

    def __eq__(self, other: object) -> bool:
        return dict(self.items()) == (dict(other.items()) if isinstance(other, WideTable) else other)

    __hash__ = None  # type: ignore[assignment]

    def __sizeof__(self) -> int:
        return super().__sizeof__() + self.directory.memory_bytes()

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        return self.directory.scan(cursor, count)

    def random_key(self, rng: Random) -> bytes:
        if not self.directory.size:
            raise IndexError("the table is empty")
        return self.directory.draw(rng)

    # --- changing ----------------------------------------------------------------------------------

    def put(self, key: bytes, value: V) -> bool:
        directory = self.directory
        bucket = directory[hash(key) >> directory.shift]
        if bucket.is_shared:
            bucket = directory.owned(bucket)
        before = len(bucket)
        bucket[key] = value
        if len(bucket) == before:
            return False
        directory.size += 1
        if before == MOST_IN_BUCKET:
            directory.split_for(key)
        return True

    def __setitem__(self, key: bytes, value: V) -> None:
        self.put(key, value)

    def exchange(self, key: bytes, value: V) -> V | None:
        directory = self.directory
        bucket = directory[hash(key) >> directory.shift]
        if bucket.is_shared:
            bucket = directory.owned(bucket)
        before = bucket.get(key)
        bucket[key] = value
        if before is None:
            directory.size += 1
            if len(bucket) > MOST_IN_BUCKET:
                directory.split_for(key)
        return before

    def put_all(self, pairs: Iterable[tuple[bytes, V]]) -> None:
        for key, value in pairs:
            self.put(key, value)

    def discard(self, key: bytes) -> bool:
        directory = self.directory
        bucket = directory[hash(key) >> directory.shift]
        if key not in bucket:
            return False
        if bucket.is_shared:
            bucket = directory.owned(bucket)
        del bucket[key]
        directory.size -= 1
        if len(bucket) < FEW_IN_BUCKET:
            directory.join_for(key)
        return True

    def copied(self) -> Self:
        made: Self = type(self)()
        made.directory = self.directory.copied()
        return made

    def __delitem__(self, key: bytes) -> None:
        if not self.discard(key):
            raise KeyError(key)

    @classmethod
    def take_over(cls, table: Table[V]) -> None:
        """Make a table one of this class. It holds what it held."""
        pairs = list(table.items())
        table.clear()
        table.__class__ = cls
        assert isinstance(table, cls)
        table._begin(pairs)

    def _begin(self, pairs: list[tuple[bytes, V]]) -> None:
        directory = self.directory = Directory[V]((len(pairs) * 2 // MOST_IN_BUCKET).bit_length() - 1)
        shift = directory.shift
        for key, value in pairs:
            directory[hash(key) >> shift][key] = value
        directory.size = len(pairs)
        for bucket in [bucket for bucket in directory if len(bucket) > MOST_IN_BUCKET]:
            for key in [*bucket]:
                directory.split_for(key)


Table.wide = WideTable
