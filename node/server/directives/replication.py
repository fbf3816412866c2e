"""How a replica follows its primary. Every `replica` directive also answers to its older `slave` name."""

from __future__ import annotations

from shoal.node.server.parameters import LONG_MAX, Choice, Integer, Memory, Text, YesNo
from shoal.node.server.special_parameters import PrimaryOf


class ReplicationDirectives:
    """Following, being followed, and when neither is good enough."""

    replicaof = PrimaryOf(None, alias="slaveof", mutable=False)
    masterauth = Text(sensitive=True)
    masteruser = Text(sensitive=True)
    replica_serve_stale_data = YesNo(True, alias="slave-serve-stale-data")
    replica_read_only = YesNo(True, alias="slave-read-only")
    replica_priority = Integer(100, alias="slave-priority")
    replica_announced = YesNo(True)
    replica_announce_ip = Text(alias="slave-announce-ip")
    replica_announce_port = Integer(0, 0, 65535, alias="slave-announce-port")
    replica_ignore_maxmemory = YesNo(True, alias="slave-ignore-maxmemory")
    replica_ignore_disk_write_errors = YesNo(
        False, effect="none: a replica whose disk fails says so, and goes on as its primary does"
    )
    replica_lazy_flush = YesNo(
        False, alias="slave-lazy-flush", effect="none: a flush drops whole tables at once"
    )
    min_replicas_to_write = Integer(0, alias="min-slaves-to-write")
    min_replicas_max_lag = Integer(10, alias="min-slaves-max-lag")

    repl_timeout = Integer(60, 1)
    repl_ping_replica_period = Integer(10, 1, alias="repl-ping-slave-period")
    repl_backlog_size = Memory(1 << 20, 1, LONG_MAX)
    repl_backlog_ttl = Integer(3600, 0, LONG_MAX)
    repl_disable_tcp_nodelay = YesNo(False, effect="none: what a replica is to get is sent at once")
    repl_diskless_sync = YesNo(True)
    replica_full_sync_buffer_limit = Memory(
        0, 0, LONG_MAX, effect="none: the stream waits in the primary's backlog until the snapshot is there"
    )
    repl_diskless_sync_delay = Integer(5)
    repl_diskless_sync_max_replicas = Integer(0)
    repl_diskless_load = Choice(
        "disabled",
        ("disabled", "on-empty-db", "swapdb"),
        refused_while_loading=True,
        effect="differs: a snapshot always gathers in memory, and replaces the data when it is complete",
    )
    propagation_error_behavior = Choice(
        "ignore",
        ("ignore", "panic", "panic-on-replicas"),
        effect="differs: a replica stops in front of a command it does not know",
    )
