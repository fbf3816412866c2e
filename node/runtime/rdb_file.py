"""The snapshot on disk: loaded at the start, written in slices, given its name only when it is whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import trio

from shoal.node.dataset.keyspace import Keyspace
from shoal.node.persistence.errors import RdbError
from shoal.node.persistence.rdb_loader import RdbLoader
from shoal.node.persistence.rdb_reader import RdbReader
from shoal.node.persistence.rdb_saver import RdbSave
from shoal.node.runtime.slices import SLICE_BYTES, Slices, bytes_to_load
from shoal.node.server.server import Server


def load_rdb(server: Server, path: Path, *, keep_expired: bool) -> Slices[RdbLoader]:
    """Load a snapshot file; gives what there was in it. RdbError or OSError if it cannot be trusted."""
    config, keyspace = server.config, server.keyspace
    reader = RdbReader(verify_checksum=config.rdbchecksum)
    loader = RdbLoader(keyspace, keep_expired=keep_expired)
    try:
        with path.open("rb") as file:
            server.begin_loading(os.fstat(file.fileno()).st_size)
            while chunk := file.read(bytes_to_load(config)):
                loaded = loader.loaded
                loader.apply(reader.feed(chunk))
                server.note_loaded(len(chunk))
                yield loader.loaded - loaded
    finally:
        server.end_loading()
    if not reader.finished:
        raise RdbError("the file is cut short")
    keyspace.changes = 0
    return loader


class SnapshotFile:
    """One snapshot being written: by `step` in slices; made durable by `sync`; then given its name.

    `sync` may run in another thread, for it takes as long as the disk does. Nothing else touches the file
    meanwhile, and a snapshot that is abandoned while it does is closed only after it.
    """

    def __init__(
        self, keyspace: Keyspace, path: Path, auxiliary: dict[bytes, bytes], *, checksum: bool
    ) -> None:
        self._path = path
        self._temporary = path.with_name(f"temp-{os.getpid()}.rdb")
        self._file: BinaryIO = self._temporary.open("wb")
        self.changes_at_start = keyspace.changes
        self._save = RdbSave(keyspace, auxiliary, checksum=checksum)
        self._is_syncing = self._is_abandoned = False

    def step(self, budget: int) -> bool:
        """Write a slice; True when all is written. OSError ends the save."""
        try:
            self._file.write(self._save.step(budget))
        except OSError:
            self.abandon()
            raise
        return self._save.done

    def sync(self) -> None:
        """Wait until the disk holds what was written. OSError if it does not."""
        self._file.flush()
        os.fsync(self._file.fileno())

    async def sync_in_thread(self) -> None:
        """`sync`, while other work goes on. OSError ends the save."""
        self._is_syncing = True
        try:
            await trio.to_thread.run_sync(self.sync)
        except OSError:
            self.abandon()
            raise
        finally:
            self._is_syncing = False
            if self._is_abandoned:
                self._file.close()

    def put_in_place(self) -> None:
        """Let the complete file replace the one before. OSError ends the save."""
        try:
            self._file.close()
            self._temporary.rename(self._path)
        except OSError:
            self.abandon()
            raise

    def finish(self) -> None:
        """Write all that is left, at once."""
        while not self.step(SLICE_BYTES):
            pass
        try:
            self.sync()
        except OSError:
            self.abandon()
            raise
        self.put_in_place()

    def abandon(self) -> None:
        """Give up; the last complete snapshot stays."""
        self._is_abandoned = True
        self._save.stop()
        self._temporary.unlink(missing_ok=True)
        if not self._is_syncing:
            self._file.close()
