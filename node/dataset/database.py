"""One numbered database: its keys (`slot_tables.py`), and the one door every write goes through.

The door: `for_change` before a value is altered (a snapshot under way first saves the old value),
`set`/`delete` to replace or remove, `changed` after. WATCH, the count of changes that decides whether
a command is propagated, and keyspace events hang on it; a command that went around it would be lost
to all of them.

Expiry is lazy on access and active by `expire_due`. A primary deletes a key whose time has come and tells
its replicas by a DEL; a replica only hides it and waits for that DEL, so that both hold the same data.

Where every command passes, the slot of a key without a hash tag is computed on the spot: calling
`key_slot` would add a tenth to the cost of a GET.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Mapping, Sequence, Sized
from typing import TYPE_CHECKING, TypeVar, cast

from shoal.cluster.slots import BRACE, key_slot
from shoal.node.dataset.expiries import Expiries
from shoal.node.dataset.expiry_mode import ExpiryMode
from shoal.node.dataset.field_expiry import for_changing, for_reading
from shoal.node.dataset.hashes import ExpiringHash, HashValue, PackedHash, WideHash
from shoal.node.dataset.lists import ListValue
from shoal.node.dataset.observers import Watcher
from shoal.node.dataset.slot_tables import (
    GROUP_SHIFT,
    NEVER,
    NOTHING,
    TIMES_GROUPS,
    TIMES_SHIFT,
    SlotTable,
    SlotTables,
)
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.streams import Stream
from shoal.node.dataset.table import MOST_IN_ONE_DICT
from shoal.node.dataset.values import SetValue, StringValue, Value, copy_value
from shoal.node.resp.replies import CommandError

if TYPE_CHECKING:
    from shoal.node.dataset.keyspace import Keyspace

WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
CONTENTS = ("tables", "group_counts", "accessed", "expires", "expiring_hashes")
"""What of a database moves to another with its keys."""

K = TypeVar("K", ListValue, SetValue, SortedSet, Stream)
L = TypeVar("L", bound=Value)


class Database(SlotTables):
    """One numbered database: its keys, when they expire, when they were last used, and who watches them."""

    def __init__(self, keyspace: Keyspace, index: int) -> None:
        super().__init__()
        self.keyspace = keyspace
        self.index = index
        self.watchers: dict[bytes, list[Watcher]] = {}
        self._clear_times()

    def _clear_times(self) -> None:
        self.accessed: list[dict[bytes, int] | None] = [None] * TIMES_GROUPS
        self.expires = Expiries()
        self.expiring_hashes = Expiries()
        """Hashes whose fields expire, by the moment of the next."""

    # --- reading -----------------------------------------------------------------------------------

    def read(self, key: bytes) -> Value | None:
        """The value of a key that has not expired. Counts as an access, a hit or a miss."""
        keyspace = self.keyspace
        table = self.tables[crc_hqx(key, 0) & 16383 if BRACE not in key else key_slot(key)]
        value = table.get(key)
        if value is None or (table.expires and key in table.expires and self._is_over(key, table)):
            self._missed(key)
            return None
        keyspace.hits += 1
        table.accessed[key] = keyspace.now_ms
        return value

    def look(self, key: bytes) -> Value | None:
        """`read` for a question about the key, such as TYPE: a hit or a miss, but no access."""
        value = self.peek(key)
        if value is None:
            self._missed(key)
        else:
            self.keyspace.hits += 1
        return value

    def _missed(self, key: bytes) -> None:
        keyspace = self.keyspace
        keyspace.misses += 1
        if keyspace.on_miss is not None:
            keyspace.on_miss(self.index, key)

    def peek(self, key: bytes) -> Value | None:
        """The value of a key that has not expired, without counting as an access."""
        table = self.tables[crc_hqx(key, 0) & 16383 if BRACE not in key else key_slot(key)]
        value = table.get(key)
        if value is None or (table.expires and key in table.expires and self._is_over(key, table)):
            return None
        return value

    def peek_all(self, slot: int, keys: Sequence[bytes]) -> list[tuple[bytes, Value]]:
        """The keys of one slot that are there, with their values; as `peek`, but the slot is known."""
        table = self.tables[slot]
        get, expires = table.get, table.expires
        return [
            (key, value)
            for key in keys
            if (value := get(key)) is not None and (key not in expires or not self._is_over(key, table))
        ]

    def read_string(self, key: bytes) -> bytes | None:
        """A string's bytes; WRONGTYPE if the key holds anything else. So for the other `read_…`.

        The commonest read of all: what it expects to find, it finds without another call.
        """
        table = self.tables[crc_hqx(key, 0) & 16383 if BRACE not in key else key_slot(key)]
        value = table.get(key)
        if type(value) is bytes and not (
            table.expires and key in table.expires and self._is_over(key, table)
        ):
            keyspace = self.keyspace
            keyspace.hits += 1
            table.accessed[key] = keyspace.now_ms
            return value
        value = self.read(key)
        if value is None or type(value) is bytes:
            return value
        if type(value) is bytearray:
            return bytes(value)
        raise CommandError(WRONG_TYPE)

    def view_string(self, key: bytes) -> StringValue | None:
        """`read_string` without the copy: for looking at parts of a string, not for keeping it."""
        value = self.read(key)
        if value is None or type(value) is bytes or type(value) is bytearray:
            return value
        raise CommandError(WRONG_TYPE)

    def read_as(self, key: bytes, kind: type[K]) -> K | None:
        """`read` of a key that must hold a value of this type; WRONGTYPE otherwise."""
        table = self.tables[crc_hqx(key, 0) & 16383 if BRACE not in key else key_slot(key)]
        value = table.get(key)
        if value is None or (table.expires and key in table.expires and self._is_over(key, table)):
            self._missed(key)
            return None
        keyspace = self.keyspace
        keyspace.hits += 1
        table.accessed[key] = keyspace.now_ms
        if type(value) is not kind and not isinstance(value, kind):
            raise CommandError(WRONG_TYPE)
        return value

    def read_hash(self, key: bytes) -> HashValue | None:
        value = self.read(key)
        if value is None or type(value) is PackedHash or type(value) is HashValue or type(value) is WideHash:
            return value
        if isinstance(value, ExpiringHash):
            return for_reading(self, key, value)
        raise CommandError(WRONG_TYPE)

    # --- the door ----------------------------------------------------------------------------------

    def for_change(self, key: bytes) -> Value | None:
        """The value about to be altered in place, its old state saved for any snapshot under way.

        Every alteration is followed by `changed`. A container that became empty must be `delete`d.
        """
        table = self.table_for_change(key)
        if table is None:
            return None
        return self._copied_if_kept(key, table[key]) if self.keyspace.snapshots else table[key]

    def table_for_change(self, key: bytes) -> SlotTable | None:
        """`for_change`, but the table that holds the key: for who replaces the value or takes it away."""
        table = self.tables[crc_hqx(key, 0) & 16383 if BRACE not in key else key_slot(key)]
        if key not in table or (table.expires and key in table.expires and self._is_over(key, table)):
            return None
        keyspace = self.keyspace
        table.accessed[key] = keyspace.now_ms
        if keyspace.snapshots:
            self.save_for_snapshots(key, key_slot(key))
        return table

    def change_as(self, key: bytes, kind: type[K]) -> K | None:
        """`for_change` of a key that must hold a value of this type; WRONGTYPE otherwise.

        Nearly every write comes here, so it does not call `for_change`: that is worth three in a hundred.
        """
        table = self.tables[crc_hqx(key, 0) & 16383 if BRACE not in key else key_slot(key)]
        value = table.get(key)
        if value is None or (table.expires and key in table.expires and self._is_over(key, table)):
            return None
        keyspace = self.keyspace
        table.accessed[key] = keyspace.now_ms
        if type(value) is not kind and not isinstance(value, kind):
            raise CommandError(WRONG_TYPE)
        return self.alterable(key, value) if keyspace.snapshots else value

    def change_string(self, key: bytes) -> StringValue | None:
        """`for_change` of a key that must hold a string; WRONGTYPE otherwise. So for the other `change_…`.

        A `bytearray` may be altered in place; `bytes` are replaced by `set` with `keep_expiry`.
        """
        value = self.for_change(key)
        if value is None or type(value) is bytes or type(value) is bytearray:
            return value
        raise CommandError(WRONG_TYPE)

    def change_hash(self, key: bytes) -> HashValue | None:
        value = self.for_change(key)
        if value is None or type(value) is PackedHash or type(value) is HashValue or type(value) is WideHash:
            return value
        if isinstance(value, ExpiringHash):
            return for_changing(self, key, value)
        raise CommandError(WRONG_TYPE)

    def set(self, key: bytes, value: Value, *, keep_expiry: bool = False) -> None:
        """Give a key a value, whatever it held. Its time to live goes, unless kept. `changed` follows."""
        slot = crc_hqx(key, 0) & 16383 if BRACE not in key else key_slot(key)
        keyspace = self.keyspace
        for snapshot in keyspace.snapshots:
            snapshot.before_change(self, slot, key)
        table = self.tables[slot]
        if table.expires and key in table.expires and (not keep_expiry or self._is_over(key, table)):
            self.expires.discard(slot, key)  # unless it has gone with the key
        if key in table:
            table[key] = value
        else:
            table = self._put_new(slot, key, value)
        table.accessed[key] = keyspace.now_ms

    def set_until(self, key: bytes, value: Value, at_ms: int) -> None:
        """`set` with a time to live."""
        slot = crc_hqx(key, 0) & 16383 if BRACE not in key else key_slot(key)
        keyspace = self.keyspace
        for snapshot in keyspace.snapshots:
            snapshot.before_change(self, slot, key)
        table = self.tables[slot]
        if key in table:
            table[key] = value
        else:
            table = self._put_new(slot, key, value)
        table.accessed[key] = keyspace.now_ms
        self._expire_at(slot, key, at_ms)

    def set_strings(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """`set` and `changed` for each of several keys, a third cheaper where nobody looks on."""
        keyspace = self.keyspace
        if keyspace.snapshots or keyspace.is_heard or keyspace.on_new_key is not None or self.watchers:
            for key, value in zip(keys, values, strict=True):
                self.set(key, value)
                self.changed(key, "set")
            return
        tables, counts, now_ms = self.tables, self.group_counts, keyspace.now_ms
        any_expires, are_tagged = self.expires.count > 0, BRACE in b"".join(keys)
        for key, value in zip(keys, values, strict=True):
            slot = key_slot(key) if are_tagged else crc_hqx(key, 0) & 16383
            table = tables[slot]
            if any_expires and key in table.expires:
                self.expires.discard(slot, key)
            if table is NOTHING:
                table = self._open(slot)
            size = len(table)
            table[key] = value  # one look for the key, be it new or not: what is random is not in the caches
            if len(table) != size:
                counts[slot >> GROUP_SHIFT] += 1
                if size == MOST_IN_ONE_DICT:
                    table.put(key, value)  # once more, which makes it wide
            table.accessed[key] = now_ms
        keyspace.changes += len(keys)

    def add(self, key: bytes, value: Value) -> bool:
        """`set` for a key that should be new; False, and nothing is done, if it is there."""
        slot = crc_hqx(key, 0) & 16383 if BRACE not in key else key_slot(key)
        if key in self.tables[slot]:
            return False
        if self.keyspace.snapshots:
            self.save_for_snapshots(key, slot)
        self._put_new(slot, key, value).accessed[key] = self.keyspace.now_ms
        return True

    def add_many(self, values: Mapping[bytes, Value]) -> bytes | None:
        """`add` for keys of any slots, up to one that is there already, which is returned.

        This is what loading a snapshot mostly does, so nothing is called for each key.
        """
        keyspace, tables, counts = self.keyspace, self.tables, self.group_counts
        is_watched, now_ms = bool(keyspace.snapshots) or keyspace.on_new_key is not None, keyspace.now_ms
        for key, value in values.items():
            slot = crc_hqx(key, 0) & 16383 if BRACE not in key else key_slot(key)
            table = tables[slot]
            if key in table:
                return key
            if table is NOTHING or len(table) == MOST_IN_ONE_DICT or is_watched:
                self.add(key, value)
            else:
                table[key] = value
                counts[slot >> GROUP_SHIFT] += 1
                table.accessed[key] = now_ms
        return None

    def _put_new(self, slot: int, key: bytes, value: Value) -> SlotTable:
        table = self.tables[slot]
        if table is NOTHING:
            table = self._open(slot)
        self.group_counts[slot >> GROUP_SHIFT] += 1
        table.put(key, value)
        if self.keyspace.on_new_key is not None:
            self.keyspace.on_new_key(self.index, key)
        return table

    def _open(self, slot: int) -> SlotTable:
        """A table for a slot that holds nothing."""
        group = slot >> TIMES_SHIFT
        accessed = self.accessed[group]
        if accessed is None:
            accessed = self.accessed[group] = self.keyspace.new_access_table()
            self.keyspace.opened += 1
        table = self.tables[slot] = SlotTable(accessed, self.expires.near(slot))
        return table

    def add_all(self, slot: int, values: Mapping[bytes, Value]) -> None:
        """`set` for many new keys of one slot, at a fraction of the cost. `changed` follows for each."""
        keyspace = self.keyspace
        is_looked_on = bool(keyspace.snapshots) or keyspace.on_new_key is not None
        if is_looked_on or keyspace.counting_rules is not None:
            for key, value in values.items():
                self.set(key, value)
            return
        table = self.tables[slot]
        if table is NOTHING:
            table = self._open(slot)
        table.put_all(values.items())
        self.group_counts[slot >> GROUP_SHIFT] += len(values)
        table.accessed.update(dict.fromkeys(values, keyspace.now_ms))

    def delete(self, key: bytes) -> bool:
        """Remove a key; False if there was none (or only an expired one). `changed` follows."""
        slot = crc_hqx(key, 0) & 16383 if BRACE not in key else key_slot(key)
        table = self.tables[slot]
        if key not in table or (table.expires and key in table.expires and self._is_over(key, table)):
            return False
        self._remove(key, slot)
        return True

    def delete_hidden(self, key: bytes) -> bool:
        """Remove a key that only looks as if it were gone, on a replica, since its time has come."""
        slot = key_slot(key)
        if key not in self.tables[slot]:
            return False
        self._remove(key, slot)
        return True

    def delete_all(self, slot: int, keys: Sequence[bytes]) -> list[bytes]:
        """`delete` many keys of one slot; returns those that were there. `changed` follows for each."""
        there = [key for key, _ in self.peek_all(slot, keys)]
        for key in there:
            self._remove(key, slot)
        return there

    def delete_if_empty(self, key: bytes, value: Sized) -> bool:
        """Remove a container that lost its last element, with the "del" event; False if it holds some."""
        if value:
            return False
        self._remove(key, key_slot(key))
        self.changed(key, "del")
        return True

    def changed(self, key: bytes, event: str | None) -> None:
        """A key was altered, added or removed. `event` is the keyspace event's name, such as "hset".

        None is for a change that is none to readers, such as a count kept with what was counted.
        """
        keyspace = self.keyspace
        keyspace.changes += 1
        if self.watchers or keyspace.is_heard:
            self.announce(key, event)

    def changed_unwatched(self, key: bytes, event: str | None = None) -> None:
        """A change that WATCH does not see: what consumer groups do to a stream, which stays as it was."""
        self.keyspace.changes += 1
        if event is not None and self.keyspace.on_event is not None:
            self.keyspace.on_event(self.index, event, key)

    def announce(self, key: bytes, event: str | None, *, by_command: bool = True) -> None:
        """Tell of a further event of a change already counted, or of one that no command made: expiry."""
        for watcher in self.watchers.get(key, ()):
            watcher.watched_key_changed()
        keyspace = self.keyspace
        if keyspace.on_change is not None:
            keyspace.on_change(key, by_command=by_command)
        if keyspace.on_event is not None and event is not None:
            keyspace.on_event(self.index, event, key)

    def watch(self, key: bytes, watcher: Watcher) -> None:
        """Tell this watcher of every change to the key, from now on."""
        self.watchers.setdefault(key, []).append(watcher)

    def unwatch(self, key: bytes, watcher: Watcher) -> None:
        """Tell it no more."""
        watchers = self.watchers[key]
        watchers.remove(watcher)
        if not watchers:
            del self.watchers[key]

    def times_of_use(self, key: bytes) -> dict[bytes, int]:
        """The table that holds when a key was last used."""
        return self.tables[key_slot(key)].accessed

    def replace_times_of_use(self, group: int, accessed: dict[bytes, int]) -> None:
        """Put another such table in the place of one."""
        self.accessed[group] = accessed
        for table in self._tables_of_group(group):
            table.accessed = accessed

    def _tables_of_group(self, group: int) -> list[SlotTable]:
        tables = self.tables[group << TIMES_SHIFT : (group + 1) << TIMES_SHIFT]
        return [table for table in tables if table is not NOTHING]

    # --- time to live ------------------------------------------------------------------------------

    def expiry(self, key: bytes) -> int | None:
        """When the key expires, unix milliseconds; None for a key without a time to live."""
        slot = crc_hqx(key, 0) & 16383 if BRACE not in key else key_slot(key)
        return self.tables[slot].expires.get(key)

    def remaining_ms(self, key: bytes) -> int:
        """How long the key has to live, at least a millisecond; 0 for a key without a time to live."""
        expiry = self.expiry(key)
        return 0 if expiry is None else max(expiry - self.keyspace.now_ms, 1)

    def set_expiry(self, key: bytes, at_ms: int | None) -> None:
        """Give an existing key a time to live, or take it away with None. `changed` follows."""
        slot = crc_hqx(key, 0) & 16383 if BRACE not in key else key_slot(key)
        keyspace = self.keyspace
        if keyspace.snapshots:
            self.save_for_snapshots(key, slot)
        if at_ms is None:
            self.expires.discard(slot, key)
            return
        self._expire_at(slot, key, at_ms)

    def _expire_at(self, slot: int, key: bytes, at_ms: int) -> None:
        self.expires.set(slot, key, at_ms)
        if self.tables[slot].expires is NEVER:  # there was no such table yet
            for table in self._tables_of_group(slot >> TIMES_SHIFT):
                table.expires = self.expires.near(slot)
        if self.keyspace.expiry_mode is ExpiryMode.HIDE:
            self.keyspace.own_expiries[self.index, key] = None

    def expire_due(self, limit: int) -> int:
        """Delete up to `limit` keys whose time has come; returns how many. For a primary only."""
        for expired in range(limit):
            found = self.expires.next(self.keyspace.now_ms)
            if found is None:
                return expired
            self._expire(found[1])
        return limit

    def _is_over(self, key: bytes, table: SlotTable) -> bool:
        keyspace = self.keyspace
        if table.expires[key] > keyspace.now_ms or keyspace.expiry_mode is ExpiryMode.IGNORE:
            return False
        if keyspace.expiry_mode is ExpiryMode.DELETE:
            self._expire(key)
        return True

    def _expire(self, key: bytes) -> None:
        self.keyspace.expired += 1
        self.drop(key, "expired")
        self.keyspace.on_expired(self.index, key)

    def flush(self) -> int:
        """Drop every key at once; returns how many. No `changed` needed."""
        removed = self.drop_all()
        if self.keyspace.on_change is not None:
            self.keyspace.on_change(None, by_command=True)
        return removed

    def drop_all(self) -> int:
        """`flush` as a part of something greater. Snapshots keep the old tables."""
        removed = len(self)
        for key in self.watchers:
            if self.peek(key) is not None:
                for watcher in self.watchers[key]:
                    watcher.watched_key_changed()
        self.clear_tables()
        self._clear_times()
        self.keyspace.changes += removed
        return removed

    def drop(self, key: bytes, event: str) -> None:
        """Delete a key that goes by itself. Nobody's command did it; replicas are to be told."""
        self._remove(key, key_slot(key))
        self.announce(key, event, by_command=False)

    def _remove(self, key: bytes, slot: int) -> None:
        if self.keyspace.snapshots:
            self.save_for_snapshots(key, slot)
        table = self.tables[slot]
        table.discard(key)
        self.group_counts[slot >> GROUP_SHIFT] -= 1
        if table.expires and key in table.expires:
            self.expires.discard(slot, key)
        table.accessed.pop(key, None)
        if not table:  # the last key takes its table with it
            self.tables[slot] = NOTHING
            if not table.accessed:  # and those of its group, if that holds no key any more
                self.accessed[slot >> TIMES_SHIFT] = None
                self.expires.forget(slot)

    def alterable(self, key: bytes, value: L) -> L:
        """A key's value as one to alter: itself, saved for snapshots, or a copy where one of them keeps it.

        Then the key holds the copy.
        """
        self.save_for_snapshots(key, key_slot(key))
        return self._copied_if_kept(key, value)

    def _copied_if_kept(self, key: bytes, value: L) -> L:
        if any(snapshot.holds(value) for snapshot in self.keyspace.snapshots):
            value = cast(L, copy_value(value))
            self.tables[key_slot(key)][key] = value
        return value

    def save_for_snapshots(self, key: bytes, slot: int) -> None:
        for snapshot in self.keyspace.snapshots:
            snapshot.before_change(self, slot, key)
