"""FAILOVER: a primary hands its role to one of its replicas, without a cluster to decide about it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from shoal.cluster.effects import Level, Note
from shoal.node.resp.replies import CommandError
from shoal.node.server.pausing import UNTIL_IT_ENDS

if TYPE_CHECKING:
    from shoal.node.server.attached_replica import AttachedReplica
    from shoal.node.server.server import Server

Address = tuple[str, int]


class FailoverState(Enum):
    """The words are those of INFO."""

    NONE = "no-failover"
    WAITING = "waiting-for-sync"
    IN_PROGRESS = "failover-in-progress"


class Failover:
    """At most one at a time.

    How it arises: an operator wants another node to be the primary, and no write to be lost.
    What goes wrong without the rule: the new primary begins while the old one still takes writes, or before
    it has the last of them.
    The rule: nothing is written any more. Once a replica has acknowledged everything, this node becomes its
    replica and asks it, with PSYNC … FAILOVER, to be the primary. Only when it agrees are clients let go,
    to learn from READONLY where they are.
    Why it ends: ABORT, the target's refusal, and the time limit, if there is one, make this node a primary
    that takes writes again, unless FORCE wants the role handed over even to a replica that lacks some.

    Source: Redis's documentation of FAILOVER.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self.state = FailoverState.NONE
        self._target: Address | None = None
        self._deadline_ms: int | None = None
        self._force = False

    def begin(self, target: Address | None, timeout_ms: int | None, *, force: bool) -> None:
        """Stop writes and wait for a replica, `target` or any, to have everything."""
        server = self._server
        self.state, self._target, self._force = FailoverState.WAITING, target, force
        self._deadline_ms = None if timeout_ms is None else server.keyspace.now_ms + timeout_ms
        server.pause.failover_until_ms = UNTIL_IT_ENDS
        server.refresh_gates()
        self._note(f"FAILOVER requested to {_shown(target)}." if target else "FAILOVER requested.")
        self.look()

    def check_target(self, target: Address) -> None:
        """CommandError unless a replica at this address could take over."""
        replica = self._find(target)
        if replica is None:
            raise CommandError("ERR FAILOVER target HOST and PORT is not a replica.")
        if not replica.is_online:
            raise CommandError("ERR FAILOVER target replica is not online.")

    def look(self) -> None:
        """After an acknowledgement, and a few times a second: go on if a replica has everything."""
        if self.state is not FailoverState.WAITING:
            return
        server = self._server
        if self._deadline_ms is not None and server.keyspace.now_ms >= self._deadline_ms:
            if self._force and self._target is not None:
                self._note(f"Failover to {_shown(self._target)} time out exceeded, failing over.")
                self._hand_over(self._target)
            else:
                self.abort("Replica never caught up before timeout")
            return
        replicas, offset = server.replication.attached, server.replication.history.offset
        candidates = replicas if self._target is None else [self._find(self._target)]
        for replica in candidates:
            if replica is not None and replica.is_online and replica.acked_offset >= offset:
                target = (replica.host, replica.port)
                self._note(f"Failover target {_shown(target)} is synced, failing over.")
                self._hand_over(target)
                return

    def _find(self, target: Address) -> AttachedReplica | None:
        replicas = self._server.replication.attached
        return next((replica for replica in replicas if (replica.host, replica.port) == target), None)

    def _hand_over(self, target: Address) -> None:
        self.state, self._target = FailoverState.IN_PROGRESS, target
        self._server.follow_primary(*target)

    def agreed(self) -> None:
        """The target is the primary now, and feeds us."""
        if self.state is FailoverState.IN_PROGRESS:
            self._end()

    def refused(self) -> None:
        """The target answered PSYNC with an error."""
        if self.state is FailoverState.IN_PROGRESS:
            self.abort("Failover target rejected psync request")

    def abort(self, reason: str) -> None:
        """Be the primary after all, and let clients write again."""
        told = f" to {_shown(self._target)}" if self._target is not None else ""
        self._note(f"Aborting failover{told}: {reason}")
        if self.state is FailoverState.IN_PROGRESS:
            self._server.become_primary()
        self._end()

    def _end(self) -> None:
        self.state, self._target = FailoverState.NONE, None
        self._server.pause.failover_until_ms = 0
        self._server.resume_paused()

    def _note(self, text: str) -> None:
        self._server.effects.append(Note(Level.NOTICE, text))


def _shown(target: Address) -> str:
    return f"{target[0]}:{target[1]}"
