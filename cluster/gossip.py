"""Whom to ping, what to tell them, and what to believe of what they tell.

Every PING, PONG and MEET carries the sender's own state and a few lines about others. With n nodes, each
packet tells of n/10 of them (at least three) chosen at random, so that within a failure detection window
nearly every node hears from nearly every other about any third; what is suspected is always told.
"""

from __future__ import annotations

from shoal.cluster import links
from shoal.cluster.core import Core
from shoal.cluster.effects import Level
from shoal.cluster.messages import Extensions, ForgottenNode, GossipEntry, MessageType, NodeFlag, Ping
from shoal.cluster.view import Node

RANDOM_PING_EVERY_MS = 1000
RANDOM_PING_SAMPLE = 5
FRESH_MS = 2000
FRESH_ENTRIES = 10
NEWS_INTERVAL_MS = 50
CLOCK_SKEW_MS = 500


# Whom to ping


def greet(core: Core, link_id: int) -> None:
    """An outbound link is up: speak first, MEET to whom we were told to meet, PING to all others."""
    link = core.view.links.get(link_id)
    if link is None or link.node is None:
        return
    link.connected = True
    send_ping(core, link.node, MessageType.MEET if link.node.meet else MessageType.PING)


def send_ping(core: Core, node: Node, kind: MessageType = MessageType.PING) -> None:
    """A PING, PONG or MEET on our link to `node`. An answer already overdue stays as overdue as it is."""
    if node.link is None or not node.link.connected:
        return
    if kind is MessageType.PING and not node.ping_sent_ms:
        node.ping_sent_ms = core.now_ms
    elif kind is MessageType.MEET:
        node.meet_sent_ms = core.now_ms
    core.send(node.link, ping_for(core, node, kind))


def broadcast_pong(core: Core) -> None:
    """Tell everybody how we are now, asking for no answer."""
    core.has_news = False
    core.news_sent_ms = core.now_ms
    for node in core.view.nodes.values():
        if node.link is not None and not node.handshake:
            send_ping(core, node, MessageType.PONG)


def news_due_ms(core: Core) -> int:
    """When news may be spread: at once, but not more often than the cluster can bear."""
    return core.news_sent_ms + max(NEWS_INTERVAL_MS, 2 * len(core.view.nodes))


def spread_news(core: Core) -> None:
    """Announce a change of ours, or a node we just learnt of, without waiting for the next random ping.

    A change that several steps make (a whole cluster being created) is announced a few times rather
    than once per step: the first at once, the rest together at the end of each interval.
    """
    if core.has_news and core.now_ms >= news_due_ms(core):
        broadcast_pong(core)


def ping_random_node(core: Core) -> None:
    """Of a few random nodes with no ping under way, ping the one heard from longest ago."""
    members = [node for node in core.view.others() if not node.handshake]
    sample = core.rng.sample(members, min(RANDOM_PING_SAMPLE, len(members)))
    idle = [node for node in sample if node.connected and not node.ping_sent_ms]
    if idle:
        send_ping(core, min(idle, key=_last_pong))


def repeat_meet(core: Core) -> None:
    """Send MEET to nodes we know that show no sign of knowing us.

    How it arises: two nodes shook hands, and the answers of one were lost until the other had given up.
    Or gossip told us of a node that it never told of us.
    What goes wrong without the rule: the node answers our pings, as anybody does, and ignores what they
    say; it stands outside a cluster that counts it in until an operator notices.
    The rule: a node we came to know while running that has not spoken on a link of its own as one who
    knows us, for twice as long as a handshake may take, is sent a MEET; and again after as long. A PING
    within the time of one handshake proves nothing, for a stranger who tries to meet us sends it too.
    Why it ends: a MEET that arrives makes it connect to us, and one proof is enough for ever. So a node that
    later forgets us on purpose is left in peace.

    Source: Valkey 8.0, "reliable meet".
    """
    patience = 2 * links.handshake_limit_ms(core)
    for node in core.view.others():
        if node.heard_inbound or node.handshake or not node.connected:
            continue
        if core.now_ms - max(node.created_ms, node.meet_sent_ms) >= patience:
            send_ping(core, node, MessageType.MEET)


