"""How a node ends: replicas get what they lack, the dataset is saved, the cluster's state is on disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from shoal.node.resp.replies import OK, CommandError
from shoal.node.server.append_only import AofState
from shoal.node.server.effects import Shutdown
from shoal.node.server.pausing import UNTIL_IT_ENDS
from shoal.node.server.persistence import can_be_pictured

if TYPE_CHECKING:
    from shoal.node.runtime.log import Log
    from shoal.node.runtime.snapshots import Snapshots
    from shoal.node.server.attached_replica import AttachedReplica
    from shoal.node.server.server import Server
    from shoal.node.server.session import Session

FAILED = "ERR Errors trying to SHUTDOWN. Check logs."


class Ending:
    """At most one shutdown: it waits for replicas, then for the last snapshot.

    How it arises: a primary acknowledges a write before its replicas have it. If it then ends in good
    order, a replica that was behind takes over, and the write is lost although nothing failed.
    The rule: from the request on nothing is written any more, and the process ends as soon as every
    replica has acknowledged everything.
    Why it ends: `shutdown-timeout` seconds later it ends in any case; until then ABORT calls it off.

    The last snapshot is written in slices like any other, so that the node goes on answering reads, replicas
    and its cluster meanwhile, and a second SIGINT is heard.
    """

    def __init__(
        self,
        server: Server,
        log: Log,
        snapshots: Snapshots,
        leave: Callable[[], None],
        start: Callable[[Callable[[], Awaitable[None]]], None],
    ) -> None:
        self.server = server
        self.log = log
        self.snapshots = snapshots
        self.leave = leave
        """Ends the process's tasks, once nothing more is to be saved."""
        self._start = start
        """Begins a task at whose end the turn is finished."""
        self._signalled: Shutdown | None = None
        """What a signal asked for, until the cron takes it up."""
        self._pending: Shutdown | None = None
        self._saving: Shutdown | None = None
        self._waiting: list[Session] = []

    def begin(self, request: Shutdown) -> None:
        """End, at once or when replicas have everything; a request `now` does not wait for an earlier one."""
        server = self.server
        if request.waiting is not None:
            self._waiting.append(request.waiting)
        if self._saving is not None:
            return
        self.log.notice("User requested shutdown...")
        if server.loading:
            request = replace(request, save=False, now=True)
        seconds = server.config.shutdown_timeout
        if request.now or not seconds or not self._replicas_behind():
            self._end(request)
        elif self._pending is None:
            self.log.notice(f"Waiting up to {seconds} seconds for replicas before shutting down.")
            self._pending = request
            server.pause.shutdown_until_ms = server.keyspace.now_ms + seconds * 1000
            server.refresh_gates()

    def note_signal(self, request: Shutdown) -> None:
        """Have the next `look` begin it; a second signal does not wait for replicas."""
        now = request.now or self._pending is not None
        self._signalled = replace(request, now=now)

    def insist(self) -> bool:
        """A second SIGINT: leave at once, without the snapshot that is being written. False if none is."""
        if self._saving is None:
            return False
        self.log.warning("You insist... exiting now.")
        self.snapshots.give_up()
        self.leave()
        return True

    def look(self) -> None:
        """Begin what a signal asked for, and end if there is nothing left to wait for.

        A snapshot is not begun within a script, of which it would hold the half. One that does not end by
        itself is ended by SCRIPT KILL or SHUTDOWN NOSAVE.
        """
        if self._signalled is not None and self._saves(self._signalled) and not can_be_pictured(self.server):
            return
        if self._signalled is not None:
            request, self._signalled = self._signalled, None
            self.begin(request)
        if self._pending is None:
            return
        behind = self._replicas_behind()
        if behind and self.server.keyspace.now_ms < self.server.pause.shutdown_until_ms:
            return
        self._end(self._pending)

    def abort(self, session: Session) -> None:
        """SHUTDOWN ABORT."""
        if self._signalled is None and self._pending is None and self._saving is None:
            self.server.blocked.end_wait(session, CommandError("ERR No shutdown in progress."))
            return
        if self._saving is not None:
            self.snapshots.give_up()
        self.log.notice("Shutdown manually aborted.")
        self._go_on()
        self.server.blocked.end_wait(session, OK)

    def _end(self, request: Shutdown) -> None:
        aof = self.server.aof
        self._tell_of_replicas()
        if aof.state is AofState.WAITING and aof.rewriting_since is not None:
            if not request.force:
                self._fail("Writing initial AOF, can't exit.")
                return
            self.log.warning("Writing initial AOF. Exit anyway.")
        if self._saves(request):
            self._save_last(request)
        else:
            self.leave()

    def _saves(self, request: Shutdown) -> bool:
        """Whether it ends with a snapshot; half of the data must not take the place of the whole."""
        is_wanted = bool(self.server.config.save) if request.save is None else request.save
        return is_wanted and not self.server.loading

    def _save_last(self, request: Shutdown) -> None:
        """Write a snapshot of now. Nothing may be written after it, so nothing is until it is there."""
        server = self.server
        self.log.notice("Saving the final RDB snapshot before exiting.")
        self._pending, self._saving = None, request
        server.pause.shutdown_until_ms = UNTIL_IT_ENDS
        server.refresh_gates()
        self.snapshots.give_up()
        save = self.snapshots.begin(None, is_last=True)

        async def run() -> None:
            saved = save is not None and await self.snapshots.run(save, None)
            if self._saving is not request:
                return  # called off
            if saved or request.force:
                self.leave()
            else:
                self._fail("Error trying to save the DB, can't exit.")

        self._start(run)

    def _fail(self, reason: str) -> None:
        self.log.warning(reason)
        self.log.warning("Errors trying to shut down the server. Check the logs for more information.")
        self._go_on()

    def _go_on(self) -> None:
        """The node does not end: whoever asked for it is told, and who wrote meanwhile goes on."""
        self._signalled = self._pending = self._saving = None
        self.server.pause.shutdown_until_ms = 0
        waiting, self._waiting = self._waiting, []
        for session in waiting:
            if session.blocked is not None:
                self.server.blocked.end_wait(session, CommandError(FAILED))
        self.server.resume_paused()

    def _replicas_behind(self) -> list[AttachedReplica]:
        """The replicas that lack something, if this is where the stream begins."""
        replication = self.server.replication
        if not self.server.is_primary:
            return []
        offset = replication.history.offset
        return [
            replica for replica in replication.attached if replica.is_online and replica.acked_offset < offset
        ]

    def _tell_of_replicas(self) -> None:
        """For the log: who has everything now, and who is left behind."""
        online = sum(replica.is_online for replica in self.server.replication.attached)
        if not online or not self.server.is_primary:
            return
        behind, now_ms = self._replicas_behind(), self.server.keyspace.now_ms
        for replica in behind:
            lacks = self.server.replication.history.offset - replica.acked_offset
            self.log.warning(
                f"Lagging replica {replica.host}:{replica.port} reported offset {lacks} behind master,"
                f" lag={replica.lag_seconds(now_ms)}, state={replica.state.value}."
            )
        self.log.notice(f"{online - len(behind)} of {online} replicas are in sync when shutting down.")
