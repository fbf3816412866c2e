"""The sockets that clients connect to, and moving them while the node runs."""

from __future__ import annotations

import socket
from collections.abc import Callable

import trio

from shoal.node.runtime.listener import accept_forever
from shoal.node.runtime.sockets import ListeningFailed, listen_for_clients
from shoal.node.server.config import Config


class ClientListeners:
    """Listening sockets with a task each. CONFIG SET moves those of TCP; a Unix socket stays."""

    def __init__(
        self,
        config: Config,
        nursery: trio.Nursery,
        sockets: list[socket.socket],
        take: Callable[[socket.socket], None],
    ) -> None:
        self.config = config
        self.nursery = nursery
        self.take = take
        self._sockets = [sock for sock in sockets if sock.family != socket.AF_UNIX]
        self._port, self._bind = config.port, config.bind
        for sock in sockets:
            nursery.start_soon(self._accept, sock)

    def move(self) -> None:
        """Listen where the configuration says now, or, if that is impossible, go on as before.

        Raises ListeningFailed. At another port the new sockets open before the old ones close; at the same
        port the old ones may stand in the way of the new, so they close first and return if need be.
        """
        port, bind = self.config.port, self.config.bind
        if (port, bind) == (self._port, self._bind):
            return
        if port != self._port:
            opened = listen_for_clients(self.config, bind, port)
            self._close()
        else:
            self._close()
            try:
                opened = listen_for_clients(self.config, bind, port)
            except ListeningFailed:
                self._open(listen_for_clients(self.config, self._bind, port))
                raise
        self._port, self._bind = port, bind
        self._open(opened)

    def _open(self, sockets: list[socket.socket]) -> None:
        self._sockets = sockets
        for sock in sockets:
            self.nursery.start_soon(self._accept, sock)

    def _close(self) -> None:
        for sock in self._sockets:
            trio.lowlevel.notify_closing(sock)
            sock.close()
        self._sockets = []

    async def _accept(self, listening: socket.socket) -> None:
        """Accept until the socket is closed."""
        try:
            await accept_forever(listening, self.take)
        except (trio.ClosedResourceError, OSError, ValueError):
            if listening.fileno() != -1:
                raise
