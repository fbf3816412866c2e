"""An operator at work while things go wrong: failovers, slot moves, a node that joins and leaves.

He knows what an operator knows: what nodes answer. A node that does not answer leaves his work half done,
and when the trouble is over he finishes it, as anyone would: closes open slots, repairs the slots he was
moving, and makes sure the spare node is in or out everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from shoal.cluster.events import (
    AddSlots,
    AdminRequest,
    BumpEpoch,
    DelSlots,
    Failover,
    FailoverMode,
    Forget,
    Meet,
    Reset,
    SetSlotImporting,
    SetSlotMigrating,
    SetSlotNode,
    SetSlotStable,
)
from shoal.cluster.view import ClusterView
from tests.sim.process import PORT

if TYPE_CHECKING:
    from tests.sim.process import Process
    from tests.sim.world import World

WORK_EVERY_MS = 700
PATIENCE_MS = 2000
BLACKLIST_TTL_S = 3
FORGOTTEN_MS = 2 * BLACKLIST_TTL_S * 1000


class Operator:
    """Works until the end of the chaos; `tidy_up` is for after it."""

    def __init__(self, world: World, rng: Random) -> None:
        self._world = world
        self._rng = rng
        self._moved_slots: set[int] = set()
        self._spare_wanted = False
        self._tidied_at = 0
        self._forgotten_at = -FORGOTTEN_MS

    def expected_members(self) -> list[Process]:
        spare = self._world.spare
        return (
            [*self._world.members, spare] if spare is not None and self._spare_wanted else self._world.members
        )

    def begin(self) -> None:
        delay = 1 + int(self._rng.expovariate(1 / WORK_EVERY_MS))
        self._world.scheduler.after(delay, self._work)

    def _work(self) -> None:
        if not self._world.chaos:
            return
        works: list[Callable[[], None]] = [self._fail_over, self._move_slot]
        if self._world.spare is not None:
            works.append(self._change_spare)
        self._rng.choice(works)()
        self.begin()

    def _ask(self, process: Process, request: AdminRequest) -> bool:
        """Whether the node did as it was told."""
        answer = process.admin(request)
        text = answer.text if answer else "no answer"
        self._world.log(f"operator to node {process.number}: {request} -> {text}")
        return answer is not None and not answer.is_error

    # Failovers

    def _fail_over(self) -> None:
        mode = self._rng.choice(
            [FailoverMode.NORMAL, FailoverMode.NORMAL, FailoverMode.FORCE, FailoverMode.TAKEOVER]
        )
        replicas = [p for p, view in self._answering() if view.myself.is_replica]
        if replicas:
            self._ask(self._rng.choice(replicas), Failover(mode))

    # Slots

    def _move_slot(self) -> None:
        """IMPORTING at the target, MIGRATING at the source, the keys, NODE at the target, at the source."""
        owners = [p for p, view in self._answering() if view.myself.is_primary and view.myself.slot_count]
        if len(owners) < 2:
            return
        source, target = self._rng.sample(owners, 2)
        assert source.machine is not None
        assert target.machine is not None
        slot = self._rng.choice(list(source.machine.view.myself.slots()))
        source_id, target_id = source.machine.view.myself.id, target.machine.view.myself.id
        self._moved_slots.add(slot)
        steps: list[Callable[[], bool]] = [
            partial(self._ask, target, SetSlotImporting(slot, source_id)),
            partial(self._ask, source, SetSlotMigrating(slot, target_id)),
            partial(self._move_keys, source, target, slot),
            partial(self._ask, target, SetSlotNode(slot, target_id)),
            partial(self._ask, source, SetSlotNode(slot, target_id)),
        ]
        self._step_by_step(iter(steps))

    def _step_by_step(self, steps: Iterator[Callable[[], bool]]) -> None:
        step = next(steps, None)
        if step is not None and step():
            self._world.scheduler.after(self._rng.randint(1, 300), partial(self._step_by_step, steps))

    def _move_keys(self, source: Process, target: Process, slot: int) -> bool:
        if not (source.alive and target.alive) or source.paused or target.paused:
            return False
        if slot in source.data.slots:
            source.data.slots.discard(slot)
            target.data.slots.add(slot)
        return True

    # The spare node

    def _change_spare(self) -> None:
        """Add the spare node, or take it out. One that was just forgotten cannot come back for a while."""
        if self._spare_wanted:
            self._spare_wanted = False
            self._forget_spare()
        else:
            self._spare_wanted = True
            self._meet_spare()

    def _meet_spare(self) -> None:
        spare = self._world.spare
        answering = [p for p, _ in self._answering() if p is not spare]
        forgotten = self._world.scheduler.now < self._forgotten_at + FORGOTTEN_MS
        if spare is not None and answering and not forgotten:
            self._ask(self._rng.choice(answering), Meet(spare.ip, PORT))

    def _forget_spare(self) -> None:
        spare = self._world.spare
        if spare is None or spare.machine is None:
            return
        spare_id = spare.machine.view.myself.id
        for process, view in self._answering():
            if process is not spare and spare_id in view.nodes:
                self._ask(process, Forget(spare_id))
                self._forgotten_at = self._world.scheduler.now
        if len(spare.machine.view.nodes) > 1:
            self._ask(spare, Reset())

    # Afterwards

    def tidy_up(self) -> None:
        """Finish what trouble has left half done. Called again and again; gives each attempt time to work."""
        if self._world.scheduler.now - self._tidied_at < PATIENCE_MS:
            return
        self._tidied_at = self._world.scheduler.now
        self._close_open_slots()
        self._repair_moved_slots()
        spare = self._world.spare
        if spare is None or spare.machine is None:
            return
        if not self._spare_wanted:
            self._forget_spare()
        elif self._half_joined(spare.machine.view):
            self._meet_spare()

    def _half_joined(self, spare: ClusterView) -> bool:
        """Whether somebody does not know the spare node, or the spare node somebody."""
        views = [view for _, view in self._answering()]
        ids = {view.myself.id for view in views}
        return not ids <= spare.nodes.keys() or any(spare.myself.id not in view.nodes for view in views)

    def _close_open_slots(self) -> None:
        for process, view in self._answering():
            if view.myself.is_primary:
                for slot in [*view.migrating, *view.importing]:
                    self._ask(process, SetSlotStable(slot))

    def _repair_moved_slots(self) -> None:
        """Give a slot whose move was cut short by a failover, and that nobody claims now, to some primary.

        Only slots that were being moved: any other without an owner is the cluster's own fault.
        """
        for slot in sorted(self._moved_slots):
            answering = self._answering()
            if any(view.slot_owner[slot] is view.myself for _, view in answering):
                continue
            taker, view = next((p, view) for p, view in answering if view.myself.slot_count)
            if view.slot_owner[slot] is not None:
                self._ask(taker, DelSlots((slot,)))
            self._ask(taker, AddSlots((slot,)))
            self._ask(taker, BumpEpoch())

    def _answering(self) -> list[tuple[Process, ClusterView]]:
        return [
            (process, process.machine.view)
            for process in self._world.processes
            if process.machine is not None and not process.paused
        ]
