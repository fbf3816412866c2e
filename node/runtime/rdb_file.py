"""The snapshot on disk: loaded at the start, written in slices, given its name only when it is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import trio

from shoal.node.persistence.errors import RdbError
from shoal.node.persistence.rdb_loader import RdbLoader
from shoal.node.persistence.rdb_reader import RdbReader
from shoal.node.persistence.rdb_saver import RdbSave
from shoal.node.runtime.picture_files import BackgroundFile, fill_at_once
from shoal.node.runtime.slices import Slices, bytes_to_load

if TYPE_CHECKING:
    from shoal.node.dataset.keyspace import Keyspace
    from shoal.node.runtime.disk import Disk
    from shoal.node.server.config import Config
    from shoal.node.server.server import Server

Auxiliary: TypeAlias = dict[bytes, bytes]
"""Facts about the file, such as `redis-ver`."""


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
    """One snapshot being written beside the node's turns; given its name once it is whole and durable.

    Whatever fails and wherever the machine stops, the file of that name is whole: the last one or this one.
    Until then its name tells a process: its writer, or the one given. OSError if it cannot be begun.
    """

    def __init__(
        self,
        keyspace: Keyspace,
        auxiliary: Auxiliary,
        path: Path,
        disk: Disk,
        config: Config,
        *,
        known_as: int | None,
    ) -> None:
        self._disk = disk
        self._config = config
        self.path = path
        """Where it is once it is whole."""
        self.file = BackgroundFile(
            disk,
            lambda writer_pid: _temporary(path, known_as or writer_pid),
            sync_as_it_grows=config.rdb_save_incremental_fsync,
        )
        """What it is until then."""
        self.changes_at_start = keyspace.changes
        self._picture = _picture(keyspace, auxiliary, config)

    @property
    def copied(self) -> int:
        """How many bytes of it were copied because they were about to change."""
        return self._picture.copied

    async def write(self) -> None:
        """Write all of it, and wait until it is durable. OSError; then it is abandoned."""
        with self._abandoned_if_it_fails():
            await self.file.fill(self._picture, self._config)

    def put_in_place(self) -> None:
        """Let the complete file replace the one before. OSError; then it is abandoned."""
        with self._abandoned_if_it_fails():
            self._disk.rename(self.file.path, self.path)

    async def settle(self) -> None:
        """Wait until the disk knows the file by its name. OSError."""
        await trio.to_thread.run_sync(self._disk.sync_folder, self.path.parent)

    def abandon(self) -> None:
        """Give up; the last complete snapshot stays."""
        self._picture.stop()
        self.file.abandon()

    @contextmanager
    def _abandoned_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self.abandon()
            raise


def save_at_once(keyspace: Keyspace, auxiliary: Auxiliary, path: Path, disk: Disk, config: Config) -> RdbSave:
    """Write a snapshot while nothing else goes on. OSError; the last one stays then."""
    picture, temporary = _picture(keyspace, auxiliary, config), _temporary(path, os.getpid())
    try:
        fill_at_once(picture, temporary, disk)
        disk.rename(temporary, path)
    except OSError:
        with suppress(OSError):
            disk.remove(temporary)
        raise
    disk.sync_folder(path.parent)
    return picture


def _picture(keyspace: Keyspace, auxiliary: Auxiliary, config: Config) -> RdbSave:
    return RdbSave(keyspace, auxiliary, checksum=config.rdbchecksum, compress=config.rdbcompression)


def _temporary(path: Path, writer_pid: int) -> Path:
    return path.with_name(f"temp-{writer_pid}.rdb")
