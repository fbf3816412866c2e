"""Outbound links, addresses, and how a stranger becomes a member.

Every node keeps one outbound link to every other node it knows, and speaks first on it. An answer counts as
proof of life only on that link: an inbound packet shows that they can reach us, not that we can reach them.
"""

from __future__ import annotations

from ipaddress import ip_address

from shoal.cluster.core import Core
from shoal.cluster.effects import CloseLink, Connect, FollowPrimary, Level
from shoal.cluster.messages import Header
from shoal.cluster.view import Link, Node

MINIMUM_HANDSHAKE_MS = 1000
WORKED_MS = 100


def connect_missing(core: Core) -> None:
    """Open a link to every node that has an address and no link."""
    if core.view.awaiting_failover:
        return
    for node in core.view.others():
        if node.link is None and not node.noaddr and node.bus_port:
            connect(core, node)


def connect(core: Core, node: Node) -> None:
    core.last_link += 1
    node.link = Link(core.last_link, node, core.now_ms)
    core.view.links[node.link.id] = node.link
    core.emit(Connect(node.link.id, node.id, node.ip, node.bus_port))


def on_closed(core: Core, link_id: int) -> None:
    """A link is gone. Lost after it had worked a while, it is opened again at once, else at the next cron.

    From here on the node owes us an answer, so the clock of its failure starts now even if no ping
    was on its way.
    """
    link = core.view.links.pop(link_id, None)
    if link is None or link.node is None or link.node.link is not link:
        return
    node = link.node
    node.link = None
    if node.ping_sent_ms == 0 and not node.handshake:
        node.ping_sent_ms = core.now_ms
    worked = link.connected and core.now_ms - link.created_ms >= WORKED_MS
    if worked and not core.view.awaiting_failover:
        connect(core, node)


def close(core: Core, node: Node) -> None:
    """Drop our link to `node`; the next cron opens a new one if it still has an address."""
    if node.link is not None:
        core.view.links.pop(node.link.id, None)
        core.emit(CloseLink(node.link.id))
        node.link = None


def recycle_stalled(core: Core) -> None:
    """Replace links whose answer is overdue by half the timeout: the connection, not the node, may be ill."""
    timeout = core.settings.node_timeout_ms
    for node in core.view.others():
        link = node.link
        if (
            link is not None
            and core.now_ms - link.created_ms > timeout
            and node.ping_sent_ms
            and core.now_ms - node.ping_sent_ms > timeout // 2
            and core.now_ms - node.data_received_ms > timeout // 2
        ):
            close(core, node)


def end_silence(core: Core) -> None:
    """Speak again after having lain low (see health.py), on fresh connections.

    The pings we left unanswered would otherwise stay so: our packets on our own links count as life, so the
    peer neither replaces its link nor asks again, and never sees the answer that takes its suspicion back.
    """
    if core.view.awaiting_failover:
        core.view.awaiting_failover = False
        for link in [link for link in core.view.links.values() if not link.is_outbound]:
            del core.view.links[link.id]
            core.emit(CloseLink(link.id))


def forget(core: Core, node: Node) -> None:
    """Remove a node and every link to or from it."""
    for link in [link for link in core.view.links.values() if link.node is node]:
        del core.view.links[link.id]
        core.emit(CloseLink(link.id))
    node.link = None
    core.view.remove(node)


def start_handshake(core: Core, ip: str, port: int, bus_port: int, *, meet: bool) -> bool:
    """Begin to get to know whoever is at this address. False if the address cannot be one.

    The node stands under a random id until it has told us its own. A second handshake with the same
    address adds nothing, so it is left out.
    """
    try:
        ip = str(ip_address(ip))
    except ValueError:
        return False
    if not (0 < port < 65536 and 0 < bus_port < 65536):
        return False
    for node in core.view.nodes.values():
        if node.handshake and (node.ip, node.bus_port) == (ip, bus_port):
            return True
    node = Node(core.random_id(), created_ms=core.now_ms, ip=ip, bus_port=bus_port, handshake=True, meet=meet)
    _set_port(core, node, port)
    core.view.add(node)
    connect(core, node)
    return True


