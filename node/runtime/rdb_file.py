"""The snapshot on disk: loaded at the start, written in slices, given its name only when it is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trio

from shoal.node.dataset.keyspace import Keyspace
from shoal.node.persistence.errors import RdbError
from shoal.node.persistence.rdb_loader import RdbLoader
from shoal.node.persistence.rdb_reader import RdbReader
from shoal.node.persistence.rdb_saver import RdbSave
from shoal.node.runtime.disk import Disk, write_all
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

    Whatever fails and wherever the machine stops, the file of that name is whole: the last one or this one.
    `sync` and `settle` may run in another thread, for they take as long as the disk does. Nothing else
    touches the file meanwhile, and a snapshot that is abandoned while they do is closed only after them.
    """

    def __init__(
        self,
        keyspace: Keyspace,
        path: Path,
        auxiliary: dict[bytes, bytes],
        disk: Disk,
        *,
        checksum: bool,
        compress: bool,
    ) -> None:
        self._disk = disk
        self.path = path
        """Where it is once it is whole."""
        self._temporary = path.with_name(f"temp-{os.getpid()}.rdb")
        self._fd = disk.create(self._temporary)
        self.changes_at_start = keyspace.changes
        self._save = RdbSave(keyspace, auxiliary, checksum=checksum, compress=compress)
        self._is_open = True
        self._is_syncing = self._is_abandoned = False

    @property
    def copied(self) -> int:
        """How many bytes of it were copied because they were about to change."""
        return self._save.copied

    def step(self, budget: int) -> bool:
        """Write a slice; True when all is written. OSError ends the save."""
        with self._abandoned_if_it_fails():
            write_all(self._disk, self._fd, self._save.step(budget))
        return self._save.done

    def sync(self) -> None:
        """Wait until the disk holds what was written. OSError if it does not."""
        with self._abandoned_if_it_fails():
            self._disk.sync(self._fd)

    async def sync_in_thread(self) -> None:
        """`sync`, while other work goes on. OSError ends the save."""
        self._is_syncing = True
        try:
            with self._abandoned_if_it_fails():
                await trio.to_thread.run_sync(self._disk.sync, self._fd)
        finally:
            self._is_syncing = False
            if self._is_abandoned:
                self._close()

    def put_in_place(self) -> None:
        """Let the complete file replace the one before. OSError ends the save."""
        with self._abandoned_if_it_fails():
            self._close()
            self._disk.rename(self._temporary, self.path)

    def settle(self) -> None:
        """Wait until the disk knows the file by its name. OSError."""
        self._disk.sync_folder(self.path.parent)

    async def settle_in_thread(self) -> None:
        """`settle`, while other work goes on. OSError."""
        await trio.to_thread.run_sync(self.settle)

    def finish(self) -> None:
        """Write all that is left, at once. OSError ends the save."""
        while not self.step(SLICE_BYTES):
            pass
        self.sync()
        self.put_in_place()
        self.settle()

    def abandon(self) -> None:
        """Give up; the last complete snapshot stays."""
        self._is_abandoned = True
        self._save.stop()
        with suppress(OSError):
            self._disk.remove(self._temporary)
        if not self._is_syncing:
            self._close()

    @contextmanager
    def _abandoned_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self.abandon()
            raise

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._disk.close(self._fd)
