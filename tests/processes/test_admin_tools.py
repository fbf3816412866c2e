"""Every other operation of `redis-cli --cluster` and `valkey-cli --cluster` works on a cluster of ours."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from shoal.cluster.slots import key_slot
from tests.peers import REDIS7_CLI, VALKEY8_CLI, needs
from tests.processes.nodes import Node, form_cluster, running_node, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.peers]

OPTIONS = (
    "--cluster-enabled", "yes", "--cluster-node-timeout", "5000", "--repl-diskless-sync-delay", "0",
    "--enable-debug-command", "yes",
)  # fmt: skip
KEYS = {f"key:{number}": str(number) for number in range(60)}
KEY = "a"
SLOT = key_slot(KEY.encode())
TOOLS = [
    pytest.param(REDIS7_CLI, id="redis-cli", marks=needs(REDIS7_CLI)),
    pytest.param(VALKEY8_CLI, id="valkey-cli", marks=needs(VALKEY8_CLI)),
]


@dataclass
class Tool:
    """One of the two command lines, and the cluster it works on."""

    program: Path
    nodes: list[Node]

    def run(self, command: str, *words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(self.program), "--cluster", command, *words, "--cluster-yes"],
            input="yes\n" * 5, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def on(self, command: str, *words: str) -> str:
        """What a command about the cluster of our nodes printed."""
        return self.run(command, self.nodes[0].address, *words).stdout

    def is_sound(self) -> bool:
        check = [str(self.program), "--cluster", "check", self.nodes[0].address]
        return subprocess.run(check, capture_output=True, timeout=60, check=False).returncode == 0

    def owner(self) -> Node:
        """Who says of itself that it has the slot the tests play with."""
        (owner,) = [node for node in self.nodes if SLOT in own_slots(node)]
        return owner

    def ids(self) -> list[str]:
        return [node.ask("CLUSTER", "MYID") for node in self.nodes]


def own_slots(node: Node) -> set[int]:
    line = next(line for line in node.ask("CLUSTER", "NODES").splitlines() if "myself" in line)
    ends = [part.partition("-") for part in line.split()[8:] if part[0] != "["]
    return {slot for first, _, last in ends for slot in range(int(first), int(last or first) + 1)}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Three primaries of ours, each with a configuration file to rewrite."""
    with ExitStack() as stack:
        nodes = []
        for number in range(3):
            directory = tmp_path_factory.mktemp(f"node{number}")
            (directory / "node.conf").touch()
            node = Node(directory, directives=OPTIONS)
            node.command = (*node.command, str(directory / "node.conf"))
            node.launch()
            stack.callback(node.kill)
            nodes.append(node)
        for node in nodes:
            node.wait_ready()
        form_cluster(nodes, 3)
        yield nodes


@pytest.fixture(params=TOOLS)
def tool(request: pytest.FixtureRequest, cluster: list[Node]) -> Tool:
    chosen = Tool(request.param, cluster)
    for node in cluster:
        node.ask("FLUSHALL")
        node.ask("CLUSTER", "SETSLOT", SLOT, "STABLE")
    wait_until(chosen.is_sound, "the cluster is sound")
    return chosen


def test_fix_finishes_an_interrupted_move(tool: Tool) -> None:
    source = tool.owner()
    target = next(node for node in tool.nodes if node is not source)
    source.ask("SET", KEY, "value")
    target.ask("CLUSTER", "SETSLOT", SLOT, "IMPORTING", source.ask("CLUSTER", "MYID"))
    source.ask("CLUSTER", "SETSLOT", SLOT, "MIGRATING", target.ask("CLUSTER", "MYID"))
    assert f"Fixing open slot {SLOT}" in tool.on("fix")
    wait_until(tool.is_sound, "the cluster is sound")
    assert tool.owner() is target
    assert target.ask("GET", KEY) == "value"


