"""All databases of a node, and what is common to them: the time, the counters, who is told of changes.

Time is `now_ms`, unix milliseconds, set once per turn by the owner.
"""

from __future__ import annotations

from collections.abc import Callable

from shoal.node.dataset.database import CONTENTS, Database
from shoal.node.dataset.expiry_mode import ExpiryMode
from shoal.node.dataset.frequencies import CountingRules, Frequencies
from shoal.node.dataset.observers import OnChange, Snapshot
from shoal.node.dataset.own_expiries import OwnExpiries


class Keyspace:
    """Every database of a node, and what is common to them: the time, the counters, the hooks."""

    def __init__(self, databases: int) -> None:
        self.now_ms = 0
        self.changes = 0
        """Rises with every change; a command after which it stands still is not propagated."""
        self.hits = 0
        self.misses = 0
        self.expired = 0
        self.expired_fields = 0
        self.evicted = 0
        self.opened = 0
        """How often a group of slots got its first key, and tables for the times of its keys."""
        self.expiry_mode = ExpiryMode.DELETE
        self.is_repeated = True
        """Whether anybody, a replica or the append-only file, is to repeat what is changed here."""
        self.snapshots: list[Snapshot] = []
        self.on_expired: Callable[[int, bytes], None] = _nobody_listens
        self.on_fields_expired: Callable[[int, bytes, list[bytes]], None] = lambda index, key, fields: None
        self.on_flushed: Callable[[], None] | None = None
        """Told when a client had everything deleted, so that a snapshot does not bring it back."""
        self.on_event: Callable[[int, str, bytes], None] | None = None
        """Called with each event's database, name and key; see `tell_events`."""
        self.on_change: OnChange | None = None
        """Called with each key that is changed; see `tell_changes`."""
        self.is_heard = False
        """Whether one of these two is there: what every change asks."""
        self.on_new_key: Callable[[int, bytes], None] | None = None
        self.on_miss: Callable[[int, bytes], None] | None = None
        """Called when a read does not find its key."""
        self.counting_rules: CountingRules | None = None
        """How uses of keys are counted, if they are; see `count_uses`."""
        self.saves_usage = False
        """Whether snapshots tell when or how often keys were used: only where eviction goes by it."""
        self.databases = [Database(self, index) for index in range(databases)]
        self.own_expiries = OwnExpiries()
        self.trusts_payloads = False  # RESTORE leaves checksums alone, for tests of what bad data do
        self.functions: tuple[bytes, ...] = ()
        """The sources of the libraries of functions, which are saved and replicated with the data."""

    def __len__(self) -> int:
        return sum(len(database) for database in self.databases)

    def reset_statistics(self) -> None:
        """Count hits, misses and keys that went by themselves from zero."""
        self.hits = self.misses = self.expired = self.expired_fields = self.evicted = 0

    def tell_events(self, listener: Callable[[int, str, bytes], None] | None) -> None:
        """Call this for every keyspace event from now on, or nobody."""
        self.on_event = listener
        self.is_heard = listener is not None or self.on_change is not None

    def tell_changes(self, listener: OnChange | None) -> None:
        """Call this for every change from now on, or nobody."""
        self.on_change = listener
        self.is_heard = listener is not None or self.on_event is not None

    def count_uses(self, rules: CountingRules | None) -> None:
        """From now on keep how often keys are used (LFU), or with None when they last were (LRU)."""
        if rules is self.counting_rules:
            return
        self.counting_rules = rules
        for database in self.databases:
            for group, accessed in enumerate(database.accessed):
                if accessed is not None:
                    times = accessed.times() if isinstance(accessed, Frequencies) else accessed
                    made = times if rules is None else Frequencies(rules, times.items())
                    database.replace_times_of_use(group, made)

    def empty_twin(self) -> Keyspace:
        """A keyspace as large, for data on their way into this one."""
        twin = Keyspace(len(self.databases))
        twin.now_ms = self.now_ms
        twin.count_uses(self.counting_rules)
        return twin

    def new_access_table(self) -> dict[bytes, int]:
        """An empty table for `Database.accessed`."""
        return {} if self.counting_rules is None else Frequencies(self.counting_rules)

    def flush(self) -> int:
        """Drop every key of every database; returns how many."""
        removed = sum(database.drop_all() for database in self.databases)
        if self.on_change is not None:
            self.on_change(None, by_command=True)
        return removed

    def shares_keys_with(self, other: Keyspace) -> bool:
        """Whether a key of another keyspace as large is in the same database here."""
        return any(
            mine.peek(key) is not None
            for mine, theirs in zip(self.databases, other.databases, strict=True)
            for table in theirs.tables
            for key in table
        )

    def merge(self, other: Keyspace) -> None:
        """Add every key of another keyspace as large; it replaces what is there. That is no use of a key."""
        for mine, theirs in zip(self.databases, other.databases, strict=True):
            for table in theirs.tables:
                for key, value in table.items():
                    mine.set(key, value)
                    mine.set_expiry(key, theirs.expiry(key))
                    dict.__setitem__(mine.times_of_use(key), key, theirs.times_of_use(key)[key])

    def adopt(self, other: Keyspace) -> None:
        """Take over the contents of a keyspace as large, which is of no use after it. Clients stay."""
        self.flush()
        self.own_expiries.clear()
        self.functions = other.functions
        for mine, theirs in zip(self.databases, other.databases, strict=True):
            for name in CONTENTS:
                setattr(mine, name, getattr(theirs, name))
            for watchers in mine.watchers.values():
                for watcher in watchers:
                    watcher.watched_key_changed()
        self.changes += 1

    def swap(self, first: int, second: int) -> None:
        """SWAPDB: exchange the contents of two databases; clients stay with their number.

        A watched key changes if either database holds it: one whose time has come is not held.
        """
        a, b = self.databases[first], self.databases[second]
        touched = [
            watcher
            for database in (a, b)
            for key, watchers in list(database.watchers.items())
            if a.peek(key) is not None or b.peek(key) is not None
            for watcher in watchers
        ]
        for name in CONTENTS:
            mine, other = getattr(a, name), getattr(b, name)
            setattr(a, name, other)
            setattr(b, name, mine)
        for watcher in touched:
            watcher.watched_key_changed()
        self.changes += 1


def _nobody_listens(database: int, key: bytes) -> None:
    """Until an engine takes over, expired keys concern nobody."""
