"""Everything one node knows about its cluster: the nodes, who owns which slot, and the epochs.

`ClusterView` is plain state with the few operations that keep its parts consistent (a slot has one
owner, a primary knows its replicas). It decides nothing: the rules are in the modules that change it.
Reports and routing read it; only the machine writes it. Slot sets are integers (see slot_sets.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from shoal.cluster.messages import MessageType, NodeFlag
from shoal.cluster.slot_sets import NO_SLOTS, bits_to_bitmap, ranges_of, ranges_to_bits, slots_of
from shoal.cluster.slots import SLOT_COUNT, bitmap_to_slots


@dataclass(slots=True, eq=False)
class Link:
    """One bus connection. Outbound links are ours to a node; inbound ones are a node's to us.

    Outbound ids are positive and chosen by the machine, inbound ids negative and chosen by the shell,
    so the two never pick the same. `node` is None while an inbound link's peer is not known.
    """

    id: int
    node: Node | None
    created_ms: int
    connected: bool = False

    @property
    def is_outbound(self) -> bool:
        return self.id > 0


@dataclass(slots=True, eq=False, repr=False)
class Node:
    """One member as this node sees it. All times are unix milliseconds, 0 for never.

    `pong_received_ms` and `ping_sent_ms` follow the protocol: `ping_sent_ms` is 0 when no answer is
    awaited. `shard_id` is empty until it is learnt. A node in handshake has neither role.
    `heard_inbound` says that it has spoken on a link of its own as one who knows us.
    """

    id: str
    created_ms: int = 0
    ip: str = ""
    tcp_port: int = 0
    tls_port: int = 0
    bus_port: int = 0
    hostname: str = ""
    human_name: str = ""
    shard_id: str = ""

    is_myself: bool = False
    is_primary: bool = False
    is_replica: bool = False
    pfail: bool = False
    fail: bool = False
    handshake: bool = False
    noaddr: bool = False
    meet: bool = False
    migrate_to: bool = False
    nofailover: bool = False
    extensions_supported: bool = False
    heard_inbound: bool = False
    light_header_publish: bool = False

    primary: Node | None = None
    replicas: list[Node] = field(default_factory=list)
    config_epoch: int = 0
    replication_offset: int = 0
    slot_bits: int = 0
    slot_count: int = 0
    bitmap: bytes = NO_SLOTS

    ping_sent_ms: int = 0
    pong_received_ms: int = 0
    data_received_ms: int = 0
    meet_sent_ms: int = 0
    failed_at_ms: int = 0
    voted_about_ms: int = 0
    orphaned_since_ms: int = 0
    fail_reports: dict[str, int] = field(default_factory=dict)
    link: Link | None = None

    def __repr__(self) -> str:
        return f"<Node {self.id} {self.ip}:{self.bus_port} {self.flags!r}>"

    @property
    def flags(self) -> NodeFlag:
        """The flags as the wire and `CLUSTER NODES` carry them."""
        return NodeFlag(
            self.is_primary
            | self.is_replica << 1
            | self.pfail << 2
            | self.fail << 3
            | self.is_myself << 4
            | self.handshake << 5
            | self.noaddr << 6
            | self.meet << 7
            | self.migrate_to << 8
            | self.nofailover << 9
            | self.extensions_supported << 10
            | self.light_header_publish << 11
        )

    @property
    def votes(self) -> bool:
        """Whether this node's word counts in failure detection and elections: a primary with slots."""
        return self.is_primary and self.slot_count > 0

    @property
    def is_failing(self) -> bool:
        return self.fail or self.pfail

    @property
    def connected(self) -> bool:
        """Whether our outbound link is up; myself always is."""
        return self.is_myself or (self.link is not None and self.link.connected)

    @property
    def shard_primary(self) -> Node:
        """The primary of this node's shard: itself unless it follows one."""
        return self.primary if self.is_replica and self.primary is not None else self

    def slots(self) -> Iterator[int]:
        """The slots this node owns, ascending."""
        return bitmap_to_slots(self.bitmap)

    def slot_ranges(self) -> tuple[tuple[int, int], ...]:
        """The slots this node owns as inclusive ranges."""
        return ranges_of(self.slot_bits)


