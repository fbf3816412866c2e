"""Who may connect, and which clients are hung up on: the idle, and those who do not take their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.cluster.effects import Level, Note
from shoal.node.server.effects import CloseSession
from shoal.node.server.session import is_local_address
from shoal.node.server.special_parameters import BufferLimit

if TYPE_CHECKING:
    from shoal.node.server.server import Server
    from shoal.node.server.session import Session

TOO_MANY_CLIENTS = b"-ERR max number of clients reached\r\n"
PROTECTED = (
    b"-DENIED Shoal is running in protected mode: no password is set, so that only clients on this machine"
    b" are let in. To let others in, set a password with the requirepass directive, or, where nobody else"
    b" can reach this server, turn the protection off: --protected-mode no at the start, or CONFIG SET"
    b" protected-mode no from this machine.\r\n"
)
CARE_INTERVAL_MS = 1000
CREDIT_BYTES = 1 << 20
"""A client with more than this waiting to be sent runs one command a turn, and is looked at after each."""

MOST_UNSENT_BYTES = 32 << 20
"""A client with more than this waiting runs nothing until it has taken some of it, unless there is a limit
that says what becomes of it."""
UNAUTHENTICATED_MAX_UNSENT_BYTES = 1024


def refusal(server: Server, address: str) -> bytes | None:
    """What a client is told that may not connect now; None for one that may. Counts the refused."""
    config = server.config
    told: bytes | None = None
    if len(server.sessions) >= config.maxclients:
        told = TOO_MANY_CLIENTS
    elif config.protected_mode and server.acl.default.needs_no_password and not is_local_address(address):
        told = PROTECTED
    if told is not None:
        server.statistics.connections_rejected += 1
    return told


def is_owed_too_much(session: Session) -> bool:
    """Whether to hang up on a client whose socket is full: one that has not said who it is gets no credit."""
    return session.must_authenticate and session.out_bytes > UNAUTHENTICATED_MAX_UNSENT_BYTES


class ClientCare:
    """Looks after all clients once a second, and after one that is owed much whenever it is owed more."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.next_ms = 0
        self.credit_bytes = CREDIT_BYTES
        """With more than this waiting to be sent, a client is worth a look: a limit may be exceeded."""
        self.put_aside: list[Session] = []
        """Clients that sent more in this turn than could be run; after a while no more of them is read."""
        self._over_soft_limit_since: dict[Session, int] = {}
        """Clients whose waiting output is above their soft limit: since when."""

    def note_limits(self) -> None:
        """`client-output-buffer-limit` changed."""
        limits = self.server.config.client_output_buffer_limit
        named = [size for name in ("normal", "pubsub") for size in limits[name].sizes if size]
        self.credit_bytes = min([CREDIT_BYTES, *(size - 1 for size in named)])

    def look(self, now_ms: int) -> None:
        """Hang up on every client that has been idle, or behind with its answers, for too long.

        Without `timeout`, which is the default, this looks only at the few above their soft limit.
        """
        self.next_ms = now_ms + CARE_INTERVAL_MS
        for session in list(self._over_soft_limit_since):
            self.check_output(session)
        if not self.server.config.timeout:
            return
        since_ms = now_ms - self.server.config.timeout * 1000
        for session in list(self.server.sessions.values()):
            if not (session.is_primary_link or session.is_replica_link) and self._is_idle(session, since_ms):
                self._hang_up_on_idle(session)

    def check_output(self, session: Session) -> None:
        """Hang up on a client that has not taken what it is sent: too much of it, or for too long."""
        if session.closing or session.is_replica_link:
            return
        if self._is_behind(session, self._limit_of(session), self.server.keyspace.now_ms):
            self._hang_up_on_slow(session, "it does not take what it is sent")

    def may_go_on(self, session: Session) -> bool:
        """Whether a client's next command may run: it waits for nothing, and takes its answers.

        One that does not take them is owed more and more. Where a limit says how much that may be, it grows
        up to there, and then the client is hung up on. Without one it is slowed down: most such clients have
        sent all their commands before they read anything, and nothing is wrong with them. What a replica is
        owed does not count. It is the stream; what the replica sends asks for no answer.
        """
        if session.blocked is not None or session.closing:
            return False
        return session.out_bytes <= MOST_UNSENT_BYTES or session.is_replica_link or self._is_limited(session)

    def would_exceed(self, session: Session, size: int) -> bool:
        """Hang up on a client for an answer of so many bytes, before it is made, if that is too much."""
        limit = self._limit_of(session)
        if not limit.hard_bytes or session.out_bytes + size < limit.hard_bytes:
            return False
        if not session.closing:
            self._hang_up_on_slow(session, "it asks for more than it may be sent")
        return True

    def _limit_of(self, session: Session) -> BufferLimit:
        client_class = "normal" if session.subscriptions is None else "pubsub"
        return self.server.config.client_output_buffer_limit[client_class]

    def _is_limited(self, session: Session) -> bool:
        is_evictable = bool(self.server.client_memory.limit) and not session.no_evict
        return is_evictable or any(self._limit_of(session).sizes)

    def forget(self, session: Session) -> None:
        """The client is gone."""
        self._over_soft_limit_since.pop(session, None)

    def _is_idle(self, session: Session, since_ms: int) -> bool:
        listens = session.subscriptions is not None or session in self.server.monitors
        is_waiting = session.blocked is not None or listens
        return session.last_seen_ms < since_ms and not is_waiting

    def _is_behind(self, session: Session, limit: BufferLimit, now_ms: int) -> bool:
        if limit.hard_bytes and session.out_bytes >= limit.hard_bytes:
            return True
        if not limit.soft_bytes or session.out_bytes < limit.soft_bytes:
            self.forget(session)
            return False
        since_ms = self._over_soft_limit_since.setdefault(session, now_ms)
        return now_ms - since_ms >= limit.soft_seconds * 1000

    def _hang_up_on_slow(self, session: Session, why: str) -> None:
        self.server.statistics.clients_that_took_too_little += 1
        self.server.hang_up(session, f"{why} (client-output-buffer-limit)")

    def _hang_up_on_idle(self, session: Session) -> None:
        self.server.effects.append(Note(Level.VERBOSE, f"Closing idle client: {session.address}"))
        self.server.effects.append(CloseSession(session))