def handshake_limit_ms(core: Core) -> int:
    """How long a handshake may take."""
    return max(core.settings.node_timeout_ms, MINIMUM_HANDSHAKE_MS)


def expire_handshakes(core: Core) -> None:
    """Give up on strangers who did not say who they are."""
    limit = handshake_limit_ms(core)
    for node in [node for node in core.view.others() if node.handshake]:
        if core.now_ms - node.created_ms > limit:
            forget(core, node)


def complete_handshake(core: Core, node: Node, header: Header) -> bool:
    """`node` answered on our link and so told us who it is. False if we know it already under its own id."""
    known = core.view.nodes.get(header.sender)
    if known is not None:
        core.note(
            Level.VERBOSE, f"Handshake: we already know node {header.sender}, updating the address if needed."
        )
        ip, port, bus_port = (
            node.ip,
            node.tls_port if core.settings.tls_cluster else node.tcp_port,
            node.bus_port,
        )
        forget(core, node)
        if not known.is_myself:
            set_address(core, known, ip, port, bus_port, header)
        return False
    core.view.rename(node, header.sender)
    node.handshake = node.meet = False
    node.is_primary = header.replica_of is None
    node.is_replica = not node.is_primary
    node.data_received_ms = core.now_ms
    core.note(Level.DEBUG, f"Handshake with node {node.id} completed.")
    core.changed(news=True)
    core.persist()
    return True


def lose_address(core: Core, node: Node) -> None:
    """Somebody else answers where `node` used to be: keep the node, without an address."""
    core.note(Level.DEBUG, f"The address of node {node.id} is now used by another node")
    node.noaddr = True
    node.ip, node.tcp_port, node.tls_port, node.bus_port = "", 0, 0, 0
    close(core, node)
    core.persist()


def learn_address(core: Core, node: Node, header: Header, link: Link | None, peer_ip: str) -> None:
    """Follow a node that says it lives elsewhere now. What comes on our own link to it proves nothing new."""
    if link is None or link is node.link:
        return
    set_address(core, node, header.ip or peer_ip, header.port, header.bus_port, header)


def set_address(
    core: Core, node: Node, ip: str, port: int, bus_port: int, header: Header | None = None
) -> None:
    """Record an address; if it changed, connect anew and let a replica follow its primary there."""
    known_port = node.tls_port if core.settings.tls_cluster else node.tcp_port
    if header is not None:
        _set_secondary_port(core, node, header.secondary_port)
    if (node.ip, known_port, node.bus_port) == (ip, port, bus_port):
        return
    node.ip, node.bus_port, node.noaddr = ip, bus_port, False
    _set_port(core, node, port)
    close(core, node)
    connect(core, node)
    core.note(Level.NOTICE, f"Address updated for node {node.id}, now {ip}:{port}")
    if core.myself.primary is node:
        follow(core, node)
    core.changed()
    core.persist()


def learn_own_ip(core: Core, local_ip: str) -> None:
    """A node does not know which of its addresses others use until one of them reaches it."""
    me = core.myself
    if core.settings.announce_ip or not local_ip or me.ip == local_ip:
        return
    me.ip = local_ip
    core.note(Level.NOTICE, f"IP address for this node updated to {local_ip}")
    core.changed()
    core.persist()


def learn_ports(core: Core, node: Node, port: int, bus_port: int, secondary_port: int) -> None:
    """Ports as gossip or a header gives them: the bus's kind of client port first, then the other kind."""
    _set_port(core, node, port)
    _set_secondary_port(core, node, secondary_port)
    node.bus_port = bus_port


def follow(core: Core, primary: Node) -> None:
    """Have the shell replicate from `primary`, if it is known where that is."""
    if primary.ip:
        port = primary.tls_port if core.settings.tls_replication else primary.tcp_port
        core.emit(FollowPrimary(primary.id, primary.ip, port))


def _set_port(core: Core, node: Node, port: int) -> None:
    if core.settings.tls_cluster:
        node.tls_port = port
    else:
        node.tcp_port = port


def _set_secondary_port(core: Core, node: Node, port: int) -> None:
    if core.settings.tls_cluster:
        node.tcp_port = port
    else:
        node.tls_port = port
