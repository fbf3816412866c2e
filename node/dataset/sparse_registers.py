"""The registers of a HyperLogLog that has seen little: runs of equal ranks, one or two bytes each.

    00nnnnnn            n+1 registers without a rank (ZERO, up to 64)
    01nnnnnn nnnnnnnn   n+1 registers without a rank (XZERO, up to 16384)
    1rrrrrnn            n+1 registers of rank r+1 (VAL, up to 4 of up to 32)

Which runs stand for given ranks is not unique, and the bytes are seen by GET and DUMP. So a register is
raised by the steps that Redis takes: split the run it is in, then join equal neighbours, looking at five runs
from the one before on.
"""

from __future__ import annotations

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


class CorruptSketchError(Exception):
    """The runs do not add up to all registers."""


def rank_of(run: int) -> int:
    """The rank of a VAL."""
    return (run >> 2 & 31) + 1


def expand(data: bytes | bytearray, start: int) -> bytearray:
    """The rank in each register, from the runs at `start`. CorruptSketchError if they do not add up."""
    ranks = bytearray()
    for run, span in runs(data, start):
        ranks += bytes([rank_of(run) if run & _VAL else 0]) * span
    if len(ranks) != REGISTERS:
        raise CorruptSketchError
    return ranks


def runs(data: bytes | bytearray, start: int) -> list[tuple[int, int]]:
    """Each run's first byte and its number of registers. CorruptSketchError if they are too many."""
    found: list[tuple[int, int]] = []
    at, end, total = start, len(data), 0
    while at < end:
        span = _span_at(data, at)
        total += span
        if total > REGISTERS:
            raise CorruptSketchError
        found.append((data[at], span))
        at += _size(data[at])
    return found


def describe(data: bytes | bytearray, start: int) -> bytes:
    """The runs in words: `z:n` and `Z:n` for ZERO and XZERO, `v:rank,n` for VAL."""
    words: list[str] = []
    for run, span in runs(data, start):
        kind = "Z" if _size(run) == 2 else "z"
        words.append(f"v:{rank_of(run)},{span}" if run & _VAL else f"{kind}:{span}")
    return " ".join(words).encode()


def _size(run: int) -> int:
    """The number of bytes of a run, by its first."""
    return 2 if run & _TYPE == _XZERO else 1


def _span_at(data: bytes | bytearray, at: int) -> int:
    low = data[at + 1] if at + 1 < len(data) else 0
    return _SPANS[data[at]] or ((data[at] & 0x3F) << 8 | low) + 1


def _val(rank: int, span: int) -> int:
    return _VAL | rank - 1 << 2 | span - 1


def _zeros(span: int) -> bytes:
    """The shortest run of so many registers without a rank; none for none."""
    if span > _ZERO_MAX:
        return bytes((_XZERO | span - 1 >> 8, span - 1 & 0xFF))
    return bytes((span - 1,)) if span else b""


class SparseRegisters:
    """The runs in a sketch, raised in place.

    Raising registers in rising order, as a merge does, goes on near where the last one was found: two runs
    before it, for the one before may have been joined with it.
    """

    def __init__(self, data: bytearray, start: int) -> None:
        self._data = data
        self._start = start
        self._resume_at = start, 0
        """A run's place and its first register, not greater than the one raised last."""

    def raise_to(self, register: int, rank: int, max_bytes: int) -> bool | None:
        """Raise a register to a rank; whether that changed it. None if the sketch would get too long."""
        before, at, first = self._find(register)
        data = self._data
        run, span = data[at], _span_at(data, at)
        if run & _VAL and rank_of(run) >= rank:
            return False
        offset, behind = register - first, first + span - 1 - register
        if run & _VAL:
            old = rank_of(run)
            left = bytes((_val(old, offset),)) if offset else b""
            right = bytes((_val(old, behind),)) if behind else b""
        else:
            left, right = _zeros(offset), _zeros(behind)
        split = left + bytes((_val(rank, 1),)) + right
        growth = len(split) - _size(run)
        if growth > 0 and len(data) + growth > max_bytes:
            return None
        data[at : at + _size(run)] = split
        self._join(before)
        return True

    def _find(self, register: int) -> tuple[int, int, int]:
        """The place of the run before the register's, of that run, and the latter's first register.

        The run at the beginning counts as the one before itself.
        """
        found = self._find_from(*self._resume_at, register)
        if found is None and self._resume_at[0] != self._start:
            found = self._find_from(self._start, 0, register)
        if found is None:
            raise CorruptSketchError
        return found

    def _find_from(self, at: int, first: int, register: int) -> tuple[int, int, int] | None:
        """`_find` from a run on; None if it is too close to tell the two runs before, or there is none."""
        data, end = self._data, len(self._data)
        earlier = before = at, first
        passed = 0
        while at < end:
            span = _SPANS[data[at]] or _span_at(data, at)
            if register < first + span:
                break
            earlier, before = before, (at, first)
            at += 1 if _SPANS[data[at]] else 2
            first += span
            passed += 1
        if at >= end or register < first or (passed < 2 and earlier[0] != self._start):
            return None
        self._resume_at = earlier
        return before[0], at, first

    def _join(self, at: int) -> None:
        """Make one run of neighbours with the same rank, looking at five runs."""
        data = self._data
        for _ in range(_RUNS_TO_JOIN):
            if at >= len(data):
                return
            run = data[at]
            after = data[at + 1] if at + 1 < len(data) else 0
            if run & _VAL and after & _VAL and rank_of(run) == rank_of(after):
                span = _SPANS[run] + _SPANS[after]
                if span <= _VAL_MAX:
                    data[at : at + 2] = bytes((_val(rank_of(run), span),))
                    continue
            at += _size(run)
