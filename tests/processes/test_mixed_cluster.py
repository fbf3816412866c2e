"""Nodes of ours and of Redis 7.0, Redis 8.0 or Valkey 8.1 are one cluster, through all that happens to one.

There are three shards, each with nodes of both kinds, so the majority of every election needs a vote of the
other kind: with three primaries and one of them dead, both that are left have to agree.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial

import pytest

from shoal.node.resp.writer import encode_command
from tests.peers import REDIS7_CLI, REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER, needs
from tests.processes.cluster_load import Connection
from tests.processes.mixed_cluster import (
    accepts,
    follows,
    have_equal_data,
    id_of,
    introduce,
    is_ours,
    key_of,
    nodes_view,
    read,
    replicate,
    role,
    saved,
    shards_of,
    share_slots,
    started,
    wait_for_agreement,
)
from tests.processes.nodes import HOST, SHOAL, Node, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.peers, needs(REDIS7_CLI)]
KINDS = [
    pytest.param(REDIS7_SERVER, id="redis7", marks=needs(REDIS7_SERVER)),
    pytest.param(REDIS8_SERVER, id="redis8", marks=needs(REDIS8_SERVER)),
    pytest.param(VALKEY8_SERVER, id="valkey8", marks=needs(VALKEY8_SERVER)),
]
KEYS = 100
MOVED_SLOTS = 100


@dataclass
class Shard:
    """A primary, its replica, and a key that is theirs."""

    primary: Node
    replica: Node
    key: str


@dataclass
class Mixed:
    """Three shards of two nodes, in the roles earlier steps left them in, and a spare node of each kind."""

    nodes: list[Node]
    spares: list[Node]
    has_extensions: bool
    """Whether theirs tell and hear shard ids and forgotten nodes: from Redis 7.2 on."""

    def shard(self, *, ours_leads: bool) -> Shard:
        """A shard whose primary is ours and its replica is theirs, or the other way round."""
        return self.shards(ours_leads=ours_leads)[0]

    def shards(self, *, ours_leads: bool) -> list[Shard]:
        """All such shards."""
        wait_for_agreement(self.nodes)
        return [
            Shard(primary, replica, key_of(primary))
            for primary in self.nodes
            if role(primary) == "master" and is_ours(primary) == ours_leads
            for replica in self.nodes
            if is_ours(replica) != ours_leads and follows(replica, primary)
        ]


@pytest.fixture(scope="module", params=KINDS)
def mixed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mixed]:
    theirs = (str(request.param),)
    directory = tmp_path_factory.mktemp("mixed")
    with started(directory, [SHOAL, theirs] * 4) as everybody:
        nodes, spares = everybody[:6], everybody[6:]
        share_slots(nodes[:3])
        introduce(nodes)
        for primary, replica in zip(nodes[:3], nodes[3:], strict=True):
            replicate(replica, primary)
        yield Mixed(nodes, spares, has_extensions=request.param != REDIS7_SERVER)


def test_all_nodes_say_the_same_of_the_cluster(mixed: Mixed) -> None:
    for primary in mixed.nodes[:3]:
        accepts(primary, key_of(primary), "x")  # a replica that has nothing yet is not told to clients
    wait_for_agreement(mixed.nodes)
    hosts = {fields[0].rpartition(",")[2] for fields in nodes_view(mixed.nodes[0]).values()}
    assert hosts == {f"node-{number}.shoal.example" for number in range(6)}
    if mixed.has_extensions:
        # A node tells its shard and its name in the messages after those by which it became known.
        wait_until(partial(has_paired, mixed.nodes[0]), "replicas are in their primaries' shards")
        shards, names = (saved(mixed.nodes[0], field) for field in ("shard-id", "nodename"))
        assert set(names.values()) == {f"name-{number}" for number in range(6)}
        for node in mixed.nodes:
            wait_until(partial(has_saved, node, "shard-id", shards), f"node {node.port} has the shard ids")
            wait_until(partial(has_saved, node, "nodename", names), f"node {node.port} has the names")


def has_paired(node: Node) -> bool:
    """Whether a node has saved three shards of two nodes each."""
    return sorted(Counter(saved(node, "shard-id").values()).values()) == [2, 2, 2]


def has_saved(node: Node, field: str, expected: dict[str, str]) -> bool:
    return saved(node, field) == expected


@pytest.mark.parametrize("by_ours", [True, False], ids=["by-ours", "by-theirs"])
def test_a_publish_reaches_subscribers_everywhere(mixed: Mixed, by_ours: bool) -> None:
    publisher = next(node for node in mixed.nodes if is_ours(node) == by_ours)
    with ExitStack() as stack:
        subscribers = [stack.enter_context(closing(Connection((HOST, node.port)))) for node in mixed.nodes]
        for subscriber in subscribers:
            subscriber.send(encode_command((b"SUBSCRIBE", b"news")))
            assert subscriber.receive() == [b"subscribe", b"news", 1]
        publisher.ask("PUBLISH", "news", "hello")
        for subscriber in subscribers:
            assert subscriber.receive() == [b"message", b"news", b"hello"]


def test_slots_move_both_ways_with_their_keys(mixed: Mixed) -> None:
    keys = fill_every_type(mixed.nodes[0])
    ours, theirs = (mixed.shard(ours_leads=leads).primary for leads in (True, False))
    for source, target in ((ours, theirs), (theirs, ours)):
        reshard(source, target, MOVED_SLOTS)
        wait_for_agreement(mixed.nodes)
    assert sum(int(node.ask("DBSIZE")) for node in mixed.nodes if role(node) == "master") >= keys
    for leads in (True, False):
        shard = mixed.shard(ours_leads=leads)
        wait_until(partial(have_equal_data, shard.primary, shard.replica), "primary and replica are equal")


def fill_every_type(node: Node) -> int:
    """Keys of every type, all over the slots; returns how many."""
    lines = []
    for number in range(KEYS):
        lines += [
            f"SET string:{number} {number}",
            f"RPUSH list:{number} a b {'c' * number}",
            f"SADD set:{number} 1 2 {number}",
            f"HSET hash:{number} field {number}",
            f"ZADD zset:{number} {number / 8} member",
            f"PEXPIRE zset:{number} 1000000",
        ]
    command = [str(REDIS7_CLI), "-c", "-p", str(node.port)]
    done = subprocess.run(
        command, input="\n".join(lines), capture_output=True, text=True, timeout=60, check=True
    )
    assert "ERR" not in done.stdout
    return 5 * KEYS


def reshard(source: Node, target: Node, slots: int) -> None:
    ends = ("--cluster-from", id_of(source), "--cluster-to", id_of(target))
    command = (str(REDIS7_CLI), "--cluster", "reshard", source.address, *ends, "--cluster-slots", str(slots))
    done = subprocess.run(
        [*command, "--cluster-yes"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("ours_leads", [True, False], ids=["theirs-takes-over", "ours-takes-over"])
@pytest.mark.parametrize("option", [(), ("FORCE",), ("TAKEOVER",)], ids=["plain", "force", "takeover"])
def test_a_replica_of_the_other_kind_takes_over_when_told_to(
    mixed: Mixed, option: tuple[str, ...], ours_leads: bool
) -> None:
    shard = mixed.shard(ours_leads=ours_leads)
    shard.primary.ask("SET", shard.key, "before")
    assert shard.replica.ask("CLUSTER", "FAILOVER", *option) == "OK"
    wait_until(partial(follows, shard.primary, shard.replica), "the roles are exchanged")
    wait_until(partial(accepts, shard.replica, shard.key, "after"), "writes are accepted")
    wait_until(lambda: read(shard.primary, shard.key) == "after", "and replicated")
    wait_until(partial(have_equal_data, shard.primary, shard.replica), "both are equal")


@pytest.mark.parametrize("ours_leads", [True, False], ids=["theirs-takes-over", "ours-takes-over"])
def test_a_dead_primary_is_replaced_by_its_replica_of_the_other_kind(mixed: Mixed, ours_leads: bool) -> None:
    shard = mixed.shard(ours_leads=ours_leads)
    voters = [node for node in mixed.nodes if role(node) == "master" and node is not shard.primary]
    assert {is_ours(voter) for voter in voters} == {True, False}
    granted = [votes_granted(voter) for voter in voters]
    shard.primary.ask("SET", shard.key, "before")
    wait_until(lambda: read(shard.replica, shard.key) == "before", "the replica has the write")
    shard.primary.kill()
    wait_until(partial(accepts, shard.replica, shard.key, "after"), "the replica takes over")
    assert [votes_granted(voter) for voter in voters] == [votes + 1 for votes in granted]
    shard.primary.start()
    wait_until(partial(follows, shard.primary, shard.replica), "the old primary follows")
    wait_until(lambda: read(shard.primary, shard.key) == "after", "it has what was written meanwhile")
    wait_for_agreement(mixed.nodes)


def votes_granted(node: Node) -> int:
    return node.log.count("Failover auth granted")


@pytest.mark.parametrize("ours_moves", [False, True], ids=["theirs-moves", "ours-moves"])
def test_a_spare_replica_moves_to_an_orphan_of_the_other_kind_and_the_dead_one_is_forgotten(
    mixed: Mixed, ours_moves: bool
) -> None:
    if len(mixed.shards(ours_leads=not ours_moves)) < 2:
        take_over(mixed.shard(ours_leads=ours_moves))
    orphan, donor, *_ = mixed.shards(ours_leads=not ours_moves)
    spare = next(node for node in mixed.spares if is_ours(node) == ours_moves)
    spare.ask("CLUSTER", "MEET", HOST, orphan.primary.port)
    for node in mixed.nodes:
        wait_until(partial(knows, node, id_of(spare)), f"node {node.port} knows the spare")
        wait_until(partial(knows, spare, id_of(node)), f"the spare knows node {node.port}")
    replicate(spare, donor.primary)
    members = [spare, *(node for node in mixed.nodes if node is not orphan.replica)]
    dead = id_of(orphan.replica)

    for node in members:
        node.ask("CONFIG", "SET", "cluster-allow-replica-migration", "yes")
    orphan.replica.kill()
    wait_until(
        lambda: follows(spare, orphan.primary) or follows(donor.replica, orphan.primary), "a replica moves"
    )
    for node in members:
        node.ask("CONFIG", "SET", "cluster-allow-replica-migration", "no")

    asked = orphan.primary
    asked.ask("CLUSTER", "FORGET", dead)
    if not mixed.has_extensions:
        for node in members:
            if not is_ours(node) and node is not asked:
                node.ask("CLUSTER", "FORGET", dead)
        if not is_ours(asked):
            next(node for node in members if is_ours(node)).ask("CLUSTER", "FORGET", dead)
    for node in members:
        wait_until(lambda node=node: not knows(node, dead), f"node {node.port} forgets the dead one")
    mixed.nodes[:] = members
    wait_for_agreement(mixed.nodes)


def knows(node: Node, node_id: str) -> bool:
    return node_id in node.ask("CLUSTER", "NODES")


def take_over(shard: Shard) -> None:
    shard.replica.ask("CLUSTER", "FAILOVER")
    wait_until(partial(follows, shard.primary, shard.replica), "the roles are exchanged")


def test_all_come_back_from_their_own_files(mixed: Mixed) -> None:
    """In the same shards with the same slots. Who is up late may find that another leads its shard now."""
    before = shards_of(nodes_view(mixed.nodes[0]))
    digests = [node.ask("DEBUG", "DIGEST") for node in mixed.nodes]
    for node in mixed.nodes:
        node.ask("SAVE")
    for node in mixed.nodes:
        node.stop()
    for node in mixed.nodes:
        node.launch()
    for node in mixed.nodes:
        node.wait_ready()
    wait_for_agreement(mixed.nodes)
    assert shards_of(nodes_view(mixed.nodes[0])) == before
    for node, digest in zip(mixed.nodes, digests, strict=True):
        wait_until(lambda node=node, digest=digest: node.ask("DEBUG", "DIGEST") == digest, "the data is back")
