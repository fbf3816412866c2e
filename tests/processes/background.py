"""Work that goes on in threads while a test does something else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOAD_ENDS_WITHIN = 150.0


class Background:
    """Something done over and over in a thread of its own, until told to stop."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.stopping = threading.Event()
        self.failure: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self.stopping.is_set():
                self._work()
        except BaseException as failure:
            self.failure = failure

    def end(self) -> None:
        """Raises what the work raised."""
        self.stopping.set()
        self._thread.join(LOAD_ENDS_WITHIN)
        assert not self._thread.is_alive(), "the background work did not end"
        if self.failure is not None:
            raise self.failure


@contextmanager
def in_background(*works: Callable[[], None]) -> Iterator[list[Background]]:
    running = [Background(work) for work in works]
    try:
        yield running
    finally:
        for background in running:
            background.stopping.set()
    for background in running:
        background.end()
