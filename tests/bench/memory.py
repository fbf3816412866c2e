"""`python -m tests.bench.memory`: what a million elements take, beside redis-server 7.0 in one run.

Counted is what INFO's `used_memory` rises by, and beside it the resident memory of the process, which
says whether that is honest.
"""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Iterable, Iterator
from itertools import islice

from shoal.node.resp.writer import encode_command
from tests.bench.servers import REDIS, SHOAL, started

BAR = 2.5
"""The most `used_memory` for the same data, as a multiple of Redis's."""
BATCH = 1000

Command = list[bytes]


def main() -> int:
    """Print the table; exit status 1 if the bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.memory")
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the million")
    scale = parser.parse_args().scale
    missed = False
    columns = ("data", "Shoal used MB", "Redis used MB", "ratio", "Shoal resident MB", "Redis resident MB")
    print(f"| {' | '.join(columns)} |")
    print(f"|{'---|' * len(columns)}")
    for name, (commands, count) in DATA.items():
        ours, our_resident = _growth(SHOAL, commands(int(count * scale)))
        theirs, their_resident = _growth(REDIS, commands(int(count * scale)))
        ratio = ours / theirs
        missed = missed or ratio > BAR
        used, resident = f"{ours:.1f} | {theirs:.1f}", f"{our_resident:.1f} | {their_resident:.1f}"
        print(f"| {name} | {used} | {ratio:.2f} | {resident} |", flush=True)
    if missed:
        print(f"missed: bar {BAR}x")
    return int(missed)


def strings(count: int) -> Iterator[Command]:
    """Keys of 14 bytes with values of 10."""
    return ([b"SET", b"string:%07d" % n, b"value:%04d" % (n % 10000)] for n in range(count))


def hashes(count: int) -> Iterator[Command]:
    """Hashes of ten fields."""
    fields = [word for n in range(10) for word in (b"field:%d" % n, b"value:%04d" % n)]
    return ([b"HSET", b"hash:%06d" % n, *fields] for n in range(count))


def sorted_set(count: int) -> Iterator[Command]:
    """One sorted set, a thousand members at a time."""
    for start in range(0, count, BATCH):
        members = range(start, min(start + BATCH, count))
        yield [b"ZADD", b"sorted", *(word for n in members for word in (b"%d" % n, b"member:%07d" % n))]


DATA = {
    "1,000,000 strings": (strings, 1_000_000),
    "100,000 hashes of 10 fields": (hashes, 100_000),
    "sorted set of 1,000,000": (sorted_set, 1_000_000),
}


def _growth(server: tuple[str, ...], commands: Iterable[Command]) -> tuple[float, float]:
    """By how many megabytes used and resident memory rise with these commands."""
    with started(server) as (port, _), connected(port) as connection:
        before = _memory(connection)
        send_all(connection, commands)
        after = _memory(connection)
    return (after[0] - before[0]) / 1e6, (after[1] - before[1]) / 1e6


def connected(port: int) -> socket.socket:
    """A connection to a server."""
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def send_all(connection: socket.socket, commands: Iterable[Command]) -> None:
    """Send commands that are answered in one line each, and read the answers."""
    rest = iter(commands)
    while batch := list(islice(rest, BATCH)):
        connection.sendall(b"".join(map(encode_command, batch)))
        answers = 0
        while answers < len(batch):
            data = connection.recv(1 << 16)
            if not data or b"-" in data:
                raise RuntimeError(f"the server refused a command: {data[:200]!r}")
            answers += data.count(b"\r\n")


def _memory(connection: socket.socket) -> tuple[int, int]:
    """`used_memory` and `used_memory_rss`."""
    connection.sendall(b"INFO memory\r\n")
    text = b""
    while not text.endswith(b"\r\n\r\n") and b"mem_allocator" not in text:
        text += connection.recv(1 << 16)
    fields = dict(line.split(b":", 1) for line in text.split(b"\r\n") if b":" in line)
    return int(fields[b"used_memory"]), int(fields[b"used_memory_rss"])


if __name__ == "__main__":
    sys.exit(main())
