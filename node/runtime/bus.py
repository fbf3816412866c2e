"""The cluster bus on real sockets: one outbound link per node, any number of inbound ones.

A link here is a socket, a reader that cuts its bytes into packets, and a queue of bytes to send. What a
packet means is the machine's business; a link that breaks the framing is closed, a packet that makes no
sense is dropped.
"""

from __future__ import annotations

import math
import socket
from typing import Protocol

import trio

from shoal.cluster.effects import CloseLink, Connect, Send
from shoal.cluster.events import Event, LinkClosed, LinkConnected, MessageReceived
from shoal.cluster.extensions import MalformedPacket
from shoal.cluster.messages import Message
from shoal.cluster.reports import LinkBuffer
from shoal.cluster.wire import MAX_PACKET_BYTES, FramingError, PacketReader, decode, encode

READ_SIZE = 256 * 1024
FIRST_PACKET_SECONDS = 5
"""A node that connects says at once who it is. Whoever has said nothing that makes sense by then is none."""
STRANGER_PACKET_BYTES = 64 * 1024
"""The longest packet taken from whoever is not known as a member: what a node of a cluster of thousands says
to introduce itself is shorter."""
MAX_STRANGERS = 1000
"""Links on which no member has spoken yet. One more takes the place of the oldest: members speak at once."""


class ClusterShell(Protocol):
    """Who carries out the cluster machine's effects."""

    def cluster_event(self, event: Event) -> None:
        """Step the machine and carry out everything that follows."""

    def is_member(self, node_id: str) -> bool:
        """Whether this node knows a node of that id."""

    def note_link_over_limit(self) -> None:
        """Count a link that is dropped because its send buffer is full."""


class BusLink:
    """One connection of the bus."""

    def __init__(self, link_id: int, sock: socket.socket | None = None) -> None:
        self.id = link_id
        self.socket = sock
        self.unsent = bytearray()
        self.cancel_scope = trio.CancelScope()
        self.writable = trio.Event()

    def close(self) -> None:
        self.cancel_scope.cancel()


