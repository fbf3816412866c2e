"""What nodes say about the cluster: one node's view parsed from CLUSTER NODES, and all nodes' views together.

Pure: text in, values out. Source: Redis documentation, CLUSTER NODES, "Serialization format".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shoal.cli.addresses import Address
from shoal.cli.errors import CliError
from shoal.cluster.slots import SLOT_COUNT

SlotRange = tuple[int, int]

_NODE_ID_LENGTH = 40
_HEX_DIGITS = frozenset("0123456789abcdef")


class TopologyError(CliError):
    """A server described the cluster in a way that makes no sense."""


@dataclass(frozen=True, slots=True)
class NodeLine:
    """One line of CLUSTER NODES: what one node believes about another, or about itself.

    `migrating` maps a slot to the id it goes to, `importing` to the id it comes from; nodes tell only
    their own.
    """

    id: str
    host: str
    port: int
    bus_port: int
    flags: frozenset[str]
    primary_id: str | None
    config_epoch: int
    connected: bool
    ranges: tuple[SlotRange, ...] = ()
    migrating: tuple[tuple[int, str], ...] = ()
    importing: tuple[tuple[int, str], ...] = ()

    @property
    def is_primary(self) -> bool:
        return "master" in self.flags

    @property
    def is_myself(self) -> bool:
        return "myself" in self.flags

    @property
    def is_reachable_in_principle(self) -> bool:
        """Known by address and past its handshake."""
        return not self.flags & {"noaddr", "handshake"} and self.port > 0


def parse_cluster_nodes(text: str) -> list[NodeLine]:
    """The lines of a CLUSTER NODES reply. Raises TopologyError unless exactly one is `myself`."""
    lines = [_parse_line(line) for line in text.split("\n") if line.strip()]
    if sum(line.is_myself for line in lines) != 1:
        raise TopologyError("the server's CLUSTER NODES does not name the server itself")
    return lines


def _parse_line(line: str) -> NodeLine:
    fields = line.split()
    if len(fields) < 8 or not _is_node_id(fields[0]):
        raise TopologyError(f"cannot make sense of this CLUSTER NODES line: {line[:200]}")
    node_id, address, flags, primary_id, _ping, _pong, epoch, link = fields[:8]
    host, port, bus_port = _parse_node_address(address)
    ranges: list[SlotRange] = []
    migrating: list[tuple[int, str]] = []
    importing: list[tuple[int, str]] = []
    for item in fields[8:]:
        if item.startswith("["):
            slot, arrow, peer = _parse_open_slot(item)
            (migrating if arrow == "->-" else importing).append((slot, peer))
        else:
            ranges.append(_parse_range(item))
    return NodeLine(
        id=node_id,
        host=host,
        port=port,
        bus_port=bus_port,
        flags=frozenset(flags.split(",")),
        primary_id=primary_id if _is_node_id(primary_id) else None,
        config_epoch=int(epoch) if epoch.isdecimal() and len(epoch) <= 20 else 0,
        connected=link == "connected",
        ranges=tuple(ranges),
        migrating=tuple(migrating),
        importing=tuple(importing),
    )


def _is_node_id(text: str) -> bool:
    return len(text) == _NODE_ID_LENGTH and _HEX_DIGITS.issuperset(text)


def _parse_node_address(text: str) -> tuple[str, int, int]:
    """`ip:port@bus_port[,hostname…]`. A node that does not know its own ip yet leaves it empty."""
    endpoint, _, bus_port = text.partition(",")[0].partition("@")
    host, _, port = endpoint.rpartition(":")
    if not (_is_port(port) and _is_port(bus_port)):
        raise TopologyError(f"{text[:100]!r} is not the address of a node")
    return host.removeprefix("[").removesuffix("]"), int(port), int(bus_port)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5


def _parse_open_slot(item: str) -> tuple[int, str, str]:
    for arrow in ("->-", "-<-"):
        slot, found, peer = item[1:].removesuffix("]").partition(arrow)
        if found and _is_node_id(peer):
            return _parse_slot(slot), arrow, peer
    raise TopologyError(f"{item[:100]!r} is not an open slot")


def _parse_range(item: str) -> SlotRange:
    first, dash, last = item.partition("-")
    start = _parse_slot(first)
    end = _parse_slot(last) if dash else start
    if end < start:
        raise TopologyError(f"{item!r} is not a range of slots")
    return start, end


def _parse_slot(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) < SLOT_COUNT):
        raise TopologyError(f"{text[:20]!r} is not a slot")
    return int(text)


def slots_in(ranges: Iterable[SlotRange]) -> Iterator[int]:
    for first, last in ranges:
        yield from range(first, last + 1)


def count_slots(ranges: Iterable[SlotRange]) -> int:
    return sum(last - first + 1 for first, last in ranges)


@dataclass(frozen=True, slots=True)
class Node:
    """A node that answered: its own line, where it was reached, how many keys it has, and its whole view."""

    line: NodeLine
    address: Address
    keys: int
    view: tuple[NodeLine, ...]

    @property
    def id(self) -> str:
        return self.line.id

    @property
    def is_primary(self) -> bool:
        return self.line.is_primary

    @property
    def slots(self) -> list[int]:
        return list(slots_in(self.line.ranges))

    @property
    def slot_count(self) -> int:
        return count_slots(self.line.ranges)

    def slot_owners(self) -> tuple[tuple[str, tuple[SlotRange, ...]], ...]:
        """Who has which slots according to this node: what all nodes must agree about."""
        return tuple(sorted((line.id, line.ranges) for line in self.view if line.ranges))


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A node the others know that did not answer, and why."""

    line: NodeLine
    reason: str