@dataclass(frozen=True, slots=True)
class SavedNode:
    """One line of nodes.conf. `primary` is an id; `slots` are inclusive ranges."""

    id: str
    ip: str = ""
    tcp_port: int = 0
    tls_port: int = 0
    bus_port: int = 0
    hostname: str = ""
    human_name: str = ""
    shard_id: str = ""
    flags: NodeFlag = NodeFlag.NONE
    primary: str | None = None
    ping_sent_ms: int = 0
    pong_received_ms: int = 0
    config_epoch: int = 0
    connected: bool = False
    slots: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SavedConfig:
    """All that survives a restart: what nodes.conf says. Exactly one node carries the MYSELF flag.

    `migrating` and `importing` are (slot, id of the other node) pairs.
    """

    nodes: tuple[SavedNode, ...]
    current_epoch: int = 0
    last_vote_epoch: int = 0
    migrating: tuple[tuple[int, str], ...] = ()
    importing: tuple[tuple[int, str], ...] = ()


@dataclass(slots=True, eq=False, repr=False)
class ClusterView:
    """The state of one node's cluster. Epochs only grow (CLUSTER RESET HARD starts a new identity)."""

    myself: Node
    nodes: dict[str, Node] = field(default_factory=dict)
    slot_owner: list[Node | None] = field(default_factory=lambda: [None] * SLOT_COUNT)
    assigned_bits: int = 0
    unclaimed_bits: int = 0
    migrating: dict[int, Node] = field(default_factory=dict)
    importing: dict[int, Node] = field(default_factory=dict)
    current_epoch: int = 0
    last_vote_epoch: int = 0
    state_ok: bool = False
    size: int = 0
    awaiting_failover: bool = False
    forgotten_until_ms: dict[str, int] = field(default_factory=dict)
    links: dict[int, Link] = field(default_factory=dict)
    messages_sent: Counter[MessageType] = field(default_factory=Counter)
    messages_received: Counter[MessageType] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.nodes.setdefault(self.myself.id, self.myself)

    @property
    def quorum(self) -> int:
        """How many voting primaries are a majority."""
        return self.size // 2 + 1

    def count_voters(self) -> None:
        """Recompute `size`, the number of primaries with slots."""
        self.size = sum(node.votes for node in self.nodes.values())

    def others(self) -> Iterator[Node]:
        """Every node but myself."""
        return (node for node in self.nodes.values() if not node.is_myself)

    # Slots

    def assign(self, bits: int, node: Node) -> None:
        """Make `node` the owner of the slots in `bits`, taking them from whoever has them."""
        self.unassign(bits & ~node.slot_bits)
        node.slot_bits |= bits
        self.assigned_bits |= bits
        self._mark_owner(bits, node)
        self._refresh(node)

    def unassign(self, bits: int) -> None:
        """Leave the slots in `bits` without an owner."""
        bits &= self.assigned_bits
        if not bits:
            return
        for node in self.nodes.values():
            if node.slot_bits & bits:
                node.slot_bits &= ~bits
                self._refresh(node)
        self.assigned_bits &= ~bits
        self.unclaimed_bits &= ~bits
        self._mark_owner(bits, None)

    def _mark_owner(self, bits: int, node: Node | None) -> None:
        self.unclaimed_bits &= ~bits
        for slot in slots_of(bits):
            self.slot_owner[slot] = node

    def _refresh(self, node: Node) -> None:
        node.bitmap = bits_to_bitmap(node.slot_bits)
        node.slot_count = node.slot_bits.bit_count()
        self.count_voters()

    # Roles

    def make_primary(self, node: Node) -> None:
        """Give `node` the primary role, detached from the primary it followed.

        A promoted replica belonged to a shard with replicas, so it may be sent one when it has none
        (`migrate_to`); what we say of ourselves in that respect comes from having had replicas.
        """
        node.migrate_to = node.migrate_to or (node.primary is not None and not node.is_myself)
        self._detach(node)
        node.is_replica, node.is_primary = False, True
        self.count_voters()

    def make_replica(self, node: Node, primary: Node) -> None:
        """Make `node` follow `primary`. The caller has taken its slots away."""
        self._detach(node)
        node.is_primary, node.is_replica, node.primary = False, True, primary
        primary.replicas.append(node)
        primary.migrate_to = True
        self.count_voters()

    def _detach(self, node: Node) -> None:
        if node.primary is not None:
            node.primary.replicas.remove(node)
            node.primary = None

    # Members

    def add(self, node: Node) -> None:
        self.nodes[node.id] = node

    def rename(self, node: Node, new_id: str) -> None:
        """A handshake ended: `node` turned out to be `new_id`."""
        del self.nodes[node.id]
        node.id = new_id
        self.nodes[new_id] = node

    def remove(self, node: Node) -> None:
        """Forget `node`, its slots and its word about others. Its links are the caller's to close."""
        self.unassign(node.slot_bits)
        del self.nodes[node.id]
        for replica in node.replicas:
            replica.primary = None
        node.replicas.clear()
        self._detach(node)
        for other in self.nodes.values():
            other.fail_reports.pop(node.id, None)
        for slots in (self.migrating, self.importing):
            for slot in [slot for slot, peer in slots.items() if peer is node]:
                del slots[slot]
        self.count_voters()

    # Saving

    def saved(self) -> SavedConfig:
        """What must survive a restart. Nodes in handshake are not saved: they have no identity yet."""
        return SavedConfig(
            nodes=tuple(saved_node(node) for node in self.nodes.values() if not node.handshake),
            current_epoch=self.current_epoch,
            last_vote_epoch=self.last_vote_epoch,
            migrating=tuple((slot, node.id) for slot, node in sorted(self.migrating.items(), key=_slot_of)),
            importing=tuple((slot, node.id) for slot, node in sorted(self.importing.items(), key=_slot_of)),
        )


