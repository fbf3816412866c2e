"""Listening sockets, and an accept loop that no failed accept can stop."""

from __future__ import annotations

import errno
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import trio

ACCEPTS_PER_WAKE = 1000
_RETRY_AFTER_S = 0.1
LONGEST_KEEPALIVE_S = 32767
"""The system takes no more."""
_OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def listen_tcp(host: str, port: int, backlog: int) -> socket.socket:
    """A non-blocking listening socket. OSError if the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(backlog)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def listen_unix(path: str, permissions: int, backlog: int) -> socket.socket:
    """A non-blocking Unix socket; an old socket file in its place is removed, any other file is not."""
    place = Path(path)
    if place.exists() and stat.S_ISSOCK(place.stat().st_mode):
        place.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        if permissions:
            place.chmod(permissions)
        sock.listen(backlog)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def keep_alive(sock: socket.socket, seconds: int) -> None:
    """Let the system ask a silent peer for a sign of life after so long, and give up after as long again."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, min(seconds, LONGEST_KEEPALIVE_S))
        sock.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, min(seconds, LONGEST_KEEPALIVE_S) // 3)
        )
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


async def accept_forever(listening: socket.socket, take: Callable[[socket.socket], None]) -> None:
    """Hand every connection to `take`. Out of descriptors: wait a little and go on."""
    while True:
        await trio.lowlevel.wait_readable(listening)
        for _ in range(ACCEPTS_PER_WAKE):
            try:
                sock, _address = listening.accept()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    await trio.sleep(_RETRY_AFTER_S)
                break
            sock.setblocking(False)
            if sock.family != socket.AF_UNIX:
                with suppress(OSError):  # it may be gone already
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            take(sock)
