"""Which of Redis's internal encodings OBJECT ENCODING names for a value.

Shoal keeps one Python structure per type; the names tell clients and tests what Redis would have
chosen for a value of this size.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from shoal.node.dataset.hashes import ExpiringHash, HashValue
from shoal.node.dataset.lists import ListValue
from shoal.node.dataset.numbers import parse_integer
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.stream_filling import NodeLimits
from shoal.node.dataset.streams import Stream
from shoal.node.dataset.values import SetValue, Value

EMBEDDED_STRING_MAX_BYTES = 44
"""Longest string Redis stores in one piece with its object header."""


@dataclass(slots=True)
class EncodingLimits:
    """The configured sizes up to which Redis keeps a value compact, or goes on in a stream's node."""

    hash_max_listpack_entries: int = 512
    hash_max_listpack_value: int = 64
    set_max_intset_entries: int = 512
    zset_max_listpack_entries: int = 128
    zset_max_listpack_value: int = 64
    list_max_listpack_size: int = -2
    hll_sparse_max_bytes: int = 3000
    stream_nodes: NodeLimits = field(default_factory=NodeLimits)


def encoding_of(value: Value, limits: EncodingLimits) -> bytes:
    """The name of the encoding Redis 7.0 would choose for a value built to this state at once.

    Costs no more than the configured sizes: a greater value is told by its length.
    """
    match value:
        case bytearray():
            return b"raw"
        case bytes():
            if parse_integer(value) is not None:
                return b"int"
            return b"embstr" if len(value) <= EMBEDDED_STRING_MAX_BYTES else b"raw"
        case ListValue():
            return b"quicklist"
        case HashValue():
            packed = b"listpackex" if isinstance(value, ExpiringHash) else b"listpack"
            return packed if _is_compact_hash(value, limits) else b"hashtable"
        case SetValue():
            is_intset = len(value) <= limits.set_max_intset_entries and all(
                parse_integer(member) is not None for member in value
            )
            return b"intset" if is_intset else b"hashtable"
        case SortedSet():
            return b"listpack" if _is_compact_sorted_set(value, limits) else b"skiplist"
        case Stream():
            return b"stream"


def _is_compact_hash(value: HashValue, limits: EncodingLimits) -> bool:
    longest = limits.hash_max_listpack_value
    return len(value) <= limits.hash_max_listpack_entries and all(
        len(field) <= longest and len(content) <= longest for field, content in value.pairs()
    )


def _is_compact_sorted_set(value: SortedSet, limits: EncodingLimits) -> bool:
    longest = limits.zset_max_listpack_value
    return len(value) <= limits.zset_max_listpack_entries and all(
        len(member) <= longest for member in value.scores
    )
