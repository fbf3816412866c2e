"""The cluster bus, slots and failover; with the directives Redis 8 and Valkey 8 added."""

from __future__ import annotations

from shoal.node.server.parameters import (
    INT_MAX,
    LONG_MAX,
    NO_TLS,
    ULONG_MAX,
    Choice,
    DirectiveError,
    Integer,
    Memory,
    Text,
    YesNo,
)

MAX_HOSTNAME_LENGTH = 256
_ONE_ADDRESS = "none: clients and nodes are told the same address, cluster-announce-ip"


def _hostname(name: str) -> None:
    if len(name) >= MAX_HOSTNAME_LENGTH:
        raise DirectiveError(f"Hostnames must be less than {MAX_HOSTNAME_LENGTH} characters")
    if not all(char.isascii() and (char.isalnum() or char in "-.") for char in name):
        raise DirectiveError("Hostnames may only contain alphanumeric characters, hyphens or dots")


def _human_name(name: str) -> None:
    if len(name) >= MAX_HOSTNAME_LENGTH:
        raise DirectiveError(f"Hostnames must be less than {MAX_HOSTNAME_LENGTH} characters")
    if not all(char.isascii() and (char.isalnum() or char in "-._") for char in name):
        raise DirectiveError("Announced human node name contained invalid character")


class ClusterDirectives:
    """Cluster mode. Times are milliseconds unless the name says otherwise."""

    cluster_enabled = YesNo(False, mutable=False)
    cluster_config_file = Text("nodes.conf", mutable=False)
    cluster_node_timeout = Integer(15000, 0, LONG_MAX)
    cluster_port = Integer(0, 0, 65535, mutable=False)
    cluster_announce_ip = Text()
    cluster_announce_port = Integer(0, 0, 65535)
    cluster_announce_tls_port = Integer(0, 0, 65535, effect=NO_TLS)
    cluster_announce_bus_port = Integer(0, 0, 65535)
    cluster_announce_hostname = Text("", _hostname)
    cluster_announce_human_nodename = Text("", _human_name)
    cluster_announce_client_ipv4 = Text(effect=_ONE_ADDRESS)
    cluster_announce_client_ipv6 = Text(effect=_ONE_ADDRESS)
    cluster_preferred_endpoint_type = Choice("ip", ("ip", "hostname", "unknown-endpoint"))
    cluster_require_full_coverage = YesNo(True)
    cluster_replica_validity_factor = Integer(10, alias="cluster-slave-validity-factor")
    cluster_replica_no_failover = YesNo(False, alias="cluster-slave-no-failover")
    cluster_migration_barrier = Integer(1)
    cluster_allow_replica_migration = YesNo(True)
    cluster_allow_reads_when_down = YesNo(False)
    cluster_allow_pubsubshard_when_down = YesNo(True)
    cluster_migrate_ahead = YesNo(True)
    cluster_link_sendbuf_limit = Memory(0, 0, ULONG_MAX)

    cluster_ping_interval = Integer(0, 0, INT_MAX, hidden=True)
    cluster_manual_failover_timeout = Integer(5000, 1)
    cluster_blacklist_ttl = Integer(60, effect="differs: in seconds, as in Valkey")
    cluster_slot_stats_enabled = YesNo(False, effect="none: nothing is counted by slot but its keys")
    availability_zone = Text(effect="none: clients are not told of it")
    cluster_bus_port_protected_mode = YesNo(
        False, effect="none: the bus listens where the clients' port does"
    )
    cluster_compatibility_sample_ratio = Integer(
        0, 0, 100, effect="none: commands are not sampled for what a cluster would refuse"
    )
