"""The file system as whatever must be kept uses it: every call that can fail stands here, and nowhere else.

A test puts a disk in its place that is full, slow or broken at a chosen call.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from shoal.node.runtime.file_writer import Writer, WriterProcess

_fdatasync = getattr(os, "fdatasync", os.fsync)


class Disk:
    """The real one. Every method may raise OSError."""

    def make_folder(self, path: Path) -> None:
        """Make a folder unless it is there."""
        path.mkdir(mode=0o755, exist_ok=True)

    def exists(self, path: Path) -> bool:
        return path.exists()

    def size(self, path: Path) -> int:
        return path.stat().st_size

    def read(self, path: Path) -> bytes:
        """A whole, small file."""
        return path.read_bytes()

    def open_to_read(self, path: Path) -> BinaryIO:
        """A file to be read in parts."""
        return path.open("rb")

    def read_at(self, file: BinaryIO, size: int, offset: int) -> bytes:
        """At most so many bytes from there on; none at the file's end."""
        return os.pread(file.fileno(), size, offset)

    def open_to_append(self, path: Path) -> int:
        """A descriptor that writes at the end of the file, made if it is not there."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def create(self, path: Path) -> int:
        """A descriptor of an empty file; what was there is gone."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_TRUNC | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def start_writer(self, sync_every: int) -> Writer:
        """Who writes a file beside the node's turns. At most so many bytes wait for the disk (0: any)."""
        return WriterProcess(sync_every)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """How many of the bytes were taken; fewer than all usually means that the disk is full."""
        return os.write(fd, data)

    def sync(self, fd: int) -> None:
        """Wait until what was written is durable."""
        _fdatasync(fd)

    def truncate(self, target: int | Path, size: int) -> None:
        """Cut a file, open or not."""
        os.truncate(target, size)

    def close(self, fd: int) -> None:
        os.close(fd)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name, at once taking that of any other."""
        old.rename(new)

    def remove(self, path: Path) -> None:
        """Delete a file if it is there."""
        path.unlink(missing_ok=True)

    def sync_folder(self, path: Path) -> None:
        """Wait until the names in a folder are durable."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def write_all(disk: Disk, fd: int, data: bytes) -> None:
    """Write everything, however little the disk takes at a time."""
    view = memoryview(data)
    while view:
        view = view[disk.write(fd, view) :]
