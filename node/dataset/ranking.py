"""The order of a sorted set: by score, and where scores are equal by the members' bytes.

Two rows of short chunks: in one the scores, in the other the members that have them, at the same places.
So what is searched are plain numbers that lie in memory side by side, a range of members is a slice of a
list, and no object ties a score to its member, which would take fifty bytes for each and twice the time.

Costs: finding, adding and removing O(log n), and the moving of at most a chunk's pointers. A chunk may be
the longer the more there are, so that neither they nor the rows of them are long: both go with the square
root of n. Ranks count through the sizes of the chunks (`Sizes`), in O(log n) as well. These sums are made
when first asked for and kept until a chunk comes or goes: O(1) a change, and nothing for who never asks.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypeVar

SMALLEST_LIMIT = 1024
"""A chunk of more pairs is split in two. The limit doubles whenever there are more chunks than that.
To move so many pointers costs less than calling a function does."""

Chunk = TypeVar("Chunk", "list[bytes]", "array[float]")


class Ranking:
    """Pairs of score and member in order. No member is here twice; that is the owner's business."""

    __slots__ = ("_lasts", "_limit", "_members", "_scores", "_sizes")

    def __init__(self, pairs: Iterable[tuple[float, bytes]] = ()) -> None:
        ordered = sorted(pairs)
        self._limit = SMALLEST_LIMIT
        while self._limit**2 < 2 * len(ordered):
            self._limit *= 2
        half = self._limit // 2
        chunks = [ordered[start : start + half] for start in range(0, len(ordered), half)]
        self._scores = [array("d", [score for score, _ in chunk]) for chunk in chunks]
        self._members = [[member for _, member in chunk] for chunk in chunks]
        self._lasts = [scores[-1] for scores in self._scores]
        """The greatest score of each chunk."""
        self._sizes: Sizes | None = None

    def copied(self) -> Ranking:
        """Another of the same pairs. Nothing is sorted for it."""
        made = Ranking()
        made._limit, made._lasts = self._limit, self._lasts.copy()
        made._scores = [scores[:] for scores in self._scores]
        made._members = [members[:] for members in self._members]
        return made

    def __iter__(self) -> Iterator[tuple[float, bytes]]:
        return zip(chain.from_iterable(self._scores), chain.from_iterable(self._members), strict=True)

    def __reversed__(self) -> Iterator[tuple[float, bytes]]:
        scores = chain.from_iterable(map(reversed, reversed(self._scores)))
        return zip(scores, chain.from_iterable(map(reversed, reversed(self._members))), strict=True)

    # --- changing ----------------------------------------------------------------------------------

    def add(self, score: float, member: bytes) -> None:
        """Put a member that is not here in its place."""
        lasts = self._lasts
        chunk = bisect_left(lasts, score)
        if chunk < len(lasts):
            scores = self._scores[chunk]
            place = bisect_left(scores, score)
            if scores[place] == score:
                chunk, place = self._place(score, member)
                scores = self._scores[chunk]
            scores.insert(place, score)
            self._members[chunk].insert(place, member)
        elif chunk:
            chunk -= 1
            lasts[chunk] = score
            scores = self._scores[chunk]
            scores.append(score)
            self._members[chunk].append(member)
        else:
            scores = array("d", [score])
            self._scores, self._members, self._lasts = [scores], [[member]], [score]
        if len(scores) > self._limit:
            self._split(chunk)
        elif self._sizes is not None:
            self._sizes.add(chunk, 1)

    def remove(self, score: float, member: bytes) -> None:
        """Remove a member that has this score; ValueError if it is not here."""
        chunk = bisect_left(self._lasts, score)
        place = bisect_left(self._scores[chunk], score)
        if self._members[chunk][place] != member:
            chunk, place = self._place(score, member)
            if self._members[chunk][place : place + 1] != [member]:
                raise ValueError("the order of a sorted set does not hold a member of it")
        self.take(chunk, place)

    def take(self, chunk: int, place: int) -> tuple[float, bytes]:
        """Remove the pair at this place: (0, 0) is that of the first, (-1, -1) of the last."""
        scores = self._scores[chunk]
        taken = scores.pop(place), self._members[chunk].pop(place)
        if self._sizes is not None:
            self._sizes.add(chunk % len(self._lasts), -1)
        if len(scores) < self._limit >> 3:
            self._mend(chunk % len(self._lasts))
        elif place:
            self._lasts[chunk] = scores[-1]
        return taken

    def remove_between(self, first: int, stop: int) -> None:
        """Remove the pairs of these ranks, `stop` not included: at least one, and all of them are there."""
        chunk, start = self._locate(first)
        end_chunk, end = self._locate(stop)
        for row in (self._scores, self._members):
            if chunk == end_chunk:
                del row[chunk][start:end]
            else:
                del row[chunk][start:]
                if end:
                    del row[end_chunk][:end]
                del row[chunk + 1 : end_chunk]
        del self._lasts[chunk + 1 : end_chunk]
        self._sizes = None
        self._mend(chunk)

    def _place(self, score: float, member: bytes) -> tuple[int, int]:
        """Where a pair is, or belongs. Of chunks that end with the same score the members decide."""
        low = bisect_left(self._lasts, score)
        high = bisect_right(self._lasts, score, low)
        chunk = bisect_left(self._members, member, low, high, key=_last)
        if chunk == len(self._lasts):
            return chunk - 1, len(self._scores[chunk - 1])
        scores = self._scores[chunk]
        start = bisect_left(scores, score)
        stop = bisect_right(scores, score, start)
        return chunk, bisect_left(self._members[chunk], member, start, stop)

    def _split(self, chunk: int) -> None:
        half = self._limit // 2
        scores, members = self._scores[chunk], self._members[chunk]
        self._scores.insert(chunk + 1, scores[half:])
        self._members.insert(chunk + 1, members[half:])
        del scores[half:], members[half:]
        self._lasts.insert(chunk, scores[-1])
        self._sizes = None
        if len(self._lasts) > self._limit:
            self._limit *= 2

    def _mend(self, chunk: int) -> None:
        """After pairs were taken from a chunk: let it go if it is empty, and join a small one to another."""
        size = len(self._scores[chunk])
        if size:
            self._lasts[chunk] = self._scores[chunk][-1]
            left = max(chunk - 1, 0)
            if size >= self._limit >> 3 or len(self._lasts) == 1:
                return
            if len(self._scores[left]) + len(self._scores[left + 1]) > self._limit >> 1:
                return
            self._scores[left] += self._scores[left + 1]
            self._members[left] += self._members[left + 1]
            self._lasts[left] = self._lasts[left + 1]
            chunk = left + 1
        del self._scores[chunk], self._members[chunk], self._lasts[chunk]
        self._sizes = None

    # --- ranks -------------------------------------------------------------------------------------

    def rank(self, score: float, member: bytes) -> int:
        """How many pairs stand before this one, be it here or not."""
        if not self._lasts:
            return 0
        chunk, place = self._place(score, member)
        return self._before(chunk) + place

    def ranks_of_scores(self, low: float, high: float, low_open: bool, high_open: bool) -> tuple[int, int]:
        """The rank of the first score from `low` to `high`, and the one behind the last.

        The second may be the lesser: then there are none.
        """
        chunk, place, end_chunk, end = self._places_of_scores(low, high, low_open, high_open)
        return self._before(chunk) + place, self._before(end_chunk) + end

    def rank_of_bytes(self, member: bytes, *, after: bool) -> int:
        """Where all scores are equal: how many members are less than these bytes, or not greater."""
        find = bisect_right if after else bisect_left
        chunk = find(self._members, member, key=_last)
        return self._before(chunk) + (find(self._members[chunk], member) if chunk < len(self._lasts) else 0)

    def members_of_scores(self, low: float, high: float, low_open: bool, high_open: bool) -> list[bytes]:
        """The members with scores from `low` to `high`, found without counting which ranks these are."""
        chunk, place, end_chunk, end = self._places_of_scores(low, high, low_open, high_open)
        rows = self._members
        if chunk >= end_chunk:
            return rows[chunk][place:end] if chunk == end_chunk < len(rows) else []
        found = rows[chunk][place:]
        for between in rows[chunk + 1 : end_chunk]:
            found += between
        if end:
            found += rows[end_chunk][:end]
        return found

    def _places_of_scores(
        self, low: float, high: float, low_open: bool, high_open: bool
    ) -> tuple[int, int, int, int]:
        """Chunk and place of the first score from `low` to `high`, and of the one behind the last."""
        find_first = bisect_right if low_open else bisect_left
        find_end = bisect_left if high_open else bisect_right
        lasts, scores = self._lasts, self._scores
        chunk, end_chunk = find_first(lasts, low), find_end(lasts, high)
        place = find_first(scores[chunk], low) if chunk < len(lasts) else 0
        end = find_end(scores[end_chunk], high) if end_chunk < len(lasts) else 0
        return chunk, place, end_chunk, end

    def members(self, first: int, stop: int) -> list[bytes]:
        """The members of the ranks from `first` up to, not including, `stop`, all of which are there."""
        return self._gather(self._members, first, stop) if first < stop else []

    def scores(self, first: int, stop: int) -> list[float]:
        """The scores of these ranks."""
        return self._gather(self._scores, first, stop).tolist() if first < stop else []

    def _gather(self, row: list[Chunk], first: int, stop: int) -> Chunk:
        chunk, start = self._locate(first)
        gathered = row[chunk][start : start + stop - first]
        while (left := stop - first - len(gathered)) > 0:
            chunk += 1
            gathered += row[chunk][:left]
        return gathered

    def _before(self, chunk: int) -> int:
        """How many pairs the chunks before this one hold."""
        if chunk < 2:
            return len(self._scores[0]) if chunk else 0
        return self._sums.before(chunk)

    def _locate(self, rank: int) -> tuple[int, int]:
        """The chunk and the place in it of a rank; behind all of them for the rank behind the last."""
        if rank < len(self._scores[0]):
            return 0, rank
        return self._sums.find(rank)

    @property
    def _sums(self) -> Sizes:
        if self._sizes is None:
            self._sizes = Sizes(map(len, self._scores))
        return self._sizes


