"""How much memory clients take, and `maxmemory-clients`: who is hung up on when it is too much in all.

A client takes memory for what came from it and has not been run, for what waits to be sent to it, and for
what is kept for it: a transaction's commands, watched keys, subscriptions, prefixes. With a limit set, the
sizes of those who said or were sent something in a turn are brought up to date before the next client has
its say and at the end, so that idle clients cost nothing; what makes for a large command is looked at
before it is run. If all together are too large, the largest go until they are not. Replicas and primaries
never do, nor does who asked for CLIENT NO-EVICT.
"""

from __future__ import annotations

from sys import getsizeof
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.node.server.server import Server
    from shoal.node.server.session import Session

PIECES_SAMPLED = 100
ALLOCATION_STEP = 16
"""Objects take a multiple of this."""

LARGEST_POOLED_BYTES, HEADER_BYTES = 512, 8
"""CPython has pools of its own for small objects. The C library, which has the rest, adds a header."""

SESSION_BYTES = 2048
"""What a client takes that does nothing, about."""

NAME_BYTES = 200
"""What it takes to remember a key, a channel or a prefix for a client, about."""

LARGE_COMMAND_BYTES = 64 * 1024

EVICTED = "it takes the most memory of all clients, and together they exceed maxmemory-clients"


def output_bytes(session: Session) -> int:
    """What waits to be sent to a client, with what keeping it in pieces takes, estimated from some."""
    out = session.out
    if not out:
        return session.out_bytes
    sample = out[:: -(-len(out) // PIECES_SAMPLED)]
    kept = sum(_allocated(getsizeof(piece)) - len(piece) for piece in sample)
    return session.out_bytes + kept * len(out) // len(sample) + getsizeof(out)


def _allocated(size: int) -> int:
    """How much an object of such a size takes."""
    header = HEADER_BYTES if size > LARGEST_POOLED_BYTES else 0
    return -(-(size + header) // ALLOCATION_STEP) * ALLOCATION_STEP


def input_bytes(session: Session) -> int:
    """What came from a client and is no complete command yet, or waits to be run."""
    waiting = sum(len(word) for words in session.pending for word in words)
    return session.parser.buffered + len(session.read_ahead) + waiting


def queued_bytes(session: Session) -> int:
    """The commands of a transaction."""
    return session.transaction.queued_bytes if session.transaction is not None else 0


def client_bytes(session: Session) -> int:
    """Everything together."""
    names = len(session.watched)
    if session.subscriptions is not None:
        names += sum(map(len, session.subscriptions.names.values()))
    if session.tracker is not None and session.tracker.prefixes is not None:
        names += len(session.tracker.prefixes)
    return (
        SESSION_BYTES
        + input_bytes(session)
        + output_bytes(session)
        + queued_bytes(session)
        + NAME_BYTES * names
    )


class ClientMemory:
    """The clients of one server, as far as there is a limit."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.limit = 0
        """Bytes for all together; 0: no limit."""
        self.touched: set[Session] = set()
        """Whose size may have changed in this turn."""
        self._sizes: dict[Session, int] = {}
        self._total = 0

    def follow_config(self) -> None:
        """`maxmemory-clients`, or what it is a part of, was set."""
        config = self.server.config
        limit = config.maxmemory_clients
        self.limit = limit if limit >= 0 else -limit * config.maxmemory // 100
        if self.limit:
            self.touched.update(self.server.sessions.values())
        else:
            self.touched, self._sizes, self._total = set(), {}, 0

    def forget(self, session: Session) -> None:
        """The client is gone."""
        self.touched.discard(session)
        self._total -= self._sizes.pop(session, 0)

    def arrived(self, session: Session, data: bytes) -> None:
        """Bytes came from a client: make room first for what those before it in this turn were answered.

        If the bytes are part of something large, there may be no room for that either.
        """
        self.settle()
        self.touched.add(session)
        if session.parser.buffered + len(data) >= LARGE_COMMAND_BYTES and not _is_peer(session):
            self._measure(session, len(data))
            self._evict()

    def settle(self) -> None:
        """Bring sizes up to date, and see whether they are too large together."""
        touched, self.touched = self.touched, set()
        for session in touched:
            if session.id in self.server.sessions and not _is_peer(session):
                self._measure(session)
        self._evict()

    def _evict(self) -> None:
        """Hang up on the largest clients as long as all together are too large."""
        if self._total <= self.limit:
            return
        for session in sorted(self._sizes, key=self._sizes.__getitem__, reverse=True):
            if session not in self.touched:
                self._measure(session)  # it may have taken some of what it was owed
            if self._total <= self.limit:
                return
            if not session.no_evict and not session.closing:
                self.server.statistics.clients_evicted += 1
                self.server.hang_up(session, EVICTED)
                self._measure(session)

    def _measure(self, session: Session, more: int = 0) -> None:
        size = 0 if session.closing else client_bytes(session) + more
        self._total += size - self._sizes.get(session, 0)
        self._sizes[session] = size


def _is_peer(session: Session) -> bool:
    return session.is_replica_link or session.is_primary_link
