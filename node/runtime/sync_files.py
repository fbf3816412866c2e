"""Snapshots for replicas that go by way of disk: written as BGSAVE does, then read in parts, in threads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import trio

if TYPE_CHECKING:
    from shoal.node.runtime.disk import Disk
    from shoal.node.runtime.log import Log
    from shoal.node.runtime.rdb_file import SnapshotFile
    from shoal.node.runtime.snapshots import Snapshots
    from shoal.node.server.effects import ReadSnapshot
    from shoal.node.server.saved_snapshot import SavedSnapshot
    from shoal.node.server.server import Server
    from shoal.node.server.syncs_by_disk import SyncsByDisk

StartTurn = Callable[[Callable[[], Awaitable[None]]], None]
"""Begins a task at whose end the turn is finished."""


class _OpenFile:
    """A snapshot's file: whole, and the same one, whatever takes its name meanwhile."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.file = file
        self.readers = 0
        """How many threads read it now."""
        self.is_wanted = True

    def close_if_unused(self) -> None:
        if not self.is_wanted and not self.readers:
            self.file.close()


class SyncFiles:
    """Carries out what `SyncsByDisk` asks for, and tells it what became of it."""

    def __init__(
        self, server: Server, log: Log, snapshots: Snapshots, disk: Disk, start_turn: StartTurn
    ) -> None:
        self._server = server
        self._log = log
        self._snapshots = snapshots
        self._disk = disk
        self._start_turn = start_turn
        self._saving: SnapshotFile | None = None
        self._files: dict[SavedSnapshot, _OpenFile] = {}

    @property
    def _syncs(self) -> SyncsByDisk:
        return self._server.replication.full_syncs.by_disk

    def save(self) -> None:
        """Begin the snapshot that replicas wait for, unless something came between that it must wait for."""
        if not self._syncs.wants_save:
            return
        snapshot = self._syncs.begin()
        self._saving = save = self._snapshots.begin(None)
        if save is None:
            self._syncs.failed(snapshot, "BGSAVE cannot begin")
        else:
            self._start_turn(lambda: self._write(save, snapshot))

    async def _write(self, save: SnapshotFile, snapshot: SavedSnapshot) -> None:
        if not await self._snapshots.run(save, None):
            self._syncs.failed(snapshot, "BGSAVE ended with an error")
        elif not snapshot.replicas:
            self._syncs.saved_for_nobody()
        else:
            self._send(save.path, snapshot)

    def _send(self, path: Path, snapshot: SavedSnapshot) -> None:
        try:
            size = self._disk.size(path)
            file = self._disk.open_to_read(path)
        except OSError as error:
            self._syncs.failed(snapshot, f"Can't open/stat DB after BGSAVE: {error.strerror}")
        else:
            self._files[snapshot] = _OpenFile(path, file)
            self._syncs.saved(snapshot, size)

    def give_up(self) -> None:
        """Nobody wants the snapshot any more that is being written for replicas."""
        if self._snapshots.is_writing(self._saving):
            self._snapshots.give_up()

    def read(self, asked: ReadSnapshot) -> None:
        """Begin to read a part."""
        self._start_turn(lambda: self._read(asked))

    async def _read(self, asked: ReadSnapshot) -> None:
        opened = self._files.get(asked.snapshot)
        if opened is None:
            return
        part = b""
        opened.readers += 1
        try:
            part = await trio.to_thread.run_sync(self._disk.read_at, opened.file, asked.size, asked.offset)
        except OSError as error:
            self._log.warning(f"Error reading {opened.path}: {error}")
        finally:
            opened.readers -= 1
            opened.close_if_unused()
        self._syncs.read(asked.snapshot, asked.replica, part)

    def close(self, snapshot: SavedSnapshot) -> None:
        """All replicas have it, or are gone. `rdb-del-sync-files` has a node that keeps no data delete it."""
        opened = self._files.pop(snapshot)
        opened.is_wanted = False
        opened.close_if_unused()
        config = self._server.config
        if config.rdb_del_sync_files and not (config.save or config.appendonly):
            self._log.notice("Removing the RDB file used to feed replicas in a persistence-less instance")
            try:
                self._disk.remove(opened.path)
            except OSError as error:
                self._log.warning(f"Cannot remove {opened.path}: {error}")
