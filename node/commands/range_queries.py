"""The ranges sorted set commands are asked for: their ends, their options, and the ranks they come to."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.dataset.numbers import parse_range_end, require_integer
from shoal.node.dataset.sorted_sets import LexEnd, LexRange, ScoreRange, SortedSet
from shoal.node.resp.replies import CommandError


class By(Enum):
    """What the two ends of a range are."""

    RANK = "rank"
    SCORE = "score"
    LEX = "lex"


_BY_TOKENS = {b"BYSCORE": By.SCORE, b"BYLEX": By.LEX}


class RangeQuery(NamedTuple):
    """A range of one sorted set, the order it is wanted in, and the part of it that LIMIT leaves."""

    ends: tuple[int, int] | ScoreRange | LexRange
    reverse: bool
    offset: int
    limit: int
    with_scores: bool

    def select(self, value: SortedSet) -> range:
        """The ranks asked for, falling if reversed."""
        if self.offset < 0:
            return range(0)
        ranks = self._ranks(value)
        if self.reverse:
            ranks = ranks[::-1]
        if self.offset:
            ranks = ranks[self.offset :]
        return ranks if self.limit < 0 else ranks[: self.limit]

    def _ranks(self, value: SortedSet) -> range:
        ends = self.ends
        if isinstance(ends, ScoreRange):
            return value.ranks_of_scores(ends)
        if isinstance(ends, LexRange):
            return value.ranks_of_members(ends)
        first, last = ends
        ranks = value.ranks_between(first, last)
        return range(len(value) - ranks.stop, len(value) - ranks.start) if self.reverse else ranks


def parse_query(
    start: bytes,
    stop: bytes,
    options: Sequence[bytes],
    *,
    by: By | None = None,
    reverse: bool | None = None,
    storing: bool = False,
) -> RangeQuery:
    """Parse `start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]`.

    `by` and `reverse` are what the command's name says; None leaves it to the options.
    """
    offset, limit, with_scores, place = 0, -1, False, 0
    while place < len(options):
        word = options[place].upper()
        if word == b"WITHSCORES" and not storing:
            with_scores = True
        elif word == b"LIMIT" and place + 2 < len(options):
            offset, limit = require_integer(options[place + 1]), require_integer(options[place + 2])
            place += 2
        elif word == b"REV" and reverse is None:
            reverse = True
        elif word in _BY_TOKENS and by is None:
            by = _BY_TOKENS[word]
        else:
            raise CommandError(SYNTAX_ERROR)
        place += 1
    by, reverse = by or By.RANK, bool(reverse)
    if by is By.RANK:
        if limit != -1:
            raise CommandError(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
            )
        return RangeQuery(_parse_ranks(start, stop), reverse, 0, -1, with_scores)
    if by is By.LEX and with_scores:
        raise CommandError("ERR syntax error, WITHSCORES not supported in combination with BYLEX")
    low, high = (stop, start) if reverse else (start, stop)
    ends = parse_score_range(low, high) if by is By.SCORE else parse_lex_range(low, high)
    return RangeQuery(ends, reverse, offset, limit, with_scores)


def _parse_ranks(start: bytes, stop: bytes) -> tuple[int, int]:
    return require_integer(start), require_integer(stop)


def parse_score_range(low: bytes, high: bytes) -> ScoreRange:
    """Two scores, each with a leading `(` if it is itself outside."""
    low_open, high_open = low[:1] == b"(", high[:1] == b"("
    lowest = parse_range_end(low[1:] if low_open else low)
    highest = parse_range_end(high[1:] if high_open else high)
    if lowest is None or highest is None:
        raise CommandError("ERR min or max is not a float")
    return ScoreRange(lowest, highest, low_open, high_open)


def parse_lex_range(low: bytes, high: bytes) -> LexRange:
    """Two members, each after `[` or, if it is itself outside, `(`; `-` and `+` are before and after all."""
    lowest, highest = _parse_lex_end(low), _parse_lex_end(high)
    return LexRange(lowest, highest, nothing=low == b"+" or high == b"-")


def _parse_lex_end(text: bytes) -> LexEnd | None:
    if text in (b"-", b"+"):
        return None
    if text[:1] not in (b"[", b"("):
        raise CommandError("ERR min or max not valid string range item")
    return LexEnd(text[1:], open=text[:1] == b"(")
