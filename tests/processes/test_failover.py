"""A primary or a replica ends, or a replica is told to take over: with real processes and their files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count

import hiredis
import pytest

from shoal.node.resp.writer import encode_command
from tests.processes.cluster_load import Connection
from tests.processes.nodes import HOST, Node, running_cluster, wait_until

pytestmark = pytest.mark.processes

NODE_TIMEOUT_MS = 1500


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Three primaries and a replica of each, in whatever roles the tests before left them."""
    directory = tmp_path_factory.mktemp("cluster")
    with running_cluster(directory, 3, 1, "--cluster-node-timeout", str(NODE_TIMEOUT_MS)) as nodes:
        yield nodes


@dataclass
class Shard:
    """A primary, its replica and a key that is theirs."""

    primary: Node
    replica: Node
    key: str

    def write(self, value: str) -> None:
        """Set the key on the primary and wait until the replica has it."""
        self.primary.ask("SET", self.key, value)
        wait_until(partial(has_value, self.replica, self.key, value), "the replica has the write")


turns = count()


@pytest.fixture
def shard(nodes: list[Node]) -> Shard:
    """One shard after the other, for voters do not vote about one twice in a short time; all are settled."""
    for node in nodes:
        wait_until(partial(is_settled, node), f"node {node.port} is settled")
    index = next(turns) % 3
    primary, replica = sorted((nodes[index], nodes[index + 3]), key=role)
    return Shard(primary, replica, next(f"k{n}" for n in range(1000) if accepts(primary, f"k{n}", "")))


def role(node: Node) -> str:
    return str(node.ask("ROLE")[0])


def is_settled(node: Node) -> bool:
    """It serves, counts nobody as failing, and follows its primary if it has one."""
    info = node.cluster_info()
    linked = node.info("replication").get("master_link_status", "up") == "up"
    calm = info["cluster_slots_pfail"] == info["cluster_slots_fail"] == "0"
    return info["cluster_state"] == "ok" and calm and linked


def accepts(node: Node, key: str, value: str) -> bool:
    """Whether the node takes this write, now."""
    try:
        return bool(node.ask("SET", key, value) == "OK")
    except hiredis.ReplyError as error:
        assert str(error).split()[0] in {"MOVED", "CLUSTERDOWN"}, error
        return False


def has_value(node: Node, key: str, value: str) -> bool:
    """Whether the node holds this, be it a replica or not."""
    with closing(Connection((HOST, node.port))) as connection:
        connection.send(encode_command((b"READONLY",)) + encode_command((b"GET", key.encode())))
        connection.receive()
        return bool(connection.receive() == value.encode())


def follows(node: Node, primary: Node) -> bool:
    return bool(node.ask("ROLE")[:4] == ["slave", HOST, primary.port, "connected"])


def await_takeover(shard: Shard, value: str) -> None:
    """Until the replica accepts a write that was the primary's."""
    wait_until(partial(accepts, shard.replica, shard.key, value), "the replica takes over")
    assert role(shard.replica) == "master"


def test_a_killed_primary_is_replaced_and_comes_back_as_a_replica(shard: Shard) -> None:
    shard.write("before")
    shard.primary.kill()
    wait_until(partial(has_value, shard.replica, shard.key, "before"), "the replica still has the data")
    await_takeover(shard, "after")
    shard.primary.start()
    wait_until(partial(follows, shard.primary, shard.replica), "the old primary follows the new one")
    wait_until(partial(has_value, shard.primary, shard.key, "after"), "it has what was written meanwhile")


def test_an_old_snapshot_of_a_killed_primary_gives_way_to_the_data_of_the_new_one(shard: Shard) -> None:
    shard.write("saved")
    shard.primary.ask("SAVE")
    shard.primary.kill()
    await_takeover(shard, "newer")
    shard.primary.start()
    assert "DB loaded from disk" in shard.primary.log_tail
    wait_until(partial(has_value, shard.primary, shard.key, "newer"), "the old value is gone")
    wait_until(partial(has_value, shard.replica, shard.key, "newer"), "the new one is kept")


def test_a_primary_restarted_at_once_and_empty_does_not_wipe_its_replica(shard: Shard) -> None:
    shard.write("kept")
    (shard.primary.directory / "dump.rdb").unlink(missing_ok=True)
    shard.primary.kill()
    shard.primary.start()
    assert "came back without data" in shard.primary.log_tail
    wait_until(lambda: role(shard.replica) == "master", "the replica takes over")
    wait_until(partial(follows, shard.primary, shard.replica), "the empty primary follows it")
    for node in (shard.primary, shard.replica):
        wait_until(partial(has_value, node, shard.key, "kept"), f"node {node.port} shows the data")


def test_an_empty_primary_refuses_to_be_copied_from(shard: Shard) -> None:
    shard.write("kept")
    (shard.primary.directory / "dump.rdb").unlink(missing_ok=True)
    shard.primary.kill()
    shard.primary.start()
    for command in (("PSYNC", "?", "-1"), ("SYNC",)):
        with pytest.raises(hiredis.ReplyError, match=r"^NOMASTERLINK"):
            shard.primary.ask(*command)
    await_takeover(shard, "after")
    wait_until(partial(follows, shard.primary, shard.replica), "the empty primary follows it")


def test_a_killed_replica_stops_nobody_and_catches_up(shard: Shard) -> None:
    shard.replica.kill()
    wait_until(partial(accepts, shard.primary, shard.key, "alone"), "the primary goes on")
    assert shard.primary.ask("WAIT", 1, 100) == 0
    shard.replica.start()
    wait_until(partial(follows, shard.replica, shard.primary), "the replica follows again")
    wait_until(partial(has_value, shard.replica, shard.key, "alone"), "it has what was written meanwhile")


@pytest.mark.parametrize("option", [(), ("FORCE",), ("TAKEOVER",)], ids=["plain", "force", "takeover"])
def test_a_replica_takes_over_from_a_living_primary_when_told_to(
    shard: Shard, option: tuple[str, ...]
) -> None:
    shard.write("before")
    assert shard.replica.ask("CLUSTER", "FAILOVER", *option) == "OK"
    wait_until(lambda: role(shard.replica) == "master", "the roles are exchanged")
    wait_until(partial(follows, shard.primary, shard.replica), "the old primary follows")
    wait_until(partial(has_value, shard.replica, shard.key, "before"), "the data is served")
    wait_until(partial(accepts, shard.replica, shard.key, "after"), "writes are accepted")
    wait_until(partial(has_value, shard.primary, shard.key, "after"), "and replicated")


@pytest.mark.parametrize("option", ["FORCE", "TAKEOVER"])
def test_a_replica_takes_over_from_a_dead_primary_when_told_to(shard: Shard, option: str) -> None:
    shard.write("before")
    shard.primary.kill()
    assert shard.replica.ask("CLUSTER", "FAILOVER", option) == "OK"
    await_takeover(shard, "after")
    shard.primary.start()
    wait_until(partial(follows, shard.primary, shard.replica), "the old primary follows")
