"""All plain clients in one task: wait for any of them, serve every ready one, answer them together.

A task per client costs a wake-up, a scheduling round and a sleep per request. Here one epoll object
holds every client's socket; being itself a file descriptor, it is waited for by trio like any socket, so
everything else in the process keeps running between two turns. Where there is no epoll, a task per client
waits for its own socket and runs the same turn with that one connection.

A client whose answers pile up runs no more commands until it has taken some of them, unless a limit says what
becomes of it (`client_care`). It is read on for a while, since many a client sends all it has before it reads
anything, and would wait for ever otherwise; then it is not even read. So its memory is bounded, and it is
slowed down rather than cut off.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from gc import get_count
from time import perf_counter
from typing import Protocol

import trio

from shoal.node.runtime import without_epoll
from shoal.node.runtime.collector import MOST_NEW_CONTAINERS, collect_what_is_new
from shoal.node.runtime.connection import READ_SIZE, Connection
from shoal.node.runtime.listener import keep_alive
from shoal.node.runtime.without_epoll import HAS_EPOLL, ROOM_TO_SEND, TO_READ
from shoal.node.server.client_care import is_owed_too_much, refusal
from shoal.node.server.server import Server
from shoal.node.server.session import Session

TURNS_PER_WAKE = 16
"""Going to sleep and being woken costs more than a turn does, so on a busy server the next turn follows at
once; after so many, whoever else runs in this process has its say."""

TURNS_WHILE_SAVING = 4
"""A snapshot gets a slice of half a millisecond at each wake: a tenth of the time, whatever the load. It
must not take for ever, since every key that is changed before it was written costs time and memory."""

LINGER_SECONDS = 0.001
"""A client that sends one command after the other has its next one here in a moment. Waiting for it right at
the sockets, for no longer than this, spares the way through the scheduler, which costs as much as ten GETs.
It is not tried where the last time was in vain, until a wake comes as soon as that again."""

ONLY_HANG_UP = 0
"""epoll tells of a connection that is gone whether asked or not."""

READ_ON_BYTES = 1024 * 1024
"""How much of a large argument is read in one turn, if it is here."""

READ_AHEAD_BYTES = 32 * 1024 * 1024
"""How much is read from a client whose commands have to wait."""


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
        self.others: dict[int, Callable[[], None]] = {}
        """Whom to tell when a socket that is no client's has something to read or is gone, by descriptor."""
        self.muted: set[Connection] = set()
        """Clients that are not read for now."""
        self.epoll = select.epoll() if use_epoll else None

    async def run(self) -> None:
        """Serve for ever (where there is epoll; elsewhere each connection has its own task)."""
        if self.epoll is None:
            return
        fd = self.epoll.fileno()
        lingers = False
        while True:
            if self.server.wants_turn:
                await trio.lowlevel.checkpoint()
            else:
                asleep = perf_counter()
                await trio.lowlevel.wait_readable(fd)
                lingers = lingers or perf_counter() - asleep < LINGER_SECONDS
            lingers = self._serve(self.epoll.poll, lingers=lingers)

    def _serve(self, poll: Callable[[float], list[tuple[int, int]]], *, lingers: bool) -> bool:
        """One turn after the other while there is something to do; whether to linger next time as well."""
        server = self.server
        until = perf_counter() + LINGER_SECONDS if lingers else 0.0
        for _ in range(TURNS_WHILE_SAVING if server.is_saving else TURNS_PER_WAKE):
            wants_turn = server.wants_turn
            lingers_now = lingers and not wants_turn and perf_counter() < until
            ready = poll(LINGER_SECONDS if lingers_now else 0)
            if not ready and not wants_turn:
                return lingers and not lingers_now
            self.turn(ready)
        return lingers

    # --- a turn ------------------------------------------------------------------------------------

    def turn(self, ready: Iterable[tuple[int, int]]) -> None:
        """Read and run what every ready client sent, then persist, replicate and reply.

        All are read before any is run: so the processor's caches are emptied by the kernel once a turn rather
        than once a client, which is worth a tenth of a small command.
        """
        server = self.server
        server.begin_turn(self.node.now_ms())
        connections = self.connections
        received: list[tuple[Session, bytes]] = []
        for fd, events in ready:
            connection = connections.get(fd)
            if connection is None:
                if fd in self.others:
                    self.others[fd]()
                continue
            if events & ROOM_TO_SEND:
                self._send_more(connection)
                if events == ROOM_TO_SEND or fd not in connections:
                    continue
            try:
                data = connection.receive(READ_SIZE)
            except BlockingIOError:
                continue
            except OSError:
                self._close(connection)
                continue
            if not data:
                self._end(connection)
            elif len(data) < READ_SIZE:
                received.append((connection.session, data))
            else:
                self._take_much(connection, data)
        server.receive_all(received)
        if server.client_care.put_aside:
            self._mute_who_send_too_much()
        self.finish_turn()

    def _take_much(self, connection: Connection, data: bytes) -> None:
        """Run at once what a full read brought, for it takes room to keep; read on in a large argument."""
        self.server.receive(connection.session, data)
        self._read_on(connection)

    def _read_on(self, connection: Connection) -> None:
        """If a full read ended within a large argument, take as much of that as is here.

        A turn for every 64 KiB would cost more than copying them does.
        """
        session, budget = connection.session, READ_ON_BYTES
        while budget and session.parser.lacking and not session.closing:
            try:
                data = connection.receive(min(session.parser.lacking, budget))
            except OSError:
                return  # nothing more is here; what is wrong with the socket shows at the next read
            if not data:
                return
            budget -= len(data)
            self.server.receive(session, data)

    def finish_turn(self) -> None:
        """Carry out what the turn asked for, then send its replies: none leaves before its effects."""
        server = self.server
        self.node.carry_out_effects()
        if server.tracking.has_news:
            server.tracking.broadcast()
        by_session, written = self.by_session, 0
        while server.outgoing:
            outgoing, server.outgoing = server.outgoing, []
            server.statistics.writes += len(outgoing)
            if server.client_memory.limit:
                server.client_memory.touched.update(outgoing)
            for session in outgoing:
                connection = by_session.get(session.id)
                if connection is None:
                    session.out.clear()
                elif not connection.sending:
                    written += session.out_bytes
                    if not connection.send():
                        self._close(connection)
                    elif connection.sending:
                        written -= session.out_bytes
                        server.memory.kept_bytes += session.out_bytes
                        if is_owed_too_much(session):
                            self._close(connection)
                        else:
                            self._watch(connection)
        server.statistics.output_bytes += written
        if server.closing:
            closing, server.closing = server.closing, []
            for session in closing:
                connection = by_session.get(session.id)
                if connection is not None and not connection.sending:
                    self._close(connection)
        if self.muted:
            self._unmute()
        if server.client_memory.touched:
            server.client_memory.settle()
            self.node.carry_out_effects()
        if get_count()[0] > MOST_NEW_CONTAINERS:
            collect_what_is_new()

    def _send_more(self, connection: Connection) -> None:
        """There is room again for what a client is owed; with enough of it gone, it may go on.

        Only what an earlier turn left over goes out here. What this turn added waits for the turn's end: it
        may tell of a write that is not yet on disk.
        """
        server, session = self.server, connection.session
        owed = session.out_bytes
        if not connection.send_rest():
            self._close(connection)
            return
        server.statistics.writes += 1
        server.statistics.output_bytes += owed - session.out_bytes
        if connection.sending:
            if not session.closing and not session.out and session.has_input:
                server.run_pending(session)
            return
        self._watch(connection)
        if session.out:
            server.outgoing.append(session)
            # Closed, or gone on with, once that is sent as well.
            (server.closing if session.closing else server.runnable).append(session)
        elif session.closing:
            self._close(connection)
        elif session.has_input:
            server.run_pending(session)

    # --- sockets that are no clients' ----------------------------------------------------------------

    def look_after(self, sock: socket.socket, on_ready: Callable[[], None]) -> None:
        """Call `on_ready`, within a turn, whenever the socket has something to read or is gone."""
        self.others[sock.fileno()] = on_ready
        if self.epoll is not None:
            self.epoll.register(sock.fileno(), TO_READ)
        else:
            self.nursery.start_soon(without_epoll.look_after, self, sock)

    def wait_for_room(self, sock: socket.socket, *, is_wanted: bool) -> None:
        """Whether to call it also when there is room to send."""
        if self.epoll is not None:
            self.epoll.modify(sock.fileno(), TO_READ | ROOM_TO_SEND if is_wanted else TO_READ)
        elif is_wanted:
            self.nursery.start_soon(without_epoll.tell_of_room, self, sock)

    def forget(self, sock: socket.socket) -> None:
        """The socket is about to be closed."""
        del self.others[sock.fileno()]
        if self.epoll is not None:
            self.epoll.unregister(sock.fileno())
        else:
            trio.lowlevel.notify_closing(sock)

    # --- back-pressure -----------------------------------------------------------------------------

    def _mute(self, connection: Connection) -> None:
        """Read no more from a client whose commands wait already: let it wait in its own buffers."""
        self.muted.add(connection)
        self._watch(connection)

    def _mute_who_send_too_much(self) -> None:
        put_aside, self.server.client_care.put_aside = self.server.client_care.put_aside, []
        for session in put_aside:
            if len(session.read_ahead) > READ_AHEAD_BYTES and session.id in self.by_session:
                self._mute(self.by_session[session.id])

    def _unmute(self) -> None:
        """Listen again to those whose commands have run; hang up on those that had no more to say."""
        for connection in list(self.muted):
            if connection.ended:
                if not connection.session.has_input and not connection.sending:
                    self._close(connection)
            elif len(connection.session.read_ahead) <= READ_AHEAD_BYTES // 2:
                self.muted.discard(connection)
                self._watch(connection)

    def _end(self, connection: Connection) -> None:
        """The client sends nothing more. What it sent is still run and answered; if it waits, it left."""
        session = connection.session
        is_done = not session.has_input and not session.out_bytes
        if connection.ended or session.blocked is not None or is_done:
            self._close(connection)
        else:
            connection.ended = True
            self._mute(connection)

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
        if server.config.tcp_keepalive and sock.family != socket.AF_UNIX:
            with suppress(OSError):  # it may be gone already
                keep_alive(sock, server.config.tcp_keepalive)
        session = server.connect(address, _name_of(sock, peer=False))
        connection = Connection(sock, session)
        session.fd = connection.fd
        self.connections[connection.fd] = connection
        self.by_session[session.id] = connection
        if self.epoll is not None:
            self.epoll.register(connection.fd, TO_READ)
        else:
            self.nursery.start_soon(without_epoll.serve, self, connection)

    def _watch(self, connection: Connection) -> None:
        """Wait for commands, unless the client is muted, and for room in the socket while answers wait."""
        if self.epoll is not None:
            events = ONLY_HANG_UP if connection in self.muted else TO_READ
            if connection.sending:
                events |= ROOM_TO_SEND
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


def _name_of(sock: socket.socket, *, peer: bool) -> str:
    """`ip:port` of one end, as CLIENT LIST shows it; `path:0` for a Unix socket."""
    try:
        name = sock.getpeername() if peer else sock.getsockname()
    except OSError:
        return "?:0"
    if sock.family == socket.AF_UNIX:
        return f"{name or sock.getsockname()}:0"
    return f"[{name[0]}]:{name[1]}" if sock.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"
