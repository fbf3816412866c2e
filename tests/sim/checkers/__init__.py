"""What must hold, watched from outside: no checker trusts what a machine says about its own past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shoal.cluster.effects import Effect
from shoal.cluster.events import Event
from shoal.cluster.machine import ClusterMachine
from shoal.cluster.messages import Message

if TYPE_CHECKING:
    from tests.sim.process import Process


class Violation(Exception):  # noqa: N818 (the checkers' own word; it is a finding, not a mistake)
    """An invariant does not hold."""


@dataclass(frozen=True, slots=True)
class Step:
    """One finished step of a process; its effects are not carried out yet."""

    process: Process
    machine: ClusterMachine
    event: Event
    effects: list[Effect]
    was_replica: bool


class Checker(Protocol):
    """Looks on. Each method raises Violation when it has seen something impossible."""

    def stepped(self, step: Step) -> None: ...

    def sending(
        self, process: Process, machine: ClusterMachine, message: Message, to: Process | None
    ) -> None: ...

    def started(self, process: Process, machine: ClusterMachine) -> None: ...


class Watcher:
    """A checker that looks at nothing; the real ones override what they need."""

    def stepped(self, step: Step) -> None:
        """A step is done."""

    def sending(
        self, process: Process, machine: ClusterMachine, message: Message, to: Process | None
    ) -> None:
        """A message leaves: whatever it says must be true even if the process dies now."""

    def started(self, process: Process, machine: ClusterMachine) -> None:
        """A process came back with what its disk remembered."""
