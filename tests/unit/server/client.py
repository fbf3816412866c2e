"""A server without sockets and a client of it: words in, a parsed reply out."""

from __future__ import annotations

from random import Random
from typing import Any

import hiredis

from shoal.node import builtin_commands
from shoal.node.resp.writer import encode_command
from shoal.node.server.config import Config
from shoal.node.server.effects import CloseSession
from shoal.node.server.server import Server

NOW_MS = 1_700_000_000_000


class Stopwatch:
    """A command clock in nanoseconds that a test sets: each reading moves it on by `step_us`."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.step_us = 0

    def __call__(self) -> int:
        self.now_ns += 1000 * self.step_us
        return self.now_ns


class World:
    """One server."""

    def __init__(self, **directives: object) -> None:
        builtin_commands.load()
        self.stopwatch = Stopwatch()
        self.server = Server(Config(**directives), Random(7), self.stopwatch, now_ms=NOW_MS, run_id="a" * 40)
        self.server.begin_turn(NOW_MS)

    def client(self, address: str = "127.0.0.1:50000") -> Client:
        return Client(self.server, address)

    def pass_time(self, milliseconds: int) -> None:
        """Begin a turn so much later."""
        self.server.begin_turn(self.server.keyspace.now_ms + milliseconds)


class Client:
    """One connection."""

    def __init__(self, server: Server, address: str) -> None:
        self.server = server
        self.session = server.connect(address, "127.0.0.1:6379")
        self.reader = hiredis.Reader(encoding="utf-8", errors="surrogateescape")

    def __call__(self, *words: str | int | bytes) -> Any:
        """Run one command; an error comes back as its text."""
        self.server.receive(
            self.session,
            encode_command([w if isinstance(w, bytes) else str(w).encode() for w in words]),
        )
        replies = self.received()
        assert len(replies) == 1, replies
        return replies[0]

    def send(self, data: bytes) -> None:
        """Let bytes arrive, whatever they are."""
        self.server.receive(self.session, data)

    @property
    def is_hung_up(self) -> bool:
        """Whether the connection is to be closed at once, without another word."""
        return CloseSession(self.session) in self.server.effects

    def received(self) -> list[Any]:
        """Everything that was sent to this client since the last look."""
        self.reader.feed(b"".join(self.session.out))
        self.session.out.clear()
        self.session.out_bytes = 0
        found = []
        while (reply := self.reader.gets()) is not False:
            found.append(str(reply) if isinstance(reply, hiredis.ReplyError) else reply)
        return found


def fields(text: str) -> dict[str, str]:
    """The fields of INFO."""
    lines = [line for line in text.split("\r\n") if line and not line.startswith("#")]
    return dict(line.split(":", 1) for line in lines)
