"""Clients that wait for keys: BLPOP and its like, XREAD BLOCK.

For each key that somebody waits for there is a `Line`: those who wait for a list there, those who wait for
a sorted set, and so on, in the order in which they began. A line watches its key just as WATCH does, so it
hears of every write whatever the command, and a key that nobody waits for costs nothing. Hearing of one, in
the middle of a command, it only notes that it has to be looked at.

Why not serve at once: a command, a transaction or a script is one step to everyone. LPUSH of three elements
must have all three in place before BLPOP takes one, and MULTI, LPUSH, DEL, EXEC must wake nobody. So
whoever runs a command calls `serve` after it, when it has been propagated. Serving may make further keys
ready (BLMOVE pushes); they are looked at after those that were ready before. This ends, because each round
either answers a client, which then waits no more, or leaves nothing to look at.

Who was answered goes on with its next commands in the next turn, not in the middle of somebody else's.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from shoal.cluster.routing import Serve, route_blocked
from shoal.node.commands.call import KeyWait
from shoal.node.resp.replies import NO_REPLY, CommandError
from shoal.node.server.blocking import Blocked, BlockReason
from shoal.node.server.session import Session

if TYPE_CHECKING:
    from shoal.node.dataset.database import Database
    from shoal.node.server.server import Server

Queue = OrderedDict[Session, KeyWait]
"""Clients in the order in which they came. A plain dict gets slow when much is taken from its front."""


class Line:
    """Everybody who waits for one key."""

    __slots__ = ("database", "if_gone", "is_ready", "key", "queues", "waits")

    def __init__(self, waits: KeyWaits, database: Database, key: bytes) -> None:
        self.waits = waits
        self.database = database
        self.key = key
        self.queues: dict[type, Queue] = {}
        """By the type of the value they wait for."""
        self.if_gone: Queue = OrderedDict()
        """Those among them who want to know when it holds such a value no more."""
        self.is_ready = False

    def watched_key_changed(self) -> None:
        """The key may hold something now, or hold it no more."""
        if not self.is_ready:
            self.is_ready = True
            self.waits.ready.append(self)

    def join(self, session: Session, wait: KeyWait) -> None:
        """Wait at the end."""
        self.queues.setdefault(wait.kind, OrderedDict())[session] = wait
        if wait.gone is not None:
            self.if_gone[session] = wait

    def leave(self, session: Session, wait: KeyWait) -> None:
        """Wait no more. A line without anybody is not kept."""
        queue = self.queues[wait.kind]
        del queue[session]
        self.if_gone.pop(session, None)
        if not queue:
            del self.queues[wait.kind]
            if not self.queues:
                self.waits.drop(self)


@dataclass(slots=True, kw_only=True)
class WaitingForKeys(Blocked):
    """A client in a command that waits for keys."""

    wait: KeyWait
    lines: tuple[Line, ...]

    def end(self, session: Session) -> None:
        for line in self.lines:
            line.leave(session, self.wait)


class KeyWaits:
    """All lines of a server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.ready: list[Line] = []
        """Lines whose key changed since they were last looked at, in the order in which that happened.

        Always this same list: who runs commands keeps it at hand.
        """
        self._held: list[Line] = []
        """Lines that cannot be served while MIGRATE has a key of theirs on its way."""
        self._lines: dict[tuple[Database, bytes], Line] = {}

    @property
    def keys(self) -> int:
        """How many keys somebody waits for."""
        return len(self._lines)

    @property
    def keys_that_must_stay(self) -> int:
        """Of how many of them somebody wants to know when they are gone."""
        return sum(bool(line.if_gone) for line in self._lines.values())

    # --- waiting -----------------------------------------------------------------------------------

    def begin(self, session: Session, wait: KeyWait) -> None:
        """Let a client wait at the end of the line of each of its keys."""
        lines = tuple(self._line(session.db, key) for key in dict.fromkeys(wait.keys))
        for line in lines:
            line.join(session, wait)
        deadline_ms = session.now_ms + wait.timeout_ms if wait.timeout_ms else None
        blocked = WaitingForKeys(
            BlockReason.KEYS, deadline_ms, on_timeout=lambda: wait.timeout_reply, wait=wait, lines=lines
        )
        self.server.blocked.block(session, blocked)

    def _line(self, database: Database, key: bytes) -> Line:
        line = self._lines.get((database, key))
        if line is None:
            line = self._lines[database, key] = Line(self, database, key)
            database.watch(key, line)
        return line

    def drop(self, line: Line) -> None:
        """Nobody is left in this line."""
        del self._lines[line.database, line.key]
        line.database.unwatch(line.key, line)

    # --- serving -----------------------------------------------------------------------------------

    def serve(self, running: Session | None = None) -> None:
        """Answer everybody for whom the keys that have changed hold something now; not amid a script.

        The time that the running client's command has taken is put down first.
        """
        if running is not None:
            self.server.stopwatch.settle()
        while self.ready and self.server.scripts.busy is None:
            batch = self.ready[:]
            self.ready.clear()
            for line in batch:
                line.is_ready = False
                self._serve_line(line)

    def _serve_line(self, line: Line) -> None:
        value = line.database.peek(line.key)
        if self.server.propagation.operations:  # its time had come
            self.server.propagation.propagate_recorded()
        for session, wait in list(line.if_gone.items()):
            if wait.kind is not type(value) and wait.gone is not None and session.last_entry is not None:
                session.last_entry.failed_calls += 1
                self.server.blocked.end_wait_in_vain(session, wait.gone)
        queue = line.queues.get(type(value), OrderedDict())
        while queue and line.database.peek(line.key) is value:
            session, wait = next(iter(queue.items()))
            if self._is_held(session, wait, line.key):
                line.is_ready = True
                self._held.append(line)
                return
            if not self._serve_client(session, wait, line.key):
                self._serve_behind(queue, line.key)
                return

    def _serve_behind(self, queue: Queue, key: bytes) -> None:
        """The first in the queue got nothing. It takes nothing away, so the others may get something."""
        for session, wait in list(queue.items())[1:]:
            self._serve_client(session, wait, key)

    def _serve_client(self, session: Session, wait: KeyWait, key: bytes) -> bool:
        if session.restricted and not self._still_may(session):
            return True
        reply = self.server.dispatcher.go_on(session, partial(wait.serve, key))
        if reply is NO_REPLY:
            return False
        self.server.blocked.end_wait_soon(session, reply)
        return True

    def _still_may(self, session: Session) -> bool:
        """Whether a client may still run what it waits in; if its user may not any more, it is told so."""
        blocked, entry = session.blocked, session.last_entry
        assert blocked is not None and entry is not None
        try:
            self.server.acl.check(session, entry.spec, blocked.words)
        except CommandError as error:
            self.server.blocked.end_wait_in_vain(session, error)
            return False
        return True

    # --- keys on their way to another node ---------------------------------------------------------

    def _is_held(self, session: Session, wait: KeyWait, key: bytes) -> bool:
        """Whether to serve the client would change a key that MIGRATE has sent off and may delete."""
        moving = self.server.migrating_keys
        if not moving or not (session.last_entry and session.last_entry.is_write):
            return False
        return key in moving or wait.destination in moving

    def release(self) -> None:
        """No key is on its way any more: look again at the lines that were held."""
        self.ready += self._held
        self._held = []

    # --- slots that went to another node -----------------------------------------------------------

    def send_away(self) -> None:
        """The cluster changed: tell those who would wait in vain here where to go, or that it is down."""
        cluster = self.server.cluster
        assert cluster is not None
        for session in self.server.blocked.waiting_for(BlockReason.KEYS):
            blocked, entry = session.blocked, session.last_entry
            assert isinstance(blocked, WaitingForKeys) and entry is not None
            decision = route_blocked(
                blocked.wait.keys[0], readonly=session.readonly, is_write=entry.is_write, view=cluster.view
            )
            if not isinstance(decision, Serve):
                error = CommandError(decision.error_text(cluster.settings.preferred_endpoint_type))
                self.server.blocked.end_wait_in_vain(session, error)
