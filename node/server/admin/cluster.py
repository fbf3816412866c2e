"""CLUSTER as clients ask it: what the cluster looks like, which slot a key is in, READONLY and ASKING."""

from __future__ import annotations

from shoal.cluster import reports
from shoal.cluster.slots import SLOT_COUNT, key_slot
from shoal.cluster.view import Node
from shoal.node.commands.help import help_command
from shoal.node.commands.registry import command, container
from shoal.node.commands.spec import Arg, Flag
from shoal.node.dataset.numbers import require_integer
from shoal.node.resp.replies import OK, CommandError, Reply, Verbatim
from shoal.node.server.cluster_bridge import ClusterBridge
from shoal.node.server.emptying import note_listed
from shoal.node.server.session import Session

DISABLED = "ERR This instance has cluster support disabled"
_READ = Flag.STALE
_ADMIN = Flag.ADMIN | Flag.STALE

container(
    "CLUSTER",
    group="cluster",
    since="3.0.0",
    summary="Asks about the cluster this node belongs to, or changes it.",
)
help_command("CLUSTER", since="5.0.0")


def cluster_of(session: Session) -> ClusterBridge:
    """The cluster side of the session's server, or the error of a server that has none."""
    if session.server.cluster is None:
        raise CommandError(DISABLED)
    return session.server.cluster


# --- what the cluster looks like -----------------------------------------------------------------------


@command(
    "CLUSTER|INFO",
    arity=2,
    flags=_READ,
    group="cluster",
    since="3.0.0",
    complexity="O(1)",
    summary="Reports the cluster's state, epochs and message counts.",
    tips=("nondeterministic_output",),
)
def cluster_info(session: Session) -> Reply:
    cluster = cluster_of(session)
    text = reports.cluster_info(cluster.view, link_buffer_limit_exceeded=cluster.link_buffer_limit_exceeded)
    return Verbatim(text)


@command(
    "CLUSTER|NODES",
    arity=2,
    flags=_READ,
    group="cluster",
    since="3.0.0",
    complexity="O(N) where N is the total number of Cluster nodes",
    summary="Lists every node this one knows, a line each, as nodes.conf does.",
    tips=("nondeterministic_output",),
)
def cluster_nodes(session: Session) -> Reply:
    return Verbatim(reports.cluster_nodes(cluster_of(session).view))


@command(
    "CLUSTER|SLOTS",
    arity=2,
    flags=_READ,
    group="cluster",
    since="3.0.0",
    complexity="O(N) where N is the total number of Cluster nodes",
    summary="Maps ranges of slots to the nodes that serve them.",
    tips=("nondeterministic_output",),
    deprecated_since="7.0.0",
    replaced_by="`CLUSTER SHARDS`",
    history=(("4.0.0", "Shows node ids."), ("7.0.0", "Shows further ways to reach a node.")),
)
def cluster_slots(session: Session) -> Reply:
    cluster = cluster_of(session)
    return reports.cluster_slots(cluster.view, cluster.settings.preferred_endpoint_type)


@command(
    "CLUSTER|SHARDS",
    arity=2,
    flags=_READ,
    group="cluster",
    since="7.0.0",
    complexity="O(N) where N is the total number of cluster nodes",
    summary="Lists the shards: their slots and their nodes.",
    tips=("nondeterministic_output",),
)
def cluster_shards(session: Session) -> Reply:
    cluster = cluster_of(session)
    return reports.cluster_shards(cluster.view, cluster.settings.preferred_endpoint_type)


@command(
    "CLUSTER|LINKS",
    arity=2,
    flags=_READ,
    group="cluster",
    since="7.0.0",
    complexity="O(N) where N is the total number of Cluster nodes",
    summary="Lists the bus connections to and from other nodes.",
    tips=("nondeterministic_output",),
)
def cluster_links(session: Session) -> Reply:
    cluster = cluster_of(session)
    return reports.cluster_links(cluster.view, session.server.link_buffer)


@command(
    "CLUSTER|MYID",
    arity=2,
    flags=_READ,
    group="cluster",
    since="3.0.0",
    complexity="O(1)",
    summary="Answers this node's id.",
)
def cluster_myid(session: Session) -> Reply:
    return cluster_of(session).view.myself.id.encode()


@command(
    "CLUSTER|MYSHARDID",
    arity=2,
    flags=_READ,
    group="cluster",
    since="7.2.0",
    complexity="O(1)",
    summary="Answers the id of this node's shard.",
    tips=("nondeterministic_output",),
)
def cluster_myshardid(session: Session) -> Reply:
    return cluster_of(session).view.myself.shard_primary.shard_id.encode()


