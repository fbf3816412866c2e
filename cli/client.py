"""A small client for one server: connect, authenticate, call singly or pipelined, all in bounded time."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from shoal.cli.addresses import Address
from shoal.cli.errors import ConnectionLostError, ReplyError
from shoal.cli.replies import ProtocolError, Reply, ReplyParser

Argument = bytes | str | int
Command = Sequence[Argument]

CONNECT_TIMEOUT = 5.0
CALL_TIMEOUT = 15.0
_RECEIVE_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to authenticate with every node; without a password nothing is sent."""

    user: str | None = None
    password: str | None = None


def encode_command(command: Command) -> bytes:
    """A command as a RESP array of bulk strings."""
    parts = [b"*%d\r\n" % len(command)]
    for argument in command:
        data = argument if isinstance(argument, bytes) else str(argument).encode("utf-8", "surrogateescape")
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


class Connection:
    """One authenticated connection. Tasks that share it take turns, one pipeline at a time."""

    def __init__(self, address: Address, stream: trio.SocketStream) -> None:
        self.address = address
        self._stream = stream
        self._parser = ReplyParser()
        self._turn = trio.Lock()
        self._ready: list[Reply] = []

    @property
    def peer_ip(self) -> str:
        """The numeric address the connection leads to; nodes meet by it, they do not resolve names."""
        return str(self._stream.socket.getpeername()[0])

    async def call(self, *command: Argument, timeout: float = CALL_TIMEOUT) -> Reply:
        """The reply to one command. Raises ReplyError for an error, ConnectionLostError if none comes."""
        (reply,) = await self.call_many([command], timeout=timeout)
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    async def call_many(self, commands: Sequence[Command], *, timeout: float = CALL_TIMEOUT) -> list[Reply]:
        """The replies to pipelined commands in order, errors as values. `timeout` is in seconds."""
        if not commands:
            return []
        async with self._turn:
            return await self._exchange(commands, timeout)

    async def _exchange(self, commands: Sequence[Command], timeout: float) -> list[Reply]:
        try:
            with trio.fail_after(timeout):
                await self._stream.send_all(b"".join(map(encode_command, commands)))
                return await self._receive(len(commands))
        except trio.TooSlowError:
            raise ConnectionLostError(f"{self.address} did not answer within {timeout:g} seconds") from None
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as problem:
            raise ConnectionLostError(f"lost the connection to {self.address}: {problem}") from problem
        except ProtocolError as problem:
            raise ConnectionLostError(f"{self.address}: {problem}") from problem

    async def _receive(self, count: int) -> list[Reply]:
        while len(self._ready) < count:
            data = await self._stream.receive_some(_RECEIVE_BYTES)
            if not data:
                raise ConnectionLostError(f"{self.address} closed the connection")
            self._ready += self._parser.feed(bytes(data))
        replies, self._ready = self._ready[:count], self._ready[count:]
        return replies

    def take_over(self) -> trio.SocketStream:
        """The bare stream, for what does not consist of commands and replies. No reply may be outstanding."""
        return self._stream

    async def aclose(self) -> None:
        await self._stream.aclose()


async def connect(
    address: Address, credentials: Credentials, *, timeout: float = CONNECT_TIMEOUT
) -> Connection:
    """An authenticated connection. Raises ConnectionLostError or ReplyError with what to do next."""
    try:
        with trio.fail_after(timeout):
            stream = await trio.open_tcp_stream(address.host, address.port)
    except (OSError, trio.TooSlowError) as problem:
        reason = "no answer in time" if isinstance(problem, trio.TooSlowError) else _reason(problem)
        raise ConnectionLostError(
            f"cannot connect to {address} ({reason}); is the server running?"
        ) from problem
    connection = Connection(address, stream)
    try:
        await _authenticate(connection, credentials, timeout)
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return connection


@asynccontextmanager
async def connected(address: Address, credentials: Credentials) -> AsyncIterator[Connection]:
    """`connect`, closed at the end of the block."""
    connection = await connect(address, credentials)
    try:
        yield connection
    finally:
        await connection.aclose()


async def _authenticate(connection: Connection, credentials: Credentials, timeout: float) -> None:
    command: Command = ("PING",)
    if credentials.password is not None:
        user = [credentials.user] if credentials.user is not None else []
        command = ("AUTH", *user, credentials.password)
    try:
        await connection.call(*command, timeout=timeout)
    except ReplyError as error:
        if error.code == "NOAUTH":
            raise ReplyError(f"{connection.address} wants a password: add -a (and --user)") from error
        if command[0] == "AUTH":
            raise ReplyError(f"{connection.address} refused the login: {error}") from error
        if error.code not in {"LOADING", "NOPERM", "MASTERDOWN"}:
            raise


def _reason(problem: BaseException) -> str:
    """The operating system's reason, also when trio joined the failures of several addresses."""
    while isinstance(problem.__cause__, BaseException):
        problem = problem.__cause__
    if isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    if isinstance(problem, OSError) and problem.errno:
        return os.strerror(problem.errno)
    return str(problem)
