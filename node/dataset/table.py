"""A dict of byte keys that can also be walked by a cursor and drawn from at random.

Looking up, adding and removing stay those of a dict. SCAN needs more: a cursor that survives any
change between two calls, and the promise that what was there all along is returned. A dict offers no
place to resume at, so the first scan or draw on a large table builds an index of births: every key
gets a rising birth number, positions stay in birth order, and a removed key leaves a hole.

A scan walks from the newest birth to the oldest. Keys born after it began have greater numbers and are
never met, so it always ends; deaths move nobody past the cursor, so nothing that stays is missed; and
closing the holes keeps the order of births, so old cursors stay good. Costs: add and remove O(1) plus
one bisection, closing holes O(1) amortised. Small tables have no index: they are returned whole.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from itertools import islice
from random import Random
from typing import Generic, TypeVar

WHOLE_TABLE_LIMIT = 512
"""Tables up to this size are scanned in one call and need no index."""

V = TypeVar("V")


class Table(dict[bytes, V], Generic[V]):
    """A dict whose keys are added by `put` and removed by `discard`, so that the index stays true."""

    __slots__ = ("births",)

    def __init__(self) -> None:
        super().__init__()
        self.births: Births | None = None

    def put(self, key: bytes, value: V) -> None:
        """Add or replace."""
        if self.births is not None and key not in self:
            self.births.add(key)
        self[key] = value

    def put_all(self, items: Mapping[bytes, V]) -> None:
        """`put` for many."""
        if self.births is None:
            self.update(items)
        else:
            for key, value in items.items():
                self.put(key, value)

    def discard(self, key: bytes) -> bool:
        """Remove a key; False if it was not there."""
        if key not in self:
            return False
        del self[key]
        if self.births is not None:
            self.births.remove(key)
        return True

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """About `count` keys from the cursor on, and the cursor to go on from: 0 starts and 0 ends."""
        if self.births is None:
            if len(self) <= WHOLE_TABLE_LIMIT:
                return 0, list(self)
            self.births = self._new_index()
        return self.births.scan(cursor, count)

    def random_key(self, rng: Random) -> bytes:
        """A key drawn uniformly; IndexError from an empty table."""
        if not self:
            raise IndexError("the table is empty")
        if self.births is None:
            if len(self) <= WHOLE_TABLE_LIMIT:
                return next(islice(self, int(rng.random() * len(self)), None))
            self.births = self._new_index()
        return self.births.draw(rng)

    def pop_random(self, rng: Random) -> bytes:
        """Remove a key drawn uniformly; IndexError from an empty table.

        The index knows the place it drew: to look for the key again would take twice as long.
        """
        births = self.births
        if births is None:
            key = self.random_key(rng)
            self.discard(key)
        else:
            key = births.take(rng)
            del self[key]
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

    def _new_index(self) -> Births:
        return Births(list(self), {})


class Births:
    """Keys in order of birth, holes included; `birth_of` is kept where its owner says."""

    __slots__ = ("birth_of", "births", "holes", "keys", "next_birth")

    def __init__(self, keys: list[bytes], birth_of: dict[bytes, int]) -> None:
        self.keys: list[bytes | None] = [*keys]
        self.births: list[int] = list(range(1, len(keys) + 1))
        self.birth_of = birth_of
        birth_of.update(zip(keys, self.births, strict=True))
        self.next_birth = len(keys) + 1
        self.holes = 0

    def add(self, key: bytes) -> None:
        self.keys.append(key)
        self.births.append(self.next_birth)
        self.birth_of[key] = self.next_birth
        self.next_birth += 1

    def remove(self, key: bytes) -> None:
        self._leave_hole(bisect_left(self.births, self.birth_of.pop(key)))

    def take(self, rng: Random) -> bytes:
        """Remove a key drawn uniformly."""
        keys, random = self.keys, rng.random
        key = None
        while key is None:
            position = int(random() * len(keys))
            key = keys[position]
        del self.birth_of[key]
        self._leave_hole(position)
        return key

    def _leave_hole(self, position: int) -> None:
        keys = self.keys
        keys[position] = None
        self.holes += 1
        # A scan begins at the end: what is taken away from there, as a slot's migration does, leaves nothing.
        while keys and keys[-1] is None:
            keys.pop()
            self.births.pop()
            self.holes -= 1
        if self.holes > len(self.birth_of) + WHOLE_TABLE_LIMIT:
            self._close_holes()

    def _close_holes(self) -> None:
        pairs = zip(self.keys, self.births, strict=True)
        self.births = [birth for key, birth in pairs if key is not None]
        self.keys = [key for key in self.keys if key is not None]
        self.holes = 0

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        position = bisect_left(self.births, cursor) if cursor else len(self.births)
        found: list[bytes] = []
        while position > 0 and len(found) < count:
            position -= 1
            key = self.keys[position]
            if key is not None:
                found.append(key)
        return (self.births[position] if position > 0 else 0), found

    def draw(self, rng: Random) -> bytes:
        while True:
            key = self.keys[int(rng.random() * len(self.keys))]
            if key is not None:
                return key
