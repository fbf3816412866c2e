"""A network of TCP-like connections: each direction keeps its order, a partition delays, a reset cuts.

Packets cross it as real bytes. A blocked path loses nothing: like TCP it holds what was sent until the
path is open again, unless the connection was reset meanwhile.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from shoal.cluster.effects import Connect
from shoal.cluster.events import LinkClosed, LinkConnected, MessageReceived
from shoal.cluster.messages import Message
from shoal.cluster.wire import PacketReader, decode, encode
from tests.sim.scheduler import Scheduler

if TYPE_CHECKING:
    from tests.sim.process import Process

CONNECT_TIMEOUT_MS = 1000

# What travels: a packet, the news that the connection is up, or the news that it is closed.
Item = bytes | LinkConnected | None


@dataclass(slots=True, eq=False)
class End:
    """One side of a connection: the process (in one of its lives) and what it calls the link."""

    process: Process
    life: int
    link: int
    reader: PacketReader = field(default_factory=PacketReader)
    open: bool = True


@dataclass(slots=True, eq=False)
class Direction:
    """One way of a connection. `held` is what waits for a blocked path to open."""

    source: End
    target: End
    last_arrival: int = 0
    held: deque[Item] = field(default_factory=deque)


class Network:
    """Connections between processes, and the state of the paths between their machines."""

    def __init__(self, scheduler: Scheduler, rng: Random, latency_ms: tuple[int, int]) -> None:
        self._scheduler = scheduler
        self._rng = rng
        self._latency_ms = latency_ms
        self.slow_until = 0
        self.processes: list[Process] = []
        self._blocked: set[tuple[int, int]] = set()
        self._directions: dict[tuple[int, int, int], Direction] = {}
        self._dialing: dict[tuple[int, int, int], End] = {}
        self._closing: list[Direction] = []

    # What processes do

    def connect(self, process: Process, effect: Connect) -> None:
        target = next((p for p in self.processes if (p.ip, p.bus_port) == (effect.ip, effect.bus_port)), None)
        dialer = self._dialing[self._key(process, effect.link)] = End(process, process.life, effect.link)
        if target is not None and (self.is_blocked(process, target) or self.is_blocked(target, process)):
            self._scheduler.after(CONNECT_TIMEOUT_MS, partial(self._refused, dialer))
        else:
            self._scheduler.after(self._delay(), partial(self._accept, dialer, target))

    def send(self, process: Process, link: int, message: Message) -> bytes | None:
        """Put a message on its way; returns the packet, or None if the link is gone."""
        direction = self._direction(process, link)
        if direction is None:
            return None
        packet = encode(message)
        self._enqueue(direction, packet)
        return packet

    def peer(self, process: Process, link: int) -> Process | None:
        direction = self._direction(process, link)
        return direction.target.process if direction else None

    def close(self, process: Process, link: int) -> None:
        dialing = self._dialing.pop(self._key(process, link), None)
        if dialing is not None:
            dialing.open = False
        direction = self._directions.pop(self._key(process, link), None)
        if direction is not None:
            direction.source.open = False
            self._enqueue(direction, None)

    def close_all(self, process: Process) -> None:
        keys = [*self._dialing, *self._directions]
        for key in [key for key in keys if key[:2] == (process.number, process.life)]:
            self.close(process, key[2])

    # What befalls them

    def is_blocked(self, source: Process, target: Process) -> bool:
        return (source.number, target.number) in self._blocked

    def block(self, source: Process, target: Process) -> None:
        if source is not target:
            self._blocked.add((source.number, target.number))

    def heal(self) -> None:
        """Open every path and let through what was held, in order."""
        self._blocked.clear()
        for direction in [*self._directions.values(), *self._closing]:
            self._release(direction)
        self._closing.clear()

    def reset_random_connection(self) -> None:
        """Cut a connection for both sides at once; what was under way on it is lost."""
        if not self._directions:
            return
        direction = self._rng.choice(list(self._directions.values()))
        for end in (direction.source, direction.target):
            if end.open:
                self._cut(end)

    # Inside

    def _key(self, process: Process, link: int) -> tuple[int, int, int]:
        return (process.number, process.life, link)

    def _direction(self, process: Process, link: int) -> Direction | None:
        return self._directions.get(self._key(process, link))

    def _delay(self) -> int:
        factor = 20 if self._scheduler.now < self.slow_until else 1
        return self._rng.randint(*self._latency_ms) * factor

    def _refused(self, dialer: End) -> None:
        self._dialing.pop(self._key(dialer.process, dialer.link), None)
        if dialer.open:
            dialer.process.receive(LinkClosed(dialer.link))

    def _accept(self, dialer: End, target: Process | None) -> None:
        if not dialer.open:
            return
        if target is None or not target.alive:
            self._refused(dialer)
            return
        del self._dialing[self._key(dialer.process, dialer.link)]
        acceptor = End(target, target.life, target.next_inbound_link())
        self._directions[self._key(dialer.process, dialer.link)] = Direction(dialer, acceptor)
        back = self._directions[self._key(target, acceptor.link)] = Direction(acceptor, dialer)
        self._enqueue(back, LinkConnected(dialer.link))

    def _enqueue(self, direction: Direction, item: Item) -> None:
        if direction.held or self.is_blocked(direction.source.process, direction.target.process):
            direction.held.append(item)
            if item is None:
                self._closing.append(direction)
            return
        arrival = max(direction.last_arrival, self._scheduler.now + self._delay())
        direction.last_arrival = arrival
        self._scheduler.at(arrival, partial(self._arrive, direction, item))

    def _release(self, direction: Direction) -> None:
        held, direction.held = direction.held, deque()
        for item in held:
            self._enqueue(direction, item)

    def _arrive(self, direction: Direction, item: Item) -> None:
        end = direction.target
        if not end.open or end.process.life != end.life:
            return
        if item is None:
            self._cut(end)
        elif isinstance(item, bytes):
            source = direction.source.process
            for packet in end.reader.feed(item):
                end.process.receive(MessageReceived(end.link, decode(packet), source.ip, end.process.ip))
        else:
            end.process.receive(item)

    def _cut(self, end: End) -> None:
        end.open = False
        if self._directions.pop(self._key(end.process, end.link), None) is not None:
            end.process.receive(LinkClosed(end.link))
