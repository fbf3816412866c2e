"""What clients of a writable replica wrote with a time to live: no primary will send a DEL for it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from shoal.node.dataset.expiry_mode import ExpiryMode

if TYPE_CHECKING:
    from shoal.node.dataset.keyspace import Keyspace


class OwnExpiries(dict[tuple[int, bytes], None]):
    """The keys, by database, as a set."""

    def expire(self, keyspace: Keyspace, limit: int) -> None:
        """Delete, of so many of them, those whose time has come; the others go behind the rest."""
        mode, keyspace.expiry_mode = keyspace.expiry_mode, ExpiryMode.DELETE
        try:
            for index, key in list(islice(self, limit)):
                del self[index, key]
                database = keyspace.databases[index]
                if database.peek(key) is not None and database.expiry(key) is not None:
                    self[index, key] = None
        finally:
            keyspace.expiry_mode = mode
