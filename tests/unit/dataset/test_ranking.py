"""The order of a sorted set, in chunks so short that few pairs make many, against a plain sorted list."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shoal.node.dataset import ranking
from shoal.node.dataset.ranking import Ranking, Sizes

SCORES = st.sampled_from([float("-inf"), -1.0, 0.0, 0.5, 1.0, 2.0, 3.0, float("inf")])
MEMBERS = st.binary(max_size=2)
PAIRS = st.lists(st.tuples(SCORES, MEMBERS), max_size=60, unique_by=lambda pair: pair[1])


@pytest.fixture(autouse=True, scope="module")
def short_chunks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "SMALLEST_LIMIT", 8)
        yield


class AnyChanges(RuleBasedStateMachine):
    """Pairs come and go; the ranking tells the same as the list, whatever it was asked before."""

    @initialize(pairs=PAIRS)
    def begin(self, pairs: list[tuple[float, bytes]]) -> None:
        self.ranking, self.model = Ranking(pairs), sorted(pairs)

    @rule(pairs=PAIRS)
    def add(self, pairs: list[tuple[float, bytes]]) -> None:
        held = {member for _, member in self.model}
        for score, member in pairs:
            if member not in held:
                self.ranking.add(score, member)
                insort(self.model, (score, member))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        pair = data.draw(st.sampled_from(self.model))
        self.ranking.remove(*pair)
        self.model.remove(pair)

    @precondition(lambda self: self.model)
    @rule(end=st.sampled_from([0, -1]), count=st.integers(1, 20))
    def take(self, end: int, count: int) -> None:
        for _ in range(min(count, len(self.model))):
            assert self.ranking.take(end, end) == self.model.pop(end)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove_between(self, data: st.DataObject) -> None:
        first = data.draw(st.integers(0, len(self.model) - 1))
        stop = data.draw(st.integers(first + 1, len(self.model)))
        self.ranking.remove_between(first, stop)
        del self.model[first:stop]

    @rule(score=SCORES, member=MEMBERS)
    def rank(self, score: float, member: bytes) -> None:
        assert self.ranking.rank(score, member) == bisect_left(self.model, (score, member))

    @rule(low=SCORES, high=SCORES, low_open=st.booleans(), high_open=st.booleans())
    def range_of_scores(self, low: float, high: float, low_open: bool, high_open: bool) -> None:
        scores = [score for score, _ in self.model]
        first = (bisect_right if low_open else bisect_left)(scores, low)
        stop = (bisect_left if high_open else bisect_right)(scores, high)
        assert self.ranking.ranks_of_scores(low, high, low_open, high_open) == (first, stop)
        members = [member for _, member in self.model[first:stop]]
        assert self.ranking.members_of_scores(low, high, low_open, high_open) == members

    @rule(first=st.integers(0, 60), count=st.integers(0, 60))
    def read(self, first: int, count: int) -> None:
        first = min(first, len(self.model))
        stop = min(first + count, len(self.model))
        assert self.ranking.members(first, stop) == [member for _, member in self.model[first:stop]]
        assert self.ranking.scores(first, stop) == [score for score, _ in self.model[first:stop]]

    @invariant()
    def in_order(self) -> None:
        assert list(self.ranking) == self.model
        assert list(reversed(self.ranking)) == self.model[::-1]


def test_it_tells_the_same_as_a_list_after_any_changes() -> None:
    few = settings(max_examples=40, stateful_step_count=25, deadline=None)
    run_state_machine_as_test(AnyChanges, settings=few)  # type: ignore[no-untyped-call]


@given(st.sets(MEMBERS, max_size=60), MEMBERS)
def test_members_of_one_score_are_found_by_their_bytes(members: set[bytes], member: bytes) -> None:
    made, ordered = Ranking(), sorted(members)
    for one in members:
        made.add(1.0, one)
    assert made.rank_of_bytes(member, after=False) == bisect_left(ordered, member)
    assert made.rank_of_bytes(member, after=True) == bisect_right(ordered, member)


def test_chunks_go_with_their_pairs_and_are_no_more_than_a_chunk_may_hold() -> None:
    made = Ranking()
    for number in range(3000):
        made.add(float(number * 7 % 3000), b"%d" % number)
    assert max(map(len, made._scores)) <= made._limit
    assert len(made._scores) <= made._limit < 256
    for number in range(2990):
        made.remove(float(number * 7 % 3000), b"%d" % number)
    assert len(made._scores) <= 2
    with pytest.raises(ValueError, match="does not hold"):
        made.remove(float(2999 * 7 % 3000), b"another")


def test_sizes_are_summed_and_found() -> None:
    sizes = [3, 1, 4, 1, 5, 9, 2]
    summed = Sizes(sizes)
    for chunk, amount in ((2, 2), (6, 1), (0, -1)):
        sizes[chunk] += amount
        summed.add(chunk, amount)
    places = [(chunk, place) for chunk, size in enumerate(sizes) for place in range(size)]
    assert [summed.before(chunk) for chunk in range(8)] == [sum(sizes[:chunk]) for chunk in range(8)]
    assert [summed.find(rank) for rank in range(sum(sizes) + 1)] == [*places, (7, 0)]
