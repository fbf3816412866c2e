"""`python -m tests.bench.watched FILE …`: shoal-server, which notes in FILE what held it up.

One line for each step of a task that took longer than a millisecond: when it began, by the machine's
monotonic clock, how long it was, and how much of that it had the processor, all in seconds.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import trio

from shoal.node.runtime import main

NOTED_SECONDS = 0.001


class LongSteps(trio.abc.Instrument):
    """Notes them."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "w", buffering=1, encoding="ascii")  # noqa: SIM115 (lasts as long as we do)
        self._began = self._began_cpu = 0.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._began, self._began_cpu = time.monotonic(), time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        took = time.monotonic() - self._began
        if took > NOTED_SECONDS:
            self._file.write(f"{self._began} {took} {time.thread_time() - self._began_cpu}\n")


def run_watched() -> None:
    """Run the server of the command line that follows FILE."""
    run, steps = trio.run, LongSteps(sys.argv.pop(1))

    def watched(*arguments: Any, **options: Any) -> Any:
        return run(*arguments, **options, instruments=[steps])

    trio.run = watched
    main.main()


if __name__ == "__main__":
    run_watched()