class Bus:
    """All links of a node."""

    def __init__(self, shell: ClusterShell, nursery: trio.Nursery) -> None:
        self.shell = shell
        self.nursery = nursery
        self.source_ip = ""
        """The address that links to others come from; empty for whichever the system takes."""
        self.links: dict[int, BusLink] = {}
        self.send_buffer_limit = 0
        """In bytes; 0 for none."""
        self._last_message: Message | None = None
        self._last_packet = b""
        self._strangers: dict[int, BusLink] = {}
        """Inbound links on which no member has spoken yet, the oldest first."""
        self._next_inbound = -1

    # --- effects -----------------------------------------------------------------------------------

    def connect(self, effect: Connect) -> None:
        """Open an outbound link in the background; LinkConnected or LinkClosed follows."""
        link = BusLink(effect.link)
        self.links[link.id] = link
        self.nursery.start_soon(self._run_outbound, link, effect.ip, effect.bus_port)

    def close(self, effect: CloseLink) -> None:
        """Close a link; nothing is reported about it any more."""
        link = self.links.pop(effect.link, None)
        if link is not None:
            link.close()

    def send(self, effect: Send) -> None:
        """Queue a message; what the socket takes goes out at once, before the next effect."""
        link = self.links.get(effect.link)
        if link is None or link.socket is None:
            return
        if effect.message is not self._last_message:  # a publish goes to every node
            self._last_message, self._last_packet = effect.message, encode(effect.message)
        data = self._last_packet
        if not link.unsent:
            try:
                sent = link.socket.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                return  # the reading task sees the same error and reports the link closed
            data = data[sent:]
        if data:
            link.unsent += data
            link.writable.set()
            if self.send_buffer_limit and len(link.unsent) > self.send_buffer_limit:
                self._over_limit(link)

    def _over_limit(self, link: BusLink) -> None:
        """A peer that does not read: drop the link rather than grow without bound."""
        self.shell.note_link_over_limit()
        link.close()

    def link_buffer(self, link_id: int) -> LinkBuffer:
        """The send buffer of a link, for CLUSTER LINKS."""
        link = self.links.get(link_id)
        return LinkBuffer(len(link.unsent), len(link.unsent)) if link is not None else LinkBuffer()

    # --- links -------------------------------------------------------------------------------------

    def accept(self, sock: socket.socket) -> None:
        """Take over a connected, non-blocking socket of another node."""
        link = BusLink(self._next_inbound, sock)
        link.cancel_scope.deadline = trio.current_time() + FIRST_PACKET_SECONDS
        self._next_inbound -= 1
        while len(self._strangers) >= MAX_STRANGERS:
            self._strangers.pop(next(iter(self._strangers))).close()
        self.links[link.id] = self._strangers[link.id] = link
        self.nursery.start_soon(self._run_inbound, link, sock)

    async def _run_outbound(self, link: BusLink, ip: str, port: int) -> None:
        with link.cancel_scope:
            try:
                link.socket = await self._open(ip, port)
            except (OSError, UnicodeError):  # UnicodeError: a name that cannot even be looked up
                self._report_closed(link)
                return
            self.shell.cluster_event(LinkConnected(link.id))
            await self._run(link, link.socket)
        self._finish(link)

    async def _run_inbound(self, link: BusLink, sock: socket.socket) -> None:
        with link.cancel_scope:
            await self._run(link, sock)
        self._finish(link)

    async def _run(self, link: BusLink, sock: socket.socket) -> None:
        """Read and write until the peer hangs up or the link's scope is cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write, link, sock)
            await self._read(link, sock)
            nursery.cancel_scope.cancel()

    def _finish(self, link: BusLink) -> None:
        if link.socket is not None:
            link.socket.close()
        self._strangers.pop(link.id, None)
        self._report_closed(link)

    async def _open(self, ip: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        connecting = trio.socket.socket(family, socket.SOCK_STREAM)
        try:
            connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.source_ip:
                await connecting.bind((self.source_ip, 0))
            await connecting.connect((ip, port))
        except BaseException:
            connecting.close()
            raise
        sock = socket.socket(fileno=connecting.detach())
        sock.setblocking(False)
        return sock

    def _report_closed(self, link: BusLink) -> None:
        """Tell the machine, unless it closed the link itself."""
        if self.links.get(link.id) is link:
            del self.links[link.id]
            self.shell.cluster_event(LinkClosed(link.id))

    async def _read(self, link: BusLink, sock: socket.socket) -> None:
        """Read packets until the link ends. What goes wrong in handling one is not the link's error."""
        reader = PacketReader()
        if link.id in self._strangers:
            reader.max_packet_bytes = STRANGER_PACKET_BYTES
        try:
            peer_ip, local_ip = sock.getpeername()[0], sock.getsockname()[0]
        except OSError:
            return
        while True:
            await trio.lowlevel.wait_readable(sock)
            try:
                data = sock.recv(READ_SIZE)
            except BlockingIOError:
                continue
            except OSError:
                return
            if not data:
                return
            packets = reader.feed(data)
            while True:
                try:
                    packet = next(packets, None)
                    message = decode(packet) if packet is not None else None
                except MalformedPacket:
                    continue
                except FramingError:
                    return
                if message is None:
                    break
                link.cancel_scope.deadline = math.inf
                self.shell.cluster_event(MessageReceived(link.id, message, peer_ip, local_ip))
                if link.id in self._strangers and self._is_from_member(message):
                    del self._strangers[link.id]
                    reader.max_packet_bytes = MAX_PACKET_BYTES
                if link.cancel_scope.cancel_called:
                    return

    def _is_from_member(self, message: Message) -> bool:
        return message.header is not None and self.shell.is_member(message.header.sender)

    async def _write(self, link: BusLink, sock: socket.socket) -> None:
        """Send what did not fit at once, whenever there is room again."""
        while True:
            await link.writable.wait()
            link.writable = trio.Event()
            while link.unsent:
                await trio.lowlevel.wait_writable(sock)
                try:
                    sent = sock.send(link.unsent)
                except BlockingIOError:
                    continue
                except OSError:
                    return
                del link.unsent[:sent]
