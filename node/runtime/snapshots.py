"""Saving the dataset: on request, at the save points, and before the process ends."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.node.persistence.errors import RdbError
from shoal.node.persistence.rdb_loader import RdbLoader
from shoal.node.persistence.rdb_reader import RdbReader
from shoal.node.resp.replies import OK, CommandError, Reply
from shoal.node.runtime.oom_score import score_writer
from shoal.node.runtime.rdb_file import SnapshotFile, load_rdb, save_at_once
from shoal.node.runtime.slices import load_in_slices
from shoal.node.server.persistence import can_be_pictured

if TYPE_CHECKING:
    from shoal.node.runtime.disk import Disk
    from shoal.node.runtime.log import Log
    from shoal.node.server.effects import LoadSnapshot
    from shoal.node.server.server import Server
    from shoal.node.server.session import Session

GIVEN_UP = "ERR The snapshot was given up for a later one"
RETRY_AFTER_SECONDS = 5
"""How long a save point waits after a snapshot failed."""


class Snapshots:
    """Writes one snapshot at a time."""

    def __init__(self, server: Server, log: Log, disk: Disk) -> None:
        self.server = server
        self.log = log
        self._disk = disk
        self._running: SnapshotFile | None = None
        """The one that is being written in slices."""
        self._failed_at = 0
        """Unix seconds."""

    @property
    def path(self) -> Path:
        """Where the snapshot goes, as `dir` and `dbfilename` say now."""
        return Path(self.server.config.dir) / self.server.config.dbfilename

    def begin(self, waiting: Session | None, *, is_last: bool = False) -> SnapshotFile | None:
        """Take the picture of this moment, for `run` to write. None if it cannot; who waits is told why.

        The last one before the process ends goes by way of the file that `save_now` uses.
        """
        self.server.statistics.snapshots_begun += 1
        if self.server.persistence.in_progress_since is not None:
            self._answer(waiting, CommandError("ERR Background save already in progress"))
            return None
        server = self.server
        self.server.persistence.in_progress_since = int(time.time())
        facts = server.replication.snapshot_facts()
        try:
            self._running = SnapshotFile(
                server.keyspace,
                facts,
                self.path,
                self._disk,
                server.config,
                known_as=os.getpid() if is_last else None,
            )
        except OSError as error:
            self._failed(error)
            self._answer(waiting, CommandError(f"ERR {error}"))
            return None
        file = self._running.file
        score_writer(server, file.writer_pid, self.log)
        server.statistics.last_writer_start_us = file.writer_start_us
        self.log.notice(f"Background saving started by pid {file.writer_pid}")
        return self._running

    async def run(self, save: SnapshotFile, waiting: Session | None) -> bool:
        """Have the snapshot written, other work going on meanwhile; answer who waits for it.

        True if it is in place now; False if it failed, or was given up.
        """
        reply: Reply = CommandError(GIVEN_UP)
        try:
            await save.write()
            if self._running is save:
                save.put_in_place()
                await save.settle()
            if self._running is save:
                self._running, reply = None, OK
                self._succeeded(save.changes_at_start, save.copied)
                self.log.notice("Background saving terminated with success")
        except OSError as error:
            if self._running is save:
                self._running, reply = None, CommandError(f"ERR {error}")
                self._failed(error)
        finally:
            if self._running is save:
                self.give_up()
        self._answer(waiting, reply)
        return reply is OK

    def _answer(self, waiting: Session | None, reply: Reply) -> None:
        if waiting is not None:
            self.server.blocked.end_wait(waiting, reply)

    def is_writing(self, save: SnapshotFile | None) -> bool:
        """Whether it is this one that is being written in slices."""
        return save is not None and self._running is save

    def give_up(self) -> None:
        """Abandon the snapshot that is being written in slices, if there is one: another takes its file."""
        if self._running is not None:
            self._running.abandon()
            self._running = None
            self.server.persistence.in_progress_since = None

    async def load_again(self, asked: LoadSnapshot) -> None:
        """DEBUG RELOAD: what the file holds instead of all there is, or beside it."""
        server = self.server
        reply: Reply = OK
        try:
            if asked.save and not self.save_now():
                raise OSError("it could not be written")
            if asked.flush:
                server.keyspace.flush()
                server.keyspace.functions = ()
                await load_in_slices(load_rdb(server, self.path, keep_expired=False), server)
            else:
                self._load_beside(replace=asked.merge)
            server.persistence.changes_saved = server.keyspace.changes
        except (RdbError, CommandError, OSError) as error:
            self.log.warning(f"Cannot load {self.path}: {error}")
            reply = CommandError("ERR Error trying to load the RDB dump, check server logs")
        finally:
            server.end_loading()
        self._answer(asked.waiting, reply)

    def _load_beside(self, *, replace: bool) -> None:
        """Add what the file holds to what there is, all or nothing."""
        keyspace = self.server.keyspace
        loaded = keyspace.empty_twin()
        reader = RdbReader(verify_checksum=self.server.config.rdbchecksum)
        RdbLoader(loaded).apply(reader.feed(self.path.read_bytes()))
        if not reader.finished:
            raise RdbError("the file is cut short")
        if not replace and keyspace.shares_keys_with(loaded):
            raise RdbError("a key of it is there already")
        self.server.scripts.functions.restore(loaded.functions, flush=False, replace=replace)
        keyspace.merge(loaded)

    def replace(self) -> None:
        """All data are gone: neither a snapshot under way nor, if we save, the last one brings them back."""
        self.give_up()
        if self.server.config.save:
            self.save_now()

    def save_now(self) -> bool:
        """Write a snapshot without letting anything else run; False if that failed."""
        self.give_up()
        server = self.server
        server.persistence.in_progress_since = int(time.time())
        changes, facts = server.keyspace.changes, server.replication.snapshot_facts()
        try:
            picture = save_at_once(server.keyspace, facts, self.path, self._disk, server.config)
        except OSError as error:
            self._failed(error)
            return False
        self._succeeded(changes, picture.copied)
        return True

    def _succeeded(self, changes: int, copied: int) -> None:
        """This many changes are in the file; so many bytes were copied because they were to change."""
        state = self.server.persistence
        now = int(time.time())
        started = state.in_progress_since or now
        state.in_progress_since = None
        state.last_save_time, state.last_save_ok = now, True
        state.last_save_seconds = now - started
        state.changes_saved = changes
        state.last_save_copied = copied
        state.saves += 1
        self.server.refresh_gates()
        self.log.notice("DB saved on disk")

    def _failed(self, error: OSError) -> None:
        state = self.server.persistence
        state.in_progress_since = None
        state.last_save_ok = False
        self._failed_at = int(time.time())
        self.server.refresh_gates()
        self.log.warning(f"Error saving the DB to {self.path}: {error}")

    def is_due(self) -> bool:
        """Whether a save point is reached, or a save was asked for, and nothing else writes all the data."""
        state, server = self.server.persistence, self.server
        now = server.keyspace.now_ms // 1000
        is_free = state.in_progress_since is None and server.aof.rewriting_since is None
        if not is_free or not can_be_pictured(server):
            return False
        if now < self._failed_at + RETRY_AFTER_SECONDS:
            return False
        if state.save_scheduled:
            state.save_scheduled = False
            return True
        return state.is_due(server.config.save, server.keyspace.changes, now)
