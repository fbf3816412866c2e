"""The way a user goes: `shoal up`, clients, resharding under load, a primary killed and started again.

Every write that a replica acknowledged must be readable afterwards, and no read may ever give a value that
was not written to that key or is older than what was acknowledged before it.
"""

from __future__ import annotations

import asyncio
import subprocess
import threading
from functools import partial
from pathlib import Path
from random import Random

import pytest
import redis.asyncio.cluster
from redis import exceptions
from redis.cluster import RedisCluster

from tests.peers import REDIS7_CLI, needs
from tests.processes.background import in_background
from tests.processes.cluster_load import ClusterLoad
from tests.processes.history import History
from tests.processes.local_cluster import LocalCluster, local_cluster, shoal
from tests.processes.nodes import HOST, ask, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.peers, needs(REDIS7_CLI)]

KEYS = 100_000
MOVED_SLOTS = 2000
BUILDING_UP = 20_000
"""So many keys are there before the slots begin to move."""
DIRECTIVES = ("--enable-debug-command", "local", "--set-proc-title", "no")
OPTIONS = ("--node-timeout", 2000, "--", *DIRECTIVES)
OUTAGE = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
)
"""What a client may see while a primary is being replaced: it reconnects, or asks again."""


class Writing:
    """The load as background work: each key once, then rewritten for as long as it goes on."""

    def __init__(self, load: ClusterLoad) -> None:
        self.load = load
        self.written = 0

    def step(self) -> None:
        if self.written < KEYS:
            self.load.write_all(names(self.written, self.written + 2000))
            self.written += 2000
        else:
            self.load.rewrite_some()


def as_bytes(value: object) -> bytes | None:
    """What a client that decodes nothing gives."""
    assert value is None or isinstance(value, bytes)
    return value


def names(first: int, last: int) -> list[bytes]:
    return [b"key:%d" % number for number in range(first, last)]


class Reading:
    """One redis-py client that reads known keys while everything changes under it."""

    def __init__(self, cluster: LocalCluster, history: History) -> None:
        self.history = history
        self.random = Random(2)
        self.pause = threading.Event()
        self.client = RedisCluster(host=HOST, port=cluster.ports[1], socket_timeout=5)

    def step(self) -> None:
        self.pause.wait(
            0.01
        )  # leaves the processor to the others; whoever ends the test does not wait for it
        known = list(self.history.acknowledged)
        if not known:
            return
        key = self.random.choice(known)
        oldest = self.history.oldest_allowed(key)
        try:
            value = as_bytes(self.client.get(key))
        except OUTAGE:
            return
        self.history.check_read(key, value, oldest)


def test_writes_with_a_replica_survive_resharding_and_a_killed_primary(tmp_path: Path) -> None:
    with local_cluster(tmp_path / "cluster", *OPTIONS) as cluster:
        history = History()
        load = ClusterLoad(cluster.addresses, history, Random(1))
        writing, reading = Writing(load), Reading(cluster, history)
        with in_background(writing.step, reading.step) as (writer, _):
            wait_until(lambda: writer.failure or writing.written >= BUILDING_UP, "the first keys are written")
            reshard(cluster)
            wait_until(lambda: writer.failure or writing.written >= KEYS, "all keys are written", 120)
            kill_and_start_again(cluster, cluster.ports[0])
        load.settle()
        load.close()
        assert not load.unexpected
        assert not history.violations
        assert len(history.acknowledged) == KEYS
        assert load.errors["MOVED"] and load.errors["ASK"] and load.reconnects, load.errors
        read_all_with_redis_py(cluster, history)
        asyncio.run(read_some_with_asyncio(cluster, history))
        read_some_with_redis_cli(cluster, history)
        read_all_from_replicas(cluster, history)
        assert not history.violations
        check = shoal("check", f"{HOST}:{cluster.ports[1]}")
        assert check.returncode == 0, check.stdout
        assert cluster.interrupt() == 0
    with local_cluster(tmp_path / "cluster", *OPTIONS, port=cluster.ports[0]) as cluster:
        read_all_with_redis_py(cluster, history)
    assert not history.violations


