"""`python -m tests.bench.failover`: from `kill -9` of a primary to the first write its replica accepts.

Ours and redis-server 7.0 take turns in one run on this machine, every time as a fresh cluster of three
primaries with one replica each at cluster-node-timeout 1000.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

import hiredis

from shoal.cluster.slots import key_slot
from shoal.node.resp.writer import encode_command
from tests.bench.servers import REDIS, SHOAL
from tests.processes.cluster_load import Connection
from tests.processes.nodes import HOST, Node, running_cluster, wait_until

NODE_TIMEOUT_MS = 1000
PRIMARIES = 3
PROBE_EVERY_SECONDS = 0.002
GIVE_UP_AFTER_SECONDS = 30.0
BAR_SECONDS = 1.8


def main() -> int:
    """Print the figures; exit status 1 if our median misses the bar."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.failover", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="how many primaries of each are killed")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    measured = measure(options.runs)
    if options.json:
        print(json.dumps(measured, indent=2))
    else:
        print_table(measured)
    return int(median(measured["Shoal"]) > BAR_SECONDS)


def measure(runs: int) -> dict[str, list[float]]:
    """Seconds of every run, by server."""
    servers = {"Redis 7.0": REDIS, "Shoal": SHOAL}
    options = ("--cluster-node-timeout", str(NODE_TIMEOUT_MS))
    measured: dict[str, list[float]] = {name: [] for name in servers}
    for number in range(runs):
        for name, command in servers.items():
            with (
                tempfile.TemporaryDirectory() as folder,
                running_cluster(Path(folder), PRIMARIES, 1, *options, command=command) as nodes,
            ):
                measured[name].append(fail_over(nodes, number % PRIMARIES))
    return measured


def fail_over(nodes: list[Node], index: int) -> float:
    """Kill a primary; returns the seconds until its replica accepted a write."""
    primary, replica = nodes[index], nodes[index + PRIMARIES]
    wait_until(partial(is_whole, nodes), "the cluster is whole")
    write = encode_command((b"SET", key_of(index), b"x"))
    probe = Connection((HOST, replica.port))
    killed = time.monotonic()
    primary.kill()
    while time.monotonic() < killed + GIVE_UP_AFTER_SECONDS:
        probe.send(write)
        reply = probe.receive()
        if not isinstance(reply, hiredis.ReplyError):
            probe.close()
            return time.monotonic() - killed
        time.sleep(PROBE_EVERY_SECONDS)
    raise RuntimeError(f"node {replica.port} accepted no write within {GIVE_UP_AFTER_SECONDS} s")


def is_whole(nodes: list[Node]) -> bool:
    """Every node serves and counts nobody as failing."""
    infos = [node.cluster_info() for node in nodes]
    return all(info["cluster_state"] == "ok" and info["cluster_slots_pfail"] == "0" for info in infos)


def key_of(index: int) -> bytes:
    """A key in a slot of this primary."""
    names = (b"key:%d" % number for number in range(1000))
    return next(name for name in names if key_slot(name) * PRIMARIES // 16384 == index)


def print_table(measured: dict[str, list[float]]) -> None:
    """As it stands in the README."""
    print(
        f"kill -9 of a primary to the first accepted write, cluster-node-timeout {NODE_TIMEOUT_MS}, seconds\n"
    )
    print("| server | runs | median | fastest | slowest |")
    print("|---|---|---|---|---|")
    for name, seconds in measured.items():
        print(
            f"| {name} | {len(seconds)} | {median(seconds):.2f} | {min(seconds):.2f} | {max(seconds):.2f} |"
        )


if __name__ == "__main__":
    sys.exit(main())
