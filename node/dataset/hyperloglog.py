"""HyperLogLog: how many distinct elements were seen, within about 0.81 %, in at most 12 KB.

An element's hash chooses one of 16,384 registers and, by its trailing zero bits, a rank; the register keeps
the greatest rank it has met. Many distinct elements make high ranks likely, so the ranks tell their number.

A sketch is a string in Redis's format, byte for byte: the magic "HYLL", a byte for the encoding, three
unused ones, eight for the cardinality last counted (little-endian; the top bit says that it is out of date),
then the registers: dense, six bits each from the lowest bit on, or sparse, see `sparse_registers.py`.

Source: Redis's description of the format; Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog
sketches", arXiv:1702.01284.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from shoal.node.dataset.murmur import murmur_hash_64a
from shoal.node.dataset.sparse_registers import (
    RANK_MAX_SPARSE,
    REGISTERS,
    SparseRegisters,
    expand,
)

HEADER_SIZE = 16
DENSE, SPARSE = 0, 1
DENSE_SIZE = HEADER_SIZE + REGISTERS * 6 // 8
RANK_MAX = 51
"""The hash has 50 bits beside those that choose the register; if all are zero, the rank is 51."""

_MAGIC = b"HYLL"
_ENCODING_AT = 4
_CARDINALITY = slice(8, 16)
_OUT_OF_DATE_AT, _OUT_OF_DATE = 15, 0x80
_SEED = 0xADC83B19
_ALPHA = 0.721347520444481703680
"""1 / (2 ln 2)."""


def empty() -> bytearray:
    """A sketch that has seen nothing."""
    return bytearray(_MAGIC + bytes([SPARSE]) + bytes(11) + b"\x7f\xff")


def is_sketch(data: bytes | bytearray) -> bool:
    """Whether a string looks like a sketch. Sparse registers may prove corrupt later all the same."""
    if len(data) < HEADER_SIZE or data[:4] != _MAGIC or data[_ENCODING_AT] > SPARSE:
        return False
    return is_sparse(data) or len(data) == DENSE_SIZE


def is_sparse(data: bytes | bytearray) -> bool:
    return data[_ENCODING_AT] == SPARSE


def place_of(element: bytes) -> tuple[int, int]:
    """Which register an element belongs to, and its rank."""
    hashed = murmur_hash_64a(element, _SEED)
    rest = hashed >> 14 | 1 << 50
    return hashed & (REGISTERS - 1), (rest & -rest).bit_length()


# --- changing --------------------------------------------------------------------------------------


def add(sketch: bytearray, elements: Iterable[bytes], sparse_max_bytes: int) -> bool:
    """Let the sketch see elements; whether that changed it. The cardinality is the caller's care."""
    return raise_registers(sketch, map(place_of, elements), sparse_max_bytes)


def raise_registers(sketch: bytearray, places: Iterable[tuple[int, int]], sparse_max_bytes: int) -> bool:
    """Raise registers to at least these ranks, one after the other; whether that changed any.

    Sparse registers become dense where a rank, or the room they need, is too great for them.
    """
    changed = False
    sparse = SparseRegisters(sketch, HEADER_SIZE) if is_sparse(sketch) else None
    try:
        for register, rank in places:
            raised = None
            if sparse is not None and rank <= RANK_MAX_SPARSE:
                raised = sparse.raise_to(register, rank, sparse_max_bytes)
            if raised is None:
                if sparse is not None:
                    sparse.store()
                    sparse = None
                    make_dense(sketch)
                raised = _raise_dense(sketch, register, rank)
            changed = changed or raised
    finally:
        if sparse is not None:
            sparse.store()
    return changed


def _raise_dense(sketch: bytearray, register: int, rank: int) -> bool:
    at, shift = HEADER_SIZE + register * 6 // 8, register * 6 % 8
    pair = int.from_bytes(sketch[at : at + 2], "little")
    if pair >> shift & 63 >= rank:
        return False
    pair = pair & ~(63 << shift) | rank << shift
    size = min(2, len(sketch) - at)
    sketch[at : at + 2] = pair.to_bytes(size, "little")
    return True


def make_dense(sketch: bytearray) -> bool:
    """Give the sketch dense registers; False if it has. CorruptSketchError if the sparse ones are no good."""
    if not is_sparse(sketch):
        return False
    set_ranks(sketch, expand(sketch, HEADER_SIZE))
    return True


# --- all registers at once -------------------------------------------------------------------------
# Four dense registers are three bytes. Each of the four takes its bits from one or two of them, so that all
# first ones, all second ones and so on are found by shifting thousands of bytes at a time, in tables.

_SHIFTED_LEFT = {by: bytes(byte << by & 255 for byte in range(256)) for by in (2, 4, 6)}
_SHIFTED_RIGHT = {by: bytes(byte >> by for byte in range(256)) for by in (2, 4, 6)}
_LOW_SIX = bytes(byte & 63 for byte in range(256))


