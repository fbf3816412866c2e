"""At most one winner per epoch, and at most one vote per voter and epoch, across restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.cluster.events import Failover, Reset
from shoal.cluster.machine import ClusterMachine
from shoal.cluster.messages import FailoverAuthAck, Message
from tests.sim.checkers import Step, Violation, Watcher

if TYPE_CHECKING:
    from tests.sim.process import Process


class OneWinnerPerEpoch(Watcher):
    """A replica that turns primary without an operator's word has won an election in its new config epoch.

    TAKEOVER (and RESET) change a role by the operator's word alone, inside the very step that asks for it;
    these are no elections.
    """

    def __init__(self) -> None:
        self.winners: dict[int, str] = {}

    def stepped(self, step: Step) -> None:
        myself = step.machine.view.myself
        if not (step.was_replica and myself.is_primary) or isinstance(step.event, Failover | Reset):
            return
        winner = self.winners.setdefault(myself.config_epoch, myself.id)
        if winner != myself.id:
            raise Violation(f"epoch {myself.config_epoch} was won by {winner} and by {myself.id}")


class OneVotePerEpoch(Watcher):
    """A vote counts when it leaves; one that leaves after a restart counts as much."""

    def __init__(self) -> None:
        self.votes: dict[tuple[str, int], int | None] = {}

    def sending(
        self, process: Process, machine: ClusterMachine, message: Message, to: Process | None
    ) -> None:
        if not isinstance(message, FailoverAuthAck):
            return
        vote = (message.header.sender, message.header.current_epoch)
        if vote in self.votes:
            receiver = to.number if to else None
            raise Violation(f"{vote[0]} votes in epoch {vote[1]} for {self.votes[vote]} and for {receiver}")
        self.votes[vote] = to.number if to else None
