"""When or how often a key was used, whichever of the two its database keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from shoal.node.dataset.database import Database
from shoal.node.dataset.frequencies import Frequencies


class Usage(NamedTuple):
    """What eviction knows of a key, for a snapshot: one of the two, or nothing."""

    idle_seconds: int | None = None
    frequency: int | None = None


UNKNOWN = Usage()


def usage_in(accessed: Mapping[bytes, int], key: bytes, now_ms: int) -> Usage:
    """What a table of a database says of a key by now; see `Database.times_of_use`."""
    if isinstance(accessed, Frequencies):
        return Usage(frequency=accessed.count(key, now_ms))
    return Usage(idle_seconds=max(now_ms - accessed.get(key, now_ms), 0) // 1000)


def idle_seconds(database: Database, key: bytes) -> int:
    """How long ago a key was last used."""
    accessed, now_ms = database.times_of_use(key), database.keyspace.now_ms
    used_ms = accessed.get(key)
    if used_ms is None:
        return 0
    if isinstance(accessed, Frequencies):
        used_ms = accessed.last_use(used_ms)
    return max(now_ms - used_ms, 0) // 1000


def frequency(database: Database, key: bytes) -> int | None:
    """How often a key is used, from 0 to 255; None while that is not counted."""
    accessed = database.times_of_use(key)
    return accessed.count(key, database.keyspace.now_ms) if isinstance(accessed, Frequencies) else None


def note_idle(database: Database, key: bytes, seconds: int) -> None:
    """Let a key look as if it had been last used so long ago; in vain while uses are counted."""
    accessed = database.times_of_use(key)
    if not isinstance(accessed, Frequencies):
        accessed[key] = database.keyspace.now_ms - seconds * 1000


def note_frequency(database: Database, key: bytes, count: int) -> None:
    """Let a key look as if it were used so often; in vain while that is not counted."""
    accessed = database.times_of_use(key)
    if isinstance(accessed, Frequencies):
        accessed.put(key, database.keyspace.now_ms, count)
