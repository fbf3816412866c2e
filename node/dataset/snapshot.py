"""A consistent picture of the keyspace at one moment, told in slices while writes go on.

How it goes wrong without a rule: a save that takes seconds runs between commands. A key it has not reached
may be changed, removed or moved by then, a key it has passed may come up again under another
name; what it wrote would be a state that never was, and the stream of later commands, replayed
on top of it, would count some changes twice.

The rule: a key not yet told is told just before the first change to it, and never again. So every key's value
is the one it had when the walk began; keys added later are in no picture.

How each case keeps to it:
- A change in a slot the walk has not reached: the old value is told and the key is marked there. A key
  that did not exist is only marked. When the walk comes to the slot it passes over marked keys.
- A change in the slot being told: `_rest` holds the keys still to tell; a key in it is told and taken
  out, any other was told or is new.
- A change to a large value, of which some pieces may have been told: to tell the others first would hold up
  everybody. The walk keeps the value itself and tells it in its own time; who wants to alter it asks
  `holds`, and alters a copy, which takes its place in the keyspace. Copying moves pointers: a fiftieth of
  what telling costs. That the object is kept, and not the key, lets it be renamed or deleted meanwhile.
- FLUSHALL puts fresh tables in place and leaves the old ones to the walk, which goes on with them.
- SWAPDB moves tables to another database. The walk knows tables by identity, so it tells them
  under the number they had when it began.

Why it ends: slots with keys are listed at the beginning and each is told once; marked keys only shorten it.
An expired key that nobody has touched is told with its expiry, as any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from shoal.cluster.slots import SLOT_COUNT
from shoal.node.dataset.database import Database
from shoal.node.dataset.keyspace import Keyspace
from shoal.node.dataset.slot_tables import SlotTable
from shoal.node.dataset.usage import UNKNOWN, Usage, usage_in
from shoal.node.dataset.values import Value, parts_of

SHORT_BYTES = 1024
MOST_KEYS_AHEAD = 512
"""Of short strings that are about to change, so many are told in one go, which is quicker than one by one."""

MOST_KEYS_AT_ONCE = 128
"""So many keys of a slot are told in one go if they are short strings. In most datasets it holds fewer."""

LARGE_VALUE_ELEMENTS = 4096
"""Containers with more elements are told in pieces, so that one value does not outlast a slice."""

_REACHED: dict[bytes, None] = {}
"""The marks of a slot that the walk has reached, or never will."""


class Sink(Protocol):
    """Takes the keys of a walk."""

    def add_short_strings(
        self, database: int, keys: Mapping[bytes, Value], expires: Mapping[bytes, int]
    ) -> int:
        """Take all of these keys, if each of them is simple; returns their size, or 0 if none was taken.

        What is simple, the sink says: a short string that is not in `expires`, or nothing at all.
        """

    def add(self, database: int, key: bytes, value: Value, expiry_ms: int | None, usage: Usage) -> int:
        """Take a key at once, for its value may change right after; returns its size in bytes."""

    def add_in_pieces(
        self, database: int, key: bytes, value: Value, expiry_ms: int | None, usage: Usage
    ) -> Iterator[int]:
        """Take a key a piece at a step, each giving its size. Other keys may be added between two steps."""


class _Large:
    """A large value that is told a piece at a time."""

    __slots__ = ("key", "pieces", "value")

    def __init__(self, key: bytes, value: Value, pieces: Iterator[int]) -> None:
        self.key: bytes | None = key
        """Under which the value still is; None once that changed."""
        self.value = value
        self.pieces = pieces


class _Picture:
    """One database as the walk found it."""

    def __init__(self, database: Database, slots: Iterable[int] | None) -> None:
        self.index = database.index
        self.tables = database.tables
        wanted = reversed(range(SLOT_COUNT)) if slots is None else sorted(slots, reverse=True)
        self.road = [slot for slot in wanted if self.tables[slot]]
        self.keys = len(database) if slots is None else sum(len(self.tables[slot]) for slot in self.road)
        self.marked: list[dict[bytes, None] | None] = [_REACHED] * SLOT_COUNT
        """Of each slot that the walk has not reached: the keys that were changed, None if none was. A dict
        takes half of what a set does."""
        for slot in self.road:
            self.marked[slot] = None
        self.ahead: dict[bytes, Value] = {}
        """Short strings that were changed, as they were: they are told with the next slice."""

    def ahead_bytes(self) -> int:
        """How large what waits there is."""
        return sum(len(key) + len(value) for key, value in self.ahead.items() if type(value) is bytes)


class SlotWalk:
    """A walk over all slots, or over the given ones. It sees changes from its creation until it is done."""

    def __init__(self, keyspace: Keyspace, sink: Sink, slots: Iterable[int] | None = None) -> None:
        self.done = False
        self.told = 0
        self._copied = 0
        self._keyspace = keyspace
        self._tells_usage = keyspace.saves_usage
        self._sink = sink
        chosen = None if slots is None else frozenset(slots)
        pictures = [_Picture(database, chosen) for database in keyspace.databases if len(database)]
        self.total = sum(picture.keys for picture in pictures)
        self._pictures = {id(picture.tables): picture for picture in pictures}
        self._waiting = pictures[::-1]
        self._current: _Picture | None = None
        self._current_slot = -1
        self._rest: dict[bytes, Value] = {}
        self._large: _Large | None = None
        """The large value that is being told."""
        self._kept: list[_Large] = []
        """Large values that were about to change. They are told next."""
        self._held: dict[int, Value] = {}
        """By identity: what of either is in the keyspace no more, unless under another name."""
        keyspace.snapshots.append(self)

    @property
    def copied(self) -> int:
        """What was told because it was about to change, in bytes."""
        return self._copied + sum(picture.ahead_bytes() for picture in self._pictures.values())

    def step(self, budget: int) -> bool:
        """Tell keys until their sizes reach the budget, in bytes; True when all is told."""
        spent = 0
        for picture in self._pictures.values():
            if picture.ahead:
                self._tell_ahead(picture)
        while spent < budget and not self.done:
            if self._large is not None:
                spent += self._tell_piece(self._large)
            elif self._kept:
                self._large = self._kept.pop()
            elif self._current is not None and self._rest:
                spent += self._tell_rest(self._current, budget - spent)
            elif not self._enter_next_slot():
                self.stop()
        return self.done

    def stop(self) -> None:
        """End the walk, finished or not."""
        if not self.done:
            self.done = True
            self._keyspace.snapshots.remove(self)
            self._pictures, self._waiting, self._rest, self._current = {}, [], {}, None
            self._large, self._kept, self._held = None, [], {}

    def holds(self, value: Value) -> bool:
        """Whether the walk goes on with this very object, so that nobody may alter it any more."""
        return id(value) in self._held

    def before_change(self, database: Database, slot: int, key: bytes) -> None:
        """Tell a key's old value before the first change to it."""
        picture = self._pictures.get(id(database.tables))
        if picture is None:
            return
        marked = picture.marked[slot]
        if marked is not _REACHED:
            if marked is None:
                picture.marked[slot] = {key: None}
            elif key in marked:
                return
            else:
                marked[key] = None
            value = picture.tables[slot].get(key)
            if value is not None:
                self._keep(picture, slot, key, value)
        elif picture is self._current and slot == self._current_slot:
            if key in self._rest:
                self._keep(picture, slot, key, self._rest.pop(key))
            elif self._large is not None and key == self._large.key:
                self._hold(self._large)

    def _keep(self, picture: _Picture, slot: int, key: bytes, value: Value) -> None:
        """Tell a key ahead of its turn; a short string, which stays as it is, in one go with others."""
        self.told += 1
        if (
            type(value) is bytes
            and len(value) < SHORT_BYTES
            and key not in picture.tables[slot].expires
            and not self._keyspace.saves_usage
        ):
            ahead = picture.ahead
            ahead[key] = value
            if len(ahead) >= MOST_KEYS_AHEAD:
                self._tell_ahead(picture)
        elif _is_large(value):
            large = self._begin_large(picture, slot, key, value)
            self._kept.append(large)
            self._hold(large)
        else:
            self._tell(picture, slot, key, value)

    def _begin_large(self, picture: _Picture, slot: int, key: bytes, value: Value) -> _Large:
        table = picture.tables[slot]
        usage = self._usage(table, key)
        pieces = self._sink.add_in_pieces(picture.index, key, value, table.expires.get(key), usage)
        return _Large(key, value, pieces)

    def _hold(self, large: _Large) -> None:
        """The key is not the walk's any more, the value is."""
        large.key = None
        self._held[id(large.value)] = large.value

    def _tell(self, picture: _Picture, slot: int, key: bytes, value: Value) -> None:
        table = picture.tables[slot]
        usage = self._usage(table, key)
        expiry_ms = table.expires.get(key)
        self._copied += self._sink.add(picture.index, key, value, expiry_ms, usage)

    def _tell_ahead(self, picture: _Picture) -> None:
        ahead, picture.ahead = picture.ahead, {}
        size = self._sink.add_short_strings(picture.index, ahead, {})
        if not size:
            size = sum(self._sink.add(picture.index, *entry, None, UNKNOWN) for entry in ahead.items())
        self._copied += size

    def _usage(self, table: SlotTable, key: bytes) -> Usage:
        keyspace = self._keyspace
        return usage_in(table.accessed, key, keyspace.now_ms) if keyspace.saves_usage else UNKNOWN

    def _tell_rest(self, picture: _Picture, budget: int) -> int:
        """Tell keys of the current slot, about up to the budget or to a large value, which is then begun."""
        spent = 0
        while self._rest and spent < budget and self._large is None:
            some = self._take_some()
            size = 0
            if not self._keyspace.saves_usage:
                expires = picture.tables[self._current_slot].expires
                size = self._sink.add_short_strings(picture.index, some, expires)
                self.told += len(some) if size else 0
            spent += size or self._tell_each(picture, some, budget - spent)
        return spent

    def _take_some(self) -> dict[bytes, Value]:
        """Some keys of the current slot; often those are all."""
        rest = self._rest
        if len(rest) <= MOST_KEYS_AT_ONCE:
            self._rest = {}
            return rest
        return dict([rest.popitem() for _ in range(MOST_KEYS_AT_ONCE)])

    def _tell_each(self, picture: _Picture, some: dict[bytes, Value], budget: int) -> int:
        """Tell some keys one by one. What is over the budget, or behind a large value, is left for later."""
        table = picture.tables[self._current_slot]
        add, expiry_of, knows_usage = self._sink.add, table.expires.get, self._keyspace.saves_usage
        spent, before = 0, len(some)
        while some and spent < budget:
            key, value = some.popitem()
            if type(value) is not bytes and _is_large(value):
                self._large = self._begin_large(picture, self._current_slot, key, value)
                break
            usage = self._usage(table, key) if knows_usage else UNKNOWN
            spent += add(picture.index, key, value, expiry_of(key), usage)
        self.told += before - len(some)
        self._rest.update(some)
        return spent

    def _tell_piece(self, large: _Large) -> int:
        size = next(large.pieces, None)
        if size is None:
            self._large = None
            self._held.pop(id(large.value), None)
            return 0
        if large.key is None:
            self._copied += size
        return size

    def _enter_next_slot(self) -> bool:
        """Make the next slot the current one, its keys less the marked ones the rest; False after the last.

        Copying a slot's table moves pointers only, 30 ns a key: of note only if one hash tag holds most keys.
        """
        while self._current is None or not self._current.road:
            if not self._waiting:
                return False
            self._current = self._waiting.pop()
        picture = self._current
        slot = self._current_slot = picture.road.pop()
        self._rest = picture.tables[slot].copy()
        for key in picture.marked[slot] or ():
            self._rest.pop(key, None)
        picture.marked[slot] = _REACHED
        return True


def _is_large(value: Value) -> bool:
    return parts_of(value) > LARGE_VALUE_ELEMENTS
