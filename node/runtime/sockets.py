"""Every socket a node listens on, opened before anything else is touched."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

from shoal.node.runtime.listener import listen_tcp, listen_unix
from shoal.node.server.cluster_settings import bus_port_of
from shoal.node.server.config import Config

HIGHEST_PORT = 65535


class ListeningFailed(Exception):  # noqa: N818
    """An address cannot be listened on; the text says which and why."""


@dataclass(slots=True)
class Sockets:
    """Listening sockets: for clients, and for the cluster bus."""

    clients: list[socket.socket] = field(default_factory=list)
    bus: list[socket.socket] = field(default_factory=list)

    def close(self) -> None:
        for sock in (*self.clients, *self.bus):
            sock.close()


def open_sockets(config: Config) -> Sockets:
    """Listen everywhere the configuration says; on failure close what was opened. ListeningFailed."""
    sockets = Sockets()
    try:
        sockets.clients += listen_for_clients(config, config.bind, config.port)
        if config.unixsocket:
            try:
                sockets.clients.append(
                    listen_unix(config.unixsocket, config.unixsocketperm, config.tcp_backlog)
                )
            except OSError as error:
                raise ListeningFailed(
                    f"Failed opening Unix socket {config.unixsocket}: {error.strerror}"
                ) from None
        if config.cluster_enabled:
            port = bus_port_of(config)
            if port > HIGHEST_PORT:
                raise ListeningFailed(
                    f"Redis port number too high for cluster mode: the bus would listen on port {port}. "
                    "Use a port below 55536, or set cluster-port."
                )
            sockets.bus += _listen(config, config.bind, port)
        if not sockets.clients:
            raise ListeningFailed("Configured to not listen anywhere, exiting.")
    except BaseException:
        sockets.close()
        raise
    return sockets


def listen_for_clients(config: Config, bind: tuple[str, ...], port: int) -> list[socket.socket]:
    """TCP sockets at these addresses; none for port 0. ListeningFailed leaves nothing open."""
    return _listen(config, bind, port) if port else []


def _listen(config: Config, bind: tuple[str, ...], port: int) -> list[socket.socket]:
    """One socket per bind address. A leading `-` marks an address that may be missing."""
    opened: list[socket.socket] = []
    for address in bind:
        host = address.removeprefix("-")
        host = {"*": "0.0.0.0", "::*": "::"}.get(host, host)
        try:
            opened.append(listen_tcp(host, port, config.tcp_backlog))
        except OSError as error:
            if address.startswith("-") or (host == "::" and opened):
                continue
            for sock in opened:
                sock.close()
            raise ListeningFailed(
                f"Could not create server TCP listening socket {host}:{port}: {error.strerror}"
            ) from None
    return opened
