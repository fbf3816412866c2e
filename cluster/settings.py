"""What an operator configures about the cluster, and what the machine may ask about the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True)
class ClusterSettings:
    """The `cluster-*` directives the machine acts on. Changing one takes a `SettingsChanged` event.

    Ports are those a node advertises (an announced port replaces the listening one before it gets here).
    """

    node_timeout_ms: int = 15000
    require_full_coverage: bool = True
    replica_validity_factor: int = 10
    replica_no_failover: bool = False
    migration_barrier: int = 1
    allow_replica_migration: bool = True
    allow_reads_when_down: bool = False
    allow_pubsubshard_when_down: bool = True
    preferred_endpoint_type: str = "ip"
    manual_failover_timeout_ms: int = 5000
    blacklist_ttl_s: int = 60
    ping_interval_ms: int = 0
    repl_ping_replica_period_s: int = 10
    announce_ip: str = ""
    announce_hostname: str = ""
    announce_human_name: str = ""
    tcp_port: int = 0
    tls_port: int = 0
    bus_port: int = 0
    tls_cluster: bool = False
    tls_replication: bool = False


class Dataset(Protocol):
    """The two facts about stored data that cluster decisions depend on. Read-only."""

    def count_keys_in_slot(self, slot: int) -> int:
        """How many keys of `slot` this node holds."""
        ...

    def is_empty(self) -> bool:
        """Whether this node holds no key at all."""
        ...
