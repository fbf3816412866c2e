"""`maxmemory`: how much memory is used, what is evicted when it is too much, and when writes are refused.

To ask how much memory is in use takes a walk through the allocator's pools, a thousandth of a second for
some hundred megabytes: too much to do it before each command. So what is left below the limit (the headroom)
is kept as an estimate, on the careful side, and measured anew when it is used up and now and then. There
are two ways to keep it:

- Far from the limit, commands take the short way, and the bytes that came in count against the headroom.
- Near it, writes take the long way, past `before_command`. What a write can add follows from its words,
  or else (SETRANGE, scripts) it is measured before the next command. What is kept of commands whose rest is
  still to come, and of replies that a socket has no room for, counts with the next turn.

Once the headroom is used up, keys are evicted until the measured excess and a small reserve are made up for
by what the evicted keys are thought to have held. If they held less, the next measurement tells.

Who only wants to know, INFO above all, is told what was measured a moment ago, if there is much to walk
through and little can have changed: an agent that asks every second is not to cost clients more, the more
they store.

Eviction happens between commands, as an act of nobody: replicas and the log get a DEL for each key, and those
who track it are told before they are answered. It takes a bounded time per command or turn and goes on in the
next. Only if no key may go are commands refused that need memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from shoal.node.commands.spec import Flag
from shoal.node.dataset.database import Database
from shoal.node.dataset.frequencies import CountingRules
from shoal.node.dataset.sizes import key_bytes
from shoal.node.dataset.victims import Victims
from shoal.node.server.client_memory import output_bytes

if TYPE_CHECKING:
    from shoal.node.server.entries import Entry
    from shoal.node.server.server import Server

EMPTY_SERVER_BYTES = 64 << 10
"""What a server without data and clients counts: the heap may shrink below what it was at the start."""

UNKNOWN = -1
"""The headroom after a command that may have used any amount."""

RESERVE_SHARE, LEAST_RESERVE_BYTES, MOST_RESERVE_BYTES = 1000, 8 << 10, 1 << 20
"""How much more than necessary is evicted at once: a thousandth of the limit, within bounds."""

MARGIN_SHARE, LEAST_MARGIN_BYTES = 16, 1 << 20
"""With less headroom than a sixteenth of the limit, or than this, the limit is near."""

MEASURE_EVERY_MS = 100
MEASURE_SHARE = 50
"""Measuring takes no more than a fiftieth of the time, as long as nothing has to be evicted."""

EXACT_BELOW_BYTES = 64 << 20
"""With less in use measuring takes so little that whoever asks has it done anew."""

REMEMBERED_MS_PER_MEGABYTE = 7
"""How long what was measured may be told, so that this takes a thousandth of the time at most."""

REMEMBERED_SHARE = 50
"""It is measured anew earlier if a fiftieth of it may have changed."""

RETRY_SHARE = 10
"""Nor more than a tenth of it while there is nothing to evict: clients may give memory back."""

SAMPLES_PER_VALUE = 5
ELEMENT_BYTES, COMMAND_BYTES = 64, 128
"""What each word of a write, and each write, may take beside the bytes of the words themselves."""

OPENED_BYTES = 1024
"""What the tables of a group of slots take that had no key before. With few keys, most new ones need them."""

KEYS_PER_LOOK = 16
"""After so many evicted keys it is time to look at the clock."""

TENACITY_STEP_US, MOST_LINEAR_TENACITY, TENACITY_GROWTH, NO_TIME_LIMIT = 50, 10, 1.15, 100
"""maxmemory-eviction-tenacity: 50 µs a step up to 10, from there 15 % more with each; 100 is no limit."""

_FAST = int(Flag.FAST)
_GROWS_BY_ITS_WORDS = frozenset(["SET", "SETEX", "PSETEX", "MSET", "MSETNX", "LINSERT"])
"""Writes, beside the FAST ones, that add no more to the data than they carry."""


class Measured(NamedTuple):
    """What was measured last, and how things stood then."""

    used: int
    at_ms: int
    received: int
    keys: int


class MemoryLimit:
    """Memory as one server counts and bounds it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.limit = 0
        """`maxmemory`; 0: none."""
        self.is_near = False
        """Whether commands have to pass `before_command`."""
        self.is_evicting = False
        """There is more to evict than one go could: it goes on next turn."""
        self.peak_bytes = 0
        self.startup_bytes = 0
        """What the interpreter and the program held before there was any data; not counted as used."""
        self.counting_rules = CountingRules(server.rng)
        self._headroom = UNKNOWN
        self._input_seen = 0
        self.kept_bytes = 0
        """Of what came in and went out since the last turn began, what could be neither run nor sent."""
        self._measure_at_ms = self._retry_at_ms = 0
        self._changes_seen = -1
        self._opened_seen = 0
        self._remembered = Measured(0, 0, 0, 0)
        self._victims = Victims(server.keyspace, server.rng)

    def follow_config(self) -> None:
        """The limit or the policy was set: what follows from it, follows with the next command or turn."""
        config = self.server.config
        rules = self.counting_rules
        rules.log_factor, rules.decay_minutes = config.lfu_log_factor, config.lfu_decay_time
        keyspace, policy = self.server.keyspace, config.maxmemory_policy
        keyspace.count_uses(rules if policy.endswith("lfu") else None)
        keyspace.saves_usage = policy.endswith(("lru", "lfu"))
        self.limit = config.maxmemory
        self.is_evicting = False
        self._headroom, self._changes_seen = UNKNOWN, -1
        self._settle(is_near=bool(self.limit), is_out=False)

    # --- how much is used --------------------------------------------------------------------------

    def used_bytes(self) -> int:
        """What is in use for data, clients, buffers and scripts: measured now."""
        grown = max(self.server.host.heap_bytes() - self.startup_bytes, 0)
        used = EMPTY_SERVER_BYTES + grown
        self.peak_bytes = max(self.peak_bytes, used)
        self._remembered = Measured(used, *self._surroundings())
        return used

    def reported_bytes(self) -> int:
        """`used_bytes`; of a large heap as it was a moment ago, if not much has come or gone since."""
        measured = self._remembered
        now_ms, received, keys = self._surroundings()
        may_have_changed = received - measured.received > measured.used // REMEMBERED_SHARE
        may_have_changed |= abs(keys - measured.keys) > measured.keys // REMEMBERED_SHARE
        is_old = now_ms - measured.at_ms > (measured.used >> 20) * REMEMBERED_MS_PER_MEGABYTE
        if measured.used < EXACT_BELOW_BYTES or may_have_changed or is_old:
            return self.used_bytes()
        return measured.used

    def _surroundings(self) -> tuple[int, int, int]:
        server = self.server
        return server.keyspace.now_ms, server.statistics.input_bytes, len(server.keyspace)

    def uncounted_bytes(self) -> int:
        """What waits for replicas and for the disk. To count it would be to evict because of evictions."""
        attached = self.server.replication.attached
        longest = max((output_bytes(replica.session) for replica in attached), default=0)  # they share pieces
        longest = max(longest, self.backlog_bytes)
        counted = self.server.config.repl_backlog_size
        return max(longest - counted, 0) + self.server.aof.unwritten_bytes

    @property
    def backlog_bytes(self) -> int:
        """The stream that is kept for replicas that come back."""
        backlog = self.server.replication.history.backlog
        return len(backlog) if backlog is not None else 0

    def overhead_bytes(self) -> int:
        """What is used for other things than the data: clients, buffers, scripts."""
        server = self.server
        unsent = sum(session.out_bytes for session in server.sessions.values())
        return (
            EMPTY_SERVER_BYTES
            + unsent
            + self.backlog_bytes
            + server.aof.unwritten_bytes
            + server.scripts.memory_bytes
        )

    def _measure(self) -> None:
        clock_ns = self.server.stopwatch.clock_ns
        began_ns = clock_ns()
        self._headroom = self.limit - self.used_bytes() + self.uncounted_bytes()
        cost_ms = (clock_ns() - began_ns) // 1_000_000
        keyspace = self.server.keyspace
        self._measure_at_ms = keyspace.now_ms + max(MEASURE_EVERY_MS, cost_ms * MEASURE_SHARE)
        self._retry_at_ms = keyspace.now_ms + cost_ms * RETRY_SHARE
        self._changes_seen, self._opened_seen = keyspace.changes, keyspace.opened

    # --- when it is looked at ----------------------------------------------------------------------

    def begin_turn(self, now_ms: int) -> None:
        """With a limit set: make room if there is none, and measure now and then."""
        arrived = self.server.statistics.input_bytes - self._input_seen
        self._input_seen += arrived
        self._headroom -= self.kept_bytes if self.is_near else 2 * arrived + self.kept_bytes
        self.kept_bytes = 0
        if self._headroom < 0 or now_ms >= self._measure_at_ms:
            self.make_room()

    def before_command(self, entry: Entry, argv: Sequence[bytes]) -> None:
        """Near the limit: make room if there is none, and count what the command may add."""
        keyspace = self.server.keyspace
        if keyspace.opened != self._opened_seen:
            self._headroom -= OPENED_BYTES * (keyspace.opened - self._opened_seen)
            self._opened_seen = keyspace.opened
        if self._headroom < 0:
            self.make_room()
        if not entry.is_write:
            return
        if entry.flag_bits & _FAST or entry.spec.name in _GROWS_BY_ITS_WORDS:
            self._headroom -= sum(map(len, argv)) + ELEMENT_BYTES * len(argv) + COMMAND_BYTES
        else:
            self._headroom = UNKNOWN

    def make_room(self) -> None:
        """Measure, evict as much as is necessary and the time allows, and open or close the gates."""
        server = self.server
        if not self._applies:
            self._headroom = 0
            self._settle(is_near=False, is_out=False)
            return
        is_hopeless = server.is_out_of_memory and self._changes_seen == server.keyspace.changes
        if is_hopeless and server.keyspace.now_ms < self._retry_at_ms:
            return  # nothing has been freed since it was last tried
        if not self.is_evicting:
            self._measure()
        if self._headroom < 0:
            self._evict()
        margin = max(self.limit // MARGIN_SHARE, LEAST_MARGIN_BYTES)
        self._settle(is_near=self._headroom < margin, is_out=self._headroom < 0 and not self.is_evicting)

    @property
    def _applies(self) -> bool:
        """Whether this node may evict: a replica takes what its primary decides, and a pause is a pause."""
        server = self.server
        if not self.limit or server.pause.until_ms:
            return False
        return server.is_primary or not server.config.replica_ignore_maxmemory

    def _settle(self, *, is_near: bool, is_out: bool) -> None:
        if is_near is not self.is_near or is_out is not self.server.is_out_of_memory:
            self.is_near, self.server.is_out_of_memory = is_near, is_out
            self.server.refresh_gates()

    # --- eviction ----------------------------------------------------------------------------------

    def _evict(self) -> None:
        """Delete keys until there is headroom again, no key may go, or the time is over."""
        server, config = self.server, self.server.config
        self.is_evicting = False
        if config.maxmemory_policy == "noeviction":
            return
        reserve = min(max(self.limit // RESERVE_SHARE, LEAST_RESERVE_BYTES), MOST_RESERVE_BYTES)
        clock_ns = server.stopwatch.clock_ns
        began_ns, evicted = clock_ns(), 0
        while self._headroom < reserve:
            victim = self._victims.choose(config.maxmemory_policy, config.maxmemory_samples)
            if victim is None:
                break
            self._headroom += self._evict_key(*victim)
            evicted += 1
            if evicted % KEYS_PER_LOOK == 0 and clock_ns() - began_ns > self._time_limit_ns():
                self.is_evicting = self._headroom < 0
                break
        server.propagation.propagate_each()
        server.stopwatch.note_spike("eviction-cycle", began_ns)

    def _evict_key(self, database: Database, key: bytes) -> int:
        """Delete a key; returns about how many bytes it took."""
        value, expires = database.stored(key), database.expiry(key) is not None
        assert value is not None
        freed = key_bytes(key, value, expires=expires, samples=SAMPLES_PER_VALUE)
        database.drop(key, "evicted")
        self.server.keyspace.evicted += 1
        self.server.propagation.record_deletion(database.index, key)
        return freed

    def _time_limit_ns(self) -> float:
        tenacity = self.server.config.maxmemory_eviction_tenacity
        if tenacity >= NO_TIME_LIMIT:
            return float("inf")
        steps = min(tenacity, MOST_LINEAR_TENACITY)
        growth = TENACITY_GROWTH ** max(tenacity - MOST_LINEAR_TENACITY, 0)
        return 1000 * TENACITY_STEP_US * steps * growth
