"""redis-py on asyncio: a node alone, and the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.clients.packages import python_client
from tests.clients.slots import EVERY_NODE_KEYS, elsewhere, failed_over, halfway
from tests.processes.nodes import HOST, Node

redis = python_client("redis.asyncio")
pytestmark = pytest.mark.processes
Use = Callable[[Any], Awaitable[None]]


def with_client(node: Node, use: Use, **options: Any) -> None:
    async def run() -> None:
        async with redis.Redis(host=HOST, port=node.port, **options) as client:
            await use(client)

    asyncio.run(run())


def with_cluster_client(nodes: list[Node], use: Use, **options: Any) -> None:
    async def run() -> None:
        async with redis.RedisCluster(host=HOST, port=nodes[0].port, **options) as client:
            await use(client)

    asyncio.run(run())


def test_it_negotiates_resp3_and_names_itself(node: Node) -> None:
    async def use(client: Any) -> None:
        (me,) = [row for row in await client.client_list() if row["name"] == "shop"]
        assert (me["resp"], me["lib-name"], me["db"]) == ("3", "redis-py", "2")

    with_client(node, use, client_name="shop", db=2)


@pytest.mark.parametrize("protocol", [2, 3])
def test_values_of_every_type_come_back_as_they_went(node: Node, protocol: int) -> None:
    async def use(client: Any) -> None:
        binary = bytes(range(256)) * 4096
        assert await client.set("text", binary, ex=100) is True
        assert await client.get("text") == binary and 0 < await client.ttl("text") <= 100
        assert await client.incr("count") == 1
        await client.hset("hash", mapping={"a": 1, "b": "two"})
        assert await client.hgetall("hash") == {b"a": b"1", b"b": b"two"}
        await client.rpush("list", 1, 2, 3)
        assert await client.lpop("list", 2) == [b"1", b"2"]
        await client.sadd("set", "x", "y")
        assert await client.smembers("set") == {b"x", b"y"}
        await client.zadd("zset", {"low": 0.5, "high": 2})
        assert await client.zscore("zset", "low") == 0.5
        assert sorted([key async for key in client.scan_iter(count=1)])[0] == b"count"
        with pytest.raises(redis.ResponseError, match=r"^WRONGTYPE"):
            await client.incr("list")

    with_client(node, use, protocol=protocol)


def test_pipelines_and_transactions(node: Node) -> None:
    async def use(client: Any) -> None:
        async with client.pipeline(transaction=False) as pipeline:
            for _ in range(500):
                pipeline.incr("count")
            assert await pipeline.execute() == list(range(1, 501))
        async with client.pipeline() as transaction:
            await transaction.watch("count")
            await client.set("count", 7)
            transaction.multi()
            transaction.incr("count")
            with pytest.raises(redis.WatchError):
                await transaction.execute()
        assert await client.get("count") == b"7"

    with_client(node, use)


def test_many_tasks_share_one_pool(node: Node) -> None:
    async def use(client: Any) -> None:
        async def work(number: int) -> None:
            for step in range(20):
                await client.set(f"key:{number}", step)
                assert await client.get(f"key:{number}") == b"%d" % step

        await asyncio.gather(*(work(number) for number in range(25)))
        assert await client.dbsize() == 25

    with_client(node, use)


def test_the_cluster_from_one_node(cluster: list[Node]) -> None:
    async def use(client: Any) -> None:
        assert {node.port for node in client.get_nodes()} == {node.port for node in cluster}
        for number, key in enumerate(EVERY_NODE_KEYS):
            assert await client.set(key, number)
        pipeline = client.pipeline()
        for key in EVERY_NODE_KEYS:
            pipeline.incr(key)
        assert await pipeline.execute() == list(range(1, len(EVERY_NODE_KEYS) + 1))
        await client.mset({"{user}a": 1, "{user}b": 2})
        assert await client.mget("{user}a", "{user}b") == [b"1", b"2"]
        with pytest.raises(redis.cluster.RedisClusterException, match="same key slot"):
            await client.mget("a", "b")

    with_cluster_client(cluster, use)


def test_the_cluster_while_slots_move(cluster: list[Node], primaries: list[Node]) -> None:
    async def use(client: Any) -> None:
        await client.set("key", "value")
        with elsewhere("key", primaries):
            assert await client.get("key") == b"value"
        with halfway("key", primaries):
            assert await client.get("key") == b"value"
            assert await client.set("{key}fresh", 1)
        assert await client.get("{key}fresh") == b"1"

    with_cluster_client(cluster, use)


def test_writes_go_on_after_a_failover(cluster: list[Node]) -> None:
    async def use(client: Any) -> None:
        await client.set("key", "value")
        with failed_over("key", cluster):
            assert await client.get("key") == b"value"
            assert await client.append("key", "!") == 6
        assert await client.get("key") == b"value!"

    with_cluster_client(cluster, use)


def test_replicas_serve_reads(cluster: list[Node]) -> None:
    async def use(client: Any) -> None:
        before = sum(node.calls("get") for node in cluster[3:])
        await client.set("key", "value")
        await client.wait(1, 5000, target_nodes=client.get_node_from_key("key"))
        for _ in range(10):
            assert await client.get("key") == b"value"
        assert sum(node.calls("get") for node in cluster[3:]) > before

    strategy = redis.cluster.LoadBalancingStrategy.ROUND_ROBIN_REPLICAS
    with_cluster_client(cluster, use, load_balancing_strategy=strategy)
