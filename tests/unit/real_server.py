"""A real redis-server or valkey-server for one test module, and data that brings out all its encodings."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.ports import free_port

START_DEADLINE_SECONDS = 10.0


@contextmanager
def real_server(program: Path, directory: Path, *options: str) -> Iterator[redis.Redis]:
    """A client of a server that runs in `directory`, and loads the `dump.rdb` it finds there."""
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", directory, "--save", ""]
    command += ["--enable-debug-command", "yes", "--loglevel", "warning", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        with redis.Redis(port=port, socket_timeout=10) as client:
            deadline = time.monotonic() + START_DEADLINE_SECONDS
            while not _answers(client):
                assert process.poll() is None, f"{program} ended with {process.returncode}"
                assert time.monotonic() < deadline, f"{program} does not answer"
                time.sleep(0.02)
            yield client
    finally:
        process.kill()
        process.wait()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.RedisError:
        return False


def fill(client: redis.Redis) -> None:
    """One key or more of every type, encoding and size class, some with a time to live, in two databases.

    Scores are such that all servers digest them alike: 17 digits or the fewest that do, they look the same.
    """
    for number in (0, -1, 127, -128, 32767, -32769, 2147483647, -2147483649, 9223372036854775807):
        client.set(f"string:int:{number}", number)
    client.set("string:empty", b"")
    client.set("string:binary", bytes(range(256)))
    client.set("string:63", b"x" * 10 + b"y" * 53)
    client.set("string:compressed", b"abcabcabc" * 2000 + bytes(range(256)))
    client.set("string:large", bytes(i * i % 251 for i in range(70000)))
    client.set("string:expires", b"later", px=3_600_000)
    client.set("k" * 300, b"a long key")
    numbers = [0, 1, 12, 13, 127, 128, 4095, -4096, 4096, 32767, 8388607, -8388608, 2147483647, 1 << 40, -1]
    texts = [b"", b"a", b"b" * 63, b"c" * 64, b"d" * 4095, b"e" * 4096, b"f" * 300, bytes(range(256))]
    client.rpush("list:small", *numbers, *texts[:3])
    client.rpush("list:texts", *texts)
    client.rpush("list:plain-node", b"small", b"g" * 20000, b"small again")
    client.rpush("list:many", *(f"element {i}" for i in range(5000)))
    client.sadd("set:int16", 1, 2, 3, -300)
    client.sadd("set:int32", 1, 70000, -70000)
    client.sadd("set:int64", 1, 1 << 40, -(1 << 40))
    client.sadd("set:small", "a", "b", 3)
    client.sadd("set:many", *(f"member {i}" for i in range(1000)))
    client.hset("hash:small", mapping={"a": 1, "b": "text", "c": -70000, "": ""})
    client.hset("hash:many", mapping={f"field {i}": i for i in range(1000)})
    client.hset("hash:long", "field", b"h" * 5000)
    scores = {"a": 1, "b": 1.5, "c": -0.125, "d": float("inf"), "e": float("-inf"), "f": 1e6, "g": 0}
    client.zadd("zset:small", scores)
    client.zadd("zset:many", {f"member {i}": i / 8 for i in range(1000)})
    fill_streams(client)
    client.pexpire("hash:small", 7_200_000)
    client.pexpire("zset:many", 7_200_000)
    client.execute_command("SELECT", 9)
    client.set("string:63", b"the same name in another database")
    client.rpush("list:elsewhere", 1, 2, 3)
    client.execute_command("SELECT", 0)


def fill_streams(client: redis.Redis) -> None:
    """Streams of one node and of many, with gaps, with groups, and with nothing in them."""
    for number in range(1, 350):
        client.xadd(
            "stream:many", {"field": number, "other": "x" * (number % 90)}, id=f"{number}-{number % 3}"
        )
    client.xtrim("stream:many", maxlen=260)
    client.xdel("stream:many", "100-1", "200-2", "349-1")
    client.xadd("stream:one", {"a": 1}, id=f"5-{(1 << 64) - 1}")
    client.xadd("stream:one", {"b": "c" * 5000, "": ""}, id="6-0")
    client.xgroup_create("stream:many", "readers", "120", entries_read=120)
    client.xgroup_create("stream:many", "idle", "$")
    client.xreadgroup("readers", "alice", {"stream:many": ">"}, count=20)
    client.xreadgroup("readers", "bob", {"stream:many": ">"}, count=5)
    client.xack("stream:many", "readers", "125-2", "126-0")
    client.xgroup_create("stream:empty", "waiting", mkstream=True)
