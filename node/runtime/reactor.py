"""All plain clients in one task: wait for any of them, serve every ready one, answer them together.

A task per client costs a wake-up, a scheduling round and a sleep per request. Here one epoll object
holds every client's socket; being itself a file descriptor, it is waited for by trio like any socket, so
everything else in the process keeps running between two turns. Where there is no epoll, a task per client
waits for its own socket and runs the same turn with that one connection.

A client whose answers pile up is not read until it has taken them: its memory is bounded by what one
command can answer, and it is slowed down rather than cut off.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

import trio

from shoal.node.runtime.connection import READ_SIZE, Connection
from shoal.node.server.client_care import refusal
from shoal.node.server.server import Server
from shoal.node.server.session import Session

HAS_EPOLL = hasattr(select, "epoll")
TURNS_PER_WAKE = 16
"""Going to sleep and being woken costs more than a turn does, so on a busy server the next turn follows at
once; after so many, whoever else runs in this process has its say."""

TO_READ = select.EPOLLIN if HAS_EPOLL else 1
ROOM_TO_SEND = select.EPOLLOUT if HAS_EPOLL else 4
HANG_UP = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR if HAS_EPOLL else 0


class TurnEnd(Protocol):
    """What happens between a turn's commands and its replies: effects, persistence, replication."""

    def now_ms(self) -> int: ...

    def carry_out_effects(self) -> None: ...


class Reactor:
    """The sockets of a server's clients, and the turn."""

    def __init__(
        self, server: Server, node: TurnEnd, nursery: trio.Nursery, *, use_epoll: bool = HAS_EPOLL
    ) -> None:
        self.server = server
        self.node = node
        self.nursery = nursery
        self.connections: dict[int, Connection] = {}
        """By file descriptor."""
        self.by_session: dict[int, Connection] = {}
        self.muted: set[Connection] = set()
        """Clients that are not read for now."""
        self.epoll = select.epoll() if use_epoll else None

    async def run(self) -> None:
        """Serve for ever (where there is epoll; elsewhere each connection has its own task)."""
        if self.epoll is None:
            return
        fd = self.epoll.fileno()
        poll = self.epoll.poll
        while True:
            if self.server.wants_turn:
                await trio.lowlevel.checkpoint()
            else:
                await trio.lowlevel.wait_readable(fd)
            for _ in range(TURNS_PER_WAKE):
                ready = poll(0)
                self.turn(ready)
                if not ready:
                    break

    # --- a turn ------------------------------------------------------------------------------------

    def turn(self, ready: Iterable[tuple[int, int]]) -> None:
        """Read and run what every ready client sent, then persist, replicate and reply."""
        server = self.server
        server.begin_turn(self.node.now_ms())
        connections, receive = self.connections, server.receive
        for fd, events in ready:
            connection = connections.get(fd)
            if connection is None:
                continue
            if events & ROOM_TO_SEND:
                self._send_more(connection)
                continue
            if connection.session.pending and not events & HANG_UP:
                self._mute(connection)
                continue
            try:
                data = connection.receive(READ_SIZE)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if data:
                receive(connection.session, data)
            else:
                self._close(connection)
        self.finish_turn()

    def finish_turn(self) -> None:
        """Carry out what the turn asked for, then send its replies: none leaves before its effects."""
        server = self.server
        self.node.carry_out_effects()
        if self.muted:
            self._unmute()
        by_session = self.by_session
        while server.outgoing:
            outgoing, server.outgoing = server.outgoing, []
            for session in outgoing:
                connection = by_session.get(session.id)
                if connection is None:
                    session.out.clear()
                elif not connection.sending:
                    if not connection.send():
                        self._close(connection)
                    elif connection.sending:
                        self._watch(connection)
        if server.closing:
            closing, server.closing = server.closing, []
            for session in closing:
                connection = by_session.get(session.id)
                if connection is not None and not connection.sending:
                    self._close(connection)

    def _send_more(self, connection: Connection) -> None:
        """There is room again for what a client is owed; with all of it gone, it may go on."""
        if not connection.send():
            self._close(connection)
        elif not connection.sending:
            self._watch(connection)
            if connection.session.closing:
                self._close(connection)
            elif connection.session.pending:
                self.server.run_pending(connection.session)

    # --- back-pressure -----------------------------------------------------------------------------

    def _mute(self, connection: Connection) -> None:
        """Read no more from a client whose commands wait already: let it wait in its own buffers."""
        self.muted.add(connection)
        if self.epoll is not None:
            self.epoll.modify(connection.fd, HANG_UP)

    def _unmute(self) -> None:
        """Listen again to those whose commands have run."""
        for connection in [one for one in self.muted if not one.session.pending]:
            self.muted.discard(connection)
            if not connection.sending:
                self._watch(connection)

    # --- connections -------------------------------------------------------------------------------

    def accept(self, sock: socket.socket) -> None:
        """Take over a connected, non-blocking socket, or turn it away and say why."""
        server = self.server
        address = _name_of(sock, peer=True)
        told = refusal(server, address)
        if told is not None:
            with suppress(OSError):
                sock.send(told)
            sock.close()
            return
        session = server.connect(address, _name_of(sock, peer=False))
        connection = Connection(sock, session)
        session.fd = connection.fd
        self.connections[connection.fd] = connection
        self.by_session[session.id] = connection
        if self.epoll is not None:
            self.epoll.register(connection.fd, TO_READ)
        else:
            self.nursery.start_soon(self._serve_alone, connection)

    def _watch(self, connection: Connection) -> None:
        """Wait for room in the socket while answers wait, for commands otherwise.

        A replica is read all the same: its acknowledgements ask for no answer, and are what shows it alive.
        """
        if self.epoll is not None:
            events = select.EPOLLOUT if connection.sending else select.EPOLLIN
            if connection.session.is_replica_link:
                events |= select.EPOLLIN
            self.epoll.modify(connection.fd, events)

    def _close(self, connection: Connection) -> None:
        if self.connections.pop(connection.fd, None) is None:
            return
        self.muted.discard(connection)
        del self.by_session[connection.session.id]
        if self.epoll is not None:
            self.epoll.unregister(connection.fd)
        else:
            trio.lowlevel.notify_closing(connection.socket)
        connection.socket.close()
        self.server.disconnect(connection.session)

    def close_session(self, session: Session) -> None:
        """Hang up on a client at once, whatever it was still owed."""
        connection = self.by_session.get(session.id)
        if connection is not None:
            self._close(connection)

    async def _serve_alone(self, connection: Connection) -> None:
        """The fallback: one task waits for one socket and runs turns of its own."""
        while connection.fd in self.connections:
            try:
                if connection.sending:
                    await trio.lowlevel.wait_writable(connection.socket)
                    self.turn([(connection.fd, ROOM_TO_SEND)])
                elif self.server.runnable:
                    await trio.lowlevel.checkpoint()
                    self.turn([])
                else:
                    await trio.lowlevel.wait_readable(connection.socket)
                    self.turn([(connection.fd, TO_READ)])
            except (trio.ClosedResourceError, ValueError):
                return


def _name_of(sock: socket.socket, *, peer: bool) -> str:
    """`ip:port` of one end, as CLIENT LIST shows it; `path:0` for a Unix socket."""
    try:
        name = sock.getpeername() if peer else sock.getsockname()
    except OSError:
        return "?:0"
    if sock.family == socket.AF_UNIX:
        return f"{name or sock.getsockname()}:0"
    return f"[{name[0]}]:{name[1]}" if sock.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"
