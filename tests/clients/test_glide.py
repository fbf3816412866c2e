"""Valkey GLIDE on asyncio: a node alone, and the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.clients.packages import python_client
from tests.clients.slots import EVERY_NODE_KEYS, elsewhere, failed_over, halfway
from tests.processes.nodes import HOST, Node

glide = python_client("glide")
pytestmark = pytest.mark.processes
Use = Callable[[Any], Awaitable[None]]


def with_client(node: Node, use: Use, **options: Any) -> None:
    async def run() -> None:
        address = glide.NodeAddress(HOST, node.port)
        configuration = glide.GlideClientConfiguration([address], request_timeout=5000, **options)
        client = await glide.GlideClient.create(configuration)
        try:
            await use(client)
        finally:
            await client.close()

    asyncio.run(run())


def with_cluster_client(nodes: list[Node], use: Use, **options: Any) -> None:
    async def run() -> None:
        address = glide.NodeAddress(HOST, nodes[0].port)
        configuration = glide.GlideClusterClientConfiguration([address], request_timeout=5000, **options)
        client = await glide.GlideClusterClient.create(configuration)
        try:
            await use(client)
        finally:
            await client.close()

    asyncio.run(run())


def test_it_negotiates_resp3_and_names_itself(node: Node) -> None:
    async def use(client: Any) -> None:
        mine = str(await client.custom_command(["CLIENT", "INFO"]))
        for told in ("name=shop ", "resp=3", "db=2 ", "lib-name=GlidePy "):
            assert told in mine

    with_client(node, use, client_name="shop", database_id=2)


def test_values_of_every_type_come_back_as_they_went(node: Node) -> None:
    async def use(client: Any) -> None:
        binary = bytes(range(256)) * 4096
        assert await client.set("text", binary, expiry=glide.ExpirySet(glide.ExpiryType.SEC, 100)) == "OK"
        assert await client.get("text") == binary and 0 < await client.ttl("text") <= 100
        assert (await client.incr("count"), await client.incrbyfloat("price", 1.5)) == (1, 1.5)
        assert await client.mget(["count", "missing"]) == [b"1", None]
        await client.hset("hash", {"a": "1", "b": "two"})
        assert await client.hgetall("hash") == {b"a": b"1", b"b": b"two"}
        await client.rpush("list", ["1", "2", "3"])
        assert await client.lrange("list", 0, -1) == [b"1", b"2", b"3"]
        await client.sadd("set", ["x", "y"])
        assert await client.smembers("set") == {b"x", b"y"}
        await client.zadd("zset", {"low": 0.5, "high": 2})
        everything = glide.RangeByIndex(0, -1)
        assert await client.zrange_withscores("zset", everything) == {b"low": 0.5, b"high": 2.0}
        assert await client.sismember("set", "x") is True

    with_client(node, use)


def test_errors_reach_the_caller(node: Node) -> None:
    async def use(client: Any) -> None:
        await client.rpush("list", ["1"])
        with pytest.raises(glide.RequestError, match="WRONGTYPE: Operation against a key"):
            await client.incr("list")
        with pytest.raises(glide.RequestError, match="unknown command"):
            await client.custom_command(["NONSENSE"])

    with_client(node, use)


def test_batches_pipelined_and_atomic(node: Node) -> None:
    async def use(client: Any) -> None:
        pipeline = glide.Batch(is_atomic=False)
        for _ in range(500):
            pipeline.incr("count")
        assert await client.exec(pipeline, raise_on_error=True) == list(range(1, 501))
        transaction = glide.Batch(is_atomic=True).set("a", "1").incr("a").lpush("a", ["x"])
        ok, two, error = await client.exec(transaction, raise_on_error=False)
        assert (ok, two, isinstance(error, glide.RequestError)) == ("OK", 2, True)
        assert await client.watch(["a"]) == "OK"
        await asyncio.to_thread(node.ask, "SET", "a", "changed by another")
        assert await client.exec(glide.Batch(is_atomic=True).set("a", "lost"), raise_on_error=True) is None

    with_client(node, use)


def test_the_cluster_from_one_node(cluster: list[Node]) -> None:
    async def use(client: Any) -> None:
        for number, key in enumerate(EVERY_NODE_KEYS):
            await client.set(key, str(number))
        batch = glide.ClusterBatch(is_atomic=False)
        for key in EVERY_NODE_KEYS:
            batch.incr(key)
        assert await client.exec(batch, raise_on_error=True) == list(range(1, len(EVERY_NODE_KEYS) + 1))
        assert await client.dbsize() == len(EVERY_NODE_KEYS)
        assert await client.mget(EVERY_NODE_KEYS[:3]) == [b"1", b"2", b"3"]
        assert {key.decode() for key in await scanned(client)} == set(EVERY_NODE_KEYS)
        transaction = glide.ClusterBatch(is_atomic=True).set("{user}a", "1").incr("{user}a")
        assert await client.exec(transaction, raise_on_error=True) == ["OK", 2]
        with pytest.raises(glide.RequestError, match="hash to the same slot"):
            await client.rename("a", "b")

    with_cluster_client(cluster, use)


async def scanned(client: Any) -> list[bytes]:
    """All keys of the cluster, by the client's own cursor over its nodes."""
    cursor, found = glide.ClusterScanCursor(), []
    while not cursor.is_finished():
        cursor, keys = await client.scan(cursor, count=50)
        found += keys
    return found


def test_the_cluster_while_slots_move(cluster: list[Node], primaries: list[Node]) -> None:
    async def use(client: Any) -> None:
        await client.set("key", "value")
        with elsewhere("key", primaries):
            assert await client.get("key") == b"value"
        with halfway("key", primaries):
            assert await client.get("key") == b"value"
            assert await client.set("{key}fresh", "1") == "OK"
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
        await client.wait(1, 5000, glide.SlotKeyRoute(glide.SlotType.PRIMARY, "key"))
        for _ in range(10):
            assert await client.get("key") == b"value"
        assert sum(node.calls("get") for node in cluster[3:]) > before

    with_cluster_client(cluster, use, read_from=glide.ReadFrom.PREFER_REPLICA)
