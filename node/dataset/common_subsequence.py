"""The longest common subsequence of two strings, many columns of the table at a time.

The textbook table has a row per byte of the first string and a column per byte of the second. Along a
row lengths rise by 0 or 1 from column to column, so a row is one bit per column: "rises here". A row
follows from the one above by a few operations on whole integers (Hyyrö, "Bit-parallel LCS-length
computation revisited", 2004). The bits are all that walking back through the table needs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Match:
    """`length` equal bytes, from position `first` of one string and from `second` of the other."""

    first: int
    second: int
    length: int


def longest_common_subsequence(first: bytes, second: bytes) -> list[Match]:
    """The runs of one longest common subsequence, the last run first, as LCS IDX lists them."""
    rows = _rising_columns(first, second)
    matches: list[Match] = []
    i, j, run = len(first), len(second), 0
    while i > 0 and j > 0:
        if first[i - 1] == second[j - 1]:
            i, j, run = i - 1, j - 1, run + 1
            continue
        if run:
            matches.append(Match(i, j, run))
            run = 0
        if rows[i - 1] >> (j - 1) & 1:
            i -= 1
        else:
            j -= 1
    if run:
        matches.append(Match(i, j, run))
    return matches


def _rising_columns(first: bytes, second: bytes) -> list[int]:
    """For each byte of `first`, in which columns (bits) of its row the length is one more than before."""
    columns = (1 << len(second)) - 1
    columns_of = dict.fromkeys(first, 0)
    for column, byte in enumerate(second):
        if byte in columns_of:
            columns_of[byte] |= 1 << column
    flat = columns
    rows: list[int] = []
    for byte in first:
        matching = flat & columns_of[byte]
        flat = ((flat + matching) | (flat - matching)) & columns
        rows.append(flat ^ columns)
    return rows
