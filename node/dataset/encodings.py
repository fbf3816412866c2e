"""Which of Redis's internal encodings OBJECT ENCODING names for a value.

Shoal keeps one Python structure per type; the names tell clients and tests what Redis would have
chosen for a value of this size.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class EncodingLimits:
    """The configured sizes up to which Redis keeps a value in its compact encoding."""

    hash_max_listpack_entries: int = 128
    hash_max_listpack_value: int = 64
    set_max_intset_entries: int = 512
    set_max_listpack_entries: int = 128
    set_max_listpack_value: int = 64
    zset_max_listpack_entries: int = 128
    zset_max_listpack_value: int = 64
    list_max_listpack_size: int = -2