def test_fix_takes_a_copy_of_equal_value_back_and_covers_a_slot_that_nobody_has(tool: Tool) -> None:
    source = tool.owner()
    target = next(node for node in tool.nodes if node is not source)
    source.ask("SET", KEY, "value")
    target.ask("CLUSTER", "SETSLOT", SLOT, "IMPORTING", source.ask("CLUSTER", "MYID"))
    source.ask("MIGRATE", "127.0.0.1", target.port, KEY, 0, 5000, "COPY")
    tool.on("fix")
    wait_until(tool.is_sound, "the cluster is sound")
    assert sum(node.ask("DBSIZE") for node in tool.nodes) == 1
    tool.owner().ask("DEL", KEY)
    for node in tool.nodes:
        node.ask("CLUSTER", "DELSLOTS", SLOT)
    assert f"Covering slot {SLOT}" in tool.on("fix")
    wait_until(tool.is_sound, "the cluster is sound")


def test_rebalance_goes_by_weight_and_back(tool: Tool) -> None:
    ids = tool.ids()
    tool.on("rebalance", "--cluster-weight", f"{ids[0]}=2", f"{ids[1]}=1", f"{ids[2]}=1")
    wait_until(tool.is_sound, "the cluster is sound")
    assert abs(len(own_slots(tool.nodes[0])) - 8192) <= 1
    tool.on("rebalance", "--cluster-threshold", "1")
    wait_until(tool.is_sound, "the cluster is sound")
    assert max(len(own_slots(node)) for node in tool.nodes) <= 5463


def test_import_brings_keys_from_a_server_of_ours_outside_the_cluster(tool: Tool, tmp_path: Path) -> None:
    with running_node(tmp_path) as outside:
        for key, value in KEYS.items():
            outside.ask("SET", key, value)
        tool.on("import", "--cluster-from", outside.address, "--cluster-copy")
        assert outside.ask("DBSIZE") == len(KEYS)
        tool.on("import", "--cluster-from", outside.address, "--cluster-replace")
        assert outside.ask("DBSIZE") == 0
    assert sum(node.ask("DBSIZE") for node in tool.nodes) == len(KEYS)


def test_backup_fetches_a_snapshot_of_each_node_that_a_server_loads(tool: Tool, tmp_path: Path) -> None:
    owner = tool.owner()
    owner.ask("SET", KEY, "value")
    tool.on("backup", str(tmp_path))
    described = {node["name"]: node for node in json.loads((tmp_path / "nodes.json").read_text())}
    assert set(described) == set(tool.ids())
    (path,) = tmp_path.glob(f"*-node-127.0.0.1-{owner.port}-{owner.ask('CLUSTER', 'MYID')}.rdb")
    with running_node(tmp_path, "--dir", str(tmp_path), "--dbfilename", path.name) as restored:
        assert restored.ask("GET", KEY) == "value"


def test_set_timeout_reaches_every_node_and_its_file(tool: Tool) -> None:
    told = tool.on("set-timeout", "5001")
    assert "3 OK, 0 ERR" in told
    for node in tool.nodes:
        assert node.ask("CONFIG", "GET", "cluster-node-timeout")[1] == "5001"
        assert "cluster-node-timeout 5001" in (node.directory / "node.conf").read_text()


def test_call_asks_every_node(tool: Tool) -> None:
    told = tool.on("call", "cluster", "myid")
    for node, node_id in zip(tool.nodes, tool.ids(), strict=True):
        assert f"{node.address}: {node_id}" in told


def test_a_replica_joins_and_leaves(tool: Tool, tmp_path: Path) -> None:
    with running_node(tmp_path, *OPTIONS) as new:
        primary = tool.ids()[1]
        option = "--cluster-slave" if tool.program == REDIS7_CLI else "--cluster-replica"
        tool.run("add-node", new.address, tool.nodes[0].address, option, "--cluster-master-id", primary)
        wait_until(partial(follows, new), "the replica follows")
        tool.on("del-node", new.ask("CLUSTER", "MYID"))
    wait_until(tool.is_sound, "the cluster is sound")


def follows(node: Node) -> bool:
    return node.info("replication").get("master_link_status") == "up"