def note_inbound(core: Core, node: Node, kind: MessageType) -> None:
    """`node` spoke on a link it opened: a PONG unasked, or a PING long after meeting, is for members only."""
    settled = core.now_ms - max(node.created_ms, node.meet_sent_ms) > links.handshake_limit_ms(core)
    if kind is MessageType.PONG or (kind is MessageType.PING and settled):
        node.heard_inbound = True


def _last_pong(node: Node) -> int:
    return node.pong_received_ms


def ping_quiet_nodes(core: Core) -> None:
    """Ping whoever has not answered for half the node timeout, so that silence is noticed within it."""
    interval = core.settings.ping_interval_ms or core.settings.node_timeout_ms // 2
    for node in core.view.others():
        if not node.ping_sent_ms and node.connected and core.now_ms - node.pong_received_ms > interval:
            send_ping(core, node)


# What to tell


def ping_for(core: Core, receiver: Node | None, kind: MessageType) -> Ping:
    """The packet `receiver` should get; None for a sender we do not know."""
    return Ping(
        kind,
        core.header(),
        tuple(_entry(core, node) for node in _worth_telling(core, receiver)),
        _extensions_for(core, receiver),
    )


def _worth_telling(core: Core, receiver: Node | None) -> list[Node]:
    """A few random nodes, all suspected ones, and those we have only just met."""
    nodes = [node for node in core.view.others() if node is not receiver and _tellable(node)]
    wanted = max(3, len(core.view.nodes) // 10)
    if len(nodes) <= wanted:
        return nodes
    fresh = [node for node in nodes if core.now_ms - node.created_ms < FRESH_MS][-FRESH_ENTRIES:]
    chosen = {node.id: node for node in core.rng.sample(nodes, wanted)}
    chosen.update((node.id, node) for node in nodes if node.pfail)
    chosen.update((node.id, node) for node in fresh)
    return list(chosen.values())


def _tellable(node: Node) -> bool:
    return not (
        node.handshake or node.noaddr or (node.link is None and not node.slot_count and not node.pfail)
    )


def _entry(core: Core, node: Node) -> GossipEntry:
    tls = core.settings.tls_cluster
    return GossipEntry(
        node=node.id,
        ping_sent=node.ping_sent_ms // 1000,
        pong_received=node.pong_received_ms // 1000,
        ip=node.ip,
        port=node.tls_port if tls else node.tcp_port,
        bus_port=node.bus_port,
        flags=node.flags,
        secondary_port=node.tcp_port if tls else node.tls_port,
    )


def _extensions_for(core: Core, receiver: Node | None) -> Extensions:
    """Only nodes that said they understand extensions are sent any."""
    if receiver is None or not receiver.extensions_supported:
        return Extensions()
    me = core.myself
    return Extensions(
        hostname=core.settings.announce_hostname or None,
        human_name=core.settings.announce_human_name or None,
        shard_id=me.shard_id,
        forgotten=tuple(_untold_forgotten(core, receiver)),
    )


def _untold_forgotten(core: Core, receiver: Node) -> list[ForgottenNode]:
    """Forgotten nodes this receiver was not told of yet.

    Telling a peer twice is not harmless: Redis 7.2.0 stops when told to forget what it already
    has forgotten. So each peer is told once, and again only after it has shown by its own gossip that
    it still knows the node.
    """
    untold = []
    for node_id, until_ms in core.view.forgotten_until_ms.items():
        told = core.forgotten_told.setdefault(node_id, set())
        remaining_s = (until_ms - core.now_ms) // 1000
        if remaining_s > 0 and receiver.id not in told:
            told.add(receiver.id)
            untold.append(ForgottenNode(node_id, remaining_s))
    return untold


# What to believe


def receive(core: Core, sender: Node, message: Ping) -> None:
    """Take in the gossip and extensions of a packet from a known node. Failure reports are failure.py's."""
    for entry in message.gossip:
        node = core.view.nodes.get(entry.node)
        if node is None:
            _learn(core, entry, sender)
        elif not node.is_myself and node is not sender:
            _refresh(core, node, entry)
    _receive_extensions(core, sender, message.extensions)


def _learn(core: Core, entry: GossipEntry, sender: Node) -> None:
    """Somebody we know knows somebody we do not: connect to them directly."""
    if entry.flags & (NodeFlag.NOADDR | NodeFlag.HANDSHAKE) or not entry.bus_port:
        return
    if is_forgotten(core, entry.node):
        core.forgotten_told.get(entry.node, set()).discard(sender.id)
        return
    node = Node(entry.node, created_ms=core.now_ms, ip=entry.ip)
    node.is_replica = bool(entry.flags & NodeFlag.REPLICA)
    node.is_primary = not node.is_replica
    node.data_received_ms = core.now_ms
    links.learn_ports(core, node, entry.port, entry.bus_port, entry.secondary_port)
    core.view.add(node)
    links.connect(core, node)
    core.changed(news=True)
    core.persist()


def _refresh(core: Core, node: Node, entry: GossipEntry) -> None:
    """A known node is spoken of: it may have shown life to others since, or have moved.

    Another's word that a node is alive only spares us a ping while we have no doubt of our own. Its word
    about a new address is taken only when we cannot reach the node and the other can.
    """
    if entry.flags & (NodeFlag.PFAIL | NodeFlag.FAIL):
        return
    if node.is_failing:
        moved = (entry.ip, entry.bus_port) != (node.ip, node.bus_port)
        if moved and entry.bus_port and not entry.flags & NodeFlag.NOADDR:
            links.set_address(core, node, entry.ip, entry.port, entry.bus_port)
        return
    pong_ms = entry.pong_received * 1000
    believable = node.pong_received_ms < pong_ms <= core.now_ms + CLOCK_SKEW_MS
    if believable and not node.ping_sent_ms and not node.fail_reports:
        node.pong_received_ms = pong_ms


def _receive_extensions(core: Core, sender: Node, extensions: Extensions) -> None:
    hostname, human_name = extensions.hostname or "", extensions.human_name or ""
    if (sender.hostname, sender.human_name) != (hostname, human_name):
        sender.hostname, sender.human_name = hostname, human_name
        core.changed()
        core.persist()
    shard_id = extensions.shard_id or sender.shard_primary.shard_id
    if shard_id and sender.shard_id != shard_id:
        sender.shard_id = shard_id
        core.persist()
    adopt_shard_id(core)
    for forgotten in extensions.forgotten:
        node = core.view.nodes.get(forgotten.node)
        if node is not None and not node.is_myself and core.myself.primary is not node:
            core.note(Level.NOTICE, f"Node {node.id} was forgotten by {sender.id}, forgetting it as well")
            forget_node(core, node, forgotten.ttl_seconds)


def adopt_shard_id(core: Core) -> None:
    """A replica belongs to its primary's shard."""
    primary = core.myself.primary
    if primary is not None and primary.shard_id and core.myself.shard_id != primary.shard_id:
        core.myself.shard_id = primary.shard_id
        core.persist()


# Forgetting


def is_forgotten(core: Core, node_id: str) -> bool:
    """Whether `node_id` was forgotten too recently to be learnt again by gossip."""
    until_ms = core.view.forgotten_until_ms.get(node_id)
    if until_ms is None:
        return False
    if core.now_ms < until_ms:
        return True
    del core.view.forgotten_until_ms[node_id]
    core.forgotten_told.pop(node_id, None)
    return False


def forget_node(core: Core, node: Node, ttl_s: int) -> None:
    """Remove a node and refuse to learn it again for a while.

    Without the while, the next gossip from anybody who has not been told would bring it back.
    """
    links.forget(core, node)
    core.view.forgotten_until_ms[node.id] = core.now_ms + ttl_s * 1000
    core.changed(news=True)
    core.persist(fsync=True)
