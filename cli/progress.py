"""How far a long move of slots is: a live bar on a terminal, one line per group of slots elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from shoal.cli.printing import Printer
from shoal.cluster.slots import slot_ranges

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class Progress(Protocol):
    """What a mover reports to. A context manager: leaving it ends the display."""

    def begin(self, slots: int, keys: int) -> None: ...
    def keys(self, count: int) -> None: ...
    def moved(self, slots: Sequence[int], keys: int, source: str, target: str) -> None: ...
    def warn(self, text: str) -> None: ...
    def __enter__(self) -> Progress: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class PlainProgress:
    """A line for each group of slots that arrived."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer

    def begin(self, slots: int, keys: int) -> None:
        self._printer.line(f"Moving {slots} slots with about {keys} keys.")

    def keys(self, count: int) -> None:
        """Keys are told with their slots."""

    def moved(self, slots: Sequence[int], keys: int, source: str, target: str) -> None:
        ranges = ",".join(f"{a}-{b}" if a != b else str(a) for a, b in slot_ranges(slots))
        noun = "slot" if len(slots) == 1 else "slots"
        self._printer.line(f"Moved {noun} {ranges} from {source} to {target}: {keys} keys")

    def warn(self, text: str) -> None:
        self._printer.warning(text)

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left open."""


class BarProgress:
    """Slots done, keys moved, keys per second and time to go, redrawn in place."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._started = 0.0
        self._slots = self._all_slots = self._keys = self._all_keys = 0

    def begin(self, slots: int, keys: int) -> None:
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._all_slots, self._all_keys = slots, keys
        self._started = time.monotonic()
        self._bar = RichProgress(
            BarColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        # A slot costs about as much as a few keys, so both count; else empty slots would not move the bar.
        self._task = self._bar.add_task(self._description(), total=slots * _SLOT_COST + keys)
        self._bar.start()

    def keys(self, count: int) -> None:
        self._keys += count
        self._advance(count)

    def moved(self, slots: Sequence[int], keys: int, source: str, target: str) -> None:
        self._slots += len(slots)
        self._advance(len(slots) * _SLOT_COST)

    def warn(self, text: str) -> None:
        self._printer.warning(text)

    def __enter__(self) -> BarProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _advance(self, amount: int) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=amount, description=self._description())

    def _description(self) -> str:
        rate = self._keys / max(time.monotonic() - self._started, 0.001)
        return f"{self._slots}/{self._all_slots} slots, {self._keys}/{self._all_keys} keys, {rate:.0f} keys/s"


_SLOT_COST = 4


def progress_for(printer: Printer) -> Progress:
    """A bar if somebody watches a terminal, lines otherwise."""
    if printer.is_terminal and not printer.as_json:
        return BarProgress(printer)
    return PlainProgress(printer)
