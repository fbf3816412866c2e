"""How much memory values take, estimated from what CPython reports of the objects they are made of.

For MEMORY USAGE. Every byte string and container is counted with its own overhead; what several values share,
such as small integers, is counted for none.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from sys import getsizeof

from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.values import HashValue, ListValue, SetValue, Value

FLOAT_BYTES = getsizeof(0.5)
POINTER_BYTES = 8
PAIR_BYTES = getsizeof((None, None))


def key_bytes(key: bytes, value: Value, *, expires: bool, samples: int) -> int:
    """A key with its entries in tables and its value, in bytes. `samples` elements stand for all; 0: all."""
    entry = getsizeof(key) + 4 * POINTER_BYTES
    expiry = 4 * POINTER_BYTES if expires else 0
    return entry + expiry + value_bytes(value, samples)


def value_bytes(value: Value, samples: int = 0) -> int:
    """A value with everything in it, in bytes."""
    match value:
        case bytes() | bytearray():
            return getsizeof(value)
        case ListValue():
            return getsizeof(value) + _total(map(getsizeof, value), len(value), samples)
        case HashValue():
            pairs = (getsizeof(field) + getsizeof(content) for field, content in value.items())
            return getsizeof(value) + _total(pairs, len(value), samples)
        case SetValue():
            return getsizeof(value) + _total(map(getsizeof, value), len(value), samples)
        case SortedSet():
            members = (
                getsizeof(member) + FLOAT_BYTES + PAIR_BYTES + POINTER_BYTES for member in value.scores
            )
            return getsizeof(value.scores) + _total(members, len(value.scores), samples)


def _total(sizes: Iterable[int], count: int, samples: int) -> int:
    """The sum of all sizes, or what the first few make likely."""
    if not samples or samples >= count:
        return sum(sizes)
    return sum(islice(sizes, samples)) * count // samples
