"""When waits end by themselves, the next one first: looking costs nothing while none is due."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.node.server.blocking import Blocked
    from shoal.node.server.session import Session

_STALE_ENTRIES_MIN = 1000


class Deadlines:
    """The deadlines of blocked clients. Those of waits that ended before stay until most of them are such."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Session, Blocked]] = []
        self._number = count()
        """Among equal deadlines the earlier wait ends first."""
        self._compact_at = _STALE_ENTRIES_MIN

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, session: Session, blocked: Blocked) -> None:
        """Note when this client's wait ends, if it has an end."""
        if blocked.deadline_ms is None:
            return
        heappush(self._heap, (blocked.deadline_ms, next(self._number), session, blocked))
        if len(self._heap) > self._compact_at:
            self._heap = [entry for entry in self._heap if entry[2].blocked is entry[3]]
            heapify(self._heap)
            self._compact_at = 2 * len(self._heap) + _STALE_ENTRIES_MIN

    def due(self, now_ms: int) -> Iterator[tuple[Session, Blocked]]:
        """Take out, one by one, every wait whose time is up and that has not ended otherwise."""
        while self._heap and self._heap[0][0] <= now_ms:
            _, _, session, blocked = heappop(self._heap)
            if session.blocked is blocked:
                yield session, blocked
