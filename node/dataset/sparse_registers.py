"""The registers of a HyperLogLog that has seen little: runs of equal ranks, one or two bytes each.

    00nnnnnn            n+1 registers without a rank (ZERO, up to 64)
    01nnnnnn nnnnnnnn   n+1 registers without a rank (XZERO, up to 16384)
    1rrrrrnn            n+1 registers of rank r+1 (VAL, up to 4 of up to 32)

Which runs stand for given ranks is not unique, and the bytes are seen by GET and DUMP. So a register is
raised by the steps that Redis takes: split the run it is in, then join equal neighbours, looking at five runs
from the one before on.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate

REGISTERS = 16384
RANK_MAX_SPARSE = 32

_TYPE, _XZERO, _VAL = 0xC0, 0x40, 0x80
_ZERO_MAX = 64
_VAL_MAX = 4
_RUNS_TO_JOIN = 5

_SPANS = bytes(
    (byte & 0x3F) + 1 if byte & _TYPE == 0 else (byte & 3) + 1 if byte & _VAL else 0 for byte in range(256)
)
"""By a run's first byte: how many registers it stands for; 0 if the second byte has to be read too."""


_RUN = re.compile(rb"[\x40-\x7f].?|.", re.DOTALL)


class CorruptSketchError(Exception):
    """The runs do not add up to all registers."""


def expand(data: bytes | bytearray, start: int) -> bytearray:
    """The rank in each register, from the runs at `start`. CorruptSketchError if they do not add up."""
    ranks = bytearray()
    for match in _RUN.finditer(data, start):
        run = match[0]
        ranks += bytes((_rank_of(run) if run[0] & _VAL else 0,)) * _span_of(run)
        if len(ranks) > REGISTERS:
            raise CorruptSketchError
    if len(ranks) != REGISTERS:
        raise CorruptSketchError
    return ranks


def describe(data: bytes | bytearray, start: int) -> bytes:
    """The runs in words: `z:n` and `Z:n` for ZERO and XZERO, `v:rank,n` for VAL."""
    return b" ".join(_in_words(match[0]) for match in _RUN.finditer(data, start))


def _in_words(run: bytes) -> bytes:
    if run[0] & _VAL:
        return b"v:%d,%d" % (_rank_of(run), _span_of(run))
    return b"%b:%d" % (b"Z" if run[0] & _XZERO else b"z", _span_of(run))


def _rank_of(run: bytes) -> int:
    """The rank of a VAL."""
    return (run[0] >> 2 & 31) + 1


def _span_of(run: bytes) -> int:
    """How many registers a run stands for. An XZERO cut off by the end of the sketch lacks its low byte."""
    return _SPANS[run[0]] or ((run[0] & 0x3F) << 8 | (run[1] if len(run) > 1 else 0)) + 1


def _val(rank: int, span: int) -> bytes:
    return bytes((_VAL | rank - 1 << 2 | span - 1,))


def _zeros(span: int) -> bytes:
    """The shortest run of so many registers without a rank."""
    if span > _ZERO_MAX:
        return bytes((_XZERO | span - 1 >> 8, span - 1 & 0xFF))
    return bytes((span - 1,))


class SparseRegisters:
    """The runs of a sketch, taken apart to raise registers, and to be put back by `store`."""

    def __init__(self, data: bytearray, start: int) -> None:
        self._data = data
        self._start = start
        self._runs: list[bytes] = _RUN.findall(data, start)
        ends = list(accumulate(map(_span_of, self._runs)))
        self._firsts = [0, *ends[:-1]]
        """The first register of each run."""
        self._end = ends[-1] if ends else 0
        self._size = len(data)

    def store(self) -> None:
        """Put the runs back into the sketch."""
        self._data[self._start :] = b"".join(self._runs)

    def raise_to(self, register: int, rank: int, max_bytes: int) -> bool | None:
        """Raise a register to a rank; whether that changed it. None if the sketch would get too long."""
        if register >= self._end:
            raise CorruptSketchError
        at = bisect_right(self._firsts, register) - 1
        run, first = self._runs[at], self._firsts[at]
        is_val = bool(run[0] & _VAL)
        if is_val and _rank_of(run) >= rank:
            return False
        before, behind = register - first, first + _span_of(run) - 1 - register
        split, firsts = [_val(rank, 1)], [register]
        if before:
            split.insert(0, _val(_rank_of(run), before) if is_val else _zeros(before))
            firsts.insert(0, first)
        if behind:
            split.append(_val(_rank_of(run), behind) if is_val else _zeros(behind))
            firsts.append(register + 1)
        growth = sum(map(len, split)) - len(run)
        if growth > 0 and self._size + growth > max_bytes:
            return None
        self._runs[at : at + 1] = split
        self._firsts[at : at + 1] = firsts
        self._size += growth
        self._join(max(at - 1, 0))
        return True

    def _join(self, at: int) -> None:
        """Make one run of neighbours with the same rank, looking at five runs."""
        runs = self._runs
        for _ in range(_RUNS_TO_JOIN):
            if at + 1 >= len(runs):
                return
            run, after = runs[at], runs[at + 1]
            if run[0] & after[0] & _VAL and _rank_of(run) == _rank_of(after):
                span = _span_of(run) + _span_of(after)
                if span <= _VAL_MAX:
                    runs[at : at + 2] = [_val(_rank_of(run), span)]
                    del self._firsts[at + 1]
                    self._size -= 1
                    continue
            at += 1
