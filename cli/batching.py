"""How much to move at once: which slots are opened together, how many keys go in one batch. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_GROUP_SLOTS = 128
_GROUP_KEYS = 1000


class BatchSize:
    """How many keys to send in one go.

    A node serves nobody else while it sends a batch, so a batch should be short in time, and keys differ
    in size by a factor of millions. Grow while batches are quick, shrink when one was slow.
    """

    LARGEST = 1024
    QUICK_SECONDS = 0.010
    SLOW_SECONDS = 0.040

    def __init__(self, fixed: int | None) -> None:
        self._fixed = fixed is not None
        self.keys = fixed if fixed is not None else 64

    def learn(self, sent: int, seconds: float) -> None:
        if self._fixed:
            return
        if seconds > self.SLOW_SECONDS:
            self.keys = max(self.keys // 2, 1)
        elif seconds < self.QUICK_SECONDS and sent >= self.keys:
            self.keys = min(self.keys * 2, self.LARGEST)


def group_slots(slots: Sequence[int], counts: Sequence[int]) -> Iterator[list[int]]:
    """Slots that are opened together: many if they hold little, one alone if it holds much.

    Commands over several keys of an open slot may be told to try again, so no slot should wait open for long.
    """
    group: list[int] = []
    keys = 0
    for slot, count in zip(slots, counts, strict=True):
        if group and (len(group) >= _GROUP_SLOTS or keys + count > _GROUP_KEYS):
            yield group
            group, keys = [], 0
        group.append(slot)
        keys += count
    if group:
        yield group


def take_keys(waiting: dict[int, list[bytes]], budget: int) -> Iterator[tuple[int, list[bytes]]]:
    """Up to `budget` keys, slot by slot (one MIGRATE takes keys of one slot only)."""
    for slot, keys in waiting.items():
        if budget <= 0:
            return
        yield slot, keys[:budget]
        budget -= len(keys[:budget])
