"""INFO fields about what does not exist here, so that a dashboard which adds them up finds a number.

Grouped by the reason why the value never changes.
"""

from __future__ import annotations

from typing import NamedTuple


class Constants(NamedTuple):
    """Fields of one section with one reason."""

    section: str
    reason: str
    fields: dict[str, object]


CONSTANTS = (
    Constants(
        "server",
        "how redis-server was compiled; this is Python",
        {"gcc_version": "0.0.0", "atomicvar_api": "none", "monotonic_clock": "POSIX clock_gettime"},
    ),
    Constants(
        "clients", "query buffers have no fixed size to peak at", {"client_recent_max_input_buffer": 0}
    ),
    Constants(
        "memory",
        "Python's allocator does not tell what it holds beside what is in use",
        {
            "allocator_allocated": 0,
            "allocator_active": 0,
            "allocator_resident": 0,
            "allocator_muzzy": 0,
            "allocator_frag_ratio": "1.00",
            "allocator_frag_bytes": 0,
            "allocator_rss_ratio": "1.00",
            "allocator_rss_bytes": 0,
            "rss_overhead_ratio": "1.00",
            "rss_overhead_bytes": 0,
        },
    ),
    Constants(
        "memory",
        "buffers count towards used_memory like everything else",
        {
            "mem_cluster_links": 0,
            "mem_replica_full_sync_buffer": 0,
            "mem_overhead_db_hashtable_rehashing": 0,
        },
    ),
    Constants(
        "persistence",
        "nothing forks; what writes copy into a rewrite is told only while it is under way",
        {
            "aof_last_cow_size": 0,
            "module_fork_last_cow_size": 0,
        },
    ),
    Constants(
        "stats",
        "a turn is not timed, which would cost as much as a small command",
        {
            "eventloop_duration_sum": 0,
            "eventloop_duration_cmd_sum": 0,
            "instantaneous_eventloop_duration_usec": 0,
        },
    ),
    Constants(
        "stats",
        "nothing is evicted or moved about in memory",
        {
            "total_eviction_exceeded_time": 0,
            "current_eviction_exceeded_time": 0,
            "total_active_defrag_time": 0,
            "current_active_defrag_time": 0,
            "active_defrag_hits": 0,
            "active_defrag_misses": 0,
            "active_defrag_key_hits": 0,
            "active_defrag_key_misses": 0,
        },
    ),
    Constants(
        "stats",
        "a node is one thread, and its reply buffers do not have sizes to choose from",
        {
            "io_threaded_reads_processed": 0,
            "io_threaded_writes_processed": 0,
            "reply_buffer_shrinks": 0,
            "reply_buffer_expands": 0,
        },
    ),
    Constants(
        "stats",
        "replication traffic is part of the total; expiry takes part of a turn; every payload is checked",
        {
            "total_net_repl_input_bytes": 0,
            "total_net_repl_output_bytes": 0,
            "instantaneous_input_repl_kbps": "0.00",
            "instantaneous_output_repl_kbps": "0.00",
            "expire_cycle_cpu_milliseconds": 0,
            "dump_payload_sanitizations": 0,
            "slave_expires_tracked_keys": 0,
        },
    ),
)


def constant_fields(section: str) -> list[tuple[str, object]]:
    """The constants of a section."""
    return [item for group in CONSTANTS if group.section == section for item in group.fields.items()]
