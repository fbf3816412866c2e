"""What a server counts for INFO, beside what its commands and its keyspace count themselves."""

from __future__ import annotations

from collections import deque

SAMPLE_INTERVAL_MS = 100
SAMPLES = 16
"""How many intervals the `instantaneous_` rates are averaged over."""


class Rate:
    """How fast a counter rises, over the last second and a half."""

    __slots__ = ("_last", "_last_ms", "_rates")

    def __init__(self) -> None:
        self._rates: deque[float] = deque(maxlen=SAMPLES)
        self._last = 0
        self._last_ms = 0

    def note(self, now_ms: int, count: int) -> None:
        """Take a sample of the counter. A counter that fell was reset; that interval says nothing."""
        elapsed_ms = now_ms - self._last_ms
        if self._last_ms and elapsed_ms > 0 and count >= self._last:
            self._rates.append((count - self._last) * 1000 / elapsed_ms)
        self._last, self._last_ms = count, now_ms

    @property
    def per_second(self) -> float:
        """The average of the samples."""
        return sum(self._rates) / len(self._rates) if self._rates else 0.0


class Statistics:
    """Counters since the start, or since CONFIG RESETSTAT."""

    def __init__(self) -> None:
        self.commands_rate = Rate()
        self.input_rate = Rate()
        self.output_rate = Rate()
        self.turns_rate = Rate()
        self.next_sample_ms = 0
        self.migrate_links = 0
        """How many connections to other nodes are kept for the next MIGRATE; not for RESETSTAT."""
        self.reset()

    def reset(self) -> None:
        """Start counting anew. The rates go on: they are about the last second only."""
        self.connections_received = 0
        self.connections_rejected = 0
        self.clients_evicted = 0
        self.scripts_evicted = 0
        self.turns = 0
        self.clients_that_sent_too_much = 0
        self.clients_that_took_too_little = 0
        """Hung up on for `client-query-buffer-limit` and `client-output-buffer-limit`."""
        self.input_bytes = 0
        self.output_bytes = 0
        self.snapshots_begun = 0
        self.last_writer_start_us = 0
        """How long the turn took over starting the process that writes the latest file."""
        """Of all data in the background: to disk, for a rewrite, for a replica."""
        self.reads = 0
        self.writes = 0

    def sample(self, now_ms: int, commands: int) -> None:
        """Note how far the counters are; to be called a few times a second."""
        self.next_sample_ms = now_ms + SAMPLE_INTERVAL_MS
        self.commands_rate.note(now_ms, commands)
        self.input_rate.note(now_ms, self.input_bytes)
        self.output_rate.note(now_ms, self.output_bytes)
        self.turns_rate.note(now_ms, self.turns)
