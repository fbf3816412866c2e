"""Databases, encodings, memory and expiry."""

from __future__ import annotations

from shoal.node.server.parameters import INT_MAX, LONG_MAX, ULONG_MAX, Choice, Integer, Memory, Text, YesNo
from shoal.node.server.special_parameters import KeyspaceEvents

_FREED_AT_ONCE = "none: values are freed by reference count; a flush drops whole tables at once"
_NO_DEFRAGMENTATION = "none: Python's allocator cannot be told to move what it holds"
_ONE_STRUCTURE = "none: a value is one Python structure whatever its size"
_SET_AS_IN_7_0 = "none: a small set of words is a hashtable, as in Redis 7.0, which can read it"

_POLICIES = (
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "noeviction",
)


class DatasetDirectives:
    """What keys hold and how long."""

    databases = Integer(16, 1, INT_MAX, mutable=False)
    active_expire_effort = Integer(1, 1, 10, effect="none: keys are deleted when due, not by sampling")
    notify_keyspace_events = KeyspaceEvents("")

    maxmemory = Memory(0, 0, ULONG_MAX)
    maxmemory_policy = Choice("noeviction", _POLICIES)
    maxmemory_samples = Integer(5, 1, INT_MAX)
    maxmemory_eviction_tenacity = Integer(10, 0, 100)
    lfu_log_factor = Integer(10)
    lfu_decay_time = Integer(1)
    lazyfree_lazy_eviction = YesNo(False, effect=_FREED_AT_ONCE)
    lazyfree_lazy_expire = YesNo(False, effect=_FREED_AT_ONCE)
    lazyfree_lazy_server_del = YesNo(False, effect=_FREED_AT_ONCE)
    lazyfree_lazy_user_del = YesNo(False, effect=_FREED_AT_ONCE)
    lazyfree_lazy_user_flush = YesNo(False, effect=_FREED_AT_ONCE)

    hash_max_listpack_entries = Integer(512, 0, LONG_MAX, alias="hash-max-ziplist-entries")
    hash_max_listpack_value = Memory(64, 0, LONG_MAX, alias="hash-max-ziplist-value")
    list_max_listpack_size = Integer(-2, -INT_MAX - 1, INT_MAX, alias="list-max-ziplist-size")
    list_compress_depth = Integer(0, effect=_ONE_STRUCTURE)
    set_max_intset_entries = Integer(512, 0, LONG_MAX)
    set_max_listpack_entries = Integer(128, 0, LONG_MAX, effect=_SET_AS_IN_7_0)
    set_max_listpack_value = Memory(64, 0, LONG_MAX, effect=_SET_AS_IN_7_0)
    zset_max_listpack_entries = Integer(128, 0, LONG_MAX, alias="zset-max-ziplist-entries")
    zset_max_listpack_value = Memory(64, 0, LONG_MAX, alias="zset-max-ziplist-value")
    hll_sparse_max_bytes = Memory(3000, 0, LONG_MAX)
    stream_node_max_bytes = Memory(4096, 0, LONG_MAX)
    stream_node_max_entries = Integer(100, 0, LONG_MAX)

    locale_collate = Text(effect="none: SORT ALPHA compares bytes, in any locale")
    activerehashing = YesNo(True, effect="none: Python resizes its tables itself")
    activedefrag = YesNo(False, effect=_NO_DEFRAGMENTATION)
    active_defrag_ignore_bytes = Memory(100 << 20, 1, LONG_MAX, effect=_NO_DEFRAGMENTATION)
    active_defrag_threshold_lower = Integer(10, 0, 1000, effect=_NO_DEFRAGMENTATION)
    active_defrag_threshold_upper = Integer(100, 0, 1000, effect=_NO_DEFRAGMENTATION)
    active_defrag_cycle_min = Integer(1, 1, 99, effect=_NO_DEFRAGMENTATION)
    active_defrag_cycle_max = Integer(25, 1, 99, effect=_NO_DEFRAGMENTATION)
    active_defrag_max_scan_fields = Integer(1000, 1, LONG_MAX, effect=_NO_DEFRAGMENTATION)
    jemalloc_bg_thread = YesNo(True, effect="none: memory comes from Python's allocator, not jemalloc")
