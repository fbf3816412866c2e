"""Where there is no epoll: a task per socket waits for its own, and runs the same turn with that one."""

from __future__ import annotations

import select
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from shoal.node.runtime.connection import Connection

if TYPE_CHECKING:
    from shoal.node.runtime.reactor import Reactor

HAS_EPOLL = hasattr(select, "epoll")
TO_READ = select.EPOLLIN if HAS_EPOLL else 1
ROOM_TO_SEND = select.EPOLLOUT if HAS_EPOLL else 4
"""A turn is told of both in epoll's terms."""

POLL_MUTED_SECONDS = 0.01


async def serve(reactor: Reactor, connection: Connection) -> None:
    """Serve one client until it is gone."""
    while connection.fd in reactor.connections:
        try:
            if reactor.server.runnable:
                await trio.lowlevel.checkpoint()
                reactor.turn([])
            elif connection in reactor.muted:
                await trio.sleep(POLL_MUTED_SECONDS)
                reactor.turn([(connection.fd, ROOM_TO_SEND)] if connection.sending else [])
            elif connection.sending:
                reactor.turn([(connection.fd, await _readable_or_writable(connection))])
            else:
                await trio.lowlevel.wait_readable(connection.socket)
                reactor.turn([(connection.fd, TO_READ)])
        except (trio.ClosedResourceError, ValueError):
            return


async def look_after(reactor: Reactor, sock: socket.socket) -> None:
    """Tell of a socket that is no client's until the reactor forgets it."""
    fd = sock.fileno()
    with suppress(trio.ClosedResourceError, ValueError):
        while fd in reactor.others:
            await trio.lowlevel.wait_readable(sock)
            reactor.turn([(fd, TO_READ)])


async def tell_of_room(reactor: Reactor, sock: socket.socket) -> None:
    """Tell once that there is room in such a socket; whoever goes on wanting to know asks again."""
    fd = sock.fileno()
    with suppress(trio.ClosedResourceError, ValueError):
        await trio.lowlevel.wait_writable(sock)
        reactor.turn([(fd, ROOM_TO_SEND)])


async def _readable_or_writable(connection: Connection) -> int:
    """Which of the two it is; possibly both."""
    events = 0

    async def note(wait: Callable[[socket.socket], Awaitable[None]], event: int) -> None:
        nonlocal events
        with suppress(trio.ClosedResourceError):
            await wait(connection.socket)
        events |= event
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(note, trio.lowlevel.wait_readable, TO_READ)
        nursery.start_soon(note, trio.lowlevel.wait_writable, ROOM_TO_SEND)
    return events
