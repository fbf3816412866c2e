"""Who may connect, and which clients are hung up on: the idle, and those who do not take their answers."""

from __future__ import annotations

import sys
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
UNAUTHENTICATED_MAX_UNSENT_BYTES = 1024


def refusal(server: Server, address: str) -> bytes | None:
    """What a client is told that may not connect now; None for one that may. Counts the refused."""
    config = server.config
    told: bytes | None = None
    if len(server.sessions) >= config.maxclients:
        told = TOO_MANY_CLIENTS
    elif config.protected_mode and not config.requirepass and not is_local_address(address):
        told = PROTECTED
    if told is not None:
        server.statistics.connections_rejected += 1
    return told


def is_owed_too_much(session: Session) -> bool:
    """Whether to hang up on a client whose socket is full: one that has not said who it is gets no credit."""
    return not session.authenticated and session.out_bytes > UNAUTHENTICATED_MAX_UNSENT_BYTES


class ClientCare:
    """Looks after all clients once a second."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.next_ms = 0
        self.subscriber_limit_bytes = 0
        """From how much waiting output on a subscriber is worth a look, at every message it gets."""
        self._over_soft_limit_since: dict[Session, int] = {}
        """Clients whose waiting output is above their soft limit: since when."""

    def note_limits(self) -> None:
        """`client-output-buffer-limit` changed."""
        limit = self.server.config.client_output_buffer_limit["pubsub"]
        self.subscriber_limit_bytes = min(limit.hard_bytes or sys.maxsize, limit.soft_bytes or sys.maxsize)

    def look(self, now_ms: int) -> None:
        """Hang up on every client that has been idle, or behind with its answers, for too long.

        With neither asked for, which is the default, this looks only at the few that are behind already:
        subscribers, whose messages nothing else holds back.
        """
        self.next_ms = now_ms + CARE_INTERVAL_MS
        for session in list(self._over_soft_limit_since):
            self.check_output(session)
        config = self.server.config
        limit = config.client_output_buffer_limit["normal"]
        has_limit = bool(limit.hard_bytes or limit.soft_bytes)
        if not config.timeout and not has_limit:
            return
        for session in list(self.server.sessions.values()):
            if session.is_primary_link or session.is_replica_link:
                continue
            if config.timeout and self._is_idle(session, now_ms - config.timeout * 1000):
                self._hang_up_on_idle(session)
            elif has_limit:
                self.check_output(session)

    def check_output(self, session: Session) -> None:
        """Hang up on a client that has not taken what it is sent: too much of it, or for too long."""
        client_class = "normal" if session.subscriptions is None else "pubsub"
        limit = self.server.config.client_output_buffer_limit[client_class]
        if not session.closing and self._is_behind(session, limit, self.server.keyspace.now_ms):
            self.server.hang_up(session, "it does not take what it is sent (client-output-buffer-limit)")

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

    def _hang_up_on_idle(self, session: Session) -> None:
        self.server.effects.append(Note(Level.VERBOSE, f"Closing idle client: {session.address}"))
        self.server.effects.append(CloseSession(session))
