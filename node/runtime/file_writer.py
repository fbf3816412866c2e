"""Who writes a long file, so that no turn of the node waits for the disk: a process of its own.

As with redis-server's child, who ends that process ends the writing and nothing else: the node says why, and
goes on. Unlike that child it has no data of the node's; it is given the file's bytes a little at a time.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import perf_counter_ns
from typing import Protocol

import trio

from shoal.node.runtime import file_writer_program

GATHERED_BYTES = 64 * 1024
"""What is sent at a time: each time the process is woken, and takes a core from somebody."""


class Writer(Protocol):
    """Who writes one file. It is told by calls that do not wait, and waited for where that is wanted."""

    @property
    def pid(self) -> int: ...

    @property
    def start_us(self) -> int:
        """How long starting it took."""

    def take(self, fd: int) -> None:
        """Write to this file from now on."""

    def write(self, data: bytes) -> None:
        """Have this written after everything before it."""

    async def accepted(self) -> None:
        """Wait until nearly everything is on its way. OSError if that can no longer be."""

    def has_failed(self) -> bool:
        """Whether nothing more will be written."""

    async def durable(self) -> None:
        """There is no more: wait until the disk has everything. OSError if it has not."""

    def kill(self) -> None:
        """Write no more. Harmless when all is written. Who waits for it is told an OSError."""

    def dismiss(self) -> None:
        """There is nothing to write after all."""


class WriterProcess:
    """`file_writer_program.py` at work on one file. OSError if no process can be had."""

    def __init__(self, sync_every: int) -> None:
        started_ns = perf_counter_ns()
        self._socket, its_end = socket.socketpair()
        with its_end, _deaf_to_what_ends_a_node():
            program = (sys.executable, "-I", "-S", file_writer_program.__file__, str(sync_every))
            try:
                self._process = subprocess.Popen(program, stdin=its_end.fileno())
            except OSError:
                self._socket.close()
                raise
        self._socket.setblocking(False)
        self.start_us = (perf_counter_ns() - started_ns) // 1000
        self._unsent = bytearray()
        self._answer = b""
        self._is_over = False

    @property
    def pid(self) -> int:
        """The process's, until it is waited for."""
        return self._process.pid

    def take(self, fd: int) -> None:
        """See `Writer`."""
        try:
            socket.send_fds(self._socket, [b"f"], [fd])
        except OSError:  # it is gone already
            self._is_over = True

    def write(self, data: bytes) -> None:
        """See `Writer`."""
        self._unsent += data
        if len(self._unsent) >= GATHERED_BYTES:
            self._send()

    def _send(self) -> None:
        try:
            del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:  # nobody reads it any more
            self._unsent.clear()
            self._is_over = True

    async def accepted(self) -> None:
        """See `Writer`."""
        await self._sent(all_but=GATHERED_BYTES)
        if self._is_over:
            await self._ended()

    async def _sent(self, all_but: int) -> None:
        while len(self._unsent) >= max(all_but, 1):
            await trio.lowlevel.wait_writable(self._socket)
            self._send()

    def has_failed(self) -> bool:
        """See `Writer`. Before it is asked it says nothing unless it has failed."""
        if not self._is_over:
            self._is_over = not self._hear() or self._answer != b""
        return self._is_over

    def _hear(self) -> bool:
        """Take in what it says; False if it will say no more."""
        try:
            part = self._socket.recv(64)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._answer += part
        return part != b""

    async def durable(self) -> None:
        """See `Writer`."""
        await self._sent(all_but=0)
        with suppress(OSError):  # it has ended already, and has said why
            self._socket.shutdown(socket.SHUT_WR)
        await self._ended()

    async def _ended(self) -> None:
        """Wait for its answer, and until it is gone. OSError unless all went well."""
        while not self._answer.endswith(b"\n"):
            await trio.lowlevel.wait_readable(self._socket)
            if not self._hear():
                break
        self._socket.close()
        status = await trio.to_thread.run_sync(self._process.wait)
        if not self._answer:
            how = f"terminated by signal {-status}" if status < 0 else f"gone, with exit status {status}"
            raise OSError(f"the process that writes it was {how}")
        if (number := int(self._answer)) != 0:
            raise OSError(number, os.strerror(number))

    def kill(self) -> None:
        """See `Writer`."""
        self._process.kill()

    def dismiss(self) -> None:
        """See `Writer`."""
        self._process.kill()
        self._process.wait()  # it has been given nothing that could keep it
        self._socket.close()


@contextmanager
def _deaf_to_what_ends_a_node() -> Iterator[None]:
    """Have a process that begins now never hear SIGINT and SIGTERM, which are often sent to a whole group.

    They are for the node: it ends when it has seen to its data, and its writers with it if it likes.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
