"""What a node says about its cluster when asked: CLUSTER NODES, SLOTS, SHARDS, INFO and LINKS.

Each report is computed from the view alone and returned as plain values (bytes, int, None, list, dict),
in the shape and field order of Redis 7.0, since clients and tools parse them. A dict is a map in RESP3
and a flat list in RESP2. `tls` says that the asking client uses TLS and wants TLS ports.
Source: Redis 7.0 command reference for the named commands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias, Union

from shoal.cluster.config_file import line_of, open_slot_words
from shoal.cluster.messages import MessageType
from shoal.cluster.routing import endpoint_of, port_of
from shoal.cluster.slots import SLOT_COUNT
from shoal.cluster.view import ClusterView, Node, saved_node

Value: TypeAlias = Union[bytes, int, "list[Value]", "dict[bytes, Value]", None]

_MESSAGE_NAMES = {
    MessageType.PING: "ping",
    MessageType.PONG: "pong",
    MessageType.MEET: "meet",
    MessageType.FAIL: "fail",
    MessageType.PUBLISH: "publish",
    MessageType.FAILOVER_AUTH_REQUEST: "auth-req",
    MessageType.FAILOVER_AUTH_ACK: "auth-ack",
    MessageType.UPDATE: "update",
    MessageType.MFSTART: "mfstart",
    MessageType.MODULE: "module",
    MessageType.PUBLISHSHARD: "publishshard",
}


@dataclass(frozen=True, slots=True)
class LinkBuffer:
    """The send buffer of one bus link, in bytes."""

    allocated: int = 0
    used: int = 0


def cluster_nodes(view: ClusterView, *, tls: bool = False) -> bytes:
    """CLUSTER NODES: the lines of nodes.conf without its auxiliary fields, handshakes included."""
    return "".join(f"{node_line(view, node, tls=tls)}\n" for node in view.nodes.values()).encode("ascii")


def cluster_replicas(view: ClusterView, primary: Node, *, tls: bool = False) -> list[Value]:
    """CLUSTER REPLICAS: a line for each replica of `primary`."""
    return [node_line(view, replica, tls=tls).encode("ascii") for replica in primary.replicas]


def node_line(view: ClusterView, node: Node, *, tls: bool = False) -> str:
    """One line of CLUSTER NODES. A replica is shown with its primary's config epoch."""
    shown = replace(
        saved_node(node), tcp_port=port_of(node, tls=tls), config_epoch=node.shard_primary.config_epoch
    )
    line = line_of(shown, auxiliary=False)
    return " ".join([line, *open_slot_words(view.saved())]) if node.is_myself else line


def cluster_slots(view: ClusterView, preferred_endpoint_type: str, *, tls: bool = False) -> list[Value]:
    """CLUSTER SLOTS: first, last, the primary, then the replicas that have data and are not failed."""
    described: dict[str, list[Value]] = {}
    ranges: list[Value] = []
    for first, last, owner in _owned_ranges(view):
        if owner.id not in described:
            members = [owner, *filter(_has_data, owner.replicas)]
            described[owner.id] = [_slots_entry(node, preferred_endpoint_type, tls) for node in members]
        ranges.append([first, last, *described[owner.id]])
    return ranges


def _owned_ranges(view: ClusterView) -> Iterator[tuple[int, int, Node]]:
    first = 0
    for slot in range(1, SLOT_COUNT + 1):
        owner = view.slot_owner[first]
        if slot == SLOT_COUNT or view.slot_owner[slot] is not owner:
            if owner is not None:
                yield first, slot - 1, owner
            first = slot


def _has_data(replica: Node) -> bool:
    return not replica.fail and replica.replication_offset != 0


def _slots_entry(node: Node, preferred_endpoint_type: str, tls: bool) -> list[Value]:
    """Endpoint (None for an unknown one), port, id, and the addresses that are not the endpoint."""
    others: dict[bytes, Value] = {}
    if preferred_endpoint_type != "ip":
        others[b"ip"] = node.ip.encode("ascii")
    if preferred_endpoint_type != "hostname" and node.hostname:
        others[b"hostname"] = node.hostname.encode("ascii")
    unknown = preferred_endpoint_type == "unknown-endpoint"
    endpoint = None if unknown else endpoint_of(node, preferred_endpoint_type).encode("ascii")
    return [endpoint, port_of(node, tls=tls), node.id.encode("ascii"), others]


