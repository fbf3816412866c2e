"""A planned failover loses no write: the winner has all that its primary ever took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.cluster.events import Failover, FailoverMode
from shoal.cluster.machine import ClusterMachine
from shoal.cluster.messages import FailoverAuthRequest, Message, MessageFlag
from tests.sim.checkers import Step, Violation, Watcher

if TYPE_CHECKING:
    from tests.sim.process import Process


class PlannedFailoverLosesNothing(Watcher):
    """CLUSTER FAILOVER without FORCE wins only while the primary holds writes back.

    Unless it crashed since: then it has forgotten the plan.
    """

    def __init__(self) -> None:
        self._asked: dict[int, FailoverMode] = {}
        self._planned: dict[int, tuple[int, Process, int]] = {}

    def stepped(self, step: Step) -> None:
        number, myself = step.process.number, step.machine.view.myself
        if isinstance(step.event, Failover):
            self._asked[number] = step.event.mode
        elif step.was_replica and myself.is_primary and number in self._planned:
            epoch, primary, life = self._planned.pop(number)
            behind = primary.data.offset - step.process.data.offset
            if epoch == myself.config_epoch and primary.life == life and behind > 0:
                raise Violation(f"a planned failover to node {number} lost {behind} bytes of writes")

    def sending(
        self, process: Process, machine: ClusterMachine, message: Message, to: Process | None
    ) -> None:
        if not isinstance(message, FailoverAuthRequest):
            return
        self._planned.pop(process.number, None)
        planned = self._asked.get(process.number) is FailoverMode.NORMAL
        primary = process.source
        if planned and message.header.message_flags & MessageFlag.FORCE_ACK and primary is not None:
            self._planned[process.number] = (message.header.current_epoch, primary, primary.life)
