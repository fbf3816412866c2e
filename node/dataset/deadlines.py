"""Names with a moment each, of which the next is known: fields that expire, keys that do."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from random import Random

SLACK = 100
"""How many entries of no use the heap may hold beside as many as there are names."""

DRAWS_PER_NAME = 16


class Deadlines:
    """Setting and removing cost O(log n), asking for the next O(1) but for what has become of no use."""

    __slots__ = ("_heap", "at")

    def __init__(self) -> None:
        self.at: dict[bytes, int] = {}
        """By name, unix milliseconds. To be changed by the methods only."""
        self._heap: list[tuple[int, bytes]] = []
        """The soonest first. An entry whose name has another moment by now, or none, is of no use."""

    def set(self, name: bytes, at_ms: int) -> bool:
        """Give a name a moment, in place of the one it had; whether it is sooner than any there was."""
        at, heap = self.at, self._heap
        at[name] = at_ms
        is_soonest = not heap or at_ms < heap[0][0]
        heappush(heap, (at_ms, name))
        if len(heap) > 2 * len(at) + SLACK:
            self._heap = [(moment, known) for known, moment in at.items()]
            heapify(self._heap)
        return is_soonest

    def discard(self, name: bytes) -> bool:
        """Take a name's moment away; False if it had none."""
        return self.at.pop(name, None) is not None

    def next(self) -> tuple[int, bytes] | None:
        """The soonest moment of all, and whose it is."""
        heap, at = self._heap, self.at
        while heap and at.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0] if heap else None

    def next_ms(self) -> int | None:
        """The soonest moment of all."""
        found = self.next()
        return None if found is None else found[0]

    def pop_due(self, now_ms: int) -> bytes | None:
        """A name whose moment has come, which it loses."""
        found = self.next()
        if found is None or found[0] > now_ms:
            return None
        heappop(self._heap)
        del self.at[found[1]]
        return found[1]

    def random_names(self, rng: Random, count: int) -> list[bytes]:
        """Up to `count` names, some perhaps several times: cheap rather than quite uniform.

        They are drawn out of the heap, of which half is true, unless little is left of a much larger one.
        """
        heap, at = self._heap, self.at
        if len(at) <= count:
            return list(at)
        names: list[bytes] = []
        for _ in range(DRAWS_PER_NAME * count):
            at_ms, name = heap[int(rng.random() * len(heap))]
            if at.get(name) == at_ms:
                names.append(name)
                if len(names) == count:
                    return names
        return names or [next(iter(at))]

    def copy(self) -> Deadlines:
        """The same names and moments."""
        made = Deadlines()
        made.at = dict(self.at)
        made._heap = list(self._heap)
        return made
