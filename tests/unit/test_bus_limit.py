"""A node whose peer does not read drops the link instead of growing without bound."""

from __future__ import annotations

import socket

import trio

from shoal.cluster.effects import Send
from shoal.cluster.events import Event, LinkClosed
from shoal.cluster.messages import Publish
from shoal.node.runtime.bus import Bus

LIMIT = 1_000_000
MESSAGE = Publish(None, b"channel", b"x" * 100_000)


class Shell:
    """Notes what the bus reports."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.dropped = 0

    def cluster_event(self, event: Event) -> None:
        self.events.append(event)

    def note_link_over_limit(self) -> None:
        self.dropped += 1


async def test_a_link_over_the_limit_is_counted_and_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    ours.setblocking(False)
    with theirs:
        async with trio.open_nursery() as nursery:
            shell = Shell()
            bus = Bus(shell, nursery, None)
            bus.send_buffer_limit = LIMIT
            bus.accept(ours)
            (link,) = bus.links
            sent = 0
            while not shell.dropped and sent < 100 * LIMIT:
                bus.send(Send(link, MESSAGE))
                sent += len(MESSAGE.payload)
            assert shell.dropped == 1
            assert bus.link_buffer(link).used > LIMIT
            with trio.fail_after(10):
                while link in bus.links:
                    await trio.lowlevel.checkpoint()
            assert shell.events == [LinkClosed(link)]
            nursery.cancel_scope.cancel()