def ranks_of(sketch: bytes | bytearray) -> bytearray:
    """The rank in each register. CorruptSketchError if sparse registers make no sense."""
    if is_sparse(sketch):
        return expand(sketch, HEADER_SIZE)
    first, second, third = (bytes(sketch[HEADER_SIZE + at :: 3]) for at in range(3))
    ranks = bytearray(REGISTERS)
    ranks[0::4] = first.translate(_LOW_SIX)
    ranks[1::4] = _either(
        first.translate(_SHIFTED_RIGHT[6]), second.translate(_SHIFTED_LEFT[2]).translate(_LOW_SIX)
    )
    ranks[2::4] = _either(
        second.translate(_SHIFTED_RIGHT[4]), third.translate(_SHIFTED_LEFT[4]).translate(_LOW_SIX)
    )
    ranks[3::4] = third.translate(_SHIFTED_RIGHT[2])
    return ranks


def greatest(one: bytes | bytearray, other: bytes | bytearray) -> bytearray:
    """The greater rank of each register, for all of them in one subtraction.

    A rank leaves the top bit of its byte free. Set in `one`, it is still set after `other` is taken away
    where `one` was no less, and no byte borrows from the next. From that bit a mask for its byte is made.
    """
    a, b = int.from_bytes(one, "little"), int.from_bytes(other, "little")
    no_less = ((a | _TOP_BITS) - b) & _TOP_BITS
    mask = no_less - (no_less >> 7)
    return bytearray((a & mask | b & ~mask & _RANK_BITS).to_bytes(REGISTERS, "little"))


_TOP_BITS = int.from_bytes(b"\x80" * REGISTERS, "little")
_RANK_BITS = int.from_bytes(b"\x7f" * REGISTERS, "little")


def set_ranks(sketch: bytearray, ranks: bytearray) -> None:
    """Give a sketch dense registers with these ranks."""
    sketch[HEADER_SIZE:] = _pack(ranks)
    sketch[_ENCODING_AT] = DENSE


def _pack(ranks: bytearray) -> bytes:
    """Dense registers with these ranks."""
    first, second, third, fourth = (bytes(ranks[at::4]) for at in range(4))
    packed = bytearray(DENSE_SIZE - HEADER_SIZE)
    packed[0::3] = _either(first, second.translate(_SHIFTED_LEFT[6]))
    packed[1::3] = _either(second.translate(_SHIFTED_RIGHT[2]), third.translate(_SHIFTED_LEFT[4]))
    packed[2::3] = _either(third.translate(_SHIFTED_RIGHT[4]), fourth.translate(_SHIFTED_LEFT[2]))
    return bytes(packed)


def _either(one: bytes, other: bytes) -> bytes:
    """Byte by byte, the bits that are in either."""
    bits = int.from_bytes(one, "little") | int.from_bytes(other, "little")
    return bits.to_bytes(len(one), "little")


# --- counting --------------------------------------------------------------------------------------


def invalidate(sketch: bytearray) -> None:
    """Note that the cardinality last counted is out of date."""
    sketch[_OUT_OF_DATE_AT] |= _OUT_OF_DATE


def known_cardinality(sketch: bytes | bytearray) -> int | None:
    """The cardinality last counted; None if it is out of date."""
    if sketch[_OUT_OF_DATE_AT] & _OUT_OF_DATE:
        return None
    return int.from_bytes(sketch[_CARDINALITY], "little")


def note_cardinality(sketch: bytearray, cardinality: int) -> None:
    """Keep what was counted."""
    sketch[_CARDINALITY] = cardinality.to_bytes(8, "little")


def estimate(ranks: bytes | bytearray) -> int:
    """How many distinct elements these ranks stand for, most likely."""
    histogram = [ranks.count(rank) for rank in range(RANK_MAX + 1)]
    size = float(REGISTERS)
    total = size * _tau((size - histogram[RANK_MAX]) / size)
    for rank in range(RANK_MAX - 1, 0, -1):
        total = (total + histogram[rank]) * 0.5
    total += size * _sigma(histogram[0] / size)
    return math.floor(_ALPHA * size * size / total + 0.5)


def _sigma(share: float) -> float:
    """What registers that have met nothing add."""
    if share == 1:
        return math.inf
    weight, total, before = 1.0, share, -1.0
    while total != before:
        share *= share
        before = total
        total += share * weight
        weight += weight
    return total


def _tau(share: float) -> float:
    """What registers at the greatest rank add."""
    if share in (0, 1):
        return 0.0
    weight, total, before = 1.0, 1 - share, -1.0
    while total != before:
        share = math.sqrt(share)
        before = total
        weight *= 0.5
        total -= (1 - share) ** 2 * weight
    return total / 3
