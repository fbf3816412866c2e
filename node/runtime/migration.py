"""Carrying keys to another node for MIGRATE: one pipelined exchange over a connection kept for a while."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import hiredis
import trio

from shoal.node.resp.writer import encode_command
from shoal.node.server.migration import CONNECT_ERROR, READ_ERROR, WRITE_ERROR, MigrateKeys, MovingKey, finish

if TYPE_CHECKING:
    from shoal.node.runtime.node import Node

KEEP_CONNECTION_SECONDS = 10
READ_SIZE = 64 * 1024
WRITE_SIZE = 64 * 1024

Target = tuple[str, int]


class TargetFailed(Exception):  # noqa: N818
    """The exchange broke off; the text is the client's error. `restored` are the keys confirmed before."""

    def __init__(self, text: str, restored: list[bytes], *, connection_is_good: bool = False) -> None:
        super().__init__(text)
        self.restored = restored
        self.connection_is_good = connection_is_good


class Migrations:
    """The connections to other nodes that MIGRATE uses, by address."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._idle: dict[Target, tuple[trio.SocketStream, float]] = {}

    async def run(self, request: MigrateKeys) -> None:
        """Move the keys, then let the server finish; never raises for what the target does."""
        restored: list[bytes] = []
        error: str | None = None
        try:
            restored = await self._move(request)
        except TargetFailed as failed:
            restored, error = failed.restored, str(failed)
        self.node.note_time()
        finish(self.node.server, request, restored, error)
        self.node.reactor.finish_turn()

    async def _move(self, request: MigrateKeys) -> list[bytes]:
        """The keys the target has taken. A connection kept from before may be stale: then once more, anew."""
        target = (request.host, request.port)
        kept = self._take_idle(target)
        if kept is not None:
            try:
                return await self._exchange(kept, request)
            except TargetFailed as failed:
                if failed.restored or failed.connection_is_good:
                    raise
        with trio.move_on_after(request.timeout_ms / 1000) as scope:
            try:
                stream = await trio.open_tcp_stream(request.host, request.port)
            except (OSError, UnicodeError):  # UnicodeError: a name that cannot even be looked up
                raise TargetFailed(CONNECT_ERROR, []) from None
        if scope.cancelled_caught:
            raise TargetFailed(CONNECT_ERROR, [])
        return await self._exchange(stream, request)

    async def _exchange(self, stream: trio.SocketStream, request: MigrateKeys) -> list[bytes]:
        restored: list[bytes] = []
        preamble = list(_preamble(request))
        pieces = [encode_command(words) for words in preamble]
        pieces += [encode_command(_restore_words(self.node, request, moving)) for moving in request.keys]
        is_good = False
        try:
            replies = _Replies(stream)
            async with trio.open_nursery() as nursery:
                # Writing and reading go on at once: a target that answers early must not fill both
                # sockets and stop the two of us for good.
                nursery.start_soon(_send, stream, pieces, request.timeout_ms / 1000)
                error: str | None = None
                for _ in preamble:
                    error = error or _error_of(await replies.next(request.timeout_ms))
                for moving in request.keys:
                    failure = _error_of(await replies.next(request.timeout_ms))
                    if failure is None:
                        restored.append(moving.key)
                    error = error or failure
            is_good = True
        except* _WriteFailed:
            raise TargetFailed(WRITE_ERROR, restored) from None
        except* (OSError, trio.TooSlowError, trio.BrokenResourceError, hiredis.ProtocolError):
            raise TargetFailed(READ_ERROR, restored) from None
        finally:
            await self._keep(stream, (request.host, request.port), is_good=is_good)
        if error is not None:
            raise TargetFailed(
                f"ERR Target instance replied with error: {error}", restored, connection_is_good=True
            )
        return restored

    def _take_idle(self, target: Target) -> trio.SocketStream | None:
        for address, (stream, since) in list(self._idle.items()):
            if trio.current_time() - since > KEEP_CONNECTION_SECONDS:
                del self._idle[address]
                stream.socket.close()
        kept = self._idle.pop(target, None)
        return kept[0] if kept is not None else None

    async def _keep(self, stream: trio.SocketStream, target: Target, *, is_good: bool) -> None:
        if is_good and target not in self._idle:
            self._idle[target] = (stream, trio.current_time())
        else:
            stream.socket.close()
            await trio.lowlevel.checkpoint()


class _WriteFailed(Exception):  # noqa: N818
    """The target does not take what it is sent."""


class _Replies:
    """Replies from a target, one after the other."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._nothing = object()
        self._reader = hiredis.Reader(notEnoughData=self._nothing)

    async def next(self, timeout_ms: int) -> object:
        reply = self._reader.gets()
        while reply is self._nothing:
            with trio.fail_after(timeout_ms / 1000):
                data = await self._stream.receive_some(READ_SIZE)
            if not data:
                raise trio.BrokenResourceError("the target hung up")
            self._reader.feed(data)
            reply = self._reader.gets()
        return reply


def _error_of(reply: object) -> str | None:
    return str(reply) if isinstance(reply, hiredis.ReplyError) else None


async def _send(stream: trio.SocketStream, pieces: list[bytes], timeout_seconds: float) -> None:
    """Send everything in writes of a bounded size, each of which has to make progress in time."""
    data = memoryview(b"".join(pieces))
    for start in range(0, len(data), WRITE_SIZE):
        try:
            with trio.fail_after(timeout_seconds):
                await stream.send_all(data[start : start + WRITE_SIZE])
        except (OSError, trio.TooSlowError, trio.BrokenResourceError) as error:
            raise _WriteFailed from error


def _preamble(request: MigrateKeys) -> Iterator[tuple[bytes, ...]]:
    """What goes before the keys: who we are, and which database we mean."""
    if request.credentials:
        yield (b"AUTH", *request.credentials)
    yield (b"SELECT", b"%d" % request.database)


def _restore_words(node: Node, request: MigrateKeys, moving: MovingKey) -> tuple[bytes, ...]:
    name = b"RESTORE-ASKING" if node.server.cluster is not None else b"RESTORE"
    replace = (b"REPLACE",) if request.replace else ()
    return (name, moving.key, b"%d" % moving.ttl_ms, moving.payload, *replace)