class Sizes:
    """Sums of the sizes of chunks, as a Fenwick tree: each sum covers as many as its number's lowest bit."""

    __slots__ = ("sums",)

    def __init__(self, sizes: Iterable[int]) -> None:
        self.sums = [0, *sizes]
        for number in range(1, len(self.sums)):
            above = number + (number & -number)
            if above < len(self.sums):
                self.sums[above] += self.sums[number]

    def add(self, chunk: int, amount: int) -> None:
        """A chunk has grown by so much."""
        sums, number = self.sums, chunk + 1
        while number < len(sums):
            sums[number] += amount
            number += number & -number

    def before(self, chunk: int) -> int:
        """The sizes of all chunks before this one together."""
        total = 0
        while chunk:
            total += self.sums[chunk]
            chunk &= chunk - 1
        return total

    def find(self, rank: int) -> tuple[int, int]:
        """The chunk that so many elements, and not more, stand before or in; and how many of them in it."""
        sums, chunk = self.sums, 0
        step = 1 << (len(sums) - 1).bit_length() >> 1
        while step:
            if chunk + step < len(sums) and sums[chunk + step] <= rank:
                chunk += step
                rank -= sums[chunk]
            step >>= 1
        return chunk, rank


def _last(members: list[bytes]) -> bytes:
    return members[-1]