def reshard(cluster: LocalCluster) -> None:
    """Move slots between primaries, first to last, as a user would."""
    source, target = cluster.node_id(cluster.ports[0]), cluster.node_id(cluster.ports[2])
    words = ("--from", source, "--to", target, "--slots", MOVED_SLOTS, "--yes")
    done = shoal("reshard", f"{HOST}:{cluster.ports[1]}", *words)
    assert done.returncode == 0, done.stdout + done.stderr


def kill_and_start_again(cluster: LocalCluster, port: int) -> None:
    """SIGKILL a primary, see its replica take over, start it again, see it follow."""
    replica = cluster.ports[3]
    assert ask(replica, "ROLE")[2] == port
    command, folder = cluster.kill(port)
    wait_until(lambda: ask(replica, "ROLE")[0] == "master", "the replica takes over")
    cluster.start_again(port, command, folder)
    wait_until(
        lambda: ask(port, "ROLE")[:4] == ["slave", HOST, replica, "connected"], "the old primary follows"
    )


def read_all_with_redis_py(cluster: LocalCluster, history: History) -> None:
    """Every key through the cluster client, many at a time."""
    with RedisCluster(host=HOST, port=cluster.ports[4], socket_timeout=10) as client:
        keys = names(0, KEYS)
        for start in range(0, KEYS, 5000):
            part = keys[start : start + 5000]
            pipeline = client.pipeline()
            for key in part:
                pipeline.get(key)
            for key, value in zip(part, pipeline.execute(), strict=True):
                history.check_read(key, value, history.oldest_allowed(key))


async def read_some_with_asyncio(cluster: LocalCluster, history: History) -> None:
    client = redis.asyncio.cluster.RedisCluster(host=HOST, port=cluster.ports[5], socket_timeout=10)
    try:
        await client.initialize()  # left to the first commands, it sends these to nodes at random
        for start in range(0, KEYS, 2000):
            keys = names(start, start + 50)
            for key, value in zip(keys, await asyncio.gather(*map(client.get, keys)), strict=True):
                history.check_read(key, as_bytes(value), history.oldest_allowed(key))
        assert await client.set("asyncio", "x")
        assert await client.get("asyncio") == b"x"
    finally:
        await client.aclose()


def read_some_with_redis_cli(cluster: LocalCluster, history: History) -> None:
    """`redis-cli -c` follows redirections by itself; without a terminal it prints plain replies."""
    keys = names(0, KEYS)[::500]
    typed = b"".join(b"GET %b\n" % key for key in keys)
    command = [str(REDIS7_CLI), "-c", "-p", str(cluster.ports[1])]
    printed = subprocess.run(command, input=typed, capture_output=True, timeout=60, check=True).stdout
    values = [line for line in printed.splitlines() if not line.startswith(b"->")]
    for key, value in zip(keys, values, strict=True):
        history.check_read(key, value, history.oldest_allowed(key))


def read_all_from_replicas(cluster: LocalCluster, history: History) -> None:
    """Replicas hold what their primaries hold."""
    roles = {port: ask(port, "ROLE") for port in cluster.ports}
    primaries = [port for port, role in roles.items() if role[0] == "master"]
    assert len(primaries) == 3
    sizes = {port: ask(port, "DBSIZE") for port in cluster.ports}
    assert sum(sizes[port] for port in primaries) == KEYS + 1
    for port, role in roles.items():
        if role[0] == "slave":
            wait_until(partial(have_equal_data, port, role[2]), f"the replica {port} equals its primary")


def have_equal_data(port: int, other: int) -> bool:
    return bool(ask(port, "DEBUG", "DIGEST") == ask(other, "DEBUG", "DIGEST"))