@command(
    "CLUSTER|REPLICAS",
    arity=3,
    flags=_ADMIN,
    group="cluster",
    since="5.0.0",
    complexity="O(N) where N is the number of replicas.",
    summary="Lists the replicas of a primary.",
    arguments=(Arg("node-id"),),
    tips=("nondeterministic_output",),
)
def cluster_replicas(session: Session, node_id: bytes) -> Reply:
    view = cluster_of(session).view
    node = _known_node(session, node_id)
    if not node.is_primary:
        raise CommandError("ERR The specified node is not a master")
    return reports.cluster_replicas(view, node)


@command(
    "CLUSTER|SLAVES",
    arity=3,
    flags=_ADMIN,
    group="cluster",
    since="3.0.0",
    complexity="O(N) where N is the number of replicas.",
    summary="Lists the replicas of a primary.",
    arguments=(Arg("node-id"),),
    tips=("nondeterministic_output",),
    deprecated_since="5.0.0",
    replaced_by="`CLUSTER REPLICAS`",
)
def cluster_slaves(session: Session, node_id: bytes) -> Reply:
    return cluster_replicas(session, node_id)


@command(
    "CLUSTER|COUNT-FAILURE-REPORTS",
    arity=3,
    flags=_ADMIN,
    group="cluster",
    since="3.0.0",
    complexity="O(N) where N is the number of failure reports",
    summary="Counts the nodes that hold a node to be failing.",
    arguments=(Arg("node-id"),),
    tips=("nondeterministic_output",),
)
def cluster_count_failure_reports(session: Session, node_id: bytes) -> Reply:
    cluster_of(session)
    return len(_known_node(session, node_id).fail_reports)


def _known_node(session: Session, node_id: bytes) -> Node:
    node = cluster_of(session).view.nodes.get(node_id.decode("latin-1"))
    if node is None:
        raise CommandError(f"ERR Unknown node {node_id.decode('utf-8', 'replace')}")
    return node


# --- keys and slots ------------------------------------------------------------------------------------


@command(
    "CLUSTER|KEYSLOT",
    arity=3,
    flags=_READ,
    group="cluster",
    since="3.0.0",
    complexity="O(N) where N is the number of bytes in the key",
    summary="Answers the hash slot of a key.",
    arguments=(Arg("key"),),
)
def cluster_keyslot(session: Session, key: bytes) -> Reply:
    return key_slot(key)


@command(
    "CLUSTER|COUNTKEYSINSLOT",
    arity=3,
    flags=_READ,
    group="cluster",
    since="3.0.0",
    complexity="O(1)",
    summary="Counts the keys this node holds in a slot.",
    arguments=(Arg("slot", "integer"),),
)
def cluster_countkeysinslot(session: Session, slot: bytes) -> Reply:
    cluster_of(session)
    number = require_integer(slot)
    if not 0 <= number < SLOT_COUNT:
        raise CommandError("ERR Invalid slot")
    return len(session.keyspace.databases[0].tables[number])


@command(
    "CLUSTER|GETKEYSINSLOT",
    arity=4,
    flags=_READ,
    group="cluster",
    since="3.0.0",
    complexity="O(N) where N is the number of requested keys",
    summary="Lists some of the keys this node holds in a slot.",
    arguments=(Arg("slot", "integer"), Arg("count", "integer")),
    tips=("nondeterministic_output",),
)
def cluster_getkeysinslot(session: Session, slot: bytes, count: bytes) -> Reply:
    cluster = cluster_of(session)
    number, most = require_integer(slot), require_integer(count)
    if not 0 <= number < SLOT_COUNT or most < 0:
        raise CommandError("ERR Invalid slot or number of keys")
    # A scan, since walking a dict from its start passes over every key that a migration took away before.
    _cursor, keys = session.keyspace.databases[0].tables[number].scan(0, most)
    del keys[most:]
    if number in cluster.view.migrating:
        note_listed(session, number, keys)
    return keys


# --- the session's part in routing ---------------------------------------------------------------------


@command(
    "READONLY",
    arity=1,
    flags=Flag.LOADING | Flag.STALE | Flag.FAST,
    group="cluster",
    since="3.0.0",
    complexity="O(1)",
    summary="Lets this connection read from a replica.",
    acl={"connection"},
)
def readonly(session: Session) -> Reply:
    cluster_of(session)
    session.readonly = True
    session.refresh_plain()
    return OK


@command(
    "READWRITE",
    arity=1,
    flags=Flag.LOADING | Flag.STALE | Flag.FAST,
    group="cluster",
    since="3.0.0",
    complexity="O(1)",
    summary="Ends what READONLY began.",
    acl={"connection"},
)
def readwrite(session: Session) -> Reply:
    cluster_of(session)
    session.readonly = False
    session.refresh_plain()
    return OK


@command(
    "ASKING",
    arity=1,
    flags=Flag.FAST,
    group="cluster",
    since="3.0.0",
    complexity="O(1)",
    summary="Lets the next command reach a slot that is being imported.",
    acl={"connection"},
)
def asking(session: Session) -> Reply:
    cluster_of(session)
    session.asking = True
    session.refresh_plain()
    return OK
