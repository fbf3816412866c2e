"""The time of day as the node tells it."""

from __future__ import annotations

import time
from collections.abc import Callable

NANOSECONDS_PER_MS = 1_000_000


class Clock:
    """Unix milliseconds that never run backwards: keys expire by the calendar, and gossip carries it.

    How it arises: the machine's clock is set back, by hand or by a time service. What is due at a moment (a
    ping, an acknowledgement, the end of a timeout) would wait for that moment to come a second time: a node
    set back by an hour would send no ping for an hour.
    The rule: while the calendar is behind what was told last, time goes on from there at half its pace.
    Why it ends: the calendar goes at full pace, so it catches up, and is followed again from then on.
    """

    def __init__(
        self, calendar_ns: Callable[[], int] = time.time_ns, steady_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._calendar_ns = calendar_ns
        self._steady_ns = steady_ns
        self._told_ms = 0
        self._set_back: tuple[int, int] | None = None
        """While the calendar is behind: what was told when that was noticed, and the steady clock then."""

    def now_ms(self) -> int:
        """Unix milliseconds."""
        calendar_ms = self._calendar_ns() // NANOSECONDS_PER_MS
        if calendar_ms >= self._told_ms:
            self._told_ms, self._set_back = calendar_ms, None
            return calendar_ms
        steady_ns = self._steady_ns()
        if self._set_back is None:
            self._set_back = (self._told_ms, steady_ns)
        from_ms, since_ns = self._set_back
        self._told_ms = max(calendar_ms, from_ms + (steady_ns - since_ns) // (2 * NANOSECONDS_PER_MS))
        return self._told_ms
