"""A whole cluster under one seed: machines, network, disks, faults, an operator, and the checkers.

Everything that happens, happens in `Scheduler` order at virtual times, and every random choice comes from
generators seeded by the run's seed. The digest covers each event, effect and packet, so two runs of one
seed are the same run exactly if their digests are equal.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from random import Random

from shoal.cluster.effects import Effect, Note
from shoal.cluster.events import Event, MessageReceived
from shoal.cluster.machine import ClusterMachine
from shoal.cluster.messages import Message, NodeFlag
from shoal.cluster.settings import ClusterSettings
from shoal.cluster.slots import SLOT_COUNT
from shoal.cluster.view import SavedConfig, SavedNode
from tests.sim.checkers import Checker, Step, Violation
from tests.sim.checkers.convergence import disagreements
from tests.sim.checkers.elections import OneVotePerEpoch, OneWinnerPerEpoch
from tests.sim.checkers.epochs import EpochsNeverFall
from tests.sim.checkers.planned import PlannedFailoverLosesNothing
from tests.sim.checkers.views import ViewsAreConsistent
from tests.sim.faults import Faults
from tests.sim.network import Network
from tests.sim.operator import BLACKLIST_TTL_S, Operator
from tests.sim.options import Options, draw_options
from tests.sim.process import PORT, Process
from tests.sim.scheduler import Scheduler

LOOK_EVERY_MS = 250
SETTLE_BASE_MS = 20_000
SETTLE_TIMEOUTS = 30
REMEMBERED_LINES = 4000


class World:
    """One run. `run` returns when the cluster has survived, and raises Violation if it has not."""

    def __init__(self, seed: int, options: Options | None = None) -> None:
        self.seed = seed
        self.options = options or draw_options(seed)
        self.rng = Random(f"{seed} world")
        self.scheduler = Scheduler()
        self.network = Network(self.scheduler, Random(f"{seed} network"), self.options.latency_ms)
        self.checkers: list[Checker] = [
            OneWinnerPerEpoch(),
            OneVotePerEpoch(),
            EpochsNeverFall(),
            PlannedFailoverLosesNothing(),
            ViewsAreConsistent(),
        ]
        self.busy_slots = sorted(self.rng.sample(range(SLOT_COUNT), 24))
        self.chaos = True
        self.steps = 0
        self.lines: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self._digest = blake2b(digest_size=16)
        self.members = [
            self._make_process(number) for number in range(self.options.primaries + self.options.replicas)
        ]
        self.spare = self._make_process(len(self.members)) if self.options.spare else None
        self._format_disks()
        self.operator = Operator(self, Random(f"{seed} operator"))
        self.faults = Faults(self, Random(f"{seed} faults"))

    @property
    def processes(self) -> list[Process]:
        return self.network.processes

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    # The run

    def run(self) -> None:
        for process in self.processes:
            process.start()
        self.scheduler.run_until(1000)
        self.faults.begin()
        if self.options.admin:
            self.operator.begin()
        self.scheduler.run_until(1000 + self.options.chaos_ms)
        self.chaos = False
        self.faults.end()
        self._settle()

    def _settle(self) -> None:
        """Within a bounded time after the last fault there is one view, and it lasts."""
        limit = self.scheduler.now + SETTLE_BASE_MS + SETTLE_TIMEOUTS * self.options.node_timeout_ms
        problems = ["nothing was looked at"]
        while self.scheduler.now < limit:
            self.scheduler.run_until(self.scheduler.now + LOOK_EVERY_MS)
            self.operator.tidy_up()
            problems = self._problems()
            if not problems:
                self.scheduler.run_until(self.scheduler.now + 2 * LOOK_EVERY_MS)
                problems = self._problems()
                if not problems:
                    return
        raise Violation(f"not settled {limit} ms into the run: {problems[0]}")

    def _problems(self) -> list[str]:
        views = [p.machine.view for p in self.operator.expected_members() if p.machine is not None]
        return disagreements(views, {view.myself.id for view in views})

    # What processes ask of the world

    def observed_step(self, process: Process, machine: ClusterMachine, event: Event) -> list[Effect]:
        """Step a machine with everybody looking."""
        was_replica = machine.view.myself.is_replica
        try:
            effects = machine.step(event, process.now_ms)
        except Exception as error:
            raise Violation(f"node {process.number} raised {error!r} on {type(event).__name__}") from error
        self.steps += 1
        self._record(process, event, effects)
        step = Step(process, machine, event, effects, was_replica)
        for checker in self.checkers:
            checker.stepped(step)
        return effects

    def sending(self, process: Process, link: int, message: Message) -> None:
        to = self.network.peer(process, link)
        assert process.machine is not None
        for checker in self.checkers:
            checker.sending(process, process.machine, message, to)
        packet = self.network.send(process, link, message)
        if packet is not None:
            self._digest.update(packet)

    def started(self, process: Process) -> None:
        assert process.machine is not None
        self.log(f"node {process.number} starts as {process.machine.view.myself.id}")
        for checker in self.checkers:
            checker.started(process, process.machine)

    def process_at(self, ip: str | None) -> Process | None:
        return next((process for process in self.processes if process.ip == ip), None)

    def can_copy(self, replica: Process, source: Process) -> bool:
        """Whether replication flows: the source runs, is a primary, has not come back empty, is reachable."""
        if source.machine is None or source.paused or source is replica:
            return False
        view = source.machine.view
        blocked = self.network.is_blocked(source, replica) or self.network.is_blocked(replica, source)
        return view.myself.is_primary and not view.awaiting_failover and not blocked

    def restart_later(self, process: Process) -> None:
        delay = self.rng.randint(20, 4 * self.options.node_timeout_ms)
        self.scheduler.after(delay, partial(self.restart, process))

    def restart(self, process: Process) -> None:
        if not process.alive:
            process.start()

    def log(self, line: str) -> None:
        line = f"{self.scheduler.now:>6} {line}"
        self.lines.append(line)
        self._digest.update(line.encode())

    def _record(self, process: Process, event: Event, effects: list[Effect]) -> None:
        what = type(event.message if isinstance(event, MessageReceived) else event).__name__
        done = ",".join([type(effect).__name__ for effect in effects])
        self._digest.update(f"{self.scheduler.now} {process.number} {what} {done};".encode())
        for effect in effects:
            if isinstance(effect, Note):
                self.lines.append(f"{self.scheduler.now:>6} node {process.number}: {effect.text}")

    # The beginning

    def _make_process(self, number: int) -> Process:
        options = self.options
        settings = ClusterSettings(
            node_timeout_ms=options.node_timeout_ms,
            require_full_coverage=options.full_coverage,
            replica_validity_factor=options.validity_factor,
            allow_replica_migration=options.replica_migration,
            blacklist_ttl_s=BLACKLIST_TTL_S,
            manual_failover_timeout_ms=options.manual_timeout_ms,
            tcp_port=PORT,
            bus_port=PORT + 10000,
        )
        skew = self.rng.randint(-options.clock_skew_ms, options.clock_skew_ms)
        process = Process(self, number, settings, skew)
        self.processes.append(process)
        return process

    def _format_disks(self) -> None:
        """Give every member the nodes.conf of a healthy cluster: replicas are spread over the primaries."""
        nodes = [self._first_line(process) for process in self.members]
        for process, own in zip(self.members, nodes, strict=True):
            mine = tuple(
                replace(node, flags=node.flags | NodeFlag.MYSELF) if node is own else node for node in nodes
            )
            process.disk.write(SavedConfig(mine, current_epoch=self.options.primaries), fsync=True)

    def _first_line(self, process: Process) -> SavedNode:
        primaries, number = self.options.primaries, process.number
        shard = number % primaries
        is_primary = number < primaries
        first, last = SLOT_COUNT * shard // primaries, SLOT_COUNT * (shard + 1) // primaries - 1
        return SavedNode(
            id=_first_id(number),
            ip=process.ip,
            tcp_port=PORT,
            bus_port=process.bus_port,
            shard_id=f"{shard:040x}",
            flags=NodeFlag.PRIMARY if is_primary else NodeFlag.REPLICA,
            primary=None if is_primary else _first_id(shard),
            config_epoch=number + 1 if is_primary else 0,
            slots=((first, last),) if is_primary else (),
        )


def _first_id(number: int) -> str:
    return blake2b(b"%d" % number, digest_size=20).hexdigest()
