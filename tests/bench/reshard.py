"""`python -m tests.bench.reshard`: how fast slots move with their keys.

A thousand slots with 200 keys of 100 bytes each move from one primary to another of a fresh cluster: by
`redis-cli --cluster reshard` between redis-server nodes and between ours, and by `shoal reshard` between
ours. All of it in one run on this machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from statistics import median

from shoal.cluster.slots import key_slot
from shoal.node.resp.writer import encode_command
from tests.bench.load import cpu_seconds
from tests.bench.servers import REDIS, SHOAL
from tests.peers import REDIS7_CLI
from tests.processes.cluster_load import Connection
from tests.processes.local_cluster import CLI
from tests.processes.nodes import HOST, Node, running_cluster

SLOTS = 1000
KEYS_PER_SLOT = 200
VALUE = b"x" * 100
COMMANDS_AT_ONCE = 1000
GIVE_UP_AFTER_SECONDS = 600
BARS = {"redis-cli, Shoal": 0.5, "shoal, Shoal": 1.0}
"""Keys per second, as a share of what redis-cli reaches between redis-server nodes."""

Tool = Callable[[Node, Node], list[str]]


def main() -> int:
    """Print the figures; exit status 1 if one of ours misses its bar."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.reshard", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    cases: dict[str, tuple[tuple[str, ...], Tool]] = {
        "redis-cli, Redis 7.0": (REDIS, _redis_cli),
        "redis-cli, Shoal": (SHOAL, _redis_cli),
        "shoal, Shoal": (SHOAL, _shoal),
    }
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(options.runs):
        for name, (server, tool) in cases.items():
            measured[name].append(measure(server, tool))
    rates = {name: SLOTS * KEYS_PER_SLOT / median(s for s, _ in runs) for name, runs in measured.items()}
    shares = {name: rate / rates["redis-cli, Redis 7.0"] for name, rate in rates.items()}
    if options.json:
        print(json.dumps({"runs": measured, "keys_per_second": rates, "shares": shares}, indent=2))
    else:
        print_table(measured, rates, shares)
    return int(any(shares[name] < bar for name, bar in BARS.items()))


def measure(server: tuple[str, ...], tool: Tool) -> tuple[float, float]:
    """(seconds that moving took, processor seconds that both nodes used meanwhile)."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_cluster(Path(folder), 3, command=server) as nodes,
    ):
        source, target = nodes[:2]
        fill(source)
        before = sum(cpu_seconds(node.pid) for node in (source, target))
        started = time.monotonic()
        done = subprocess.run(
            tool(source, target), capture_output=True, text=True, timeout=GIVE_UP_AFTER_SECONDS, check=False
        )
        seconds = time.monotonic() - started
        used = sum(cpu_seconds(node.pid) for node in (source, target)) - before
        moved = target.ask("DBSIZE")
        if done.returncode or moved != SLOTS * KEYS_PER_SLOT:
            raise RuntimeError(f"{moved} keys moved:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return seconds, used


def fill(node: Node) -> None:
    """Put the keys into the first slots of the first node."""
    connection = Connection((HOST, node.port))
    keys = _keys()
    while part := list(islice(keys, COMMANDS_AT_ONCE)):
        connection.send(b"".join(encode_command((b"SET", key, VALUE)) for key in part))
        for _ in part:
            connection.receive()
    connection.close()


def _keys() -> Iterator[bytes]:
    tags = {key_slot(b"%d" % number): b"%d" % number for number in islice(count(), 200_000)}
    for slot in range(SLOTS):
        for number in range(KEYS_PER_SLOT):
            yield b"{%s}:%d" % (tags[slot], number)


def _redis_cli(source: Node, target: Node) -> list[str]:
    ids = ("--cluster-from", source.ask("CLUSTER", "MYID"), "--cluster-to", target.ask("CLUSTER", "MYID"))
    return [
        str(REDIS7_CLI), "--cluster", "reshard", source.address, *ids,
        "--cluster-slots", str(SLOTS), "--cluster-yes",
    ]  # fmt: skip


def _shoal(source: Node, target: Node) -> list[str]:
    ids = ("--from", source.ask("CLUSTER", "MYID"), "--to", target.ask("CLUSTER", "MYID"))
    return [*CLI, "reshard", source.address, *ids, "--slots", str(SLOTS), "--yes"]


def print_table(
    measured: dict[str, list[tuple[float, float]]], rates: dict[str, float], shares: dict[str, float]
) -> None:
    """As it stands in the README."""
    print(f"{SLOTS} slots with {SLOTS * KEYS_PER_SLOT} keys of {len(VALUE)} bytes, one primary to another\n")
    print("| tool, nodes | seconds | keys/s | share | both nodes' CPU seconds |")
    print("|---|---|---|---|---|")
    for name, runs in measured.items():
        seconds, used = (median(column) for column in zip(*runs, strict=True))
        print(f"| {name} | {seconds:.1f} | {rates[name]:,.0f} | {shares[name]:.2f} | {used:.1f} |")


if __name__ == "__main__":
    sys.exit(main())
