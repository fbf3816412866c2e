"""`redis-cli --cluster` builds, checks, grows, reshapes and shrinks a cluster of ours."""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path

import pytest

from tests.peers import REDIS7_CLI, needs
from tests.processes.nodes import Node, running_nodes, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.peers, needs(REDIS7_CLI)]

OPTIONS = ("--cluster-enabled", "yes", "--cluster-node-timeout", "5000", "--repl-diskless-sync-delay", "0")
KEYS = 300


def redis_cli(*words: str) -> subprocess.CompletedProcess[str]:
    command = [str(REDIS7_CLI), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def succeed(command: str, *words: str) -> str:
    """Run a cluster command that asks nothing; returns what it printed."""
    done = redis_cli("--cluster", command, *words, "--cluster-yes")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wait_for_agreement(node: Node) -> None:
    """Until redis-cli, beginning at this node, finds a whole cluster whose nodes all say the same."""
    wait_until(lambda: redis_cli("--cluster", "check", node.address).returncode == 0, "all nodes agree")


def move(source: Node, target: Node, slots: int) -> None:
    ends = ("--cluster-from", source.ask("CLUSTER", "MYID"), "--cluster-to", target.ask("CLUSTER", "MYID"))
    succeed("reshard", source.address, *ends, "--cluster-slots", str(slots))
    wait_for_agreement(target)


def slot_count(node: Node) -> int:
    """How many slots the node itself says it owns."""
    own = next(line for line in node.ask("CLUSTER", "NODES").splitlines() if "myself" in line)
    ends = [part.partition("-") for part in own.split()[8:]]
    return sum(int(last or first) - int(first) + 1 for first, _, last in ends)


def ask_anywhere(node: Node, *words: str) -> str:
    """The reply to a command, wherever `redis-cli -c` had to follow it to."""
    return redis_cli("-c", "-p", str(node.port), *words).stdout.split()[-1]


def test_redis_cli_creates_checks_grows_reshapes_and_shrinks_our_cluster(tmp_path: Path) -> None:
    with running_nodes(tmp_path, 7, *OPTIONS) as nodes:
        *members, spare = nodes
        first, second = members[:2]
        made = succeed("create", *(node.address for node in members), "--cluster-replicas", "1")
        assert "[OK] All 16384 slots covered." in made
        for node in members:
            wait_until(partial(serves, node), f"node {node.port} serves")
        for number in range(KEYS):
            assert ask_anywhere(first, "SET", f"key:{number}", str(number)) == "OK"

        move(second, first, 300)
        assert slot_count(first) == 5461 + 300
        succeed("rebalance", first.address)
        wait_for_agreement(first)
        assert max(map(slot_count, members[:3])) <= 5462

        succeed("add-node", spare.address, first.address)
        wait_for_agreement(spare)
        spare_id = spare.ask("CLUSTER", "MYID")
        for node in nodes:  # redis-cli tells every primary who owns a moved slot, so each must know the spare
            wait_until(partial(knows, node, spare_id), f"node {node.port} knows the spare")
        move(first, spare, 30)
        assert slot_count(spare) == 30
        move(spare, first, 30)
        assert slot_count(spare) == 0
        succeed("del-node", first.address, spare_id)
        wait_for_agreement(first)
        assert first.cluster_info()["cluster_known_nodes"] == "6"

        for number in range(KEYS):
            assert ask_anywhere(second, "GET", f"key:{number}") == str(number)


def knows(node: Node, node_id: str) -> bool:
    return node_id in node.ask("CLUSTER", "NODES")


def serves(node: Node) -> bool:
    return node.cluster_info()["cluster_state"] == "ok"
