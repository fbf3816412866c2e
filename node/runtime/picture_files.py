"""A picture of the data, taken at one moment, on its way into a file: at once or beside the node's turns."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from shoal.node.persistence.aof_writer import AofSave
from shoal.node.persistence.rdb_saver import RdbSave
from shoal.node.runtime.disk import Disk, write_all
from shoal.node.runtime.slices import SLICE_BYTES, between_slices, slice_bytes

if TYPE_CHECKING:
    from shoal.node.server.config import Config

Picture: TypeAlias = RdbSave | AofSave
SYNC_EVERY_BYTES = 4 * 1024 * 1024
"""`rdb-save-incremental-fsync`, `aof-rewrite-incremental-fsync`: the most that may wait for the disk."""


def fill_at_once(picture: Picture, path: Path, disk: Disk) -> None:
    """Write a picture of the data into a new file, and make it durable. OSError; it may be there then."""
    try:
        fd = disk.create(path)
        try:
            while not picture.done:
                write_all(disk, fd, picture.step(SLICE_BYTES))
            disk.sync(fd)
        finally:
            disk.close(fd)
    finally:
        picture.stop()


class BackgroundFile:
    """A new file that gets its bytes from a picture of the data; `path_of` names it after the writer's pid.

    OSError if it cannot be begun; nothing is left behind then.
    """

    def __init__(self, disk: Disk, path_of: Callable[[int], Path], *, sync_as_it_grows: bool) -> None:
        self._disk = disk
        self._is_begun = False
        self._writer = disk.start_writer(SYNC_EVERY_BYTES if sync_as_it_grows else 0)
        self.writer_pid, self.writer_start_us = self._writer.pid, self._writer.start_us
        self.path = path_of(self.writer_pid)
        try:
            self._fd = disk.create(self.path)
        except OSError:
            self._writer.dismiss()
            raise
        self._writer.take(self._fd)

    async def fill(self, picture: Picture, config: Config) -> None:
        """Write the picture in slices, other work going on between them, and make it durable. OSError."""
        if self._fd < 0:
            raise OSError("it was given up")  # before the task that was to write it came to its turn
        writer, self._is_begun = self._writer, True
        try:
            while not picture.done:
                writer.write(picture.step(slice_bytes(config)))
                await writer.accepted()
                await between_slices(config, writer.has_failed)
            await writer.durable()
        finally:
            self.close()

    def close(self) -> None:
        """Nothing more is written. What there is stays."""
        if self._is_begun:
            self._writer.kill()
        else:
            self._writer.dismiss()
        if self._fd >= 0:
            self._disk.close(self._fd)
            self._fd = -1

    def abandon(self) -> None:
        """Give the file up, be it whole or not."""
        self.close()
        with suppress(OSError):
            self._disk.remove(self.path)
