"""The append-only file of a running node: opened at the start, turned on and off, rewritten, ended."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from shoal.node.resp.replies import OK, CommandError, Reply
from shoal.node.runtime.append_only_files import AppendOnlyFiles
from shoal.node.runtime.append_only_loading import AppendOnlyLoading, LoadingFailed
from shoal.node.runtime.append_only_log import AppendOnlyLog, Clock, Increment, StartSoon
from shoal.node.runtime.append_only_rewrite import Rewrite
from shoal.node.runtime.disk import Disk
from shoal.node.runtime.oom_score import score_writer
from shoal.node.runtime.picture_files import BackgroundFile
from shoal.node.runtime.slices import load_in_slices
from shoal.node.server.append_only import REWRITE_SCHEDULED, REWRITE_STARTED, AofState
from shoal.node.server.parameters import DirectiveError

if TYPE_CHECKING:
    from shoal.node.runtime.log import Log
    from shoal.node.server.server import Server
    from shoal.node.server.session import Session

CANNOT_START = (
    "ERR Can't execute an AOF background rewriting. Please check the server logs for more information."
)
CANNOT_LOAD = "ERR Error trying to load the AOF files, check server logs."
CANNOT_TURN_ON = "Unable to turn on AOF. Check server logs."
PATIENCE = 3
"""After so many rewrites that failed in a row, the next ones on our own account wait longer and longer."""
MAX_DELAY_MINUTES = 60


class AppendOnlyFile:
    """Everything the runtime does about it. `writer` appends; at most one rewrite runs."""

    def __init__(
        self, server: Server, log: Log, disk: Disk | None = None, clock: Clock = time.monotonic
    ) -> None:
        self.server = server
        self.log = log
        self.files = AppendOnlyFiles(server.config, disk or Disk())
        self.writer = AppendOnlyLog(server, log, self.files.disk, clock)
        self._clock = clock
        self._start_soon: StartSoon = lambda task: None
        self._rewrite: Rewrite | None = None
        self._may_rewrite_at = 0.0
        self._delay_minutes = 0

    def open_at_start(self) -> None:
        """After loading: go on with the last increment; a node without data makes an empty base. OSError."""
        server, files = self.server, self.files
        files.make_folder()
        server.aof.record(AofState.ON, recording=True)
        if files.manifest.is_empty:
            server.aof.state = AofState.WAITING
            Rewrite(server, files, self.writer).run_now()
            assert files.manifest.base is not None
            self.log.notice(f"Creating AOF base file {files.manifest.base.name} on server start")
            self.log.notice(f"Creating AOF incr file {files.manifest.increments[-1].name} on server start")
            return
        manifest, word = files.manifest, "Opening"
        if not manifest.increments:
            manifest, word = manifest.with_increment(files.filename), "Creating"
        name = manifest.increments[-1].name
        fd = files.disk.open_to_append(files.path(name))
        if manifest is not files.manifest:
            files.save(manifest)
        self.writer.switch(Increment(files.disk, fd, files.disk.size(files.path(name))))
        self.log.notice(f"{word} AOF incr file {name} on server start")

    def run_with(self, start_soon: StartSoon) -> None:
        """From now on there are tasks: fsync in the background, rewrites in slices."""
        self._start_soon = self.writer.start_soon = start_soon

    def look(self) -> None:
        """A few times a second: what is overdue."""
        self.writer.look()
        if self._rewrite is None and (self.server.aof.rewrite_scheduled or self._has_grown()):
            self.begin_rewrite(None)

    # --- on and off --------------------------------------------------------------------------------

    def follow_directive(self) -> None:
        """CONFIG SET appendonly. DirectiveError if it cannot be turned on."""
        is_on = self.server.aof.state is not AofState.OFF
        if self.server.config.appendonly and not is_on:
            self._turn_on()
        elif is_on and not self.server.config.appendonly:
            self._turn_off()

    def _turn_on(self) -> None:
        aof = self.server.aof
        aof.record(AofState.WAITING, recording=False)
        aof.write_error = aof.sync_error = None
        if self._rewrite is not None:
            self.log.warning(
                "AOF was enabled but there is already an AOF rewriting in background."
                " Stopping background AOF and starting a rewrite now."
            )
            self._give_up()
        if self._must_wait():
            aof.rewrite_scheduled = True
            self.log.warning(
                "AOF was enabled but there is already another background operation."
                " An AOF background was scheduled to start when possible."
            )
        elif not self._begin():
            aof.record(AofState.OFF, recording=False)
            raise DirectiveError(CANNOT_TURN_ON)

    def _turn_off(self) -> None:
        aof = self.server.aof
        self._append_pending()
        self.writer.finish()
        self._give_up()
        self.writer.switch(None)
        self.writer.forget_unwritten()
        aof.record(AofState.OFF, recording=False)
        aof.rewrite_scheduled = False
        aof.write_error = aof.sync_error = None
        self.server.refresh_gates()

    def restart(self) -> None:
        """All data were replaced by a primary's (`suspend`): write them into a new base."""
        self._give_up()
        self.writer.switch(None)
        self.writer.forget_unwritten()
        if self._must_wait() or not self._begin():
            self.server.aof.rewrite_scheduled = True

    async def load_again(self, waiting: Session) -> None:
        """DEBUG LOADAOF: all data anew from the files, as a restart would have them."""
        server, reply = self.server, CommandError(CANNOT_LOAD)
        self._append_pending()
        self.writer.flush(force=True)
        server.keyspace.flush()
        server.keyspace.functions = ()
        try:
            loading = AppendOnlyLoading(server, self.files, self.log)
            await load_in_slices(loading.run(), server)
        except (LoadingFailed, OSError) as error:
            self.log.warning(str(error))
            server.blocked.end_wait(waiting, reply)
        else:
            server.blocked.end_wait(waiting, OK)

    def finish(self) -> None:
        """The process ends: everything is written and durable."""
        if self.server.aof.state is not AofState.OFF:
            self.log.notice("Calling fsync() on the AOF file.")
            self._append_pending()
            self.writer.finish()

    # --- rewriting ---------------------------------------------------------------------------------

    def begin_rewrite(self, waiting: Session | None) -> None:
        """Begin now, or as soon as a snapshot that is being written is done; `waiting` is told which."""
        reply: Reply
        if self._must_wait():
            self.server.aof.rewrite_scheduled = True
            reply = REWRITE_SCHEDULED
        else:
            reply = REWRITE_STARTED if self._begin() else CommandError(CANNOT_START)
        if waiting is not None:
            self.server.blocked.end_wait(waiting, reply)

    def _must_wait(self) -> bool:
        """Whether a rewrite can not begin now: a snapshot is being written, or a script is half done.

        What a suspended script has changed so far would be in the base, and come again in the increment.
        """
        server = self.server
        return server.persistence.in_progress_since is not None or server.scripts.suspension.is_suspended

    def _begin(self) -> bool:
        aof = self.server.aof
        aof.rewrite_scheduled = False
        self._append_pending()
        self.writer.flush(force=True)
        try:
            if aof.unwritten_bytes:  # they are part of the base, and would come again in the increment
                raise OSError(0, f"{aof.unwritten_bytes} bytes could not be appended yet")
            self.files.make_folder()
            file = BackgroundFile(
                self.files.disk,
                self.files.temporary_base,
                sync_as_it_grows=self.server.config.aof_rewrite_incremental_fsync,
            )
            rewrite = self._rewrite = Rewrite(self.server, self.files, self.writer, file)
        except OSError as error:
            self.log.warning(f"Can't rewrite append only file in background: {error}")
            aof.last_rewrite_ok = False
            aof.failed_rewrites += 1
            aof.rewrite_scheduled = aof.state is AofState.WAITING
            return False
        score_writer(self.server, file.writer_pid, self.log)
        aof.rewrites += 1
        self.server.statistics.snapshots_begun += 1
        self.server.statistics.last_writer_start_us = file.writer_start_us
        aof.rewriting_since = int(time.time())
        self.log.notice(f"Background append only file rewriting started by pid {file.writer_pid}")
        self._start_soon(lambda: self._run(rewrite))
        return True

    def _append_pending(self) -> None:
        """What the turn changed so far belongs before what begins now."""
        if self.server.aof.pending:
            self.writer.append(self.server.aof.take())

    async def _run(self, rewrite: Rewrite) -> None:
        try:
            if not await rewrite.run():
                return
        except OSError as error:
            if rewrite is self._rewrite:
                self._failed(error)
            return
        self._succeeded()

    def _succeeded(self) -> None:
        aof = self.server.aof
        self._end()
        aof.last_rewrite_ok, aof.failed_rewrites = True, 0
        self.log.notice("Background AOF rewrite terminated with success")
        self.delete_history()
        self.log.notice("Background AOF rewrite finished successfully")

    def _failed(self, error: OSError) -> None:
        aof = self.server.aof
        self.log.warning(f"Background AOF rewrite terminated with error: {error}")
        aof.last_rewrite_ok = False
        aof.failed_rewrites += 1
        self._end()
        self._drop_first_increment()

    def _give_up(self) -> None:
        if self._rewrite is not None:
            self.log.notice("Killing running AOF rewrite child")  # the words that tools wait for
            self._rewrite.give_up()
            self._end()
            self._drop_first_increment()

    def _drop_first_increment(self) -> None:
        """A first rewrite came to nothing: there is no set that what was appended belongs to."""
        aof = self.server.aof
        if aof.state is AofState.WAITING:
            self.writer.switch(None)
            self.writer.forget_unwritten()
            aof.pending.clear()
            aof.record(AofState.WAITING, recording=False)
            aof.rewrite_scheduled = True
            increment = self.files.temporary_increment
            self.log.notice(f"Removing the temp incr aof file {increment.name}")
            with suppress(OSError):  # the next rewrite empties it
                self.files.disk.remove(increment)

    def _end(self) -> None:
        aof = self.server.aof
        aof.last_rewrite_seconds = int(time.time()) - (aof.rewriting_since or 0)
        aof.rewriting_since = None
        self._rewrite = None

    def delete_history(self) -> None:
        """Step 5, unless `aof-disable-auto-gc`. What cannot be deleted is tried again the next time."""
        files = self.files
        if self.server.config.aof_disable_auto_gc or not files.manifest.history:
            return
        try:
            for file in files.manifest.history:
                self.log.notice(f"Removing the history file {file.name} in the background")
                files.disk.remove(files.path(file.name))
            files.save(files.manifest.without_history())
        except OSError as error:
            self.log.warning(f"Can't remove the history of the append-only file: {error}")

    # --- rewriting on our own account --------------------------------------------------------------

    def _has_grown(self) -> bool:
        """Whether the files are so much larger than after the last rewrite that it is time for one."""
        aof, config = self.server.aof, self.server.config
        percentage = config.auto_aof_rewrite_percentage
        if aof.state is not AofState.ON or aof.rewriting_since is not None or not percentage:
            return False
        if aof.current_size <= config.auto_aof_rewrite_min_size or self._must_wait():
            return False
        growth = aof.current_size * 100 // (aof.base_size or 1) - 100
        if growth < percentage or self._is_held_back():
            return False
        self.log.notice(f"Starting automatic rewriting of AOF on {growth}% growth")
        return True

    def _is_held_back(self) -> bool:
        """Whether rewrites failed so often that the next one waits: each makes a further increment."""
        now = self._clock()
        if self.server.aof.failed_rewrites < PATIENCE:
            self._delay_minutes, self._may_rewrite_at = 0, 0.0
            return False
        if self._may_rewrite_at:
            if now < self._may_rewrite_at:
                return True
            self._may_rewrite_at = 0.0
            return False
        self._delay_minutes = min(self._delay_minutes * 2 or 1, MAX_DELAY_MINUTES)
        self._may_rewrite_at = now + self._delay_minutes * 60
        self.log.warning(
            "Background AOF rewrite has repeatedly failed and triggered the limit,"
            f" will retry in {self._delay_minutes} minutes"
        )
        return True