def _slot_of(entry: tuple[int, Node]) -> int:
    return entry[0]


def saved_node(node: Node) -> SavedNode:
    return SavedNode(
        id=node.id,
        ip=node.ip,
        tcp_port=node.tcp_port,
        tls_port=node.tls_port,
        bus_port=node.bus_port,
        hostname=node.hostname,
        human_name=node.human_name,
        shard_id=node.shard_id,
        flags=node.flags,
        primary=node.primary.id if node.primary is not None else None,
        ping_sent_ms=node.ping_sent_ms,
        pong_received_ms=node.pong_received_ms,
        config_epoch=node.config_epoch,
        connected=node.connected,
        slots=node.slot_ranges(),
    )


def restore_view(saved: SavedConfig, now_ms: int) -> ClusterView:
    """The view a restarted node begins with. Raises ValueError if the saved state contradicts itself."""
    loaded = {entry.id: _restore_node(entry, now_ms) for entry in saved.nodes}
    mine = [node for node in loaded.values() if node.is_myself]
    if len(mine) != 1:
        raise ValueError(f"{len(mine)} nodes are marked as myself")
    view = ClusterView(
        mine[0], loaded, current_epoch=saved.current_epoch, last_vote_epoch=saved.last_vote_epoch
    )
    for entry in saved.nodes:
        if entry.primary is not None:
            primary = loaded.get(entry.primary)
            if primary is None or entry.primary == entry.id:
                raise ValueError(f"node {entry.id} follows {entry.primary}, which is not among the nodes")
            view.make_replica(loaded[entry.id], primary)
        view.assign(ranges_to_bits(entry.slots), loaded[entry.id])
    for target, pairs in ((view.migrating, saved.migrating), (view.importing, saved.importing)):
        for slot, node_id in pairs:
            if node_id not in loaded:
                raise ValueError(f"slot {slot} is open towards {node_id}, which is not among the nodes")
            target[slot] = loaded[node_id]
    # A file written by hand, or by a version without the vars line's guarantee, may lag its own nodes.
    view.current_epoch = max(view.current_epoch, *(node.config_epoch for node in loaded.values()))
    view.count_voters()
    return view


def _restore_node(entry: SavedNode, now_ms: int) -> Node:
    flags = entry.flags
    node = Node(
        id=entry.id,
        created_ms=now_ms,
        ip=entry.ip,
        tcp_port=entry.tcp_port,
        tls_port=entry.tls_port,
        bus_port=entry.bus_port,
        hostname=entry.hostname,
        human_name=entry.human_name,
        shard_id=entry.shard_id,
        is_myself=bool(flags & NodeFlag.MYSELF),
        is_primary=bool(flags & NodeFlag.PRIMARY),
        is_replica=bool(flags & NodeFlag.REPLICA),
        pfail=bool(flags & NodeFlag.PFAIL),
        fail=bool(flags & NodeFlag.FAIL),
        noaddr=bool(flags & NodeFlag.NOADDR),
        migrate_to=bool(flags & NodeFlag.MIGRATE_TO),
        nofailover=bool(flags & NodeFlag.NOFAILOVER),
        config_epoch=entry.config_epoch,
        pong_received_ms=entry.pong_received_ms,
    )
    node.heard_inbound = True
    if node.is_myself:
        node.pfail = node.fail = False
    if node.fail:
        node.failed_at_ms = now_ms
    return node
