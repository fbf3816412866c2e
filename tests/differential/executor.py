"""Two servers that answer one command at a time: our handlers in this process, and a real redis-server.

Both answers come from RESP2 bytes read by the same parser, so that what is compared is what a client would
see: `Outcome` tells a status from a bulk string and an error from both.
"""

from __future__ import annotations

import pkgutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Protocol

import hiredis

from shoal.node import commands
from shoal.node.commands.call import Call
from shoal.node.commands.registry import find
from shoal.node.dataset.encodings import EncodingLimits
from shoal.node.dataset.expiry_mode import ExpiryMode
from shoal.node.dataset.keyspace import Keyspace
from shoal.node.resp.replies import OK, CommandError, Reply
from shoal.node.resp.writer import encode, encode_command

Word = bytes | str | int
DATABASES = 16
START_DEADLINE = 10.0


def load_all_commands() -> None:
    """Import every module of commands, so that the table is complete."""
    for module in pkgutil.iter_modules(commands.__path__, f"{commands.__name__}."):
        import_module(module.name)


@dataclass(frozen=True)
class Outcome:
    """One reply: its RESP2 type byte, and its value (an error's text for `-`)."""

    kind: bytes
    value: object


class Server(Protocol):
    """Anything that answers one command at a time."""

    def run(self, *words: Word) -> Outcome:
        """Execute one command."""


def to_words(words: tuple[Word, ...]) -> list[bytes]:
    return [word if isinstance(word, bytes) else str(word).encode() for word in words]


def plain(value: object) -> object:
    """A parsed reply with errors as their texts, so that replies can be compared."""
    if isinstance(value, hiredis.ReplyError):
        return ("error", str(value))
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


class LocalServer:
    """Our handlers on a keyspace of their own, without network.

    With `replica` given, everything that would be propagated is executed there as well.
    """

    def __init__(self, replica: LocalServer | None = None) -> None:
        load_all_commands()
        self.keyspace = Keyspace(DATABASES)
        self.call = Call(self.keyspace, Random(7), EncodingLimits())
        self.replica = replica
        self.frozen_ms: int | None = None
        """The time, where a test sets it; otherwise the clock's."""
        self.propagated: list[list[bytes]] = []
        """What the last command sent to replicas."""
        self.keyspace.on_expired = lambda database, key: self.expired.append((database, key))
        self.expired: list[tuple[int, bytes]] = []
        """Database and name of the keys that expired during the last command; replicas get a DEL first."""

    def follow(self) -> LocalServer:
        """Make this server a replica: the stream alone decides what expires."""
        self.keyspace.expiry_mode = ExpiryMode.IGNORE
        return self

    def run(self, *words: Word) -> Outcome:
        argv = to_words(words)
        parser = hiredis.Reader()
        data = encode(self.execute(argv), 2)
        parser.feed(data)
        return Outcome(data[:1], plain(parser.gets()))

    def execute(self, argv: list[bytes]) -> Reply:
        """Run one command and return its reply as a Python value."""
        self.keyspace.now_ms = self.frozen_ms if self.frozen_ms is not None else int(time.time() * 1000)
        changes, database = self.keyspace.changes, self.call.db.index
        self.call.propagated = None
        self.expired.clear()
        try:
            reply = self._dispatch(argv)
        except CommandError as error:
            reply = error
        self.propagated = []
        if self.call.propagated is not None:
            self.propagated = [list(line) for line in self.call.propagated]
        elif self.keyspace.changes != changes:
            self.propagated = [argv]
        if self.replica is not None:
            self._replicate(self.replica, database)
        return reply

    def _dispatch(self, argv: list[bytes]) -> Reply:
        if argv[0].lower() == b"select":
            self.call.db = self.keyspace.databases[int(argv[1])]
            return OK
        spec = find(argv)
        if spec is None:
            raise CommandError(f"ERR unknown command '{argv[0].decode('utf-8', 'replace')}'")
        if not spec.min_args <= len(argv) <= spec.max_args or spec.handler is None:
            raise CommandError(f"ERR wrong number of arguments for '{spec.full_name}' command")
        return spec.handler(self.call, *argv[2 if "|" in spec.name else 1 :])

    def _replicate(self, replica: LocalServer, database: int) -> None:
        lines = [(index, [b"DEL", key]) for index, key in self.expired]
        lines += [(database, line) for line in self.propagated]
        for index, line in lines:
            replica.call.db = replica.keyspace.databases[index]
            replica.frozen_ms = self.frozen_ms
            reply = replica.execute(line)
            assert not isinstance(reply, CommandError), (line, reply)


class RealServer:
    """A connection to a running server that speaks RESP2."""

    def __init__(self, address: str | tuple[str, int]) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.settimeout(START_DEADLINE)
        self.socket.connect(address)

    def run(self, *words: Word) -> Outcome:
        self.socket.sendall(encode_command(to_words(words)))
        parser, kind = hiredis.Reader(), b""
        value: object = False
        while value is False:
            data = self.socket.recv(1 << 20)
            if not data:
                raise ConnectionError("the server hung up")
            kind = kind or data[:1]
            parser.feed(data)
            value = parser.gets()
        return Outcome(kind, plain(value))

    def close(self) -> None:
        self.socket.close()


@contextmanager
def real_redis(program: Path, *options: str) -> Iterator[RealServer]:
    """A redis-server without persistence on a unix socket of its own, ended with the block."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        arguments = [
            str(program),
            "--port",
            "0",
            "--unixsocket",
            path,
            "--save",
            "",
            "--dir",
            folder,
            *options,
        ]
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        try:
            server = RealServer(_wait_for(path, process))
            try:
                yield server
            finally:
                server.close()
        finally:
            process.terminate()
            process.wait(START_DEADLINE)


def _wait_for(path: str, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + START_DEADLINE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(path)
            return path
        except OSError:
            time.sleep(0.01)
    raise TimeoutError(f"{process.args!r} did not start (exit status {process.poll()})")
