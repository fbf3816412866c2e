"""Directives that the server itself follows: how each takes effect, at the start and after CONFIG SET.

What needs a socket, a file or the cluster is applied by whoever has it, through `Config.on_change`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from shoal.node.dataset.stream_filling import NodeLimits
from shoal.node.server.effects import SyncLog
from shoal.node.server.keyspace_events import notify_as_configured

if TYPE_CHECKING:
    from shoal.node.server.server import Server

NEVER_SLOW_US = 1 << 62

ENCODING_DIRECTIVES = (
    "hash_max_listpack_entries",
    "hash_max_listpack_value",
    "set_max_intset_entries",
    "zset_max_listpack_entries",
    "zset_max_listpack_value",
    "list_max_listpack_size",
    "hll_sparse_max_bytes",
)
"""Attributes that `Config` and `EncodingLimits` have in common."""


def follow_config(server: Server) -> None:
    """Apply every rule below now, and again whenever one of its directives changes."""
    for names, rule in _RULES:
        rule(server)
        server.config.on_change(names, partial(rule, server))


def _apply_password(server: Server) -> None:
    server.acl.set_default_password(server.config.requirepass)


def _apply_slowlog(server: Server) -> None:
    slow_us = server.config.slowlog_log_slower_than
    spike_ms = server.config.latency_monitor_threshold
    server.stopwatch.slow_after_ns = 1000 * min(
        slow_us if slow_us >= 0 else NEVER_SLOW_US, spike_ms * 1000 if spike_ms else NEVER_SLOW_US
    )
    are_shared = server.stopwatch.slow_after_ns >= NOTABLE_FOR_FAST_NS
    server.stopwatch.share(server.dispatcher.table.all_entries, shared=are_shared)
    server.slowlog.resize(server.config.slowlog_max_len)


def _apply_encodings(server: Server) -> None:
    for name in ENCODING_DIRECTIVES:
        setattr(server.encoding_limits, name, getattr(server.config, name))


def _apply_stream_nodes(server: Server) -> None:
    config = server.config
    limits = NodeLimits(config.stream_node_max_bytes, config.stream_node_max_entries)
    server.encoding_limits.stream_nodes = limits


def _apply_memory_limit(server: Server) -> None:
    server.memory.follow_config()


def _apply_query_limits(server: Server) -> None:
    config = server.config
    for session in server.sessions.values():
        session.parser.limit(config.proto_max_bulk_len, config.client_query_buffer_limit)


def _apply_fsync_policy(server: Server) -> None:
    """What was appended under a laxer policy is durable before the first reply under `always`."""
    if server.aof.is_recording and server.aof.syncs_always:
        server.effects.append(SyncLog())


def _apply_save_points(server: Server) -> None:
    server.refresh_gates()


def _apply_output_limits(server: Server) -> None:
    server.client_care.note_limits()


def _apply_tracking_limit(server: Server) -> None:
    server.tracking.limit_table()


def _apply_clients_limit(server: Server) -> None:
    server.client_memory.follow_config()


NOTABLE_FOR_FAST_NS = 1_000_000
"""With a threshold below this, commands declared FAST are timed one by one too."""

Rule = Callable[["Server"], None]

_RULES: tuple[tuple[tuple[str, ...], Rule], ...] = (
    (("requirepass",), _apply_password),
    (("slowlog-log-slower-than", "slowlog-max-len", "latency-monitor-threshold"), _apply_slowlog),
    (tuple(name.replace("_", "-") for name in ENCODING_DIRECTIVES), _apply_encodings),
    (("stream-node-max-bytes", "stream-node-max-entries"), _apply_stream_nodes),
    (("maxmemory", "maxmemory-policy", "lfu-log-factor", "lfu-decay-time"), _apply_memory_limit),
    (("proto-max-bulk-len", "client-query-buffer-limit"), _apply_query_limits),
    (("appendfsync",), _apply_fsync_policy),
    (("save", "stop-writes-on-bgsave-error"), _apply_save_points),
    (("client-output-buffer-limit",), _apply_output_limits),
    (("notify-keyspace-events",), notify_as_configured),
    (("maxmemory-clients", "maxmemory"), _apply_clients_limit),
    (("tracking-table-max-keys",), _apply_tracking_limit),
)
