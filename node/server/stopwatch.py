"""How long commands take, and who is told when one takes long: the slow log, the latency monitor.

Reading the clock costs as much as a GET does. A command that is declared FAST or O(1) takes no time worth
knowing by itself, so a run of the same one in a pipeline is timed as a whole, and if that was slow, the
latest of them is noted. So are runs of some clients one after the other, unless one was slow. Every other
call is timed alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from shoal.node.commands.spec import Flag
from shoal.node.resp.parser import Arguments

if TYPE_CHECKING:
    from shoal.node.server.entries import Entry
    from shoal.node.server.server import Server
    from shoal.node.server.session import Session


CALLS_TIMED_TOGETHER = 16
"""With so many a run ends where the next client's begins: many quick ones are not to seem a slow one."""


class Stopwatch:
    """The time since the clock was last read, and the calls that took it."""

    def __init__(self, server: Server, clock_ns: Callable[[], int]) -> None:
        self._server = server
        self.clock_ns = clock_ns
        self.started_ns = 0
        """When the clock was last read: at the end of a command, or at the start of the turn."""
        self.entry: Entry | None = None
        self.shared_by: Entry | None = None
        """`entry`, if more calls of it may follow before the clock is read."""
        self.latest: tuple[Session | None, Arguments] = None, []
        """Whose call of it was the latest, and its words."""
        self.calls = 0
        """Calls of `entry` whose time has not been put down yet."""
        self.slow_after_ns = 10_000_000
        """From here on a command is worth a second look: the slow log's threshold, or the monitor's."""

    def share(self, entries: Iterable[Entry], *, shared: bool) -> None:
        """Whether runs of quick commands are timed as a whole: not when even they are to be noted."""
        for entry in entries:
            is_quick = bool(entry.spec.flags & Flag.FAST) or entry.spec.complexity == "O(1)"
            entry.shares_clock = shared and is_quick
        self.shared_by = None

    def begin(self, entry: Entry) -> None:
        """The calls that follow are of another command, or are to be timed alone."""
        self.settle_at(self.clock_ns())
        self.entry = entry
        self.shared_by = entry if entry.shares_clock else None

    def settle(self) -> None:
        """Read the clock, and put down the time since it was last read to the calls made since."""
        self.settle_at(self.clock_ns())

    def settle_at(self, now_ns: int) -> None:
        """`settle` for who has just read the clock."""
        elapsed, self.started_ns = now_ns - self.started_ns, now_ns
        calls, entry = self.calls, self.entry
        if not calls or entry is None:
            return
        self.calls = 0
        entry.nanoseconds += elapsed
        entry.histogram_ns[(elapsed // calls).bit_length()] += calls
        if elapsed >= self.slow_after_ns:
            session, argv = self.latest
            if session is not None and session.blocked is None:
                self.note_slow(session, entry, list(argv), elapsed // 1000)

    def time_call(self, session: Session, entry: Entry, argv: Arguments) -> None:
        """A call ends that was timed alone."""
        if self.calls:  # it ran others (EXEC): what they took was theirs, and the rest is its own
            self.settle()
        self.entry, self.latest, self.calls = entry, (session, argv), 1
        self.shared_by = None
        self.settle()

    def add_to_call(
        self, session: Session, entry: Entry, argv: Sequence[bytes] | None, began_ns: int
    ) -> None:
        """A call that waited or was suspended has gone on; that there was one has been counted.

        Has it ended, its words are given, and it is noted if that was slow.
        """
        now_ns = self.clock_ns()
        elapsed_ns, self.started_ns = now_ns - began_ns, now_ns
        entry.nanoseconds += elapsed_ns
        if argv is not None and elapsed_ns >= self.slow_after_ns:
            self.note_slow(session, entry, list(argv), elapsed_ns // 1000)

    def note_slow(self, session: Session, entry: Entry, argv: Arguments, microseconds: int) -> None:
        """A command took long: for the slow log, the latency monitor, or both."""
        server, flags = self._server, entry.spec.flags
        threshold_us = server.config.slowlog_log_slower_than
        if 0 <= threshold_us <= microseconds and not flags & Flag.SKIP_SLOWLOG:
            server.slowlog.note(session, argv, microseconds)
        threshold_ms = server.config.latency_monitor_threshold
        if 0 < threshold_ms <= microseconds // 1000:
            event = "fast-command" if flags & Flag.FAST else "command"
            server.latency.note(event, session.now_ms // 1000, microseconds // 1000)

    def note_spike(self, event: str, began_ns: int) -> None:
        """For the latency monitor: what ends now has taken long, perhaps."""
        server = self._server
        threshold_ms = server.config.latency_monitor_threshold
        spent_ms = (self.clock_ns() - began_ns) // 1_000_000
        if 0 < threshold_ms <= spent_ms:
            server.latency.note(event, server.keyspace.now_ms // 1000, spent_ms)
