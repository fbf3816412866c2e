"""Carrying keys to another node for MIGRATE: one pipelined exchange over a connection kept for a while.

A reshard is a long row of small exchanges, one after the other, so what counts is how soon one is over. On a
kept connection the keys are sent while the turn that asked for them ends, and one task then
waits for the answers.
"""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import hiredis
import trio

from shoal.node.resp.writer import encode_command
from shoal.node.server.migration import CONNECT_ERROR, READ_ERROR, WRITE_ERROR, MigrateKeys, finish

if TYPE_CHECKING:
    from shoal.node.runtime.node import Node

KEEP_CONNECTION_SECONDS = 10
READ_SIZE = 64 * 1024
_NOTHING = object()

Target = tuple[str, int]


class TargetFailed(Exception):  # noqa: N818
    """The target cannot be reached, or does not take or answer what it is sent. The text is the client's."""


class TargetTooSlow(TargetFailed):
    """It is there, but did nothing for as long as the client is ready to wait."""


class Migrations:
    """The connections to other nodes that MIGRATE uses, by address."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._idle: dict[Target, list[Link]] = defaultdict(list)

    def begin(self, request: MigrateKeys) -> None:
        """Move the keys, then let the server finish; never raises for what the target does."""
        exchange = Exchange(request, is_cluster=self.node.server.cluster is not None)
        kept = self._take_idle(exchange.target)
        if kept is not None:
            exchange.begin(kept)
        self.node.nursery.start_soon(self._run, exchange)

    async def _run(self, exchange: Exchange) -> None:
        error: str | None = None
        try:
            await self._finish_or_begin_anew(exchange)
            if exchange.error is not None:
                error = f"ERR Target instance replied with error: {exchange.error}"
        except TargetFailed as failed:
            error = str(failed)
        if exchange.link is not None:
            self._keep(exchange.target, exchange.link, is_good=exchange.is_over)
        self.node.note_time()
        finish(self.node.server, exchange.request, exchange.restored, error)
        self.node.reactor.finish_turn()

    async def _finish_or_begin_anew(self, exchange: Exchange) -> None:
        """A connection kept from before may be stale, which only shows now: then once more, anew."""
        if exchange.link is not None:
            try:
                await exchange.finish()
                return
            except TargetTooSlow:
                raise
            except TargetFailed:
                if exchange.restored:
                    raise
            exchange.link.close()
            exchange.link = None
        exchange.begin(await connect(exchange.request))
        await exchange.finish()

    def _take_idle(self, target: Target) -> Link | None:
        """The connection to this target that was used last; those unused for long are closed meanwhile."""
        too_old = trio.current_time() - KEEP_CONNECTION_SECONDS
        for address, links in list(self._idle.items()):
            while links and links[0].idle_since < too_old:
                links.pop(0).close()
            if not links:
                del self._idle[address]
        return self._idle[target].pop() if target in self._idle else None

    def _keep(self, target: Target, link: Link, *, is_good: bool) -> None:
        if is_good:
            link.idle_since = trio.current_time()
            self._idle[target].append(link)
        else:
            link.close()


class Link:
    """A connection to a target."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.reader = hiredis.Reader(notEnoughData=_NOTHING)
        self.idle_since = 0.0

    def close(self) -> None:
        trio.lowlevel.notify_closing(self.socket)
        self.socket.close()


class Exchange:
    """What one MIGRATE sends over a connection, and what the target has answered so far.

    It writes until the socket is full, and reads whenever it has written: a target answers while it is
    still being sent to. That cannot end with each side waiting for the other to read, because an answer
    is shorter than what it answers: a target stuck with its answers has taken more from us than that, and
    thereby made room for us to write, after which we read.
    """

    def __init__(self, request: MigrateKeys, *, is_cluster: bool) -> None:
        self.request = request
        self.target: Target = (request.host, request.port)
        self.timeout_seconds = request.timeout_ms / 1000
        preamble = list(_preamble(request))
        command = b"RESTORE-ASKING" if is_cluster else b"RESTORE"
        self._data = b"".join(
            [encode_command(words) for words in (*preamble, *_restore_commands(request, command))]
        )
        self._preamble_answers = len(preamble)
        self.link: Link | None = None
        self.restored: list[bytes] = []
        """The keys the target has confirmed."""
        self.error: str | None = None
        """The first error it answered with."""

    def begin(self, link: Link) -> None:
        """Start from nothing over this connection, sending at once what it takes at once."""
        self.link = link
        self.error = None
        self._unsent = memoryview(self._data)
        self._answers = 0
        self._failed_to_send = False
        self._send_some()

    @property
    def is_over(self) -> bool:
        """Whether everything is answered, so that the connection can serve again."""
        return self._answers == self._preamble_answers + len(self.request.keys)

    async def finish(self) -> None:
        """Send the rest and read the answers. Raises TargetFailed if that takes too long or breaks off."""
        assert self.link is not None
        sock = self.link.socket
        while not self.is_over:
            if self._failed_to_send:
                raise TargetFailed(WRITE_ERROR)
            wait = trio.lowlevel.wait_writable if self._unsent else trio.lowlevel.wait_readable
            try:
                with trio.fail_after(self.timeout_seconds):
                    await wait(sock)
            except trio.TooSlowError:
                raise TargetTooSlow(WRITE_ERROR if self._unsent else READ_ERROR) from None
            if self._unsent:
                self._send_some()
            self._receive_some()

    def _send_some(self) -> None:
        assert self.link is not None
        try:
            while self._unsent:
                self._unsent = self._unsent[self.link.socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._failed_to_send = True

    def _receive_some(self) -> None:
        assert self.link is not None
        reader = self.link.reader
        try:
            data = self.link.socket.recv(READ_SIZE)
            if not data:
                raise TargetFailed(READ_ERROR)
            reader.feed(data)
            while not self.is_over and (reply := reader.gets()) is not _NOTHING:
                self._note(reply)
        except BlockingIOError:
            pass
        except (OSError, hiredis.ProtocolError):
            raise TargetFailed(READ_ERROR) from None

    def _note(self, reply: object) -> None:
        place = self._answers - self._preamble_answers
        self._answers += 1
        if isinstance(reply, hiredis.ReplyError):
            self.error = self.error or str(reply)
        elif place >= 0:
            self.restored.append(self.request.keys[place].key)


async def connect(request: MigrateKeys) -> Link:
    """A new connection to the target. Raises TargetFailed."""
    with trio.move_on_after(request.timeout_ms / 1000):
        try:
            stream = await trio.open_tcp_stream(request.host, request.port)
        except (OSError, UnicodeError):  # UnicodeError: a name that cannot even be looked up
            raise TargetFailed(CONNECT_ERROR) from None
        sock = socket.socket(fileno=stream.socket.detach())
        sock.setblocking(False)
        return Link(sock)
    raise TargetFailed(CONNECT_ERROR)


def _preamble(request: MigrateKeys) -> Iterator[tuple[bytes, ...]]:
    """What goes before the keys: who we are, and which database we mean."""
    if request.credentials:
        yield (b"AUTH", *request.credentials)
    yield (b"SELECT", b"%d" % request.database)


def _restore_commands(request: MigrateKeys, command: bytes) -> Iterator[tuple[bytes, ...]]:
    replace = (b"REPLACE",) if request.replace else ()
    for moving in request.keys:
        yield (command, moving.key, b"%d" % moving.ttl_ms, moving.payload, *replace)