def cluster_shards(view: ClusterView, preferred_endpoint_type: str) -> list[Value]:
    """CLUSTER SHARDS: each primary with its slots as flat pairs, and all nodes of its shard."""
    shards: list[Value] = []
    for primary in view.nodes.values():
        if primary.is_primary:
            slots: list[Value] = [bound for pair in primary.slot_ranges() for bound in pair]
            members = [primary, *primary.replicas]
            nodes: list[Value] = [_shards_entry(node, preferred_endpoint_type) for node in members]
            shards.append({b"slots": slots, b"nodes": nodes})
    return shards


def _shards_entry(node: Node, preferred_endpoint_type: str) -> dict[bytes, Value]:
    entry: dict[bytes, Value] = {b"id": node.id.encode("ascii")}
    if node.tcp_port:
        entry[b"port"] = node.tcp_port
    if node.tls_port:
        entry[b"tls-port"] = node.tls_port
    entry[b"ip"] = node.ip.encode("ascii")
    entry[b"endpoint"] = endpoint_of(node, preferred_endpoint_type).encode("ascii")
    if node.hostname:
        entry[b"hostname"] = node.hostname.encode("ascii")
    entry[b"role"] = b"replica" if node.is_replica else b"master"
    entry[b"replication-offset"] = node.replication_offset
    entry[b"health"] = _health(node)
    return entry


def _health(node: Node) -> bytes:
    if node.fail:
        return b"fail"
    return b"loading" if node.is_replica and node.replication_offset == 0 else b"online"


def cluster_info(view: ClusterView, *, link_buffer_limit_exceeded: int = 0) -> bytes:
    """CLUSTER INFO: `field:value` lines. Message types that never occurred are left out."""
    failed = sum(node.slot_count for node in view.nodes.values() if node.fail)
    suspected = sum(node.slot_count for node in view.nodes.values() if node.pfail and not node.fail)
    assigned = view.assigned_bits.bit_count()
    lines = [
        f"cluster_state:{'ok' if view.state_ok else 'fail'}",
        f"cluster_slots_assigned:{assigned}",
        f"cluster_slots_ok:{assigned - failed - suspected}",
        f"cluster_slots_pfail:{suspected}",
        f"cluster_slots_fail:{failed}",
        f"cluster_known_nodes:{len(view.nodes)}",
        f"cluster_size:{view.size}",
        f"cluster_current_epoch:{view.current_epoch}",
        f"cluster_my_epoch:{view.myself.shard_primary.config_epoch}",
        *_message_lines(view.messages_sent, "sent"),
        *_message_lines(view.messages_received, "received"),
        f"total_cluster_links_buffer_limit_exceeded:{link_buffer_limit_exceeded}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _message_lines(counts: Counter[MessageType], direction: str) -> Iterator[str]:
    for kind, name in _MESSAGE_NAMES.items():
        if counts[kind]:
            yield f"cluster_stats_messages_{name}_{direction}:{counts[kind]}"
    yield f"cluster_stats_messages_{direction}:{counts.total()}"


def cluster_links(view: ClusterView, buffer_of: Callable[[int], LinkBuffer]) -> list[Value]:
    """CLUSTER LINKS: every connection to or from a known node. `buffer_of` takes a link's id."""
    return [
        _link_entry(link.id, link.node, link.created_ms, buffer_of(link.id))
        for link in view.links.values()
        if link.node is not None and (link.connected or not link.is_outbound)
    ]


def _link_entry(link_id: int, node: Node, created_ms: int, buffer: LinkBuffer) -> dict[bytes, Value]:
    return {
        b"direction": b"to" if link_id > 0 else b"from",
        b"node": node.id.encode("ascii"),
        b"create-time": created_ms,
        b"events": b"rw" if buffer.used else b"r",
        b"send-buffer-allocated": buffer.allocated,
        b"send-buffer-used": buffer.used,
    }
