"""redis-py's RedisCluster, synchronous, to three primaries with a replica each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shoal.cluster.slots import key_slot
from tests.clients.packages import python_client
from tests.clients.slots import EVERY_NODE_KEYS, elsewhere, failed_over, halfway, owner
from tests.processes.nodes import HOST, Node

redis = python_client("redis")
pytestmark = pytest.mark.processes


@pytest.fixture
def client(cluster: list[Node]) -> Iterator[Any]:
    with redis.RedisCluster(HOST, cluster[0].port) as client:
        yield client


def test_it_finds_every_node_from_one(client: Any, cluster: list[Node]) -> None:
    assert {node.port for node in client.get_nodes()} == {node.port for node in cluster}
    assert {node.port for node in client.get_primaries()} == {node.port for node in cluster[:3]}
    assert client.ping(target_nodes=client.ALL_NODES)
    for rows in client.client_list(target_nodes=client.PRIMARIES).values():
        assert "3" in {row["resp"] for row in rows if row["lib-name"] == "redis-py"}


def test_keys_of_all_slots_reach_their_owners(client: Any, primaries: list[Node]) -> None:
    for number, key in enumerate(EVERY_NODE_KEYS):
        client.set(key, number)
    assert [int(client.get(key)) for key in EVERY_NODE_KEYS] == list(range(len(EVERY_NODE_KEYS)))
    assert all(primary.ask("DBSIZE") > 50 for primary in primaries)
    assert client.dbsize(target_nodes=client.PRIMARIES) == len(EVERY_NODE_KEYS)
    assert {key.decode() for key in client.scan_iter(count=50)} == set(EVERY_NODE_KEYS)
    assert client.mget_nonatomic(EVERY_NODE_KEYS[:20]) == [b"%d" % number for number in range(20)]
    assert client.delete(*EVERY_NODE_KEYS) == len(EVERY_NODE_KEYS)


def test_a_pipeline_over_all_nodes_answers_in_the_order_asked(client: Any) -> None:
    with client.pipeline() as pipeline:
        for number, key in enumerate(EVERY_NODE_KEYS):
            pipeline.set(key, number).incr(key)
        replies = pipeline.execute()
    assert replies[1::2] == [number + 1 for number in range(len(EVERY_NODE_KEYS))]


def test_keys_with_one_hash_tag_go_together_and_others_are_refused(
    client: Any, primaries: list[Node]
) -> None:
    assert client.mset({"{user}:name": "Ada", "{user}:mail": "ada@example.org"})
    assert client.mget("{user}:name", "{user}:mail") == [b"Ada", b"ada@example.org"]
    assert client.rename("{user}:name", "{user}:title") is True
    with client.pipeline(transaction=True) as transaction:
        assert transaction.incr("{user}:n").incr("{user}:n").execute() == [1, 2]
    with pytest.raises(redis.exceptions.RedisClusterException, match="same key slot"):
        client.mget("a", "b")
    with pytest.raises(redis.exceptions.ClusterCrossSlotError, match="don't hash to the same slot"):
        client.execute_command("MSET", "a", 1, "b", 2, target_nodes=client.get_node_from_key("a"))


def test_it_follows_a_slot_to_its_new_owner(client: Any, primaries: list[Node]) -> None:
    client.set("key", "value")
    home = owner(primaries, "key")
    with elsewhere("key", primaries):
        assert home.ask("CLUSTER", "COUNTKEYSINSLOT", key_slot(b"key")) == 0
        assert client.get("key") == b"value"
        assert client.append("key", "!") == 6
        assert client.get_node_from_key("key").port != home.port
    assert client.get("key") == b"value!"


def test_it_asks_the_importing_node_while_the_slot_is_on_its_way(client: Any, primaries: list[Node]) -> None:
    client.set("key", "value")
    home = owner(primaries, "key")
    with halfway("key", primaries):
        assert home.ask("CLUSTER", "COUNTKEYSINSLOT", key_slot(b"key")) == 0
        assert client.get("key") == b"value"
        assert client.set("{key}fresh", "new") is True
        assert client.get_node_from_key("key").port == home.port
    assert client.get("{key}fresh") == b"new"


def test_it_hears_messages_from_every_node_and_shard_channels_from_their_owners(
    client: Any, cluster: list[Node]
) -> None:
    with client.pubsub() as pubsub:
        pubsub.subscribe("news")
        assert pubsub.get_message(timeout=5)["type"] == "subscribe"
        for node in cluster:
            node.ask("PUBLISH", "news", node.port)
        heard = {int(pubsub.get_message(timeout=5)["data"]) for _ in cluster}
        assert heard == {node.port for node in cluster}
        for channel in EVERY_NODE_KEYS[:20]:
            pubsub.ssubscribe(channel)
            owner_node = client.get_node_from_key(channel)
            assert pubsub.get_sharded_message(timeout=5, target_node=owner_node)["type"] == "ssubscribe"
            assert client.execute_command("SPUBLISH", channel, "m") == 1
            message = pubsub.get_sharded_message(timeout=5, target_node=owner_node)
            assert (message["type"], message["channel"]) == ("smessage", channel.encode())


def test_writes_go_on_after_a_failover(client: Any, cluster: list[Node]) -> None:
    client.set("key", "value")
    with failed_over("key", cluster):
        assert client.get("key") == b"value"
        assert client.append("key", "!") == 6
    assert client.get("key") == b"value!"


def test_replicas_serve_reads(cluster: list[Node]) -> None:
    strategy = redis.cluster.LoadBalancingStrategy.ROUND_ROBIN_REPLICAS
    with redis.RedisCluster(HOST, cluster[0].port, load_balancing_strategy=strategy) as client:
        for key in EVERY_NODE_KEYS[:60]:
            client.set(key, "value")
        for primary in client.get_primaries():
            client.wait(1, 5000, target_nodes=primary)
        before = [node.calls("get") for node in cluster[3:]]
        for key in EVERY_NODE_KEYS[:60]:
            assert client.get(key) == b"value"
        assert all(node.calls("get") > earlier for node, earlier in zip(cluster[3:], before, strict=True))


def test_it_understands_what_the_cluster_tells(client: Any, cluster: list[Node]) -> None:
    assert client.cluster_info()["cluster_state"] == "ok"
    nodes = client.cluster_nodes()
    assert set(nodes) == {node.address for node in cluster}
    assert sum(len(node["slots"]) for node in nodes.values()) == 3
    shards = client.cluster_shards()
    assert sorted(len(shard["nodes"]) for shard in shards) == [2, 2, 2]
    assert client.cluster_keyslot("key") == key_slot(b"key")
    myself = cluster[0].ask("CLUSTER", "MYID")
    replicas = client.cluster_replicas(myself, target_nodes=client.get_node(HOST, cluster[1].port))
    assert list(replicas) == [cluster[3].address]
