"""`python -m tests.bench.watched FILE …`: shoal-server, which notes in FILE what held it up.

One line for each turn of the clients' reactor, and each step of any other task, that took longer than a
millisecond: when it began, by the machine's monotonic clock, how long it was, and for how much of that it had
the processor, all in seconds. (A step of the reactor's own task is up to sixteen turns.)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

import trio

from shoal.node.runtime import main
from shoal.node.runtime.reactor import Reactor

NOTED_SECONDS = 0.001


class LongSteps(trio.abc.Instrument):
    """Notes them."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "w", buffering=1, encoding="ascii")  # noqa: SIM115 (lasts as long as we do)
        self._began = self._began_cpu = 0.0

    def begin(self) -> None:
        """Something begins that nothing else comes between."""
        self._began, self._began_cpu = time.monotonic(), time.thread_time()

    def end(self) -> None:
        """It has ended."""
        took = time.monotonic() - self._began
        if took > NOTED_SECONDS:
            self._file.write(f"{self._began} {took} {time.thread_time() - self._began_cpu}\n")

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.begin()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if not task.name.endswith("Reactor.run"):
            self.end()


def run_watched() -> None:
    """Run the server of the command line that follows FILE."""
    run, turn, steps = trio.run, Reactor.turn, LongSteps(sys.argv.pop(1))

    def watched_turn(reactor: Reactor, ready: Iterable[tuple[int, int]]) -> None:
        steps.begin()
        turn(reactor, ready)
        steps.end()

    def watched_run(*arguments: Any, **options: Any) -> Any:
        return run(*arguments, **options, instruments=[steps])

    Reactor.turn, trio.run = watched_turn, watched_run  # type: ignore[method-assign]
    main.main()


if __name__ == "__main__":
    run_watched()
