"""A disk that fails, fills up or stops the machine at a chosen call."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import RLock
from typing import BinaryIO, TypeVar

import trio

from shoal.node.runtime.disk import Disk, write_all
from shoal.node.runtime.file_writer import Writer

T = TypeVar("T")
_pids = count(100_000)


class Crash(BaseException):
    """The machine stops here."""


class FaultyDisk(Disk):
    """The real disk until the call numbered `at`; then `fault` decides.

    A crash loses, of every file, what was not made durable, as a machine without power does. Nothing really
    waits for a disk: what is durable is kept account of here.
    """

    def __init__(self, at: int = -1, fault: str = "none") -> None:
        self.at = at
        self.fault = fault
        self.calls: list[str] = []
        self._lock = RLock()
        """A machine stops before a call or after it: not while what it made durable is still to be noted."""
        self._paths: dict[int, Path] = {}
        """By descriptor."""
        self._durable: dict[Path, int] = {}
        """How much of each file written so far is durable."""
        self._unsettled: list[tuple[Path, Path, bytes | None]] = []
        """Renames whose folder is not durable yet: from, to, and what the latter name stood for."""

    def _call(self, name: str, action: Callable[[], T]) -> T:
        with self._lock:
            number = len(self.calls)
            self.calls.append(name)
            if self.fault == "crash" and 0 <= self.at <= number:
                if number == self.at:
                    self.lose_what_is_not_durable()
                raise Crash  # also to whoever else is at it in a thread: nothing goes on after the end
            if number == self.at and self.fault != "short":
                raise OSError(getattr(errno, self.fault), os.strerror(getattr(errno, self.fault)))
            return action()

    def lose_what_is_not_durable(self) -> None:
        """What a machine without power forgets."""
        for path, size in list(self._durable.items()):  # a thread may be at it
            if path.exists() and path.stat().st_size > size:
                os.truncate(path, size)
        for old, new, before in reversed(self._unsettled):
            new.rename(old)
            if before is not None:
                new.write_bytes(before)

    def let_go(self) -> None:
        """Close what is open, as the end of a process does."""
        for fd in self._paths:
            with suppress(OSError):
                os.close(fd)

    # --- the calls ---------------------------------------------------------------------------------

    def make_folder(self, path: Path) -> None:
        self._call("make_folder", lambda: super(FaultyDisk, self).make_folder(path))

    def open_to_read(self, path: Path) -> BinaryIO:
        return self._call("open_to_read", lambda: super(FaultyDisk, self).open_to_read(path))

    def read_at(self, file: BinaryIO, size: int, offset: int) -> bytes:
        return self._call("read_at", lambda: super(FaultyDisk, self).read_at(file, size, offset))

    def open_to_append(self, path: Path) -> int:
        with self._lock:
            fd = self._call("open_to_append", lambda: super(FaultyDisk, self).open_to_append(path))
            self._paths[fd] = path
            self._durable.setdefault(path, path.stat().st_size)
            return fd

    def create(self, path: Path) -> int:
        with self._lock:
            fd = self._call("create", lambda: super(FaultyDisk, self).create(path))
            self._paths[fd] = path
            self._durable[path] = 0
            return fd

    def start_writer(self, sync_every: int) -> Writer:
        return WriterOnFaultyDisk(self)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        if self.fault == "short" and len(self.calls) == self.at:
            data = data[: len(data) // 2]
            self.at, self.fault = self.at + 1, "ENOSPC"
            self.calls.append("short write")
            return super().write(fd, data)
        return self._call("write", lambda: super(FaultyDisk, self).write(fd, data))

    def sync(self, fd: int) -> None:
        with self._lock:
            self._call("sync", lambda: None)
            self._durable[self._paths[fd]] = os.fstat(fd).st_size

    def truncate(self, target: int | Path, size: int) -> None:
        self._call("truncate", lambda: super(FaultyDisk, self).truncate(target, size))

    def rename(self, old: Path, new: Path) -> None:
        with self._lock:
            before = new.read_bytes() if new.is_file() else None
            self._call("rename", lambda: super(FaultyDisk, self).rename(old, new))
            self._unsettled.append((old, new, before))
            self._paths = {fd: new if path == old else path for fd, path in self._paths.items()}
            self._durable[new] = self._durable.pop(old, new.stat().st_size)

    def remove(self, path: Path) -> None:
        self._call("remove", lambda: super(FaultyDisk, self).remove(path))

    def sync_folder(self, path: Path) -> None:
        with self._lock:
            self._call("sync_folder", lambda: None)
            self._unsettled = [rename for rename in self._unsettled if rename[1].parent != path]

    def close(self, fd: int) -> None:
        super().close(fd)
        self._paths.pop(fd, None)


class WriterOnFaultyDisk:
    """Writes a file by the calls that fail, where a process of its own would be out of their reach."""

    start_us = 0

    def __init__(self, disk: FaultyDisk) -> None:
        self.pid = next(_pids)
        self._disk = disk
        self._fd = -1
        self._is_killed = False

    def take(self, fd: int) -> None:
        self._fd = fd

    def write(self, data: bytes) -> None:
        if not self._is_killed:
            write_all(self._disk, self._fd, data)

    async def accepted(self) -> None:
        await trio.lowlevel.checkpoint()

    def has_failed(self) -> bool:
        return self._is_killed

    async def durable(self) -> None:
        if self._is_killed:
            raise OSError("it was killed")
        await trio.to_thread.run_sync(self._disk.sync, self._fd)

    def kill(self) -> None:
        self._is_killed = True

    def dismiss(self) -> None:
        pass
