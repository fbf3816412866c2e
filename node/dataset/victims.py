"""Which key goes next when memory runs out, by the policy of `maxmemory-policy`.

To find the key unused for longest, or least often, would take an order that every read keeps up. Instead a
few keys are drawn at random and the best of them wins; the runners-up stay in a small pool, so that each
choice is among the best of many draws. Of the keys with a time to live the next to expire is known exactly.

Source: Redis's "Key eviction" page.
"""

from __future__ import annotations

from bisect import insort
from random import Random

from shoal.cluster.slots import SLOT_COUNT
from shoal.node.dataset.database import Database
from shoal.node.dataset.frequencies import HIGHEST, Frequencies
from shoal.node.dataset.keyspace import Keyspace

POOL_SIZE = 16

Victim = tuple[Database, bytes]


class Victims:
    """Chooses keys of one keyspace."""

    def __init__(self, keyspace: Keyspace, rng: Random) -> None:
        self._keyspace = keyspace
        self._rng = rng
        self._pool: list[tuple[int, int, bytes]] = []
        """Candidates, the best last: (score, database, key)."""
        self._policy = ""
        self._next_database = 0

    def choose(self, policy: str, samples: int) -> Victim | None:
        """The next key to go; None if the policy lets none go."""
        scope, _, order = policy.partition("-")
        is_volatile = scope == "volatile"
        if order == "ttl":
            return self._next_to_expire()
        if order == "random":
            return self._any(is_volatile=is_volatile)
        if policy != self._policy:  # what was thought of candidates under another is worth nothing
            self._pool, self._policy = [], policy
        return self._best(samples, is_volatile=is_volatile)

    def _next_to_expire(self) -> Victim | None:
        soonest: tuple[int, Database, bytes] | None = None
        for database in self._keyspace.databases:
            found = database.expires.next()
            if found is not None and (soonest is None or found[0] < soonest[0]):
                soonest = (found[0], database, found[1])
        return None if soonest is None else soonest[1:]

    def _any(self, *, is_volatile: bool) -> Victim | None:
        """One key of each database in turn, of those that have any."""
        databases = self._keyspace.databases
        for _ in databases:
            self._next_database = (self._next_database + 1) % len(databases)
            database = databases[self._next_database]
            keys = _sample(database, self._rng, 1, is_volatile=is_volatile)
            if keys:
                return database, keys[0]
        return None

    def _best(self, samples: int, *, is_volatile: bool) -> Victim | None:
        while self._draw(samples, is_volatile=is_volatile):
            while self._pool:
                _, index, key = self._pool.pop()
                database = self._keyspace.databases[index]
                if database.stored(key) is not None and (not is_volatile or database.expiry(key) is not None):
                    return database, key
        return None

    def _draw(self, samples: int, *, is_volatile: bool) -> bool:
        """Let some keys of each database join the pool; False if there are none."""
        found = False
        waiting = {candidate[1:] for candidate in self._pool}
        for database in self._keyspace.databases:
            for key in _sample(database, self._rng, samples, is_volatile=is_volatile):
                found = True
                if (database.index, key) not in waiting:
                    waiting.add((database.index, key))
                    insort(self._pool, (self._score(database, key), database.index, key))
        del self._pool[:-POOL_SIZE]
        return found

    def _score(self, database: Database, key: bytes) -> int:
        """The greater, the sooner it goes: milliseconds without use, or how seldom it is used."""
        accessed, now_ms = database.times_of_use(key), self._keyspace.now_ms
        if isinstance(accessed, Frequencies):
            return HIGHEST - accessed.count(key, now_ms)
        return now_ms - accessed.get(key, now_ms)


def _sample(database: Database, rng: Random, count: int, *, is_volatile: bool) -> list[bytes]:
    """Up to `count` keys at random, or of those with a time to live; cheap rather than quite uniform."""
    if is_volatile:
        return database.expires.random_keys(rng, count)
    if not len(database):
        return []
    slot = database.next_slot(rng.randrange(SLOT_COUNT))
    if slot is None:
        slot = database.next_slot(0)
    keys: list[bytes] = []
    while slot is not None and len(keys) < count:
        keys += database.tables[slot].random_keys(rng, count - len(keys))
        slot = database.next_slot(slot + 1)
    return keys
