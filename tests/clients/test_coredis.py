"""coredis on trio: a node alone, and the cluster."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from tests.clients.packages import python_client
from tests.clients.slots import EVERY_NODE_KEYS, elsewhere, failed_over, halfway
from tests.processes.nodes import HOST, Node

coredis = python_client("coredis")
exceptions = python_client("coredis.exceptions")
pytestmark = [
    pytest.mark.processes,
    pytest.mark.trio,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Have the streams that the client leaves open warn of themselves here, not amid another test."""
    yield
    gc.collect()


def connect(node: Node, **options: Any) -> Any:
    return coredis.Redis(host=HOST, port=node.port, **options)


def connect_to_cluster(nodes: list[Node], **options: Any) -> Any:
    return coredis.RedisCluster(startup_nodes=[{"host": HOST, "port": nodes[0].port}], **options)


async def test_it_negotiates_resp3_and_names_itself(node: Node) -> None:
    async with connect(node, client_name="shop", db=2) as client:
        (me,) = [row for row in await client.client_list() if row["name"] == "shop"]
        assert (me["resp"], me["lib-name"], me["db"]) == ("3", "coredis", 2)


async def test_values_of_every_type_come_back_as_they_went(node: Node) -> None:
    async with connect(node) as client:
        binary = bytes(range(256)) * 4096
        assert await client.set("text", binary, ex=100)
        assert await client.get("text") == binary and 0 < await client.ttl("text") <= 100
        assert await client.incr("count") == 1
        assert await client.mget(["count", "missing"]) == (b"1", None)
        await client.hset("hash", {"a": "1", "b": "two"})
        assert await client.hgetall("hash") == {b"a": b"1", b"b": b"two"}
        await client.rpush("list", ["1", "2", "3"])
        assert await client.lrange("list", 0, -1) == [b"1", b"2", b"3"]
        await client.sadd("set", ["x", "y"])
        assert await client.smembers("set") == {b"x", b"y"}
        await client.zadd("zset", {"low": 0.5, "high": 2})
        assert await client.zrange("zset", 0, -1, withscores=True) == ((b"low", 0.5), (b"high", 2.0))
        assert await client.zscore("zset", "low") == 0.5
        assert {key async for key in client.scan_iter()} == {
            b"text",
            b"count",
            b"hash",
            b"list",
            b"set",
            b"zset",
        }
        with pytest.raises(exceptions.WrongTypeError):
            await client.incr("list")
        with pytest.raises(exceptions.ResponseError, match="not an integer"):
            await client.incr("text")


async def test_pipelines_and_transactions(node: Node) -> None:
    async with connect(node) as client:
        async with client.pipeline(transaction=False) as pipeline:
            waiting = [pipeline.incr("count") for _ in range(500)]
        assert [await reply for reply in waiting] == list(range(1, 501))
        async with client.pipeline(transaction=True) as transaction:
            first, second = transaction.set("a", "1"), transaction.incr("a")
        assert (await first, await second) == (True, 2)
        with pytest.raises(exceptions.WatchError):
            async with client.pipeline(transaction=True) as transaction, transaction.watch("a"):
                await client.set("a", "changed by another")
                transaction.set("a", "lost")
        assert await client.get("a") == b"changed by another"


async def test_many_tasks_share_one_pool(node: Node) -> None:
    async with connect(node) as client:

        async def work(number: int) -> None:
            for step in range(20):
                await client.set(f"key:{number}", step)
                assert await client.get(f"key:{number}") == b"%d" % step

        async with trio.open_nursery() as nursery:
            for number in range(25):
                nursery.start_soon(work, number)
        assert await client.dbsize() == 25


async def test_the_cluster_from_one_node(cluster: list[Node]) -> None:
    async with connect_to_cluster(cluster) as client:
        for number, key in enumerate(EVERY_NODE_KEYS):
            assert await client.set(key, number)
        async with client.pipeline() as pipeline:
            waiting = [pipeline.incr(key) for key in EVERY_NODE_KEYS]
        assert [await reply for reply in waiting] == list(range(1, len(EVERY_NODE_KEYS) + 1))
        assert {key.decode() async for key in client.scan_iter()} == set(EVERY_NODE_KEYS)
        await client.mset({"{user}a": "1", "{user}b": "2"})
        assert await client.mget(["{user}a", "{user}b"]) == (b"1", b"2")
        with pytest.raises(exceptions.ClusterCrossSlotError):
            await client.rename("a", "b")


async def test_the_cluster_while_slots_move(cluster: list[Node], primaries: list[Node]) -> None:
    async with connect_to_cluster(cluster) as client:
        await client.set("key", "value")
        with elsewhere("key", primaries):
            assert await client.get("key") == b"value"
        with halfway("key", primaries):
            assert await client.get("key") == b"value"
            assert await client.set("{key}fresh", "1")
        assert await client.get("{key}fresh") == b"1"


async def test_writes_go_on_after_a_failover(cluster: list[Node]) -> None:
    async with connect_to_cluster(cluster) as client:
        await client.set("key", "value")
        with failed_over("key", cluster):
            assert await client.get("key") == b"value"
            assert await client.append("key", "!") == 6
        assert await client.get("key") == b"value!"


async def test_replicas_serve_reads(cluster: list[Node]) -> None:
    async with connect_to_cluster(cluster, read_from_replicas=True) as client:
        before = sum(node.calls("get") for node in cluster[3:])
        with client.ensure_replication(1, timeout_ms=5000):
            await client.set("key", "value")
        for _ in range(10):
            assert await client.get("key") == b"value"
        assert sum(node.calls("get") for node in cluster[3:]) > before
