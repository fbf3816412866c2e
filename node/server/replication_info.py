"""The `replication` section of INFO: whom this node follows, who follows it, and where the stream is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.node.server.attached_replica import AttachedReplica, ReplicaState

if TYPE_CHECKING:
    from shoal.node.server.following import Following
    from shoal.node.server.replication import Replication
    from shoal.node.server.server import Server

Fields = list[tuple[str, object]]


def replication_fields(server: Server) -> Fields:
    """Every field, in Redis's order and words."""
    replication = server.replication
    history, following = replication.history, replication.following
    fields: Fields = [("role", "master" if following is None else "slave")]
    if following is not None:
        fields += _primary_fields(replication, following)
    fields.append(("connected_slaves", len(replication.attached)))
    if server.config.min_replicas_to_write and server.config.min_replicas_max_lag:
        fields.append(("min_slaves_good_slaves", replication.count_good_replicas()))
    for index, replica in enumerate(replication.attached):
        fields.append((f"slave{index}", _replica_line(replica, server.keyspace.now_ms)))
    backlog = history.backlog
    return [
        *fields,
        ("master_failover_state", replication.failover.state.value),
        ("master_replid", history.replid),
        ("master_replid2", history.second_replid),
        ("master_repl_offset", history.offset),
        ("second_repl_offset", history.second_offset),
        ("repl_backlog_active", int(backlog is not None)),
        ("repl_backlog_size", server.config.repl_backlog_size),
        ("repl_backlog_first_byte_offset", backlog.first_offset if backlog is not None else 0),
        ("repl_backlog_histlen", len(backlog) if backlog is not None else 0),
    ]


def _primary_fields(replication: Replication, following: Following) -> Fields:
    server, offset = replication.server, replication.history.offset
    now_ms = server.keyspace.now_ms
    incoming = following.incoming
    fields: Fields = [
        ("master_host", following.host),
        ("master_port", following.port),
        ("master_link_status", "up" if following.is_connected else "down"),
        ("master_last_io_seconds_ago", following.silent_seconds(now_ms)),
        ("master_sync_in_progress", int(incoming is not None)),
        ("slave_read_repl_offset", offset + following.held_bytes),
        ("slave_repl_offset", offset),
    ]
    if incoming is not None:
        fields.append(("master_sync_read_bytes", incoming.received))
    if not following.is_connected:
        fields.append(("master_link_down_since_seconds", (now_ms - following.down_since_ms) // 1000))
    return [
        *fields,
        ("slave_priority", server.config.replica_priority),
        ("slave_read_only", int(server.config.replica_read_only)),
        ("replica_announced", int(server.config.replica_announced)),
    ]


def _replica_line(replica: AttachedReplica, now_ms: int) -> str:
    state = ReplicaState.SYNCING if replica.state is ReplicaState.AWAITING_ACK else replica.state
    lag = replica.lag_seconds(now_ms) if replica.is_online else 0
    return (
        f"ip={replica.host},port={replica.port},state={state.value},offset={replica.acked_offset},lag={lag}"
    )
