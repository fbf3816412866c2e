"""Union, intersection and difference of sorted sets, and of sets, whose members then score 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.table import WALKS_PER_QUESTION, Table
from shoal.node.dataset.values import SetValue

Aggregate = Callable[[float, float], float]


@dataclass(slots=True)
class Source:
    """One input: a sorted set's scores or a set, and the weight its scores are multiplied by."""

    members: SortedSet | SetValue
    weight: float = 1.0

    def __len__(self) -> int:
        return len(self.members)

    @property
    def table(self) -> Table[float] | SetValue:
        """The members, to be asked for one or walked over."""
        return self.members if isinstance(self.members, SetValue) else self.members.scores

    def score(self, member: bytes) -> float | None:
        """The member's score, weighted; None if it is not there. NaN if infinity met the weight 0."""
        if isinstance(self.members, SetValue):
            return self.weight if member in self.members else None
        score = self.members.scores.get(member)
        return None if score is None else score * self.weight

    def items(self) -> Iterator[tuple[bytes, float]]:
        """(member, weighted score), where what is not a number counts as 0; a sorted set's in its order."""
        if isinstance(self.members, SetValue):
            return ((member, self.weight) for member in self.members)
        return ((member, _number(score * self.weight)) for score, member in self.members)


def _number(score: float) -> float:
    return 0.0 if math.isnan(score) else score


def add(total: float, score: float) -> float:
    return _number(total + score)


def lesser(total: float, score: float) -> float:
    return score if score < total else total


def greater(total: float, score: float) -> float:
    return score if score > total else total


def union(sources: Sequence[Source], aggregate: Aggregate) -> dict[bytes, float]:
    """Members of any source, the smaller ones first as in Redis, so that sums round alike."""
    scores: dict[bytes, float] = {}
    for source in sorted(sources, key=len):
        for member, score in source.items():
            total = scores.get(member)
            scores[member] = score if total is None else aggregate(total, score)
    return scores


def intersection(sources: Sequence[Source], aggregate: Aggregate) -> Iterator[tuple[bytes, float]]:
    """Members of all sources, one by one: a walk over the smallest that asks the others."""
    smallest, *others = sorted(sources, key=len)
    for member, total in smallest.items():
        for other in others:
            score = other.score(member)
            if score is None:
                break
            total = aggregate(total, score)
        else:
            yield member, total


def difference(sources: Sequence[Source]) -> dict[bytes, float]:
    """Members of the first source alone; each other one is walked or asked, whichever is quicker."""
    left = dict(sources[0].items())
    for other in sources[1:]:
        if len(other) < WALKS_PER_QUESTION * len(left):
            for member in other.table:
                left.pop(member, None)
        else:
            table = other.table
            left = {member: score for member, score in left.items() if member not in table}
    return left
