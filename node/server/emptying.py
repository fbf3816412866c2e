"""Emptying a slot: the keys that a MIGRATE takes along beside those it names.

A tool that moves a slot asks for a few of its keys (CLUSTER GETKEYSINSLOT), has them migrated, and asks for
the next few, thousands of times; nearly all of it is questions and answers. A client that lists keys of a
slot and then moves just those, to the node the slot is open towards, is emptying the slot. What else is in
the slot goes the same way in a moment, so a share of it goes along at once: the tool then finds fewer keys
left, or none.

Nobody can tell the difference from a tool that was quicker. A key that is not here any more is asked for
where it went, as any key of an open slot. Keys that cannot go along (one is at the target already, the target
is no Shoal node) stay, and are moved when they are named. Whoever picks keys otherwise moves only these, and
`cluster-migrate-ahead no` is for those who want it so always.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.node.dataset.sizes import value_bytes
from shoal.node.persistence.moving_keys import MovingKey

if TYPE_CHECKING:
    from shoal.node.server.session import Session

MOST_KEYS = 256
MOST_BYTES = 128 * 1024
"""What one move takes along at most, so that neither node's turn gets long by it."""
REMEMBERED_SLOTS = 256
"""For how many slots a client may have keys listed before it moves the first of them."""
_SAMPLES = 5


def note_listed(session: Session, slot: int, keys: list[bytes]) -> None:
    """A client was told these keys of a slot."""
    if session.listed is None or len(session.listed) >= REMEMBERED_SLOTS:
        session.listed = {}
    session.listed[slot] = keys


def is_emptying(session: Session, slot: int, keys: list[bytes], host: str, port: int) -> bool:
    """Whether moving these keys there is a step of emptying an open slot."""
    cluster = session.server.cluster
    if cluster is None or not session.server.config.cluster_migrate_ahead or session.listed is None:
        return False
    towards = cluster.view.migrating.get(slot)
    if towards is None or (host, port) != (towards.ip, towards.tcp_port):
        return False
    return session.listed.pop(slot, None) == keys


def keys_along(session: Session, slot: int, named: list[bytes]) -> tuple[MovingKey, ...]:
    """More keys of the slot, up to the share that goes along."""
    database = session.db
    # Taken from where the next question would begin, so that going along leaves no holes in the table.
    _cursor, candidates = database.tables[slot].scan(0, MOST_KEYS + len(named))
    left = set(named) | session.server.migrating_keys
    along: list[MovingKey] = []
    size = 0
    for key, value in database.peek_all(slot, [key for key in candidates if key not in left][:MOST_KEYS]):
        size += len(key) + value_bytes(value, _SAMPLES)
        if size > MOST_BYTES:
            break
        along.append(MovingKey(key, database.remaining_ms(key), value))
    return tuple(along)
