"""The random numbers scripts see: the same sequence for the same seed on every machine, as in Redis."""

from __future__ import annotations

_MASK = (1 << 48) - 1


class Lrand48:
    """The POSIX generator of that name: 48 bits of state, of which the upper 31 are given out."""

    def __init__(self, seed: int) -> None:
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Begin the sequence of this seed, of which 32 bits count."""
        self._state = (seed & 0xFFFFFFFF) << 16 | 0x330E

    def next(self) -> int:
        """The next number, below 2^31."""
        self._state = (self._state * 0x5DEECE66D + 0xB) & _MASK
        return self._state >> 17
