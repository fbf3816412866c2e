"""A sorted set: members ordered by (score, member), each found in O(1), each rank in O(log n).

Every kind of range (by rank, by score, by the members' bytes) becomes a `range` of ranks first; reading,
counting and removing then know only ranks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from shoal.node.dataset.ranking import Ranking
from shoal.node.dataset.table import Table


class ScoreRange(NamedTuple):
    """Scores from `low` to `high`, each end included unless it is open."""

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False


@dataclass(frozen=True, slots=True)
class LexEnd:
    """One end of a range of members: a member's bytes, itself inside or not."""

    member: bytes
    open: bool


@dataclass(frozen=True, slots=True)
class LexRange:
    """Members from `low` to `high` by their bytes; None is no limit, `nothing` marks a range turned round."""

    low: LexEnd | None
    high: LexEnd | None
    nothing: bool = False


class SortedSet:
    """Members with scores. Scores are floats and never NaN; equal scores order by the member's bytes."""

    __slots__ = ("order", "scores")

    def __init__(self) -> None:
        self.scores: Table[float] = Table()
        self.order = Ranking()

    @classmethod
    def of(cls, scores: Mapping[bytes, float]) -> SortedSet:
        """A sorted set with these members, built at once in O(n log n)."""
        made = cls()
        made.scores.put_all((member, score + 0.0) for member, score in scores.items())
        made.order = Ranking(zip(made.scores.values(), made.scores, strict=True))
        return made

    def copied(self) -> SortedSet:
        """Another sorted set of the same members and scores."""
        made = SortedSet()
        made.scores, made.order = self.scores.copied(), self.order.copied()
        return made

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[tuple[float, bytes]]:
        """(score, member) in order."""
        return iter(self.order)

    def add(self, member: bytes, score: float) -> bool | None:
        """Set a member's score: True if the member is new, False if it had another score, None if this one.

        Minus zero is kept as zero.
        """
        score += 0.0
        old = self.scores.exchange(member, score)
        if old is not None:
            if old == score:
                return None
            self.order.remove(old, member)
        self.order.add(score, member)
        return old is None

    def discard(self, member: bytes) -> bool:
        """Remove a member; False if it was not there."""
        score = self.scores.get(member)
        if score is None:
            return False
        self.scores.discard(member)
        self.order.remove(score, member)
        return True

    # --- ranks -------------------------------------------------------------------------------------

    def rank(self, member: bytes) -> int | None:
        """The member's position in ascending order, 0 first; None if it is not there."""
        score = self.scores.get(member)
        return None if score is None else self.order.rank(score, member)

    def ranks_between(self, start: int, stop: int) -> range:
        """Ranks from `start` to `stop`, both included; negative ones count from the end (-1 is the last)."""
        size = len(self)
        first = max(start + size, 0) if start < 0 else start
        last = stop + size if stop < 0 else stop
        return _ranks(first, min(last + 1, size))

    def ranks_of_scores(self, scores: ScoreRange) -> range:
        """Ranks of the members whose score lies in the range."""
        low, high, low_open, high_open = scores
        first, stop = self.order.ranks_of_scores(low, high, low_open, high_open)
        return _ranks(first, stop)

    def ranks_of_members(self, members: LexRange) -> range:
        """Ranks of the members in the range, if the order of scores is that of the members' bytes too.

        It is where all scores are equal, which is what Redis asks for; otherwise the answer means nothing.
        """
        if members.nothing:
            return _ranks(0, 0)
        low, high = members.low, members.high
        first = 0 if low is None else self.order.rank_of_bytes(low.member, after=low.open)
        stop = len(self) if high is None else self.order.rank_of_bytes(high.member, after=not high.open)
        return _ranks(first, stop)

    # --- reading and removing by rank --------------------------------------------------------------

    def at(self, ranks: range) -> list[tuple[bytes, float]]:
        """(member, score) of these ranks, a falling range from the highest down. O(log n + len(ranks))."""
        return list(zip(self.members(ranks), self.scores_at(ranks), strict=True))

    def members(self, ranks: range) -> list[bytes]:
        """`at` without the scores."""
        first, stop = _ends(ranks)
        found = self.order.members(first, stop)
        if ranks.step < 0:
            found.reverse()
        return found

    def scores_at(self, ranks: range) -> list[float]:
        """`at` without the members."""
        first, stop = _ends(ranks)
        found = self.order.scores(first, stop)
        if ranks.step < 0:
            found.reverse()
        return found

    def pop(self, highest: bool) -> tuple[bytes, float]:
        """Remove the member at one end; returns it and its score. IndexError from an empty set."""
        end = -1 if highest else 0
        score, member = self.order.take(end, end)
        del self.scores[member]
        return member, score

    def remove(self, ranks: range) -> None:
        """Remove the members of these ranks, a rising or falling range without gaps."""
        if not ranks:
            return
        first, stop = _ends(ranks)
        for member in self.order.members(first, stop):
            self.scores.discard(member)
        self.order.remove_between(first, stop)


def _ranks(first: int, stop: int) -> range:
    """Ranks from `first` up to, not including, `stop`; the one empty range if there are none."""
    return range(first, stop) if first < stop else range(0)


def _ends(ranks: range) -> tuple[int, int]:
    """The lowest rank, and the one after the highest."""
    if ranks.step > 0:
        return ranks.start, ranks.stop
    return (ranks[-1], ranks[0] + 1) if ranks else (0, 0)
