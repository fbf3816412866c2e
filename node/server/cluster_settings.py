"""The `cluster-*` directives as the cluster machine wants them."""

from __future__ import annotations

from shoal.cluster.settings import ClusterSettings
from shoal.node.server.config import Config

BUS_PORT_OFFSET = 10000

CLUSTER_DIRECTIVES = (
    "cluster-node-timeout",
    "cluster-require-full-coverage",
    "cluster-replica-validity-factor",
    "cluster-replica-no-failover",
    "cluster-migration-barrier",
    "cluster-allow-replica-migration",
    "cluster-allow-reads-when-down",
    "cluster-allow-pubsubshard-when-down",
    "cluster-preferred-endpoint-type",
    "cluster-announce-ip",
    "cluster-announce-port",
    "cluster-announce-bus-port",
    "cluster-announce-hostname",
    "cluster-announce-human-nodename",
    "cluster-ping-interval",
    "cluster-manual-failover-timeout",
    "cluster-blacklist-ttl",
    "repl-ping-replica-period",
)
"""The directives that `apply_config` copies."""


def bus_port_of(config: Config) -> int:
    """The port the bus listens on."""
    return config.cluster_port or config.port + BUS_PORT_OFFSET


def apply_config(config: Config, settings: ClusterSettings) -> ClusterSettings:
    """Copy the directives into `settings`, announced addresses in place of real ones; returns it."""
    settings.node_timeout_ms = config.cluster_node_timeout
    settings.require_full_coverage = config.cluster_require_full_coverage
    settings.replica_validity_factor = config.cluster_replica_validity_factor
    settings.replica_no_failover = config.cluster_replica_no_failover
    settings.migration_barrier = config.cluster_migration_barrier
    settings.allow_replica_migration = config.cluster_allow_replica_migration
    settings.allow_reads_when_down = config.cluster_allow_reads_when_down
    settings.allow_pubsubshard_when_down = config.cluster_allow_pubsubshard_when_down
    settings.preferred_endpoint_type = config.cluster_preferred_endpoint_type
    settings.ping_interval_ms = config.cluster_ping_interval
    settings.manual_failover_timeout_ms = config.cluster_manual_failover_timeout
    settings.blacklist_ttl_s = config.cluster_blacklist_ttl
    settings.repl_ping_replica_period_s = config.repl_ping_replica_period
    settings.announce_ip = config.cluster_announce_ip
    settings.announce_hostname = config.cluster_announce_hostname
    settings.announce_human_name = config.cluster_announce_human_nodename
    settings.tcp_port = config.cluster_announce_port or config.port
    settings.bus_port = config.cluster_announce_bus_port or bus_port_of(config)
    return settings
