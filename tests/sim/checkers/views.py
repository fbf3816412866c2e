"""Each node's own view is consistent at all times."""

from __future__ import annotations

from shoal.cluster.effects import TopologyChanged
from shoal.cluster.invariants import check
from tests.sim.checkers import Step, Violation, Watcher

EVERY = 16


class ViewsAreConsistent(Watcher):
    """Looks at one changed view in sixteen, for a look at every slot takes long."""

    def __init__(self) -> None:
        self._changes = 0

    def stepped(self, step: Step) -> None:
        if TopologyChanged() not in step.effects:
            return
        self._changes += 1
        if self._changes % EVERY == 0:
            problems = check(step.machine.view)
            if problems:
                raise Violation(f"the view of node {step.process.number}: {problems[0]}")
