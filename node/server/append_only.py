"""The append-only file as a server knows it: what it is to be told, in which order, and how it fares.

What replicas get is what the file gets: the same bytes, rendered once (`node.replication.stream`). They
gather in `pending` while a turn runs. At its end `effects` puts them before everything else the turn asked
for, so the order of the list is the promise:

1. append: the turn's bytes, in one write;
2. fsync, if `appendfsync` is `always`;
3. the turn's other effects: acknowledgements to the primary, messages to the cluster;
4. what is owed to replicas and clients.

A crash between any two of these loses nothing that anybody was told.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from shoal.node.replication.stream import NO_DATABASE, Operations, Reader
from shoal.node.resp.replies import Status
from shoal.node.server.copy_waits import end_waits
from shoal.node.server.effects import AppendToLog, ServerEffect, SyncLog

if TYPE_CHECKING:
    from shoal.node.server.server import Server


REWRITE_STARTED = Status(b"Background append only file rewriting started")
REWRITE_SCHEDULED = Status(b"Background append only file rewriting scheduled")


class AofState(Enum):
    """Whether commands are appended, and whether what is on disk counts."""

    OFF = "nothing is appended"
    ON = "the file holds all data"
    WAITING = "it was turned on while the node ran, and counts once a first rewrite is in place"


class AppendOnly:
    """What gathers for the append-only file, and what INFO tells about it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._reader = Reader()
        self._annotated_second = 0
        self.state = AofState.OFF
        self.is_recording = False
        """Whether what commands change is to be appended now."""
        self.pending: list[bytes] = []
        """What this turn's commands changed, in order."""
        self.reset()
        self.write_error: str | None = None
        """Why the last write to the file failed, if it did; so for `sync_error` and the last fsync."""
        self.sync_error: str | None = None
        self.current_size = 0
        self.base_size = 0
        """How large all files together were after the last rewrite."""
        self.unwritten_bytes = 0
        self.appended = self.synced = 0
        """How many bytes the file was ever given, and how many of them are durable."""
        self.synced_offset = 0
        """How far in the replication stream that is."""
        self.pending_fsyncs = 0
        self.rewriting_since: int | None = None
        self.rewrite_scheduled = False
        self.last_rewrite_ok = True
        self.last_rewrite_seconds = -1
        self.flush_sleep_seconds = 0.0
        """How long every write is held up: DEBUG AOF-FLUSH-SLEEP."""

    def reset(self) -> None:
        """Start counting anew: CONFIG RESETSTAT."""
        self.delayed_fsyncs = 0
        self.rewrites = 0
        self.failed_rewrites = 0
        """Rewrites that failed, since the last one that did not."""

    def record(self, state: AofState, *, recording: bool) -> None:
        """Append what commands change from now on, or do not. The next command names its database."""
        self.state = state
        self.is_recording = recording
        self._server.propagation.listeners_changed()
        self._reader.database = NO_DATABASE

    def suspend(self) -> None:
        """All data were replaced: what the file holds is a past that is over, and nothing may follow it.

        The old files still count until a rewrite from the new data is in place (RestartLog), so a crash
        before that brings back the old data whole, not a mixture.
        """
        self.pending.clear()
        self.synced_offset = 0
        self.record(AofState.WAITING, recording=False)

    def note_synced(self, appended: int, offset: int) -> None:
        """So much is durable; who waited for it is told."""
        if self.is_whole and (appended, offset) != (self.synced, self.synced_offset):
            self.synced, self.synced_offset = appended, offset
            end_waits(self._server)

    @property
    def is_whole(self) -> bool:
        """Whether what is on disk counts, and is all there is."""
        return self.state is AofState.ON

    @property
    def position(self) -> int:
        """Where the last change so far ends: durable once `synced` is there."""
        return self.appended + sum(map(len, self.pending))

    def append(self, operations: Operations, rendered: bytes) -> None:
        """What one command changed here, or a command of our primary."""
        if self._server.config.aof_timestamp_enabled:
            self._annotate()
        if len(operations) > 1 or operations[0][0] != self._reader.database:
            rendered = self._reader.take(operations, rendered)
        self.pending.append(rendered)

    def _annotate(self) -> None:
        """Note the time once a second, so that the file can be cut at a moment."""
        second = self._server.keyspace.now_ms // 1000
        if second > self._annotated_second:
            self._annotated_second = second
            self.pending.append(timestamp(second))

    @property
    def error(self) -> str | None:
        """Why what clients write might not be kept: they are refused while there is a reason."""
        return self.write_error or self.sync_error

    def take(self) -> bytes:
        """What is to be appended now."""
        data = b"".join(self.pending)
        self.pending.clear()
        return data

    @property
    def syncs_always(self) -> bool:
        """Whether nothing may leave before it is durable."""
        return self._server.config.appendfsync == "always"

    def effects(self) -> list[ServerEffect]:
        """What has gathered, as the first effects of a turn."""
        appended: list[ServerEffect] = [AppendToLog(self.take())]
        if self.syncs_always:
            appended.append(SyncLog())
        return appended


def timestamp(second: int) -> bytes:
    """The annotation that says when what follows was written, in unix seconds."""
    return b"#TS:%d\r\n" % second
