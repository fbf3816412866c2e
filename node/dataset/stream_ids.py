"""Stream ids: milliseconds and a sequence number, each of 64 bits, kept as one number of 128 bits.

So ids compare, step and serve as keys as numbers do; `ms-seq` is how clients see them.
"""

from __future__ import annotations

import re
from functools import lru_cache

from shoal.node.dataset.numbers import parse_c_unsigned
from shoal.node.resp.replies import CommandError

SEQUENCE_BITS = 64
SEQUENCE_MAX = (1 << SEQUENCE_BITS) - 1
MAX_ID = (1 << 2 * SEQUENCE_BITS) - 1
ID_BYTES = 16

INVALID_ID = "ERR Invalid stream ID specified as stream command argument"

NUMERALS = tuple(b"%d" % number for number in range(1024))
"""The sequence numbers of nearly all ids that are given out, as text."""

_LONGEST_ID = 127
_MOST_DIGITS = 20
"""Of a number of 64 bits: what has fewer is one."""
_NEGATIVE = re.compile(rb"-[1-9][0-9]*\Z")


def make_id(milliseconds: int, sequence: int) -> int:
    """The id of these two numbers, each taken modulo 2^64."""
    return (milliseconds & SEQUENCE_MAX) << SEQUENCE_BITS | sequence & SEQUENCE_MAX


def format_id(entry_id: int) -> bytes:
    """`ms-seq`."""
    return b"%d-%d" % (entry_id >> SEQUENCE_BITS, entry_id & SEQUENCE_MAX)


def next_id(last_id: int, now_ms: int) -> tuple[int, bytes]:
    """The id that `*` stands for, of this moment but behind the last one; and its text."""
    first, beginning = now_ms << SEQUENCE_BITS, beginning_of_ids(now_ms)
    following = last_id + 1
    sequence = following - first
    if sequence <= 0:
        return first, beginning + b"0"
    if sequence < len(NUMERALS):
        return following, beginning + NUMERALS[sequence]
    if last_id == MAX_ID:
        raise CommandError("ERR The stream has exhausted the last possible ID, unable to add more items")
    return following, format_id(following)


@lru_cache(maxsize=1)  # all that a turn adds is of the same moment
def beginning_of_ids(milliseconds: int) -> bytes:
    """How the texts of all ids of a millisecond begin."""
    return b"%d-" % milliseconds


def parse_id(text: bytes, missing_sequence: int = 0) -> int:
    """An id as clients write it: `ms`, `ms-seq`, or `-` and `+` for the least and the greatest."""
    if text == b"-":
        return 0
    if text == b"+":
        return MAX_ID
    return parse_strict_id(text, missing_sequence)


def parse_strict_id(text: bytes, missing_sequence: int = 0) -> int:
    """`ms` or `ms-seq`; CommandError for anything else."""
    if len(text) > _LONGEST_ID:
        raise CommandError(INVALID_ID)
    milliseconds, dash, sequence = text.partition(b"\0")[0].partition(b"-")  # a zero byte ends it, as in C
    return make_id(_number(milliseconds), _number(sequence) if dash else missing_sequence)


def parse_range_start(text: bytes) -> int:
    """Where a range begins; after `(`, with the id that follows."""
    if len(text) < 2 or text[:1] != b"(":
        return parse_id(text)
    start = parse_strict_id(text[1:])
    if start == MAX_ID:
        raise CommandError("ERR invalid start ID for the interval")
    return start + 1


def parse_range_end(text: bytes) -> int:
    """Where a range ends; after `(`, with the id before."""
    if len(text) < 2 or text[:1] != b"(":
        return parse_id(text, SEQUENCE_MAX)
    end = parse_strict_id(text[1:], SEQUENCE_MAX)
    if end == 0:
        raise CommandError("ERR invalid end ID for the interval")
    return end - 1


def _number(text: bytes) -> int:
    """An unsigned number of 64 bits, read as generously as C's strtoull reads, which Redis falls back on."""
    if text.isdigit() and len(text) < _MOST_DIGITS:
        return int(text)
    number = parse_c_unsigned(text)
    if number is None or _NEGATIVE.match(text):
        raise CommandError(INVALID_ID)
    return number
