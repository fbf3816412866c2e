"""The keys of a database: one table per hash slot.

A table per slot, in cluster mode and out of it, makes a slot's keys, their count, their deletion and
their migration cost what the slot holds and no more. Slots that hold nothing share one empty table, and
counts by groups of 128 slots let a walk over the whole keyspace skip what is empty.

Only `Database` puts keys here and takes them out; what follows from that is its business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

from shoal.cluster.slots import SLOT_COUNT, key_slot
from shoal.node.dataset.table import Table, WideTable
from shoal.node.dataset.values import Value

GROUP_SHIFT = 7

TIMES_SHIFT = 5
TIMES_GROUPS = SLOT_COUNT >> TIMES_SHIFT
"""When keys were last used, and when they expire, is kept for 32 slots together, in 512 tables for either.

A dict that is full is laid out anew all at once: 16 ms with 350,000 entries, twice that with twice as many.
In 512 of them nothing takes so long: of twenty million keys each holds forty thousand, which take 1 ms. Still
more would take more memory where there are few keys, and be in the processor's caches less often.
"""


class SlotTable(Table[Value]):
    """A slot's keys and values, and where to look up what else is known of its keys."""

    __slots__ = ("accessed", "expires")

    def __init__(self, accessed: dict[bytes, int], expires: Mapping[bytes, int]) -> None:
        super().__init__()
        self.accessed = accessed
        """When its keys, and those of slots beside it, were last used; see `Keyspace.count_uses`."""
        self.expires = expires
        """When they expire, as far as they do."""


class WideSlotTable(WideTable[Value], SlotTable):
    """The keys and values of a slot that holds many, as under one hash tag."""

    __slots__ = ()


SlotTable.wide = WideSlotTable

NEVER: dict[bytes, int] = {}
"""When the keys of slots expire that hold none that does. Nobody puts anything into it."""

NOTHING = SlotTable({}, NEVER)
"""The table of every slot that holds nothing. Nobody puts anything into it."""


class SlotTables:
    """Keys and values by slot, as they are stored: some may have expired."""

    def __init__(self) -> None:
        self.clear_tables()

    def clear_tables(self) -> None:
        """Begin anew with empty tables. Who walks over the old ones keeps them."""
        self.tables: list[SlotTable] = [NOTHING] * SLOT_COUNT
        self.group_counts = [0] * (SLOT_COUNT >> GROUP_SHIFT)

    def __len__(self) -> int:
        return sum(self.group_counts)

    def stored(self, key: bytes) -> Value | None:
        """What is under a key, be its time over or not."""
        return self.tables[key_slot(key)].get(key)

    def among(self, slot: int, keys: Mapping[bytes, Value]) -> list[bytes]:
        """Which of these keys the slot holds, expired ones included."""
        table = self.tables[slot]
        return [key for key in keys if key in table]

    def next_slot(self, slot: int) -> int | None:
        """The first slot at or after `slot` that holds a key."""
        while slot < SLOT_COUNT:
            if self.group_counts[slot >> GROUP_SHIFT] == 0:
                slot = ((slot >> GROUP_SHIFT) + 1) << GROUP_SHIFT
            elif self.tables[slot]:
                return slot
            else:
                slot += 1
        return None

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """About `count` keys from the cursor on; 0 starts and ends. The cursor holds slot and place in it."""
        slot, inner = cursor & (SLOT_COUNT - 1), cursor >> 14
        found: list[bytes] = []
        while len(found) < count:
            occupied = self.next_slot(slot)
            if occupied is None:
                return 0, found
            inner, keys = self.tables[occupied].scan(inner if occupied == slot else 0, count - len(found))
            found += keys
            slot = occupied if inner else occupied + 1
        if self.next_slot(slot) is None:
            return 0, found
        return (inner << 14) | slot, found

    def keys(self) -> Iterator[bytes]:
        """Every key, expired ones included. The caller must not change the keyspace meanwhile."""
        slot = self.next_slot(0)
        while slot is not None:
            yield from self.tables[slot]
            slot = self.next_slot(slot + 1)

    def random_key(self, rng: Random) -> bytes | None:
        """A key drawn uniformly, expired ones included; None from an empty database."""
        size = len(self)
        if not size:
            return None
        place = rng.randrange(size)
        group = 0
        while place >= self.group_counts[group]:
            place -= self.group_counts[group]
            group += 1
        for slot in range(group << GROUP_SHIFT, (group + 1) << GROUP_SHIFT):
            if place < len(self.tables[slot]):
                return self.tables[slot].random_key(rng)
            place -= len(self.tables[slot])
        raise AssertionError("the group counts do not add up to the tables")
