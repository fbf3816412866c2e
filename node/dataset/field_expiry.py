"""Hashes whose fields expire one by one, as a database deals with them.

As with keys: a primary removes a field whose time has come, when somebody looks at its hash or soon after,
and tells its replicas by an HDEL; a replica only hides it; and while the primary's stream is applied, only
the stream decides. A database knows of each such hash when its next field is due, so that finding what is
due costs nothing where nothing is.

Commands need not know any of this: `read_hash` and `change_hash` give them a hash without what is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.cluster.slots import key_slot
from shoal.node.dataset.expiry_mode import ExpiryMode
from shoal.node.dataset.hashes import ExpiringHash, HashValue
from shoal.node.dataset.values import Value

if TYPE_CHECKING:
    from shoal.node.dataset.database import Database


def watch_fields(database: Database, key: bytes, value: Value) -> None:
    """Note when a hash's next field is due. To be called when deadlines were set or the hash is new here."""
    if not isinstance(value, ExpiringHash):
        return
    next_ms = value.deadlines.next_ms()
    slot = key_slot(key)
    if next_ms is not None and database.expiring_hashes.near(slot).get(key) != next_ms:
        database.expiring_hashes.set(slot, key, next_ms)


def for_reading(database: Database, key: bytes, value: ExpiringHash) -> HashValue | None:
    """The hash without what is over, as a reader may see it; None if nothing is left."""
    now_ms = database.keyspace.now_ms
    next_ms = value.deadlines.next_ms()
    if next_ms is None or next_ms > now_ms:
        return value
    if database.keyspace.expiry_mode is ExpiryMode.HIDE:
        return value.at_time(now_ms) or None
    return for_changing(database, key, value)


def for_changing(database: Database, key: bytes, value: ExpiringHash) -> HashValue | None:
    """The hash without what is over, if it is this node's to remove; None if nothing is left."""
    if database.keyspace.expiry_mode is ExpiryMode.DELETE:
        value, _ = _expire_fields(database, key, value)
    return value or None


def expire_due_fields(database: Database, limit: int) -> int:
    """Remove up to about `limit` fields whose time has come; returns how many. For a primary only."""
    now_ms, expired = database.keyspace.now_ms, 0
    while expired < limit:
        key = database.expiring_hashes.pop_due(now_ms)
        if key is None:
            break
        value = database.stored(key)
        if isinstance(value, ExpiringHash):
            value, count = _expire_fields(database, key, value)
            expired += count
            if value:
                watch_fields(database, key, value)
    return expired


def _expire_fields(database: Database, key: bytes, value: ExpiringHash) -> tuple[ExpiringHash, int]:
    """Remove every field of a hash whose time has come, and the hash with its last.

    Returns the hash that the key holds then, or held, and how many fields went.
    """
    keyspace = database.keyspace
    next_ms = value.deadlines.next_ms()
    if next_ms is None or next_ms > keyspace.now_ms:
        return value, 0
    value = database.alterable(key, value)
    fields = value.take_due(keyspace.now_ms)
    keyspace.expired_fields += len(fields)
    database.announce(key, "hexpired", by_command=False)
    if not value:
        database.drop(key, "del")
    keyspace.on_fields_expired(database.index, key, fields)
    return value, len(fields)
