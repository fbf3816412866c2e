"""nodes.conf on disk: locked for the life of the process, replaced as a whole, never half written."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from shoal.cluster.config_file import ConfigFileError, format_config, parse_config
from shoal.cluster.view import SavedConfig


class NodesFileError(Exception):
    """The file cannot be used; the text says which file, which line and why. Nothing was changed."""


class NodesFile:
    """The cluster state of one node on disk.

    Two nodes with one file would each undo what the other promised, so the file stays locked. Every save
    puts a new file in its place; the new one is locked before it takes the name, so that at no
    moment an unlocked file carries it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._locked_fd = -1

    def load(self) -> SavedConfig | None:
        """Lock the file and read it; None if it is new or empty. Raises NodesFileError."""
        self._locked_fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._lock(self._locked_fd)
        data = self.path.read_bytes()
        if not data:
            return None
        try:
            return parse_config(data)
        except ConfigFileError as error:
            raise NodesFileError(f"{self.path}: {error}") from None

    def save(self, saved: SavedConfig, *, fsync: bool) -> None:
        """Replace the file: write a new one beside it, make it durable if asked, give it the name."""
        temporary = self.path.with_name(f"{self.path.name}.tmp-{os.getpid()}")
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            self._lock(fd)
            _write_all(fd, format_config(saved))
            if fsync:
                os.fsync(fd)
            temporary.rename(self.path)
        except BaseException:
            os.close(fd)
            temporary.unlink(missing_ok=True)
            raise
        os.close(self._locked_fd)
        self._locked_fd = fd
        if fsync:
            _fsync_directory(self.path.parent)

    def _lock(self, fd: int) -> None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NodesFileError(
                f"{self.path}: the cluster state file is in use by another node; "
                "give each node its own file with cluster-config-file"
            ) from None


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _fsync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
