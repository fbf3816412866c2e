"""Names with a moment each, of which the next is known: fields that expire, and hashes that hold such."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

SLACK = 100
"""How many entries of no use the heap may hold beside as many as there are names."""


class Deadlines:
    """Setting and removing cost O(log n), asking for the next O(1) but for what has become of no use."""

    __slots__ = ("_heap", "at")

    def __init__(self) -> None:
        self.at: dict[bytes, int] = {}
        """By name, unix milliseconds. To be changed by the methods only."""
        self._heap: list[tuple[int, bytes]] = []
        """The soonest first. An entry whose name has another moment by now, or none, is of no use."""

    def set(self, name: bytes, at_ms: int) -> None:
        """Give a name a moment, in place of the one it had."""
        self.at[name] = at_ms
        heappush(self._heap, (at_ms, name))
        if len(self._heap) > 2 * len(self.at) + SLACK:
            self._heap = [(moment, known) for known, moment in self.at.items()]
            heapify(self._heap)

    def discard(self, name: bytes) -> bool:
        """Take a name's moment away; False if it had none."""
        return self.at.pop(name, None) is not None

    def next_ms(self) -> int | None:
        """The soonest moment of all."""
        heap, at = self._heap, self.at
        while heap and at.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def pop_due(self, now_ms: int) -> bytes | None:
        """A name whose moment has come, which it loses."""
        moment = self.next_ms()
        if moment is None or moment > now_ms:
            return None
        name = heappop(self._heap)[1]
        del self.at[name]
        return name

    def copy(self) -> Deadlines:
        """The same names and moments."""
        made = Deadlines()
        made.at = dict(self.at)
        made._heap = list(self._heap)
        return made
