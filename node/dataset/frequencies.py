"""How often keys are used, in eight bits each: what LFU eviction goes by.

A counter of eight bits that counted every use would be full at once. So it rises with a probability that
falls as it rises: from 5, where a new key begins, to 6 at the first use, to 255 after about a million. And
it falls by one for every `lfu-decay-time` minutes without use, so that what was popular once does not stay
for ever.

While an LFU policy is set, a database keeps this table in place of that of the times of access. It is told
of a use in the same words, `accessed[key] = now_ms`, so that counting costs nothing while nobody asks for it.

Source: Redis's "Key eviction" page.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

NEW = 5
"""The count of a key that was just made: high enough for it to be used again before it is evicted."""

HIGHEST = 255
MINUTE_MS = 60_000


@dataclass(slots=True)
class CountingRules:
    """The directives, and chance."""

    rng: Random
    log_factor: int = 10
    decay_minutes: int = 1

    def decayed(self, count: int, idle_ms: int) -> int:
        """What is left of a count after so long without use."""
        if not self.decay_minutes:
            return count
        return max(count - idle_ms // MINUTE_MS // self.decay_minutes, 0)

    def increased(self, count: int) -> int:
        """A count after one more use."""
        if count == HIGHEST:
            return count
        chance = 1 / (max(count - NEW, 0) * self.log_factor + 1)
        return count + (self.rng.random() < chance)


class Frequencies(dict[bytes, int]):
    """For each key when it was last used and its count then: milliseconds in the upper bits, eight below."""

    __slots__ = ("rules",)

    def __init__(self, rules: CountingRules, times: Iterable[tuple[bytes, int]] = ()) -> None:
        super().__init__((key, at_ms << 8 | NEW) for key, at_ms in times)
        self.rules = rules

    def __setitem__(self, key: bytes, now_ms: int) -> None:
        """The key is used. One that was not known is new."""
        packed = self.get(key)
        count = NEW if packed is None else self.rules.increased(self.count(key, now_ms))
        super().__setitem__(key, now_ms << 8 | count)

    def put(self, key: bytes, now_ms: int, count: int) -> None:
        """Set a key's count."""
        super().__setitem__(key, now_ms << 8 | count)

    def count(self, key: bytes, now_ms: int) -> int:
        """A key's count as it is by now."""
        packed = self.get(key, now_ms << 8 | NEW)
        return self.rules.decayed(packed & 255, now_ms - (packed >> 8))

    @staticmethod
    def last_use(packed: int) -> int:
        """When a key was last used, by its entry."""
        return packed >> 8

    def times(self) -> dict[bytes, int]:
        """When each key was last used."""
        return {key: self.last_use(packed) for key, packed in self.items()}
