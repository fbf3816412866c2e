"""Saving the dataset: on request, at the save points, and before the process ends."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from shoal.node.resp.replies import OK, CommandError
from shoal.node.runtime.rdb_file import SnapshotFile
from shoal.node.server.versions import REDIS_VERSION

if TYPE_CHECKING:
    from shoal.node.runtime.log import Log
    from shoal.node.server.server import Server
    from shoal.node.server.session import Session


class Snapshots:
    """Writes one snapshot at a time."""

    def __init__(self, server: Server, log: Log) -> None:
        self.server = server
        self.log = log

    @property
    def path(self) -> Path:
        """Where the snapshot goes, as `dir` and `dbfilename` say now."""
        return Path(self.server.config.dir) / self.server.config.dbfilename

    async def save(self, waiting: Session | None) -> None:
        """Write a snapshot in slices, other work going on between them; answer who waits for it."""
        server, state = self.server, self.server.persistence
        if state.in_progress_since is not None:
            if waiting is not None:
                waiting.send(CommandError("ERR Background save already in progress"))
                server.unblock(waiting)
            return
        self.log.notice("Background saving started")
        failure: OSError | None = None
        try:
            save = self._begin()
            while not save.step():
                await trio.lowlevel.checkpoint()
            self._succeeded(save)
        except OSError as error:
            failure = error
            self._failed(error)
        if waiting is not None:
            waiting.send(OK if failure is None else CommandError(f"ERR {failure}"))
            server.unblock(waiting)

    def save_now(self) -> bool:
        """Write a snapshot without letting anything else run; False if that failed."""
        try:
            save = self._begin()
            save.finish()
        except OSError as error:
            self._failed(error)
            return False
        self._succeeded(save)
        return True

    def _begin(self) -> SnapshotFile:
        state = self.server.persistence
        state.in_progress_since = int(time.time())
        auxiliary = {
            b"redis-ver": REDIS_VERSION.encode(),
            b"redis-bits": b"64",
            b"ctime": b"%d" % int(time.time()),
        }
        return SnapshotFile(
            self.server.keyspace, self.path, auxiliary, checksum=self.server.config.rdbchecksum
        )

    def _succeeded(self, save: SnapshotFile) -> None:
        state = self.server.persistence
        now = int(time.time())
        started = state.in_progress_since or now
        state.in_progress_since = None
        state.last_save_time, state.last_save_ok = now, True
        state.last_save_seconds = now - started
        state.changes_saved = save.changes_at_start
        state.saves += 1
        self.log.notice("DB saved on disk")

    def _failed(self, error: OSError) -> None:
        state = self.server.persistence
        state.in_progress_since = None
        state.last_save_ok = False
        self.log.warning(f"Error saving the DB to {self.path}: {error}")

    def is_due(self) -> bool:
        """Whether a save point is reached and no save is under way."""
        state, server = self.server.persistence, self.server
        now = server.keyspace.now_ms // 1000
        return state.in_progress_since is None and state.is_due(
            server.config.save, server.keyspace.changes, now
        )
