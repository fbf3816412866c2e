"""Virtual time: what is to happen, in the order it happens."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush


class Scheduler:
    """Calls due at virtual milliseconds. Of two due at one time the one asked for first goes first."""

    def __init__(self) -> None:
        self.now = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._asked = 0

    def at(self, when: int, action: Callable[[], None]) -> None:
        self._asked += 1
        heappush(self._queue, (max(when, self.now), self._asked, action))

    def after(self, delay: int, action: Callable[[], None]) -> None:
        self.at(self.now + delay, action)

    def run_until(self, end: int) -> None:
        while self._queue and self._queue[0][0] <= end:
            self.now, _, action = heappop(self._queue)
            action()
        self.now = end
