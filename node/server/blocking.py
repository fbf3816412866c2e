"""Blocked clients: whose command waits, for what, and how a wait ends.

A wait ends because what it is for has come (`end_wait`), because its time is up (`wake_due`), or because the
client is gone. What the client sent in the meantime has queued up behind, and runs then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from shoal.node.resp.parser import Arguments
from shoal.node.resp.replies import CommandError, Reply
from shoal.node.server.deadlines import Deadlines

if TYPE_CHECKING:
    from shoal.node.server.server import Server
    from shoal.node.server.session import Session


class BlockReason(Enum):
    """Why a client's next command waits; INFO and CLIENT LIST count them together."""

    PAUSE = "pause"
    WAIT = "wait"
    MIGRATE = "migrate"
    RUNTIME = "runtime"
    KEYS = "keys"
    SCRIPT = "script"


@dataclass(slots=True)
class Blocked:
    """A client whose next command waits. `arguments` are run again at the end, if there are any.

    `on_timeout` gives the reply when time is up. A wait that has one may be ended by CLIENT UNBLOCK; the
    others (a pause, work the runtime does) end by themselves.
    """

    reason: BlockReason
    deadline_ms: int | None = None
    arguments: Arguments | None = None
    on_timeout: Callable[[], Reply] | None = None
    words: Arguments = field(default_factory=list)
    """The command that waits."""

    def end(self, session: Session) -> None:
        """The wait is over, whatever ended it."""


class BlockedClients:
    """All clients that wait."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._sessions: dict[BlockReason, dict[int, Session]] = {reason: {} for reason in BlockReason}
        """By what they wait for, so that looking at some costs nothing for others."""
        self.deadlines = Deadlines()

    def __len__(self) -> int:
        return sum(map(len, self._sessions.values()))

    def waiting_for(self, reason: BlockReason) -> list[Session]:
        """The clients that wait for this now, the earliest first."""
        return list(self._sessions[reason].values())

    def block(self, session: Session, blocked: Blocked) -> None:
        """Let a client wait; its later commands queue up behind."""
        session.blocked = blocked
        self._sessions[blocked.reason][session.id] = session
        self.deadlines.add(session, blocked)

    def unblock(self, session: Session) -> None:
        """End a client's wait: the command it was held at runs now, then those behind it."""
        blocked = self.forget(session)
        if blocked is not None and blocked.arguments is not None:
            session.pending.appendleft(blocked.arguments)
        self._server.run_pending(session)

    def end_wait(self, session: Session, reply: Reply) -> None:
        """Answer the command a client waits for, and let it go on."""
        self.forget(session)
        self._server.dispatcher.answer_later(session, reply)
        self._server.run_pending(session)

    def end_wait_soon(self, session: Session, reply: Reply) -> None:
        """`end_wait` in the middle of another client's command: what comes behind runs in the next turn."""
        self.forget(session)
        self._server.dispatcher.answer_later(session, reply)
        if session.has_input:
            self._server.runnable.append(session)

    def end_wait_in_vain(self, session: Session, error: CommandError) -> None:
        """End a client's wait by an error that is not its command's own."""
        self._server.count_error(error)
        self.end_wait_soon(session, error)

    def wake_due(self, now_ms: int) -> None:
        """End the waits whose time is up."""
        for session, blocked in self.deadlines.due(now_ms):
            if blocked.on_timeout is None:
                self.unblock(session)
            else:
                self.end_wait(session, blocked.on_timeout())

    def forget(self, session: Session) -> Blocked | None:
        """The client waits no more; returns what it waited in."""
        blocked, session.blocked = session.blocked, None
        if blocked is not None:
            del self._sessions[blocked.reason][session.id]
            blocked.end(session)
        return blocked