@dataclass(frozen=True, slots=True)
class ClusterView:
    """Every node's view, the seed's first. `unreachable` holds nodes the seed knows that did not answer."""

    seed: Address
    nodes: tuple[Node, ...]
    unreachable: tuple[Unreachable, ...] = field(default=())

    @property
    def primaries(self) -> list[Node]:
        return [node for node in self.nodes if node.is_primary]

    @property
    def lost_primaries(self) -> list[Unreachable]:
        """The primaries that did not answer."""
        return [lost for lost in self.unreachable if lost.line.is_primary]

    @property
    def replicas(self) -> list[Node]:
        return [node for node in self.nodes if not node.is_primary]

    def replicas_of(self, primary_id: str) -> list[Node]:
        return [node for node in self.replicas if node.line.primary_id == primary_id]

    def find(self, text: str) -> Node:
        """The node with this id, beginning of an id, or address. Raises CliError naming what can be given."""
        for node in self.nodes:
            if node.id == text.lower() or str(node.address) == text:
                return node
        begun = [node for node in self.nodes if text and node.id.startswith(text.lower())]
        if len(begun) == 1:
            return begun[0]
        known = ", ".join(str(node.address) for node in self.nodes)
        raise CliError(f"no node {text} in this cluster; give a node's id or one of {known}")

    def find_primary(self, text: str) -> Node:
        """As `find`, but the node must be a primary."""
        node = self.find(text)
        if not node.is_primary:
            raise CliError(f"{node.address} is a replica; give its primary, {node.line.primary_id}")
        return node

    def owners(self) -> dict[int, list[Node]]:
        """The primaries that each claim a slot for themselves; one per slot in a healthy cluster."""
        owners: dict[int, list[Node]] = {}
        for node in self.primaries:
            for slot in slots_in(node.line.ranges):
                owners.setdefault(slot, []).append(node)
        return owners

    def least_replicated_primary(self, *, excluding: str = "") -> Node:
        """The primary most in need of a replica; ties go to the one listed first."""
        candidates = [node for node in self.primaries if node.id != excluding]
        if not candidates:
            raise CliError("the cluster has no other primary; add one first with shoal add-node")
        return min(candidates, key=lambda node: len(self.replicas_of(node.id)))


def node_address(line: NodeLine, reached_at: Address) -> Address:
    """Where to reach a node; one that does not know its own ip is at the host it was asked through."""
    return Address(line.host or reached_at.host, line.port)
