"""What happens with a packet: whose is it, what may it change, what goes back.

The order matters. What a packet says about its sender counts only if the sender is a member; what it
says about others comes last, when the sender's own role and slots are settled.
"""

from __future__ import annotations

from shoal.cluster import election, epochs, failure, gossip, links, manual_failover, ownership
from shoal.cluster.core import Core, message_type
from shoal.cluster.effects import DeliverPublish
from shoal.cluster.events import MessageReceived
from shoal.cluster.messages import (
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    Header,
    ManualFailoverStart,
    MessageFlag,
    MessageType,
    NodeFlag,
    Ping,
    Publish,
    Update,
)
from shoal.cluster.view import Link, Node


def receive(core: Core, event: MessageReceived) -> None:
    """Take in one packet."""
    message = event.message
    kind = message_type(message)
    if kind is not None:
        core.view.messages_received[kind] += 1
    link = _link_of(core, event.link)
    header = message.header
    if header is None:
        _receive_light(core, event, link)
        return
    sender = _sender(core, link, header)
    if sender is not None:
        _note_sender(core, sender, header)
    if isinstance(message, Ping):
        _on_ping(core, event, message, link, sender)
    elif sender is not None:
        _on_other(core, event, header, link, sender)


def _receive_light(core: Core, event: MessageReceived, link: Link) -> None:
    """A packet that names no sender is its link's, if full packets have made the link's owner known."""
    message = event.message
    if isinstance(message, Publish) and link.node is not None and not link.node.handshake:
        core.emit(DeliverPublish(message.channel, message.payload, message.sharded))


def _on_other(core: Core, event: MessageReceived, header: Header, link: Link, sender: Node) -> None:
    match event.message:
        case Fail(_, node_id):
            failure.receive_fail(core, sender, node_id)
        case Publish(_, channel, payload, sharded):
            core.emit(DeliverPublish(channel, payload, sharded))
        case FailoverAuthRequest():
            election.receive_request(core, sender, header, link)
        case FailoverAuthAck():
            election.receive_vote(core, sender, header)
        case Update() as update:
            ownership.receive_update(core, update)
        case ManualFailoverStart():
            manual_failover.receive_start(core, sender)


def _on_ping(core: Core, event: MessageReceived, message: Ping, link: Link, sender: Node | None) -> None:
    """PING, PONG and MEET: the sender's state, its view of others, and proof of life both ways."""
    header = message.header
    if message.kind is MessageType.MEET or not core.myself.ip:
        links.learn_own_ip(core, event.local_ip)
    if message.kind is MessageType.MEET and sender is None:
        ip = header.ip or event.peer_ip
        links.start_handshake(core, ip, header.port, header.bus_port, meet=False)
    if message.kind is not MessageType.PONG:
        core.send(link, gossip.ping_for(core, sender, MessageType.PONG))
    elif link.is_outbound and link.node is not None:
        sender = _on_answer(core, link.node, header)
    if sender is None:
        return
    if not link.is_outbound:
        gossip.note_inbound(core, sender, message.kind)
    if message.kind is MessageType.PING:
        links.learn_address(core, sender, header, link, event.peer_ip)
    ownership.receive_role(core, sender, header)
    ownership.receive_claim(core, sender, header)
    epochs.resolve_collision(core, sender, header.config_epoch)
    failure.receive_reports(core, sender, message.gossip)
    gossip.receive(core, sender, message)
    election.siblings_changed(core)


def _on_answer(core: Core, node: Node, header: Header) -> Node | None:
    """A PONG on our link to `node`. Returns who sent it, None if it was not who we took it for."""
    if node.handshake:
        if not links.complete_handshake(core, node, header):
            return None
        _note_sender(core, node, header)
    elif node.id != header.sender:
        links.lose_address(core, node)
        return None
    node.meet = False
    failure.answered(core, node)
    return node


def _link_of(core: Core, link_id: int) -> Link:
    """The link a message came on. An accepted connection is known from its first message on."""
    link = core.view.links.get(link_id)
    if link is None:
        link = core.view.links[link_id] = Link(link_id, None, core.now_ms, connected=True)
    return link


def _sender(core: Core, link: Link, header: Header) -> Node | None:
    """The member that sent this, if it is one. What it says about itself counts only then."""
    node = core.view.nodes.get(header.sender)
    if node is None or node.handshake or node.is_myself:
        return None
    if not link.is_outbound:
        link.node = node
    return node


def _note_sender(core: Core, sender: Node, header: Header) -> None:
    """What every packet of a member tells: it lives, its epochs, its offset, what it can do."""
    sender.data_received_ms = core.now_ms
    sender.replication_offset = header.replication_offset
    sender.nofailover = bool(header.flags & NodeFlag.NOFAILOVER)
    sender.light_header_publish = bool(header.flags & NodeFlag.LIGHT_HEADER_PUBLISH)
    sender.extensions_supported |= bool(header.message_flags & MessageFlag.EXT_DATA)
    epochs.observe_header(core, sender, header)
    manual_failover.receive_offset(core, sender, header)
