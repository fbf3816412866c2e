"""`python -m tests.bench.pauses`: how long a GET waits for the cyclic collector in a node full of keys.

Two nodes in turn: one as it is, and one whose collector keeps Python's own thresholds. Both are filled
with short lists, which are what the collector walks (it knows that bytes lead nowhere); then one client
GETs, and pushes to a new list, by turns. Python looks at its oldest objects only when they have become a
quarter more, so the full collections fall into the filling: see the longest batch of it.
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
import time
from pathlib import Path

import hiredis

from tests.processes.nodes import HOST, SHOAL, Node, running_node

UNSETTLED = (
    sys.executable,
    "-c",
    "from shoal.node.runtime import main; main.settle_collector = lambda: None; main.main()",
)
KEYS_AT_ONCE = 1000


def main() -> int:
    """Print both figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pauses", description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=100_000)
    options = parser.parse_args()
    for name, command in (("settled", SHOAL), ("Python's thresholds", UNSETTLED)):
        with (
            tempfile.TemporaryDirectory() as directory,
            running_node(Path(directory), command=command) as node,
        ):
            batches = fill(node, options.keys)
            waits = sorted(measure(node, options.requests))
        p50, p999, worst = waits[len(waits) // 2], waits[len(waits) * 999 // 1000], waits[-1]
        print(
            f"{name:20} filled in {sum(batches):5.1f} s, longest batch {max(batches) * 1e3:.0f} ms"
            f"   GET p50 {p50 * 1e3:.3f} ms"
            f"   p99.9 {p999 * 1e3:.3f} ms   worst {worst * 1e3:.1f} ms",
            flush=True,
        )
    return 0


def fill(node: Node, keys: int) -> list[float]:
    """Make short lists; the seconds that each batch of KEYS_AT_ONCE took."""
    batches = []
    with socket.create_connection((HOST, node.port)) as client:
        reader = hiredis.Reader()
        for first in range(0, keys, KEYS_AT_ONCE):
            count = min(KEYS_AT_ONCE, keys - first)
            started = time.perf_counter()
            client.sendall(b"".join(b"RPUSH list:%d value\r\n" % i for i in range(first, first + count)))
            read(client, reader, count)
            batches.append(time.perf_counter() - started)
    return batches


def measure(node: Node, requests: int) -> list[float]:
    """Seconds that each GET took, a new list being made after each."""
    waits = []
    with socket.create_connection((HOST, node.port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = hiredis.Reader()
        for number in range(requests):
            started = time.perf_counter()
            client.sendall(b"GET key\r\n")
            read(client, reader, 1)
            waits.append(time.perf_counter() - started)
            client.sendall(b"RPUSH new:%d value\r\n" % number)
            read(client, reader, 1)
    return waits


def read(client: socket.socket, reader: hiredis.Reader, count: int) -> None:
    """So many replies."""
    while count:
        if reader.gets() is not False:
            count -= 1
        else:
            data = client.recv(65536)
            if not data:
                raise ConnectionResetError("the node is gone")
            reader.feed(data)


if __name__ == "__main__":
    sys.exit(main())
