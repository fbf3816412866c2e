"""A sorted set: members ordered by (score, member), each found in O(1), each rank in O(log n)."""

from __future__ import annotations

from collections.abc import Iterator

from sortedcontainers import SortedList

from shoal.node.dataset.table import Table


class SortedSet:
    """Members with scores. Scores are floats and never NaN; equal scores order by the member's bytes."""

    __slots__ = ("order", "scores")

    def __init__(self) -> None:
        self.scores: Table[float] = Table()
        self.order: SortedList[tuple[float, bytes]] = SortedList()

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[tuple[float, bytes]]:
        """(score, member) in order."""
        return iter(self.order)

    def add(self, member: bytes, score: float) -> bool:
        """Set a member's score; True if the member is new."""
        old = self.scores.get(member)
        if old is not None:
            if old == score:
                return False
            self.order.remove((old, member))
        self.scores.put(member, score)
        self.order.add((score, member))
        return old is None

    def discard(self, member: bytes) -> bool:
        """Remove a member; False if it was not there."""
        score = self.scores.get(member)
        if score is None:
            return False
        self.scores.discard(member)
        self.order.remove((score, member))
        return True
