"""nodes.conf on disk: locked for the life of the process, replaced as a whole, never half written."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from shoal.cluster.config_file import ConfigFileError, format_config, parse_config
from shoal.cluster.view import SavedConfig
from shoal.node.runtime.disk import Disk, write_all


class NodesFileError(Exception):
    """The file cannot be used; the text says which file, which line and why. Nothing was changed."""


class NodesFile:
    """The cluster state of one node on disk.

    Two nodes with one file would each undo what the other promised, so the file stays locked. Every save
    puts a new file in its place; the new one is locked before it takes the name, so that at no
    moment an unlocked file carries it.
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self._disk = disk
        self._locked_fd = -1

    def load(self) -> SavedConfig | None:
        """Lock the file and read it; None if it is new or empty. Raises NodesFileError."""
        self._locked_fd = self._disk.open_to_append(self.path)
        self._lock(self._locked_fd)
        data = self._disk.read(self.path)
        if not data:
            return None
        try:
            return parse_config(data)
        except ConfigFileError as error:
            raise NodesFileError(f"{self.path}: {error}") from None

    def save(self, saved: SavedConfig, *, fsync: bool) -> None:
        """Replace the file: write a new one beside it, make it durable if asked, give it the name."""
        temporary = self.path.with_name(f"{self.path.name}.tmp-{os.getpid()}")
        fd = self._disk.create(temporary)
        try:
            self._lock(fd)
            write_all(self._disk, fd, format_config(saved))
            if fsync:
                self._disk.sync(fd)
            self._disk.rename(temporary, self.path)
        except (OSError, NodesFileError):
            self._disk.close(fd)
            with suppress(OSError):
                self._disk.remove(temporary)
            raise
        self._disk.close(self._locked_fd)
        self._locked_fd = fd
        if fsync:
            self._disk.sync_folder(self.path.parent)

    def _lock(self, fd: int) -> None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NodesFileError(
                f"{self.path}: the cluster state file is in use by another node; "
                "give each node its own file with cluster-config-file"
            ) from None
