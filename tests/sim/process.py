"""One node's process: it runs the machine and carries out its effects, and may stop anywhere in between."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from shoal.cluster.effects import (
    AnswerAdmin,
    BecomePrimary,
    CloseLink,
    Connect,
    DeleteSlotKeys,
    Effect,
    FollowPrimary,
    PauseWrites,
    PersistConfig,
    ResetDataset,
    ResumeWrites,
    Send,
)
from shoal.cluster.events import AdminRequest, Event, ReplicationProgress, Tick, WritesPaused
from shoal.cluster.machine import ClusterMachine
from shoal.cluster.settings import ClusterSettings
from tests.sim.disk import Disk

if TYPE_CHECKING:
    from tests.sim.world import World

EPOCH_MS = 1_700_000_000_000
REPLICATION_MS = 150
PORT = 7000


@dataclass(slots=True)
class Data:
    """What matters about the data here: where the stream is, and which slots have keys."""

    offset: int = 0
    slots: set[int] = field(default_factory=set)

    def count_keys_in_slot(self, slot: int) -> int:
        return 1 if slot in self.slots else 0

    def is_empty(self) -> bool:
        return not self.slots


class Process:
    """A process that can be stepped, paused, crashed and restarted. `life` counts its restarts."""

    def __init__(self, world: World, number: int, settings: ClusterSettings, clock_skew_ms: int) -> None:
        self.world = world
        self.number = number
        self.ip = f"10.0.0.{number + 1}"
        self.bus_port = PORT + 10000
        self.settings = settings
        self.disk = Disk()
        self.data = Data()
        self.life = 0
        self.machine: ClusterMachine | None = None
        self.paused = False
        self.crash_after_effects: int | None = None
        self._clock_skew_ms = clock_skew_ms
        self._inbox: deque[Event] = deque()
        self._last_inbound_link = 0
        self._tick_at: int | None = None
        self._follows: str | None = None
        self._seen_primary_ms: int | None = None
        self._linked = False
        self._writes_paused_until = 0
        self._reported: ReplicationProgress | None = None

    @property
    def alive(self) -> bool:
        return self.machine is not None

    @property
    def now_ms(self) -> int:
        """This machine's own idea of the time."""
        return EPOCH_MS + self.world.scheduler.now + self._clock_skew_ms

    def next_inbound_link(self) -> int:
        self._last_inbound_link -= 1
        return self._last_inbound_link

    # Life and death

    def start(self) -> None:
        self.life += 1
        rng = Random(f"{self.world.seed} node {self.number} life {self.life}")
        self.machine = ClusterMachine(self.settings, rng, self.data, self.disk.read(), self.now_ms)
        self._inbox.clear()
        self._reported = self._seen_primary_ms = None
        self._linked = False
        self._writes_paused_until = 0
        self.world.started(self)
        self._tick_at = self.world.scheduler.now
        self.world.scheduler.after(0, partial(self._tick, self.life))
        self.world.scheduler.after(0, partial(self._replicate, self.life))

    def crash(self, *, power_lost: bool) -> None:
        """Stop at once. Connections break, and what was not synced is gone if the power went too."""
        if self.machine is None:
            return
        self.world.log(f"node {self.number} crashes, power_lost={power_lost}")
        self.machine = None
        self.paused = False
        self.crash_after_effects = None
        self.world.network.close_all(self)
        self.life += 1
        self.disk.crash(power_lost=power_lost)
        self._follows = None
        if not self.world.options.durable_data:
            self.data.offset = 0
            self.data.slots.clear()

    def resume(self) -> None:
        """Go on after a pause: what arrived meanwhile is handled now, in order."""
        self.paused = False
        while self._inbox and self.machine is not None and not self.paused:
            self.step(self._inbox.popleft())
        self._tick_at = None
        self._schedule_tick()

    # Stepping

    def receive(self, event: Event) -> None:
        if self.paused:
            self._inbox.append(event)
        elif self.machine is not None:
            self.step(event)

    def admin(self, request: AdminRequest) -> AnswerAdmin | None:
        """What an operator is answered; None if the node does not answer."""
        if self.machine is None or self.paused:
            return None
        return self.step(request)

    def step(self, event: Event) -> AnswerAdmin | None:
        """One step and its effects in order. The process may die between any two of them."""
        machine = self.machine
        if machine is None:
            return None
        answer = None
        life = self.life
        for effect in self.world.observed_step(self, machine, event):
            if self.crash_after_effects is not None:
                self.crash_after_effects -= 1
                if self.crash_after_effects < 0:
                    self.crash(power_lost=True)
                    self.world.restart_later(self)
            if self.life != life:
                return None
            if isinstance(effect, AnswerAdmin):
                answer = effect
            self._carry_out(machine, effect)
        self._schedule_tick()
        return answer

    def _carry_out(self, machine: ClusterMachine, effect: Effect) -> None:
        match effect:
            case Send(link, message):
                self.world.sending(self, link, message)
            case Connect():
                self.world.network.connect(self, effect)
            case CloseLink(link):
                self.world.network.close(self, link)
            case PersistConfig(fsync):
                self.disk.write(machine.saved(), fsync=fsync)
            case BecomePrimary():
                self._follows, self._linked = None, False
            case FollowPrimary(_, host, _):
                self._follows, self._linked = host, False
            case ResetDataset():
                self.data.offset = 0
                self.data.slots.clear()
            case DeleteSlotKeys(slots):
                self.data.slots.difference_update(slots)
            case PauseWrites(until_ms):
                self._writes_paused_until = until_ms
                self.world.scheduler.after(1, partial(self._paused, self.life))
            case ResumeWrites():
                self._writes_paused_until = 0

    def _schedule_tick(self) -> None:
        if self.machine is None:
            return
        due = self.machine.next_deadline() - EPOCH_MS - self._clock_skew_ms
        due = max(due, self.world.scheduler.now + 1)
        if self._tick_at is None or due < self._tick_at:
            self._tick_at = due
            self.world.scheduler.at(due, partial(self._tick, self.life))

    def _tick(self, life: int) -> None:
        due = self._tick_at is not None and self._tick_at <= self.world.scheduler.now
        if self.life == life and not self.paused and due:
            self._tick_at = None
            self._report(life)
            self.step(Tick())

    # Data

    @property
    def source(self) -> Process | None:
        """The process this one replicates from."""
        return self.world.process_at(self._follows)

    def _replicate(self, life: int) -> None:
        """Some time passes for the data: a primary takes writes, a replica catches up if it can."""
        if self.life != life or self.machine is None:
            return
        self.world.scheduler.after(REPLICATION_MS, partial(self._replicate, life))
        if self.paused:
            return
        view = self.machine.view
        source = self.source
        if view.myself.is_primary:
            if view.state_ok and self.now_ms >= self._writes_paused_until:
                self.data.offset += 1 + self.world.rng.randrange(100)
                self.data.slots.update(
                    slot for slot in self.world.busy_slots if view.myself.slot_bits >> slot & 1
                )
        elif source is not None and self.world.can_copy(self, source):
            self._linked, self._seen_primary_ms = True, self.now_ms
            self.data.offset = source.data.offset
            self.data.slots = set(source.data.slots)
        else:
            self._linked = False

    def _paused(self, life: int) -> None:
        if self.life == life and self.machine is not None and not self.paused:
            self.step(WritesPaused(self.data.offset))

    def _report(self, life: int) -> None:
        if self.life != life or self.machine is None or self.paused:
            return
        progress = ReplicationProgress(self.data.offset, self._linked, self._seen_primary_ms)
        if progress != self._reported:
            self._reported = progress
            self.step(progress)
