"""The steps of deploy/rolling-move.md: a Redis cluster becomes one of ours under load, and Redis again."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random

import pytest

from tests.peers import REDIS7_CLI, REDIS7_SERVER, needs
from tests.processes.background import in_background
from tests.processes.cluster_load import ClusterLoad
from tests.processes.history import History
from tests.processes.local_cluster import shoal
from tests.processes.mixed_cluster import (
    follows,
    have_equal_data,
    id_of,
    introduce,
    replicate,
    role,
    share_slots,
    started,
    wait_for_agreement,
)
from tests.processes.nodes import HOST, SHOAL, Node, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.peers, needs(REDIS7_SERVER, REDIS7_CLI)]

REDIS = (str(REDIS7_SERVER),)
KEYS = 3000
Step = Callable[[Node, Node], None]
"""To join as a replica of a primary, or to leave a cluster that another node belongs to."""


def test_a_redis_cluster_moves_to_shoal_and_back_and_loses_nothing(tmp_path: Path) -> None:
    with ExitStack() as stack:
        old = stack.enter_context(started(tmp_path / "redis", [REDIS] * 6))
        share_slots(old[:3])
        introduce(old)
        for primary, replica in zip(old[:3], old[3:], strict=True):
            replicate(replica, primary)
        wait_for_agreement(old)
        load = ClusterLoad([(HOST, node.port) for node in old], History(), Random(1))
        load.write_all(b"key:%d" % number for number in range(KEYS))

        ours = stack.enter_context(started(tmp_path / "shoal", [SHOAL] * 6))
        with in_background(partial(write, load)):
            move(old, ours, load, join=join_by_shoal, leave=leave_by_shoal)
        check(load, ours)

        again = stack.enter_context(started(tmp_path / "redis again", [REDIS] * 6))
        with in_background(partial(write, load)):
            move(ours, again, load, join=join_by_redis_cli, leave=leave_by_redis_cli)
        check(load, again)
        load.close()


def write(load: ClusterLoad) -> None:
    """A batch of writes and some reads, then a breath, which leaves the processor to the nodes."""
    load.rewrite_some()
    threading.Event().wait(0.1)


def check(load: ClusterLoad, members: list[Node]) -> None:
    """The cluster is these nodes alone, and holds all that was acknowledged."""
    wait_for_agreement(members)
    assert members[0].cluster_info()["cluster_known_nodes"] == "6"
    load.read_all()
    assert not load.unexpected
    assert not load.history.violations
    assert len(load.history.acknowledged) == KEYS
    for replica in members:
        if role(replica) == "slave":
            primary = next(node for node in members if node.port == replica.ask("ROLE")[2])
            wait_until(partial(have_equal_data, replica, primary), f"the replica {replica.port} is equal")


def move(old: list[Node], new: list[Node], load: ClusterLoad, *, join: Step, leave: Step) -> None:
    """One shard after the other: the new two join as replicas, one takes over, the old two leave."""
    for number in range(3):
        old_pair = [old[number], old[number + 3]]
        primary, replica = sorted(old_pair, key=role)
        successor, second = new[number], new[number + 3]
        join(successor, primary)
        join(second, primary)
        assert successor.ask("CLUSTER", "FAILOVER") == "OK"
        for follower in (primary, replica, second):
            wait_until(partial(follows, follower, successor), f"node {follower.port} follows the new primary")
        load.seeds.extend((HOST, node.port) for node in (successor, second))
        for leaving in (replica, primary):
            leave(leaving, successor)
            load.seeds.remove((HOST, leaving.port))
            leaving.stop()


def join_by_shoal(node: Node, primary: Node) -> None:
    succeed(shoal("add-node", node.address, primary.address, "--primary-id", primary.address))
    wait_until(partial(follows, node, primary), f"node {node.port} holds the data")


def leave_by_shoal(node: Node, member: Node) -> None:
    succeed(shoal("del-node", member.address, node.address))


def join_by_redis_cli(node: Node, primary: Node) -> None:
    succeed(
        redis_cli(
            *("add-node", node.address, primary.address),
            *("--cluster-slave", "--cluster-master-id", id_of(primary)),
        )
    )
    wait_until(partial(follows, node, primary), f"node {node.port} holds the data")


def leave_by_redis_cli(node: Node, member: Node) -> None:
    succeed(redis_cli("del-node", member.address, id_of(node)))


def redis_cli(*words: str) -> subprocess.CompletedProcess[str]:
    command = [str(REDIS7_CLI), "--cluster", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def succeed(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
