"""Servers that replicate each other, ours and real ones, and what it takes to see that they agree."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

from tests.ports import free_port

DEADLINE_SECONDS = 15.0
OURS = (sys.executable, "-m", "shoal.node.runtime.main")


@contextmanager
def server(program: tuple[str, ...], directory: Path, *options: str) -> Iterator[redis.Redis]:
    """A client of a fresh server; ours or a real one, by the words that start it."""
    port = free_port()
    directory.mkdir(parents=True)
    command = [*program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""]
    command += ["--logfile", str(directory / "log"), "--repl-diskless-sync-delay", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        with redis.Redis(port=port, socket_timeout=DEADLINE_SECONDS) as client:
            until(lambda: process.poll() is not None or _answers(client), "the server answers")
            assert process.poll() is None, f"the server ended with status {process.returncode}"
            yield client
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.01)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.RedisError:
        return False


def port_of(client: redis.Redis) -> int:
    return int(client.connection_pool.connection_kwargs["port"])


def follow(replica: redis.Redis, primary: redis.Redis) -> None:
    """Make one follow the other and wait until the link is up on both sides."""
    replica.execute_command("REPLICAOF", "127.0.0.1", port_of(primary))
    until_linked(replica)
    until(lambda: "state=online" in str(primary.info("replication")) or _online(primary), "it is online")


def _online(primary: redis.Redis) -> bool:
    replicas = [value for name, value in primary.info("replication").items() if name.startswith("slave")]
    return any(isinstance(replica, dict) and replica.get("state") == "online" for replica in replicas)


def until_linked(replica: redis.Redis) -> None:
    until(lambda: replica.info("replication")["master_link_status"] == "up", "the link is up")


def offset(client: redis.Redis) -> int:
    return int(client.info("replication")["master_repl_offset"])


def until_caught_up(replica: redis.Redis, primary: redis.Redis) -> None:
    """Wait until the replica has applied as much as the primary has written."""
    until(lambda: offset(replica) == offset(primary), "the replica has caught up")


def contents(client: redis.Redis) -> dict[bytes, tuple[object, ...]]:
    """Every key of the chosen database with its type, its value as plain Python, and when it expires."""
    keys = list(client.scan_iter(count=1000))
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.type(key)
    kinds = pipeline.execute()
    for key, kind in zip(keys, kinds, strict=True):
        _READERS[kind](pipeline, key)
        pipeline.pexpiretime(key)
    replies = pipeline.execute()
    values = [
        stream_facts(reply) if kind == b"stream" else reply
        for kind, reply in zip(kinds, replies[::2], strict=True)
    ]
    return dict(zip(keys, zip(kinds, values, replies[1::2], strict=True), strict=True))


def stream_facts(info: dict[bytes, object]) -> dict[bytes, object]:
    """Of XINFO STREAM FULL what a replica has too: not when a consumer asked, nor how nodes are kept.

    How many entries a group has read it does not know from Redis 7.0, which does not send it.
    """
    facts = {name: fact for name, fact in info.items() if name not in _NOT_REPLICATED}
    for nested in (b"groups", b"consumers"):
        if isinstance(found := facts.get(nested), list):
            facts[nested] = [stream_facts(one) for one in found]
    return facts


_NOT_REPLICATED = frozenset(
    {b"radix-tree-keys", b"radix-tree-nodes", b"entries-read", b"lag", b"seen-time", b"active-time"}
)


_READERS: dict[bytes, Callable[[redis.Redis, bytes], object]] = {
    b"string": lambda client, key: client.get(key),
    b"list": lambda client, key: client.lrange(key, 0, -1),
    b"set": lambda client, key: client.smembers(key),
    b"hash": lambda client, key: client.hgetall(key),
    b"zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    b"stream": lambda client, key: client.execute_command("XINFO", "STREAM", key, "FULL", "COUNT", 0),
}


def fill(client: redis.Redis, keys: int = 300) -> None:
    """Some keys of every type and encoding, written by commands that also change in the stream."""
    pipeline = client.pipeline(transaction=False)
    for number in range(keys):
        pipeline.set(f"string:{number}", b"x" * number)
        pipeline.set(f"volatile:{number}", number, px=3_600_000)
    for number in (
        0,
        -1,
        127,
        128,
        -129,
        32_768,
        1 << 31,
        (1 << 63) - 1,
        "007",
        "1e3",
        b"\0\xff",
        b"ab" * 5000,
    ):
        pipeline.rpush("list of strings", number)
        pipeline.set(b"string %b" % str(number).encode()[:40], number)
    pipeline.rpush("list", *range(500))
    pipeline.rpush("list of large ones", *(bytes([65 + n]) * 9000 for n in range(20)))
    pipeline.sadd("set", *range(300))
    for bits in (15, 31, 62):
        pipeline.sadd(f"set of integers of {bits} bits", *(sign << bits - 1 for sign in (-1, 1)), 7)
    pipeline.sadd("set of few", "a", 1, b"\0")
    pipeline.sadd("set of many", *(f"member{n}" for n in range(700)))
    pipeline.hset("hash", mapping={f"field{n}": n for n in range(300)})
    pipeline.hset("hash of few", mapping={"field": 1, "": "empty", b"\xff": b"\0"})
    pipeline.hset("hash of large ones", mapping={"field": "x" * 100})
    pipeline.zadd("zset", {f"member{n}": n / 4 for n in range(300)})
    pipeline.zadd("zset of few", {"a": float("-inf"), "b": -0.1, "c": 1 / 3, "d": 1e300, "e": float("inf")})
    pipeline.pexpireat("zset of few", 4_000_000_000_123)
    pipeline.pfadd("distinct ones", *range(100))
    for number in range(1, 300):
        pipeline.xadd("stream", {"field": number, "other": "x" * (number % 90)})
        pipeline.xadd("stream of gaps", {"field": number}, id=number)
        pipeline.xdel("stream of gaps", number - number % 3)
    pipeline.xgroup_create("stream", "readers", 0)
    pipeline.xgroup_create("stream of gaps", "readers", 100, entries_read=100)
    pipeline.xgroup_create("stream of nothing", "readers", "$", mkstream=True)
    pipeline.xreadgroup("readers", "first", {"stream": ">", "stream of gaps": ">"}, count=20)
    pipeline.execute()


def change(client: redis.Redis, times: int = 50) -> None:
    """Writes whose propagation differs from what is sent: transactions, chance, relative expiry."""
    for number in range(times):
        client.incr("counter")
        client.spop("set")
        client.set(f"late:{number}", number, ex=1000)
        pipeline = client.pipeline(transaction=True)
        pipeline.rpush("transaction", number)
        pipeline.hincrby("hash", "field1", 1)
        pipeline.execute()
        change_streams(client, number)


def change_streams(client: redis.Redis, number: int) -> None:
    """Entries come, are read, acknowledged, claimed and deleted: what consumers get depends on the rest."""
    with suppress(redis.exceptions.ResponseError):
        client.xgroup_create("stream", "readers", "$", mkstream=True)
    entry = client.xadd("stream", {"number": number}, maxlen=250, approximate=True)
    client.xreadgroup("readers", f"reader {number % 3}", {"stream": ">"}, count=2, noack=number % 4 == 0)
    if number % 2:
        client.xack("stream", "readers", entry)
    if number % 5 == 0:
        client.xautoclaim("stream", "readers", "claimer", 0, count=3)
    if number % 7 == 0:
        client.xdel("stream", entry)
