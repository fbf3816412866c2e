"""When keys expire, or hashes hold fields that do.

One table for all of them would be laid out anew, all at once, whenever it has grown by so much, and one heap
be rid of what has become of no use: with a million keys that holds up every client for a third of a second.
So both are kept for each of many groups of slots, and a heap of the groups knows which is due next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import heapify, heappop, heappush, heapreplace
from math import inf
from random import Random

from shoal.node.dataset.deadlines import Deadlines
from shoal.node.dataset.slot_tables import NEVER, TIMES_GROUPS, TIMES_SHIFT

ORDER_LIMIT = 4 * TIMES_GROUPS


class Expiries:
    """Keys with a moment each, unix milliseconds, and how many of them there are."""

    __slots__ = ("_groups", "_order", "count")

    def __init__(self) -> None:
        self.count = 0
        self._groups: list[Deadlines | None] = [None] * TIMES_GROUPS
        self._order: list[tuple[int, int]] = []
        """Moments and groups. Of each group one that is no later than its soonest."""

    def near(self, slot: int) -> Mapping[bytes, int]:
        """The moments of the keys of a slot and of those beside it: the same table until `forget`."""
        deadlines = self._groups[slot >> TIMES_SHIFT]
        return NEVER if deadlines is None else deadlines.at

    def forget(self, slot: int) -> None:
        """Keep nothing for a slot and those beside it, of whose keys none has a moment any more."""
        self._groups[slot >> TIMES_SHIFT] = None

    def set(self, slot: int, key: bytes, at_ms: int) -> None:
        """Give a key a moment, in place of the one it had."""
        group = slot >> TIMES_SHIFT
        deadlines = self._groups[group]
        if deadlines is None:
            deadlines = self._groups[group] = Deadlines()
        self.count += key not in deadlines.at
        if deadlines.set(key, at_ms):
            heappush(self._order, (at_ms, group))
            if len(self._order) > ORDER_LIMIT:
                self._renew_order()

    def discard(self, slot: int, key: bytes) -> None:
        """Take a key's moment away, if it has one."""
        deadlines = self._groups[slot >> TIMES_SHIFT]
        if deadlines is not None and deadlines.discard(key):
            self.count -= 1

    def next(self, until_ms: float = inf) -> tuple[int, bytes] | None:
        """The soonest moment of all, and whose it is; None if it is later than that.

        What has become of no use is looked at, and thrown away, as it falls due: not all that is at hand.
        """
        order = self._order
        while order and order[0][0] <= until_ms:
            at_ms, group = order[0]
            found = _next_of(self._groups[group])
            if found is None:
                heappop(order)
            elif found[0] == at_ms:
                return found
            else:
                heapreplace(order, (found[0], group))
        return None

    def pop_due(self, now_ms: int) -> bytes | None:
        """A key whose moment has come, which it loses."""
        found = self.next(now_ms)
        if found is None:
            return None
        self.discard(self._order[0][1] << TIMES_SHIFT, found[1])
        return found[1]

    def _renew_order(self) -> None:
        nexts = [(_next_of(deadlines), group) for group, deadlines in enumerate(self._groups)]
        self._order = [(found[0], group) for found, group in nexts if found is not None]
        heapify(self._order)

    def __iter__(self) -> Iterator[bytes]:
        """Every key. The caller must not change any moment meanwhile."""
        for deadlines in self._groups:
            yield from () if deadlines is None else deadlines.at

    def moments(self) -> Iterator[int]:
        """Every key's moment."""
        for deadlines in self._groups:
            yield from () if deadlines is None else deadlines.at.values()

    def random_keys(self, rng: Random, count: int) -> list[bytes]:
        """Up to `count` keys, some perhaps several times: cheap rather than quite uniform."""
        found: list[bytes] = []
        start = rng.randrange(TIMES_GROUPS)
        for step in range(TIMES_GROUPS if self.count else 0):
            deadlines = self._groups[(start + step) % TIMES_GROUPS]
            if deadlines is not None and deadlines.at:
                found += deadlines.random_names(rng, count - len(found))
                if len(found) >= count:
                    break
        return found


def _next_of(deadlines: Deadlines | None) -> tuple[int, bytes] | None:
    return None if deadlines is None else deadlines.next()
