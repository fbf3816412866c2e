"""A whole cluster in one process under virtual time: real machines, a simulated network, disk and data.

Deterministic: one seed, one order of events. A packet takes `LATENCY_MS`. After every step that changes the
topology the machine's invariants are checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import TypeVar

from shoal.cluster import effects as fx
from shoal.cluster import events as ev
from shoal.cluster.invariants import check
from shoal.cluster.machine import ClusterMachine
from shoal.cluster.messages import Message
from shoal.cluster.settings import ClusterSettings
from shoal.cluster.slots import SLOT_COUNT
from shoal.cluster.view import ClusterView, Node, SavedConfig

LATENCY_MS = 1
START_MS = 1_700_000_000_000
PORT = 7000
BUS_PORT = 17000

Kind = TypeVar("Kind", bound=fx.Effect)
Sent = TypeVar("Sent", bound=Message)


@dataclass(eq=False)
class Host:
    """One node: its machine while it runs, and what outlives the process."""

    world: World
    ip: str
    settings: ClusterSettings
    machine: ClusterMachine
    disk: SavedConfig | None = None
    keys: dict[int, int] = field(default_factory=dict)
    offset: int = 0
    alive: bool = True
    follows: str | None = None
    primary_seen_ms: int | None = None
    paused_until_ms: int = 0
    log: list[fx.Effect] = field(default_factory=list)
    wake_ms: int = -1
    outbound: dict[int, tuple[Host, int]] = field(default_factory=dict)
    inbound: dict[int, tuple[Host, int]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.machine.view.myself.id

    @property
    def view(self) -> ClusterView:
        return self.machine.view

    def count_keys_in_slot(self, slot: int) -> int:
        return self.keys.get(slot, 0)

    def is_empty(self) -> bool:
        return not self.keys

    def sees(self, other: Host) -> Node:
        """The other node as this one knows it."""
        return self.view.nodes[other.id]

    def did(self, kind: type[Kind]) -> list[Kind]:
        """The effects of one kind so far, in order."""
        return [effect for effect in self.log if isinstance(effect, kind)]

    def sent(self, kind: type[Sent]) -> list[Sent]:
        return [effect.message for effect in self.did(fx.Send) if isinstance(effect.message, kind)]

    def notes(self) -> list[str]:
        return [note.text for note in self.did(fx.Note)]

    def ask(self, request: ev.AdminRequest) -> str:
        """Make an administrative request and return the answer."""
        self.world.step(self, request)
        answer = self.log[-1] if isinstance(self.log[-1], fx.AnswerAdmin) else self.did(fx.AnswerAdmin)[-1]
        return answer.text

    def write(self, slot: int) -> None:
        """A client writes a key: the stream advances."""
        self.keys[slot] = self.keys.get(slot, 0) + 1
        self.offset += 10


class World:
    """The hosts, the wires between them, and the clock."""

    def __init__(self, seed: int = 1, node_timeout_ms: int = 1000) -> None:
        self.rng = Random(seed)
        self.now_ms = START_MS
        self.node_timeout_ms = node_timeout_ms
        self.hosts: list[Host] = []
        self.cut: set[frozenset[str]] = set()
        self.drop: Callable[[Host, Host, Message], bool] = lambda source, target, message: False
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = count()
        self._inbound_ids = count(1)

    # Building

    def host(self, **settings: object) -> Host:
        """A fresh node on an address of its own, started."""
        number = len(self.hosts) + 1
        host = Host.__new__(Host)
        options = ClusterSettings(node_timeout_ms=self.node_timeout_ms, tcp_port=PORT, bus_port=BUS_PORT)
        for name, value in settings.items():
            setattr(options, name, value)
        Host.__init__(host, self, f"10.0.0.{number}", options, self._machine(host, options, None))
        self.hosts.append(host)
        self.step(host, ev.Tick())
        return host

    def _machine(self, host: Host, settings: ClusterSettings, saved: SavedConfig | None) -> ClusterMachine:
        return ClusterMachine(settings, Random(self.rng.getrandbits(64)), host, saved, self.now_ms)

    def cluster(self, primaries: int = 3, replicas: int = 1, **settings: object) -> list[Host]:
        """A settled cluster, made as `redis-cli --cluster create` makes one: primaries first, then replicas
        in the order of their primaries.
        """
        hosts = [self.host(**settings) for _ in range(primaries * (1 + replicas))]
        for index, host in enumerate(hosts[:primaries]):
            first, end = index * SLOT_COUNT // primaries, (index + 1) * SLOT_COUNT // primaries
            assert host.ask(ev.AddSlots(tuple(range(first, end)))) == "OK"
        for index, host in enumerate(hosts):
            assert host.ask(ev.SetConfigEpoch(index + 1)) == "OK"
        for host in hosts[1:]:
            host.ask(ev.Meet(hosts[0].ip, PORT))
        self.until(lambda: all(len(host.view.nodes) == len(hosts) and knows_all(host) for host in hosts))
        for index, host in enumerate(hosts[primaries:]):
            primary = hosts[index // replicas]
            assert host.ask(ev.Replicate(primary.id)) == "OK"
        self.until(lambda: all(host.view.state_ok and settled(host, hosts) for host in hosts))
        return hosts

    # Time

    def at(self, delay_ms: int, action: Callable[[], None]) -> None:
        heappush(self._queue, (self.now_ms + delay_ms, next(self._sequence), action))

    def run(self, duration_ms: int) -> None:
        """Let time pass."""
        end_ms = self.now_ms + duration_ms
        while self._advance(end_ms):
            pass
        self.now_ms = end_ms

    def until(self, condition: Callable[[], bool], limit_ms: int = 60_000) -> int:
        """Run until the condition holds and return how long it took; fail if it does not in time."""
        start_ms = self.now_ms
        while not condition():
            assert self._advance(start_ms + limit_ms), f"not within {limit_ms} ms"
        return self.now_ms - start_ms

    def _advance(self, end_ms: int) -> bool:
        if not self._queue or self._queue[0][0] > end_ms:
            return False
        due_ms, _, action = heappop(self._queue)
        self.now_ms = max(self.now_ms, due_ms)
        action()
        return True

    # Steps

    def step(self, host: Host, event: ev.Event) -> None:
        """Step a host's machine and carry the effects out."""
        if not host.alive:
            return
        self._progress(host)
        changes = host.machine.step(event, self.now_ms)
        if fx.TopologyChanged() in changes or fx.PersistConfig(fsync=True) in changes:
            problems = check(host.view)
            assert not problems, (host.ip, event, problems)
        self._carry_out(host, changes)
        self._schedule_tick(host)

    def _progress(self, host: Host) -> None:
        source = self.find(host.follows) if host.follows else None
        if source is not None and source.alive and not self.is_cut(host, source):
            if source.offset >= host.offset and not source.view.awaiting_failover:
                host.offset, host.keys = source.offset, dict(source.keys)
            host.primary_seen_ms = self.now_ms
        facts = ev.ReplicationProgress(host.offset, source is not None, host.primary_seen_ms)
        self._carry_out(host, host.machine.step(facts, self.now_ms))

    def _schedule_tick(self, host: Host) -> None:
        due_ms = max(host.machine.next_deadline(), self.now_ms + 1)
        if host.wake_ms > self.now_ms and host.wake_ms <= due_ms:
            return
        host.wake_ms = due_ms
        machine = host.machine

        def tick() -> None:
            if host.alive and host.machine is machine and host.wake_ms == due_ms:
                host.wake_ms = -1
                self.step(host, ev.Tick())

        self.at(due_ms - self.now_ms, tick)

    def _carry_out(self, host: Host, effects: Iterable[fx.Effect]) -> None:
        for effect in effects:
            host.log.append(effect)
            match effect:
                case fx.PersistConfig():
                    host.disk = host.machine.saved()
                case fx.Connect(link, _, ip, bus_port):
                    self._connect(host, link, ip, bus_port)
                case fx.CloseLink(link):
                    self._close(host, link)
                case fx.Send(link, message):
                    self._send(host, link, message)
                case fx.BecomePrimary():
                    host.follows = None
                case fx.FollowPrimary(node_id):
                    host.follows = node_id
                case fx.ResetDataset():
                    host.keys, host.offset = {}, 0
                case fx.DeleteSlotKeys(slots):
                    for slot in slots:
                        host.keys.pop(slot, None)
                case fx.PauseWrites(until_ms):
                    host.paused_until_ms = until_ms
                    self.at(0, lambda: self.step(host, ev.WritesPaused(host.offset)))
                case fx.ResumeWrites():
                    host.paused_until_ms = 0

    # Network

    def _connect(self, host: Host, link: int, ip: str, bus_port: int) -> None:
        target = next((other for other in self.hosts if other.ip == ip and bus_port == BUS_PORT), None)
        inbound = -next(self._inbound_ids)
        machine = host.machine

        def finish() -> None:
            if not host.alive or host.machine is not machine or link not in host.view.links:
                return
            if target is None or not target.alive or self.is_cut(host, target):
                self.step(host, ev.LinkClosed(link))
                return
            host.outbound[link] = (target, inbound)
            target.inbound[inbound] = (host, link)
            self.step(host, ev.LinkConnected(link))

        self.at(LATENCY_MS, finish)

    def _send(self, host: Host, link: int, message: Message) -> None:
        wire = host.outbound.get(link) or host.inbound.get(link)
        if wire is None:
            return
        target, target_link = wire
        if self.is_cut(host, target) or self.drop(host, target, message):
            return

        def deliver() -> None:
            if target_link in target.outbound or target_link in target.inbound:
                self.step(target, ev.MessageReceived(target_link, message, host.ip, target.ip))

        self.at(LATENCY_MS, deliver)

    def _close(self, host: Host, link: int) -> None:
        wire = host.outbound.pop(link, None) or host.inbound.pop(link, None)
        if wire is None:
            return
        target, target_link = wire
        target.outbound.pop(target_link, None)
        target.inbound.pop(target_link, None)
        self.at(LATENCY_MS, lambda: self.step(target, ev.LinkClosed(target_link)))

    # Faults

    def is_cut(self, a: Host, b: Host) -> bool:
        return frozenset((a.ip, b.ip)) in self.cut

    def partition(self, *groups: Iterable[Host]) -> None:
        """Drop everything between hosts of different groups, without a word to either."""
        sides = [list(group) for group in groups]
        for index, side in enumerate(sides):
            for other in sides[index + 1 :]:
                self.cut |= {frozenset((a.ip, b.ip)) for a in side for b in other}

    def heal(self) -> None:
        self.cut.clear()

    def crash(self, host: Host) -> None:
        """kill -9: peers see their connections closed; memory is gone, the disk stays."""
        host.alive = False
        for link in [*host.outbound, *host.inbound]:
            self._close(host, link)

    def freeze(self, host: Host) -> None:
        """SIGSTOP: connections stay open and nothing is ever answered."""
        host.alive = False

    def restart(self, host: Host, *, keep_data: bool = True) -> None:
        assert host.disk is not None
        if not keep_data:
            host.keys, host.offset = {}, 0
        host.follows, host.primary_seen_ms, host.wake_ms = None, None, -1
        host.outbound, host.inbound, host.log = {}, {}, []
        host.machine = self._machine(host, host.settings, host.disk)
        host.alive = True
        self.step(host, ev.Tick())

    def find(self, node_id: str) -> Host | None:
        return next((host for host in self.hosts if host.id == node_id), None)

    def primaries(self) -> list[Host]:
        return [host for host in self.hosts if host.alive and host.view.myself.votes]


def knows_all(host: Host) -> bool:
    return all(node.connected and not node.handshake for node in host.view.nodes.values())


def settled(host: Host, hosts: Iterable[Host]) -> bool:
    """Whether this host sees every host's role, slots and epoch as that host itself does."""
    for other in hosts:
        seen, own = host.view.nodes.get(other.id), other.view.myself
        if seen is None or seen.slot_bits != own.slot_bits or seen.is_primary != own.is_primary:
            return False
        if (seen.primary and seen.primary.id) != (own.primary and own.primary.id):
            return False
    return True
