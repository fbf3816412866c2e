"""The end of the append-only file: what is appended, when it is made durable, and what if that fails."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from shoal.node.runtime.disk import Disk

if TYPE_CHECKING:
    from shoal.node.runtime.log import Log
    from shoal.node.server.server import Server

SYNC_EVERY_SECONDS = 1.0
LATE_AFTER_SECONDS = 1.0
"""An fsync in the background that takes longer is late, and a write might have to wait for it."""
POSTPONED_AT_MOST_SECONDS = 2.0
ERRORS_APART_SECONDS = 30
"""A disk that fails, fails often: it is told so often and no more."""

Clock = Callable[[], float]
"""Seconds that only ever grow."""
StartSoon = Callable[[Callable[[], Awaitable[None]]], None]


class CannotPersist(Exception):  # noqa: N818
    """A write that clients count on is not on disk. The process ends before anybody is told it was."""


class Increment:
    """The open file at the end of the set."""

    def __init__(self, disk: Disk, fd: int, size: int = 0) -> None:
        self._disk = disk
        self.fd = fd
        self.size = size
        self.synced_size = size
        self.is_syncing = False
        self._one_sync = trio.Lock()
        self._is_closed = False

    def append(self, data: bytes) -> tuple[int, OSError | None]:
        """Write; returns how many of the bytes stay in the file, and why it is not all of them.

        What was written of a part is cut off again, so that the file ends with a whole command.
        """
        written, view = 0, memoryview(data)
        try:
            while written < len(data):
                written += self._disk.write(self.fd, view[written:])
        except OSError as error:
            if written:
                try:
                    self._disk.truncate(self.fd, self.size)
                    written = 0
                except OSError:
                    self.size += written
            return written, error
        self.size += written
        return written, None

    def sync(self) -> None:
        """Make everything durable. OSError."""
        self._disk.sync(self.fd)
        self.synced_size = self.size

    async def sync_in_thread(self) -> None:
        """`sync`, other work going on meanwhile; after the one that may be going on already."""
        async with self._one_sync:
            if self._is_closed:
                return
            size, self.is_syncing = self.size, True
            try:
                await trio.to_thread.run_sync(self._disk.sync, self.fd)
                self.synced_size = size
            finally:
                self.is_syncing = False

    def close(self) -> None:
        """Nothing more is appended; everything is as durable as it will be."""
        self._is_closed = True
        self._disk.close(self.fd)


class AppendOnlyLog:
    """Carries out AppendToLog and SyncLog."""

    def __init__(self, server: Server, log: Log, disk: Disk, clock: Clock) -> None:
        self.server = server
        self.log = log
        self.disk = disk
        self.increment: Increment | None = None
        self.start_soon: StartSoon = lambda task: None
        """How to begin a task; the node says once it runs."""
        self._clock = clock
        self._unwritten = b""
        self._postponed_since: float | None = None
        self._retiring = 0
        """How many files before this one are not durable yet."""
        self._synced_at = clock()
        """When the last fsync began."""
        self._error_told_at = -float(ERRORS_APART_SECONDS)

    # --- appending ---------------------------------------------------------------------------------

    def append(self, data: bytes) -> None:
        """The next bytes. If the disk does not take them, they wait, and clients may not write any more."""
        self._unwritten = self._unwritten + data if self._unwritten else data
        self.server.aof.appended += len(data)
        self.flush()

    def flush(self, *, force: bool = False) -> None:
        """Write what waits, unless an fsync is so late that it is better to wait for a while."""
        facts, data, increment = self.server.aof, self._unwritten, self.increment
        if not data or increment is None or (not force and self._is_postponed()):
            facts.unwritten_bytes = len(data)
            return
        if facts.flush_sleep_seconds:
            time.sleep(facts.flush_sleep_seconds)
        started = self._clock()
        kept, error = increment.append(data)
        self._note_time("aof-write", started)
        facts.current_size += kept
        self._unwritten = data[kept:]
        facts.unwritten_bytes = len(self._unwritten)
        self._postponed_since = None
        if error is not None:
            self._write_failed(error, kept)
        elif facts.write_error is not None:
            facts.write_error = None
            self._recovered()

    def _is_postponed(self) -> bool:
        """Whether to leave what waits in memory for now.

        Linux lets a write wait for an fsync of the same file. With `everysec` that would stop the node
        whenever the disk is busy, so for two seconds nothing is written, and no longer.
        """
        increment, now = self.increment, self._clock()
        if increment is None or not increment.is_syncing or self._policy != "everysec":
            return False
        if now - self._synced_at < LATE_AFTER_SECONDS:
            return False
        if self._postponed_since is None:
            self._postponed_since = now
        if now - self._postponed_since < POSTPONED_AT_MOST_SECONDS:
            return True
        self.server.aof.delayed_fsyncs += 1
        self.log.notice(
            "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without"
            " waiting for fsync to complete, this may slow down Shoal."
        )
        return False

    @property
    def _policy(self) -> str:
        return self.server.config.appendfsync

    # --- making durable ----------------------------------------------------------------------------

    def sync(self) -> None:
        """`always`: what was appended is durable when this returns. CannotPersist otherwise."""
        if self.increment is None or self._spares_disk():
            return
        started = self._clock()
        try:
            self.increment.sync()
        except OSError as error:
            self.log.warning(
                "Can't persist AOF for fsync error when the AOF fsync policy is 'always':"
                f" {error.strerror}. Exiting..."
            )
            raise CannotPersist from error
        self._note_time("aof-fsync-always", started)
        self._synced_at = self._clock()
        self._note_durable()

    def _note_durable(self) -> None:
        """If everything is, tell those who wait for that."""
        increment = self.increment
        if increment is None or self._unwritten or self._retiring or increment.synced_size != increment.size:
            return
        server = self.server
        server.aof.note_synced(server.aof.appended, server.replication.history.offset)

    def _note_time(self, event: str, started: float) -> None:
        """For the latency monitor: how long the disk took."""
        threshold_ms = self.server.config.latency_monitor_threshold
        milliseconds = int((self._clock() - started) * 1000)
        if 0 < threshold_ms <= milliseconds:
            self.server.latency.note(event, self.server.keyspace.now_ms // 1000, milliseconds)

    def _spares_disk(self) -> bool:
        """Whether a snapshot or a rewrite has the disk for itself: `no-appendfsync-on-rewrite`."""
        server = self.server
        is_busy = server.aof.rewriting_since is not None or server.persistence.in_progress_since is not None
        return is_busy and server.config.no_appendfsync_on_rewrite

    def look(self) -> None:
        """A few times a second: try again what failed or was postponed, and begin the second's fsync."""
        self.flush()
        self._note_durable()
        increment, now, failed = self.increment, self._clock(), self.server.aof.sync_error is not None
        if increment is None or increment.is_syncing or now - self._synced_at < SYNC_EVERY_SECONDS:
            return
        is_due = self._policy == "everysec" and increment.synced_size != increment.size
        if failed or (is_due and not self._spares_disk()):
            self._synced_at = now
            self.start_soon(lambda: self._sync_in_background(increment))

    async def _sync_in_background(self, increment: Increment) -> None:
        """An fsync that fails says that bytes may be lost, and the next one need not say it again.

        So once the disk is well, all data are written anew: what is in memory is what was promised.
        """
        facts = self.server.aof
        facts.pending_fsyncs += 1
        everything = (facts.appended, self.server.replication.history.offset)
        is_everything = not self._unwritten and not self._retiring and increment is self.increment
        try:
            await increment.sync_in_thread()
        except OSError as error:
            self._sync_failed(error)
        else:
            if is_everything:
                facts.note_synced(*everything)
            if facts.sync_error is not None:
                facts.sync_error, facts.rewrite_scheduled = None, True
                self._recovered()
        finally:
            facts.pending_fsyncs -= 1

    # --- when the disk fails -----------------------------------------------------------------------

    def _write_failed(self, error: OSError, kept: int) -> None:
        told = f"Error writing to the AOF file: {_reason(error)}"
        if kept:
            told += f". {kept} bytes of an unfinished write could not be removed again"
        self.server.aof.write_error = _reason(error)
        self._failed(told)
        if self._policy == "always":
            self.log.warning(
                "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting..."
            )
            raise CannotPersist from error

    def _sync_failed(self, error: OSError) -> None:
        self.server.aof.sync_error = _reason(error)
        self._failed(f"Fail to fsync the AOF file: {_reason(error)}")

    def _failed(self, told: str) -> None:
        """No client may write what might not be kept."""
        now = self._clock()
        if now - self._error_told_at >= ERRORS_APART_SECONDS:
            self._error_told_at = now
            self.log.warning(told)
        self.server.refresh_gates()

    def _recovered(self) -> None:
        self.log.warning("AOF write error looks solved, Shoal can write again.")
        self.server.refresh_gates()

    # --- another file ------------------------------------------------------------------------------

    def switch(self, increment: Increment | None) -> None:
        """Append to another file from now on. What the old one holds is made durable in the background."""
        old, self.increment = self.increment, increment
        self._synced_at = self._clock()
        if old is not None:
            self._retiring += 1
            self.start_soon(lambda: self._retire(old))

    async def _retire(self, old: Increment) -> None:
        try:
            await old.sync_in_thread()
        except OSError as error:
            if self.increment is not None:  # otherwise nobody counts on the file any more
                self._sync_failed(error)
        finally:
            self._retiring -= 1
            old.close()

    def forget_unwritten(self) -> None:
        """What waits belongs to a file that does not count any more."""
        self._unwritten = b""
        self.server.aof.unwritten_bytes = 0

    def finish(self) -> None:
        """Write and fsync all there is, at once: the end of the process, or of the append-only file."""
        if self.increment is None:
            return
        self.flush(force=True)
        try:
            self.increment.sync()
        except OSError as error:
            self.log.warning(f"Fail to fsync the AOF file: {error.strerror}.")


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
