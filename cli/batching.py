"""How much to move at once: which slots are opened together, how many keys go in one batch. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_GROUP_SLOTS = 128
_GROUP_KEYS = 1000


class BatchSize:
    """How many keys to send in one go.

    A node serves nobody else while it sends a batch, so a batch should be short in time, and keys differ
    in size by a factor of millions. Grow while batches are quick, shrink when one was slow.

    A source may take more keys of a slot along than it was told to move, and then sees to the right size
    itself: it is enough to name a few of each slot.
    """

    LARGEST = 1024
    FEW = 16
    QUICK_SECONDS = 0.010
    SLOW_SECONDS = 0.040

    def __init__(self, fixed: int | None) -> None:
        self._fixed = fixed is not None
        self._more_go_along = False
        self.keys = fixed if fixed is not None else 64

    @property
    def names(self) -> int:
        """How many keys of a slot to ask for."""
        return self.FEW if self._more_go_along else self.keys

    def learn(self, named: int, gone: int, seconds: float) -> None:
        """So many keys were named, so many went, in so much time."""
        if self._fixed:
            return
        self._more_go_along = self._more_go_along or gone > named
        least, most = (self.FEW, 4 * self.FEW) if self._more_go_along else (1, self.LARGEST)
        if seconds > self.SLOW_SECONDS:
            self.keys = max(self.keys // 2, least)
        elif seconds < self.QUICK_SECONDS and named >= self.keys:
            self.keys *= 2
        self.keys = min(self.keys, most)


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
