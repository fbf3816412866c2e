"""From RDB events to keys in a keyspace."""

from __future__ import annotations

from collections.abc import Iterable

from shoal.node.dataset.database import Database
from shoal.node.dataset.field_expiry import watch_fields
from shoal.node.dataset.hashes import ExpiringHash
from shoal.node.dataset.keyspace import Keyspace
from shoal.node.dataset.usage import note_frequency, note_idle
from shoal.node.persistence.errors import RdbError
from shoal.node.persistence.rdb_reader import Auxiliary, EmptyKey, Entry, Event, Function, ShortStrings


class RdbLoader:
    """Puts what an `RdbReader` gives into a keyspace, which should be empty.

    A primary drops keys whose time has come: its replicas get what it has afterwards. A replica keeps them
    (`keep_expired`) until its primary's DEL, so that both hold the same. So does a node that loads the base
    of an AOF, for the commands that follow were given when those keys were there.
    """

    def __init__(self, keyspace: Keyspace, *, keep_expired: bool = False) -> None:
        self.loaded = 0
        self.expired: list[tuple[int, bytes]] = []
        """Keys, by database, that were dropped because their time had come."""
        self.auxiliary: dict[bytes, bytes] = {}
        self.empty_keys: list[bytes] = []
        """Keys of a damaged file that held containers without elements, and were skipped."""
        self._keyspace = keyspace
        self._keep_expired = keep_expired

    def apply(self, events: Iterable[Event]) -> None:
        """Take over events in order. RdbError for a database this node has not, or a key met twice."""
        for event in events:
            if type(event) is ShortStrings:
                self._add_short_strings(event)
            elif type(event) is Entry:
                self._add(event)
            elif type(event) is Auxiliary:
                self.auxiliary[event.name] = event.value
            elif type(event) is Function:
                self._keyspace.functions += (event.code,)
            elif type(event) is EmptyKey:
                self.empty_keys.append(event.key)

    def _add_short_strings(self, strings: ShortStrings) -> None:
        index, values = strings
        twice = self._database(index).add_many(values)
        if twice is not None:
            raise RdbError(f"the key {twice!r} comes twice")
        self.loaded += len(values)

    def _database(self, index: int) -> Database:
        databases = self._keyspace.databases
        if index >= len(databases):
            raise RdbError(f"the data has a database {index}, this server only {len(databases)}")
        return databases[index]

    def _add(self, entry: Entry) -> None:
        index, key, value, expiry_ms, idle_seconds, frequency = entry
        keyspace, database = self._keyspace, self._database(index)
        if expiry_ms is not None and expiry_ms <= keyspace.now_ms and not self._keep_expired:
            self.expired.append((index, key))
            return
        if not database.add(key, value):
            raise RdbError(f"the key {key!r} comes twice")
        if isinstance(value, ExpiringHash):
            watch_fields(database, key, value)
        if expiry_ms is not None:
            database.set_expiry(key, expiry_ms)
        if frequency is not None:
            note_frequency(database, key, frequency)
        if idle_seconds is not None:
            note_idle(database, key, idle_seconds)
        self.loaded += 1
