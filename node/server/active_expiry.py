"""The active expire cycle: keys whose time has come go though nobody asks for them.

On access an expired key is found at once. This is for those nobody asks for: so many a turn, and with more
left the next turn goes on, so that a million keys of the same hour hold up nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.node.dataset.expiry_mode import ExpiryMode
from shoal.node.dataset.field_expiry import expire_due_fields

if TYPE_CHECKING:
    from shoal.node.server.server import Server

EXPIRE_EVERY_MS = 20
"""How often they are looked for."""

EXPIRED_KEYS_PER_TURN = 100
"""How many of them one turn deletes."""


class ActiveExpiry:
    """When it looks next, and what it does then."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.next_ms = 0
        self.is_on = True
        """Off only while a test wants expired keys to stay: DEBUG SET-ACTIVE-EXPIRE."""

    @property
    def is_behind(self) -> bool:
        """Whether more keys are due than a turn deletes."""
        return self.next_ms <= self._server.keyspace.now_ms

    def run(self, now_ms: int) -> None:
        """Delete keys and fields whose time has come, so many at a time."""
        self.next_ms = now_ms + EXPIRE_EVERY_MS
        if not self.is_on:
            return
        server, keyspace = self._server, self._server.keyspace
        if keyspace.own_expiries and not server.is_primary:
            keyspace.own_expiries.expire(keyspace, EXPIRED_KEYS_PER_TURN)
            server.propagation.propagate_each()
        if keyspace.expiry_mode is not ExpiryMode.DELETE:
            return
        began_ns = server.stopwatch.clock_ns()
        for database in keyspace.databases:
            if database.expires.count and database.expire_due(EXPIRED_KEYS_PER_TURN) == EXPIRED_KEYS_PER_TURN:
                self.next_ms = now_ms
            hashes = database.expiring_hashes
            if hashes.count and expire_due_fields(database, EXPIRED_KEYS_PER_TURN) >= EXPIRED_KEYS_PER_TURN:
                self.next_ms = now_ms
        server.propagation.propagate_each()
        server.stopwatch.note_spike("expire-cycle", began_ns)
