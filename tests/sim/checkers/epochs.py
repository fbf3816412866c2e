"""Epochs never fall: not in a life, and not below what was told to others in an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.cluster.machine import ClusterMachine
from shoal.cluster.messages import Message
from tests.sim.checkers import Step, Violation, Watcher

if TYPE_CHECKING:
    from tests.sim.process import Process


class EpochsNeverFall(Watcher):
    """Remembers, by node id, the greatest current epoch, config epoch and vote each node ever showed."""

    def __init__(self) -> None:
        self.in_life: dict[int, tuple[int, int, int]] = {}
        self.told: dict[str, tuple[int, int]] = {}

    def stepped(self, step: Step) -> None:
        number, now = step.process.number, _epochs(step.machine)
        before = self.in_life.get(number, now)
        if any(new < old for new, old in zip(now, before, strict=True)):
            raise Violation(f"epochs (current, own, vote) of node {number} fell from {before} to {now}")
        self.in_life[number] = now

    def sending(
        self, process: Process, machine: ClusterMachine, message: Message, to: Process | None
    ) -> None:
        header = message.header
        if header is None:
            return
        current, own = self.told.get(header.sender, (0, 0))
        if header.replica_of is None:
            own = max(own, header.config_epoch)
        self.told[header.sender] = (max(current, header.current_epoch), own)

    def started(self, process: Process, machine: ClusterMachine) -> None:
        view = machine.view
        self.in_life[process.number] = _epochs(machine)
        current, own = self.told.get(view.myself.id, (0, 0))
        if view.current_epoch < current or view.myself.config_epoch < own:
            raise Violation(
                f"node {process.number} told others of epochs {(current, own)} "
                f"but came back with {(view.current_epoch, view.myself.config_epoch)}"
            )


def _epochs(machine: ClusterMachine) -> tuple[int, int, int]:
    view = machine.view
    return (view.current_epoch, view.myself.config_epoch, view.last_vote_epoch)
