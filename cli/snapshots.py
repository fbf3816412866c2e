"""Fetches a server's snapshot over the replication protocol, as a replica would, into a file.

SYNC is answered by empty lines while the server prepares, then `$LENGTH` and so many bytes, or, if the
server does not know the length yet, `$EOF:MARK` and bytes up to the mark of 40 random characters. What
follows is the stream of later commands, which a snapshot has no use for.

Source: Redis documentation, "How Redis replication works"; the replies of Redis 7.0 to SYNC.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import trio

from shoal.cli.addresses import Address
from shoal.cli.client import Credentials, connected
from shoal.cli.errors import CliError, ConnectionLostError, ReplyError

_MARK_LENGTH = 40
_HEADER_MAX = 1024
_RECEIVE_BYTES = 1 << 18
_SILENCE_SECONDS = 60.0
_MAGIC = (b"REDIS", b"VALKEY")


async def save_snapshot(address: Address, credentials: Credentials, path: Path) -> int:
    """Write a server's snapshot to `path`, which is there whole or not at all. Returns its size in bytes."""
    partial = path.with_name(path.name + ".partial")
    size = 0
    try:
        async with connected(address, credentials) as link:
            # Servers that know these spare themselves buffering a stream nobody reads.
            await link.call_many([("REPLCONF", "capa", "eof"), ("REPLCONF", "rdb-only", "1")])
            async with await trio.open_file(partial, "wb") as file:
                async for data in _receive_snapshot(link.take_over(), address):
                    if not size and not data.startswith(_MAGIC):
                        raise CliError(f"{address} sent something that is no snapshot: {data[:16]!r}")
                    size += len(data)
                    await file.write(data)
                await file.flush()
                await trio.to_thread.run_sync(os.fsync, file.fileno())
        partial.replace(path)
    except OSError as problem:
        raise CliError(f"cannot write {path}: {problem}") from problem
    finally:
        partial.unlink(missing_ok=True)
    return size


async def _receive_snapshot(stream: trio.SocketStream, address: Address) -> AsyncIterator[bytes]:
    """The bytes of the snapshot, in pieces."""
    await stream.send_all(b"SYNC\r\n")
    header, data = await _receive_header(stream, address)
    if header.startswith(b"$EOF:") and len(header) == len(b"$EOF:") + _MARK_LENGTH:
        mark = header.removeprefix(b"$EOF:")
        while (end := data.find(mark)) < 0:
            keep = min(len(data), _MARK_LENGTH - 1)
            if len(data) > keep:
                yield data[: len(data) - keep]
                data = data[len(data) - keep :]
            data += await _receive(stream, address)
        if end:
            yield data[:end]
        return
    left = _parse_length(header, address)
    while True:
        if data:
            yield data[:left]
        left -= min(len(data), left)
        if not left:
            return
        data = await _receive(stream, address)


async def _receive_header(stream: trio.SocketStream, address: Address) -> tuple[bytes, bytes]:
    """The first line that is not empty, and what came after it already."""
    data = b""
    while True:
        line, newline, rest = data.lstrip(b"\r\n").partition(b"\n")
        if newline:
            break
        if len(line) > _HEADER_MAX:
            raise CliError(f"{address} does not answer SYNC as a Redis-compatible server does")
        data = line + await _receive(stream, address)
    line = line.rstrip(b"\r")
    if line.startswith(b"-"):
        raise ReplyError(f"{address} refused SYNC: {line[1:].decode('utf-8', 'backslashreplace')}")
    return line, rest


def _parse_length(header: bytes, address: Address) -> int:
    digits = header[1:]
    if not header.startswith(b"$") or not digits.isdigit() or len(digits) > 18:
        raise CliError(f"{address} does not answer SYNC as a Redis-compatible server does: {header[:32]!r}")
    return int(digits)


async def _receive(stream: trio.SocketStream, address: Address) -> bytes:
    try:
        with trio.fail_after(_SILENCE_SECONDS):
            data = await stream.receive_some(_RECEIVE_BYTES)
    except trio.TooSlowError:
        raise ConnectionLostError(f"{address} was silent for {_SILENCE_SECONDS:g} seconds") from None
    except trio.BrokenResourceError as problem:
        raise ConnectionLostError(f"lost the connection to {address}: {problem}") from problem
    if not data:
        raise ConnectionLostError(f"{address} closed the connection in the middle of its snapshot")
    return bytes(data)
