"""A replica's connection to its primary: opened when told to, read until it ends, deciding nothing."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import trio

from shoal.node.runtime.slices import after_loading
from shoal.node.server.effects import ClosePrimaryLink, OpenPrimaryLink, SendToPrimary
from shoal.node.server.following import Following
from shoal.node.server.server import Server

READ_SIZE = 64 * 1024
"""What one turn applies: a few milliseconds' work."""


class ReplicaShell(Protocol):
    """Who runs the node's turns."""

    def now_ms(self) -> int: ...

    def finish_turn(self) -> None:
        """Carry out everything that has gathered, then send what is owed."""


class PrimaryLinks:
    """The connection to the primary, and those being given up."""

    def __init__(self, server: Server, shell: ReplicaShell, nursery: trio.Nursery) -> None:
        self.server = server
        self.shell = shell
        self.nursery = nursery
        self._scopes: dict[int, trio.CancelScope] = {}
        self._sockets: dict[int, socket.socket] = {}

    # --- effects -----------------------------------------------------------------------------------

    def open(self, effect: OpenPrimaryLink) -> None:
        """Connect in the background; a link that was closed meanwhile is forgotten."""
        scope = self._scopes[effect.link] = trio.CancelScope()
        self.nursery.start_soon(self._run, effect, scope)

    def close(self, effect: ClosePrimaryLink) -> None:
        """Close a connection, or give up making it."""
        scope = self._scopes.pop(effect.link, None)
        if scope is not None:
            scope.cancel()

    def send(self, effect: SendToPrimary) -> None:
        """Write at once. A replica says a few dozen bytes a second: a socket that is full of them is dead."""
        sock = self._sockets.get(effect.link)
        if sock is None or effect.link not in self._scopes:
            return
        try:
            complete = sock.send(effect.data) == len(effect.data)
        except OSError:
            complete = False
        if not complete:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # the reading task sees the end and reports it

    # --- the connection's task ---------------------------------------------------------------------

    async def _run(self, effect: OpenPrimaryLink, scope: trio.CancelScope) -> None:
        link, reason = effect.link, "the primary closed the connection"
        with scope:
            try:
                await trio.sleep(effect.delay_ms / 1000)
                sock = self._sockets[link] = await self._connect(effect.host, effect.port)
                self._turn(link, Following.opened)
                await self._read(link, sock)
            except (OSError, UnicodeError) as error:  # UnicodeError: a name that cannot even be looked up
                reason = str(error.__cause__ or error)
            except trio.TooSlowError:
                reason = "connecting took too long"
        sock_or_none = self._sockets.pop(link, None)
        if sock_or_none is not None:
            sock_or_none.close()
        if self._scopes.pop(link, None) is not None:
            self._turn(link, lambda following: following.closed(reason))

    async def _connect(self, host: str, port: int) -> socket.socket:
        """A non-blocking socket connected to the first address of the host that answers. OSError."""
        config = self.server.config
        with trio.fail_after(config.repl_timeout):
            stream = await trio.open_tcp_stream(host, port, local_address=config.bind_source_addr or None)
        sock = socket.socket(fileno=stream.socket.detach())
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    async def _read(self, link: int, sock: socket.socket) -> None:
        while link in self._scopes:
            await trio.lowlevel.wait_readable(sock)
            try:
                data = sock.recv(READ_SIZE)
            except BlockingIOError:
                continue
            if not data:
                return
            keys = self._received(link, data)
            if keys:
                await after_loading(self.server.config, keys)

    def _received(self, link: int, data: bytes) -> int:
        """Take bytes in; returns how many keys of a snapshot were in them."""
        before = self._keys_loaded()
        self._turn(link, lambda following: following.received(data))
        return max(self._keys_loaded() - before, 0)

    def _keys_loaded(self) -> int:
        following = self.server.replication.following
        incoming = following.incoming if following is not None else None
        return incoming.loader.loaded if incoming is not None else 0

    def _turn(self, link: int, step: Callable[[Following], None]) -> None:
        """Run a step of the link's owner as a turn of the node."""
        self.server.keyspace.now_ms = self.shell.now_ms()
        following = self.server.replication.followed_over(link)
        if following is not None:
            step(following)
            self.shell.finish_turn()
