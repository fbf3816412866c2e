"""One cluster of our nodes, Redis 7.0, Redis 8.0 and Valkey 8.1: a message published on any is heard on all.

Four primaries of different makes; one of ours has a real replica, a real one has one of ours. Valkey and we
send each other light headers, the Redis nodes know only full ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from shoal.cluster.slots import key_slot
from shoal.node.resp.writer import encode_command
from tests.peers import REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER, needs
from tests.processes.cluster_load import Connection
from tests.processes.mixed_cluster import (
    id_of,
    introduce,
    is_calm,
    is_ours,
    replicate,
    share_slots,
    started,
)
from tests.processes.nodes import HOST, SHOAL, Node, wait_until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.peers,
    needs(REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER),
]


@dataclass
class Shard:
    """A primary, its replica, and a channel of theirs."""

    primary: Node
    replica: Node
    channel: str


@dataclass
class Mixed:
    nodes: list[Node]
    ours: Shard
    theirs: Shard


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mixed]:
    redis7, redis8, valkey8 = [(str(path),) for path in (REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER)]
    kinds = [SHOAL, redis7, redis8, valkey8, redis7, SHOAL]
    patient = ("--cluster-node-timeout", "15000")  # nobody is to fail here, however busy the machine
    with started(tmp_path_factory.mktemp("mixed"), kinds, *patient) as nodes:
        share_slots(nodes[:4])
        introduce(nodes)
        replicate(nodes[4], nodes[0])
        replicate(nodes[5], nodes[1])
        for node in nodes:
            wait_until(partial(is_ready, node, nodes), f"node {node.port} reaches all others")
        shards = [Shard(nodes[at], nodes[at + 4], channel_in(at)) for at in (0, 1)]
        yield Mixed(nodes, *shards)


def channel_in(quarter: int, tag: str = "channel") -> str:
    """A channel in this quarter of the slots."""
    return next(f"{tag}-{n}" for n in range(1000) if key_slot(f"{tag}-{n}".encode()) >> 12 == quarter)


def is_ready(node: Node, nodes: list[Node]) -> bool:
    """Whether it serves, has a link to and from everybody, and knows who follows whom."""
    lines = [line.split(" ") for line in node.ask("CLUSTER", "NODES").splitlines()]
    followed = {words[0]: words[3] for words in lines if "slave" in words[2]}
    return (
        is_calm(node)
        and len(node.ask("CLUSTER", "LINKS")) == 2 * (len(nodes) - 1)
        and followed == {id_of(nodes[4]): id_of(nodes[0]), id_of(nodes[5]): id_of(nodes[1])}
    )


class Listener:
    """A connection that listens to one channel."""

    def __init__(self, node: Node, word: str, channel: str) -> None:
        self.connection = Connection((HOST, node.port))
        self.tell(word, channel)
        assert self.next() == [word.lower(), channel, 1]

    def tell(self, *words: str) -> None:
        self.connection.send(encode_command([word.encode() for word in words]))

    def next(self) -> Any:
        """What it is sent next, waited for."""
        reply = self.connection.receive()
        return [part.decode() if isinstance(part, bytes) else part for part in reply]

    def messages(self, count: int) -> set[str]:
        """The texts of the next messages; from different publishers they come in any order."""
        return {self.next()[-1] for _ in range(count)}

    def close(self) -> None:
        self.connection.close()


@contextmanager
def listening(nodes: list[Node], word: str, channel: str) -> Iterator[list[Listener]]:
    with ExitStack() as stack:
        yield [stack.enter_context(closing(Listener(node, word, channel))) for node in nodes]


def counted(node: Node, name: str) -> int:
    return int(node.cluster_info().get(f"cluster_stats_messages_{name}", 0))


def test_a_message_published_anywhere_is_heard_everywhere(mixed: Mixed) -> None:
    nodes = mixed.nodes
    with (
        listening(nodes, "SUBSCRIBE", "news") as everybody,
        listening(nodes, "PSUBSCRIBE", "n*s") as matching,
    ):
        for round_number in range(3):
            texts = {f"{round_number} from {node.port} " + "x" * 3000 for node in nodes}
            for node, text in zip(nodes, sorted(texts, key=lambda t: t.split()[2]), strict=True):
                assert node.ask("PUBLISH", "news", text) == 2
            for listener in everybody + matching:
                assert listener.messages(len(nodes)) == texts
    for node in filter(is_ours, nodes):
        assert counted(node, "publish_sent") == 3 * 5
        assert counted(node, "publish_received") == 3 * 5


@pytest.mark.parametrize("name", ["ours", "theirs"])
def test_a_sharded_message_is_heard_in_its_shard_alone(mixed: Mixed, name: str) -> None:
    shard: Shard = getattr(mixed, name)
    members = [shard.primary, shard.replica]
    before = {node.port: counted(node, "publishshard_received") for node in mixed.nodes}
    with listening(members, "SSUBSCRIBE", shard.channel) as listeners:
        for publisher in members:
            assert publisher.ask("SPUBLISH", shard.channel, f"from {publisher.port}") == 1
            assert [listener.messages(1) for listener in listeners] == 2 * [{f"from {publisher.port}"}]
    received = {node.port: counted(node, "publishshard_received") - before[node.port] for node in mixed.nodes}
    assert received == {node.port: int(node in members) for node in mixed.nodes}


def test_keyspace_notifications_stay_on_their_node(mixed: Mixed) -> None:
    primary, key = mixed.ours.primary, mixed.ours.channel
    primary.ask("CONFIG", "SET", "notify-keyspace-events", "KEA")
    here, elsewhere = primary, mixed.nodes[1]
    with listening([here, elsewhere], "PSUBSCRIBE", "*") as (hears, does_not):
        primary.ask("SET", key, "value")
        primary.ask("PUBLISH", "news", "end")
        assert [hears.next()[2:] for _ in range(3)] == [
            [f"__keyspace@0__:{key}", "set"],
            ["__keyevent@0__:set", key],
            ["news", "end"],
        ]
        assert does_not.next()[2:] == ["news", "end"]
    primary.ask("DEL", key)
    primary.ask("CONFIG", "SET", "notify-keyspace-events", "")


@pytest.mark.parametrize("name", ["ours", "theirs"])
def test_who_listens_to_a_slot_that_leaves_is_sent_away_on_primary_and_replica(
    mixed: Mixed, name: str
) -> None:
    shard: Shard = getattr(mixed, name)
    target = mixed.nodes[3]
    channel = channel_in(0 if name == "ours" else 1, "leaving")
    slot = key_slot(channel.encode())
    with listening([shard.primary, shard.replica], "SSUBSCRIBE", channel) as listeners:
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", id_of(shard.primary))
        shard.primary.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", id_of(target))
        shard.primary.ask("SPUBLISH", channel, "still here")
        assert [listener.messages(1) for listener in listeners] == 2 * [{"still here"}]
        for node in (target, shard.primary):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", id_of(target))
        assert [listener.next() for listener in listeners] == 2 * [["sunsubscribe", channel, 0]]
        wait_until(partial(_redirects_to, listeners[1], channel, target), "the replica names the new owner")


def _redirects_to(listener: Listener, channel: str, owner: Node) -> bool:
    listener.connection.send(encode_command((b"SSUBSCRIBE", channel.encode())))
    return str(listener.connection.receive()).startswith(
        f"MOVED {key_slot(channel.encode())} {owner.address}"
    )
