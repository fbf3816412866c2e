"""What a command may touch while it runs, and what it may ask for beyond its reply."""

from __future__ import annotations

from random import Random

from shoal.node.dataset.encodings import EncodingLimits
from shoal.node.dataset.keyspace import Database, Keyspace


class Call:
    """One client's way into the data: the same object for every command the client runs.

    `propagated` holds what replicas and the append-only file get instead of the command as it was sent;
    None means the command itself, if it changed anything.
    """

    __slots__ = ("db", "encoding_limits", "keyspace", "propagated", "rng")

    def __init__(self, keyspace: Keyspace, rng: Random, encoding_limits: EncodingLimits) -> None:
        self.keyspace = keyspace
        self.db: Database = keyspace.databases[0]
        self.rng = rng
        self.encoding_limits = encoding_limits
        self.propagated: list[tuple[bytes, ...]] | None = None

    @property
    def now_ms(self) -> int:
        """Unix milliseconds, the same for every command of a turn."""
        return self.keyspace.now_ms

    def propagate(self, *words: bytes | int) -> None:
        """Send this to replicas instead of the command as typed. More than one goes out as a transaction.

        For commands whose effect depends on the time, on chance or on what was there: relative expiry
        becomes PEXPIREAT, SPOP becomes SREM.
        """
        if self.propagated is None:
            self.propagated = []
        self.propagated.append(tuple(b"%d" % word if isinstance(word, int) else word for word in words))
