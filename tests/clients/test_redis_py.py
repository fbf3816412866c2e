"""redis-py, synchronous, to a node alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.packages import python_client
from tests.processes.nodes import HOST, Node, wait_until

redis = python_client("redis")
pytestmark = pytest.mark.processes


@pytest.fixture
def client(node: Node) -> Iterator[Any]:
    with redis.Redis(HOST, node.port) as client:
        yield client


def test_it_negotiates_resp3_and_names_itself(node: Node) -> None:
    with redis.Redis(HOST, node.port, client_name="shop", db=3) as client:
        (me,) = [row for row in client.client_list() if row["name"] == "shop"]
        assert (me["resp"], me["lib-name"], me["lib-ver"]) == ("3", "redis-py", redis.__version__)
        assert (me["db"], client.client_id(), client.client_getname()) == ("3", int(me["id"]), "shop")


@pytest.mark.parametrize("protocol", [2, 3])
def test_values_of_every_type_come_back_as_they_went(node: Node, protocol: int) -> None:
    with redis.Redis(HOST, node.port, protocol=protocol) as client:
        assert client.set("text", "value") is True
        assert client.mget("text", "missing") == [b"value", None]
        assert (client.incr("count"), client.incrbyfloat("price", 1.5)) == (1, 1.5)
        client.hset("hash", mapping={"a": 1, "b": "two"})
        assert client.hgetall("hash") == {b"a": b"1", b"b": b"two"}
        client.rpush("list", 1, 2, 3)
        assert client.lrange("list", 0, -1) == [b"1", b"2", b"3"]
        client.sadd("set", "x", "y")
        assert client.smembers("set") == {b"x", b"y"}
        client.zadd("zset", {"low": 0.5, "high": float("inf")})
        pairs = client.zrange("zset", 0, -1, withscores=True)
        assert list(map(tuple, pairs)) == [(b"low", 0.5), (b"high", float("inf"))]
        assert (client.zscore("zset", "low"), client.zscore("zset", "none")) == (0.5, None)


def test_the_types_of_resp3_reach_a_client_that_wants_them_as_they_are(node: Node) -> None:
    with redis.Redis(HOST, node.port, legacy_responses=False) as client:
        client.zadd("zset", {"low": 0.5})
        client.sadd("set", "x")
        assert client.zrange("zset", 0, -1, withscores=True) == [[b"low", 0.5]]
        assert client.smembers("set") == {b"x"}
        assert client.config_get("maxmemory") == {"maxmemory": "0"}


def test_bytes_of_any_kind_and_length_survive(client: Any) -> None:
    every_byte = bytes(range(256)) + b"\r\n$-1\r\n"
    client.set(every_byte, every_byte)
    assert client.get(every_byte) == every_byte
    large = every_byte * 4000
    assert client.set("large", large) and client.get("large") == large
    client.hset("hash", every_byte, large)
    assert client.hget("hash", every_byte) == large
    assert list(client.scan_iter(match=b"\x00\x01*")) == [every_byte]


def test_a_pipeline_answers_in_order_and_shows_each_error_in_its_place(client: Any) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for _ in range(1000):
            pipeline.incr("count")
        pipeline.lpush("count", "x")
        pipeline.get("count")
        replies = pipeline.execute(raise_on_error=False)
    assert replies[:1000] == list(range(1, 1001))
    assert isinstance(replies[1000], redis.ResponseError)
    assert replies[1001] == b"1000"


def test_a_transaction_happens_whole_or_not_at_all(client: Any, node: Node) -> None:
    with client.pipeline() as transaction:
        assert transaction.set("a", 1).incr("a").get("a").execute() == [True, 2, b"2"]
        transaction.watch("a")
        node.ask("SET", "a", "changed by another")
        transaction.multi()
        transaction.set("a", "lost")
        with pytest.raises(redis.WatchError):
            transaction.execute()
    assert client.get("a") == b"changed by another"
    assert client.transaction(lambda pipe: pipe.multi() or pipe.set("a", 5), "a") == [True]


def test_a_bad_command_aborts_the_transaction(client: Any) -> None:
    with client.pipeline() as transaction, pytest.raises(redis.ResponseError, match="unknown command"):
        transaction.set("a", 1).execute_command("NONSENSE").execute()
    assert client.exists("a") == 0


def test_keys_expire(client: Any) -> None:
    client.set("short", 1, px=30)
    client.set("long", 1, ex=100)
    assert client.ttl("long") in (99, 100) and client.ttl("missing") == -2
    wait_until(lambda: client.get("short") is None, "the key expires", seconds=5)
    assert client.expire("long", 500, gt=True) and client.persist("long") and client.ttl("long") == -1
    assert abs(client.time()[0] - time.time()) < 5


def test_a_scan_tells_every_key_once_that_was_there_throughout(client: Any) -> None:
    keys = {b"key:%d" % number for number in range(2500)}
    client.mset(dict.fromkeys(keys, 1))
    found = list(client.scan_iter(count=100))
    assert set(found) == keys and len(found) == len(keys)
    client.hset("hash", mapping={f"field{number}": number for number in range(1000)})
    assert len(dict(client.hscan_iter("hash"))) == 1000
    assert list(client.scan_iter(_type="hash")) == [b"hash"]


def test_errors_become_the_exceptions_of_the_client(client: Any, node: Node) -> None:
    client.set("text", "value")
    with pytest.raises(redis.ResponseError, match=r"^WRONGTYPE Operation against a key holding"):
        client.lpush("text", "x")
    with pytest.raises(redis.ResponseError, match="value is not an integer or out of range"):
        client.incr("text")
    once = redis.retry.Retry(redis.backoff.NoBackoff(), retries=0)
    with (
        redis.Redis(HOST, node.port, username="nobody", password="wrong", retry=once) as stranger,
        pytest.raises(redis.AuthenticationError, match="invalid username-password pair"),
    ):
        stranger.ping()


def test_it_reads_what_the_node_tells_about_itself(client: Any) -> None:
    client.set("key", "value")
    info = client.info()
    assert info["role"] == "master" and info["db0"]["keys"] == 1
    get = client.command()["get"]
    assert (get["arity"], get["first_key_pos"], "readonly" in get["flags"]) == (2, 1, True)
    assert client.command_getkeys("MSET", "a", 1, "b", 2) == ["a", "b"]
    assert client.memory_usage("key") > 0 and client.object("encoding", "key") == b"embstr"
    assert client.config_set("maxmemory-samples", 6) and client.config_get("maxmemory-samples")
