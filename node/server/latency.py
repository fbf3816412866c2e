"""How long things take: spikes by event for the LATENCY command, and distributions by command.

A distribution is a list of counts, one per power of two: bucket n counts what took less than 2**n
microseconds but not less than 2**(n-1). That costs one addition per command and is exact enough to
see what changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

SAMPLES_KEPT = 160


@dataclass(slots=True)
class LatencyEvent:
    """The latest spikes of one kind, as (unix seconds, milliseconds), oldest first."""

    samples: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=SAMPLES_KEPT))
    worst_ms: int = 0

    def note(self, now: int, milliseconds: int) -> None:
        """Keep a spike; of several within one second, the worst."""
        self.worst_ms = max(self.worst_ms, milliseconds)
        if self.samples and self.samples[-1][0] == now:
            milliseconds = max(milliseconds, self.samples.pop()[1])
        self.samples.append((now, milliseconds))


class LatencyMonitor:
    """Spikes by event: "command", "fast-command" and whatever else reports."""

    def __init__(self) -> None:
        self.events: dict[str, LatencyEvent] = {}

    def note(self, event: str, now: int, milliseconds: int) -> None:
        """A spike of an event happened."""
        self.events.setdefault(event, LatencyEvent()).note(now, milliseconds)

    def reset(self, events: Sequence[str]) -> int:
        """Forget these events, or all if none is named; returns how many there were."""
        forgotten = [event for event in (events or list(self.events)) if event in self.events]
        for event in forgotten:
            del self.events[event]
        return len(forgotten)


def percentile_us(histogram: Sequence[int], percent: float) -> float:
    """An upper bound, a power of two, of the given percentile in microseconds; 0 for no calls."""
    target = sum(histogram) * percent / 100
    seen = 0
    for bucket, count in enumerate(histogram):
        seen += count
        if count and seen >= target:
            return float(1 << bucket)
    return 0.0


def cumulative(histogram: Sequence[int]) -> list[tuple[int, int]]:
    """(microseconds, calls that took less), for every bucket that holds any."""
    rows: list[tuple[int, int]] = []
    seen = 0
    for bucket, count in enumerate(histogram):
        if count:
            seen += count
            rows.append((1 << bucket, seen))
    return rows
