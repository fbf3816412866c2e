"""CLUSTER as operators use it to change who is a member, who follows whom, and the epochs."""

from __future__ import annotations

from shoal.cluster.events import (
    BumpEpoch,
    Failover,
    FailoverMode,
    Forget,
    Meet,
    Replicate,
    Reset,
    SaveConfig,
    SetConfigEpoch,
)
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, one_of, token
from shoal.node.dataset.numbers import parse_integer, require_integer
from shoal.node.resp.replies import CommandError, Reply
from shoal.node.server.admin.cluster import cluster_of
from shoal.node.server.session import Session

_ADMIN = Flag.ADMIN | Flag.STALE | Flag.NO_ASYNC_LOADING


@command(
    "CLUSTER|MEET",
    arity=-4,
    flags=_ADMIN,
    group="cluster",
    since="3.0.0",
    complexity="O(1)",
    summary="Introduces this node to another, and so their clusters to each other.",
    arguments=(
        Arg("ip"),
        Arg("port", "integer"),
        Arg("cluster_bus_port", "integer", optional=True, since="4.0.0"),
    ),
    history=(("4.0.0", "Added the optional `cluster_bus_port` argument."),),
)
def cluster_meet(session: Session, ip: bytes, port: bytes, *bus_port: bytes) -> Reply:
    cluster = cluster_of(session)
    if len(bus_port) > 1:
        raise CommandError("ERR wrong number of arguments for 'cluster|meet' command")
    number = parse_integer(port)
    if number is None:
        raise CommandError(f"ERR Invalid base port specified: {port.decode('utf-8', 'replace')}")
    bus_number = parse_integer(bus_port[0]) if bus_port else None
    if bus_port and bus_number is None:
        raise CommandError(f"ERR Invalid bus port specified: {bus_port[0].decode('utf-8', 'replace')}")
    return cluster.request(Meet(ip.decode("latin-1"), number, bus_number))


@command(
    "CLUSTER|FORGET",
    arity=3,
    flags=_ADMIN,
    group="cluster",
    since="3.0.0",
    complexity="O(1)",
    summary="Removes a node from this one's view, and keeps gossip from bringing it back for a while.",
    arguments=(Arg("node-id"),),
)
def cluster_forget(session: Session, node_id: bytes) -> Reply:
    return cluster_of(session).request(Forget(node_id.decode("latin-1")))


@command(
    "CLUSTER|REPLICATE",
    arity=3,
    flags=_ADMIN,
    group="cluster",
    since="3.0.0",
    complexity="O(1)",
    summary="Makes this node a replica of a primary.",
    arguments=(Arg("node-id"),),
)
def cluster_replicate(session: Session, node_id: bytes) -> Reply:
    return cluster_of(session).request(Replicate(node_id.decode("latin-1")))


@command(
    "CLUSTER|FAILOVER",
    arity=-2,
    flags=_ADMIN,
    group="cluster",
    since="3.0.0",
    complexity="O(1)",
    summary="Makes this replica take over from its primary.",
    arguments=(one_of("options", token("FORCE"), token("TAKEOVER"), optional=True),),
)
def cluster_failover(session: Session, *options: bytes) -> Reply:
    cluster = cluster_of(session)
    modes = {(): FailoverMode.NORMAL, (b"force",): FailoverMode.FORCE, (b"takeover",): FailoverMode.TAKEOVER}
    mode = modes.get(tuple(option.lower() for option in options))
    if mode is None:
        raise CommandError("ERR syntax error")
    return cluster.request(Failover(mode))


@command(
    "CLUSTER|RESET",
    arity=-2,
    flags=Flag.ADMIN | Flag.STALE | Flag.NOSCRIPT,
    group="cluster",
    since="3.0.0",
    complexity="O(N) where N is the number of known nodes. The command may execute a FLUSHALL "
    "as a side effect.",
    summary="Makes this node forget its cluster; HARD also gives it a new identity.",
    arguments=(one_of("hard_soft", token("HARD"), token("SOFT"), optional=True),),
)
def cluster_reset(session: Session, *options: bytes) -> Reply:
    cluster = cluster_of(session)
    words = tuple(option.lower() for option in options)
    if words not in ((), (b"hard",), (b"soft",)):
        raise CommandError("ERR syntax error")
    return cluster.request(Reset(hard=words == (b"hard",)))


@command(
    "CLUSTER|BUMPEPOCH",
    arity=2,
    flags=_ADMIN,
    group="cluster",
    since="3.0.0",
    complexity="O(1)",
    summary="Raises this node's config epoch above all others, without a vote.",
    tips=("nondeterministic_output",),
)
def cluster_bumpepoch(session: Session) -> Reply:
    return cluster_of(session).request(BumpEpoch())


@command(
    "CLUSTER|SET-CONFIG-EPOCH",
    arity=3,
    flags=_ADMIN,
    group="cluster",
    since="3.0.0",
    complexity="O(1)",
    summary="Gives a fresh node its config epoch.",
    arguments=(Arg("config-epoch", "integer"),),
)
def cluster_set_config_epoch(session: Session, epoch: bytes) -> Reply:
    cluster = cluster_of(session)
    number = require_integer(epoch)
    if number < 0:
        raise CommandError(f"ERR Invalid config epoch specified: {number}")
    return cluster.request(SetConfigEpoch(number))


@command(
    "CLUSTER|SAVECONFIG",
    arity=2,
    flags=_ADMIN,
    group="cluster",
    since="3.0.0",
    complexity="O(1)",
    summary="Writes nodes.conf to disk now.",
)
def cluster_saveconfig(session: Session) -> Reply:
    return cluster_of(session).request(SaveConfig())
