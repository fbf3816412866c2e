"""What a bus link may cost: a peer that does not read is dropped, and strangers say little and are few."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
import trio

from shoal.cluster.effects import Send
from shoal.cluster.events import Event, LinkClosed, MessageReceived
from shoal.cluster.messages import Header, NodeFlag, Publish
from shoal.cluster.wire import encode
from shoal.node.runtime.bus import STRANGER_PACKET_BYTES, Bus

LIMIT = 1_000_000
MEMBER, STRANGER = "a" * 40, "b" * 40
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

    def is_member(self, node_id: str) -> bool:
        return node_id == MEMBER


def accept(bus: Bus) -> socket.socket:
    """A new inbound link; returns the other node's end of it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname(), timeout=10)
        ours, _ = listening.accept()
    ours.setblocking(False)
    bus.accept(ours)
    return theirs


def from_node(node_id: str, payload_size: int) -> bytes:
    """A publication of this size by this node, as it travels."""
    header = Header(
        node_id, 1, 1, 0, bytes(2048), None, "", 7000, 17000, 0, NodeFlag.PRIMARY, cluster_ok=True
    )
    return encode(Publish(header, b"channel", bytes(payload_size)))


async def until(fact: Callable[[], bool]) -> None:
    with trio.fail_after(10):
        while not fact():
            await trio.lowlevel.checkpoint()


async def test_a_link_over_the_limit_is_counted_and_closed() -> None:
    async with trio.open_nursery() as nursery:
        shell = Shell()
        bus = Bus(shell, nursery)
        bus.send_buffer_limit = LIMIT
        with accept(bus):
            (link,) = bus.links
            sent = 0
            while not shell.dropped and sent < 100 * LIMIT:
                bus.send(Send(link, MESSAGE))
                sent += len(MESSAGE.payload)
            assert shell.dropped == 1
            assert bus.link_buffer(link).used > LIMIT
            await until(lambda: link not in bus.links)
            assert shell.events == [LinkClosed(link)]


async def test_a_long_packet_is_taken_from_a_member_only() -> None:
    async with trio.open_nursery() as nursery:
        shell = Shell()
        bus = Bus(shell, nursery)
        with accept(bus) as member, accept(bus) as stranger:
            member_link, stranger_link = bus.links
            for link, sender in ((member, MEMBER), (stranger, STRANGER)):
                link.sendall(from_node(sender, 100) + from_node(sender, STRANGER_PACKET_BYTES))
            await until(lambda: len(shell.events) == 4)
            heard = [event.link for event in shell.events if isinstance(event, MessageReceived)]
            assert sorted(heard) == sorted([member_link, member_link, stranger_link])
            assert LinkClosed(stranger_link) in shell.events
            assert list(bus.links) == [member_link]


async def test_one_stranger_too_many_takes_the_place_of_the_oldest_but_never_of_a_member(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shoal.node.runtime.bus.MAX_STRANGERS", 2)
    async with trio.open_nursery() as nursery:
        shell = Shell()
        bus = Bus(shell, nursery)
        with accept(bus) as member:
            member.sendall(from_node(MEMBER, 0))
            await until(lambda: bool(shell.events))
            with accept(bus), accept(bus), accept(bus):
                member_link, oldest, second, third = bus.links
                await until(lambda: oldest not in bus.links)
                assert list(bus.links) == [member_link, second, third]
