"""What each server writes, every server that reads its RDB version loads: the same, key by key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
import redis

from tests.peers import REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER, needs
from tests.processes.nodes import SHOAL, Node, running_nodes
from tests.processes.random_data import commands_of, settings_of

pytestmark = [pytest.mark.peers, pytest.mark.processes, needs(REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER)]

DATASETS = 30
"""From each writer; each is loaded by every reader."""
PROGRAMS = {
    "redis 7.0": (str(REDIS7_SERVER),),
    "redis 8.0": (str(REDIS8_SERVER),),
    "valkey 8.1": (str(VALKEY8_SERVER),),
    "shoal": SHOAL,
}
NEWEST_READABLE = {"redis 7.0": 10, "redis 8.0": 12, "valkey 8.1": 11, "shoal": 12}
"""The greatest RDB version each claims to read."""
ENCODINGS = {
    *("string int", "string embstr", "string raw", "list quicklist", "set intset", "set hashtable"),
    *("hash listpack", "hash hashtable", "zset listpack", "zset skiplist", "stream stream"),
}
"""What every server of these makes at least; Redis 7.2 and later have two more."""

Picture = dict[tuple[int, bytes], tuple[Any, ...]]


@dataclass
class Server:
    """One of the four, and a client of it."""

    name: str
    node: Node
    client: redis.Redis

    def fill(self, seed: int) -> None:
        """Make the dataset of this number."""
        rng = Random(seed)
        for directive, value in settings_of(rng).items():
            self.client.config_set(directive, value)
        self.client.flushall()
        self.client.function_flush()
        pipeline = self.client.pipeline(transaction=False)
        for words in commands_of(rng):
            pipeline.execute_command(*words)
        pipeline.execute()

    def save(self) -> bytes:
        self.client.save()
        return (self.node.directory / "dump.rdb").read_bytes()

    def load(self, data: bytes) -> None:
        (self.node.directory / "dump.rdb").write_bytes(data)
        assert self.client.execute_command("DEBUG", "RELOAD", "NOSAVE")

    def picture(self) -> tuple[Picture, list[bytes], set[str]]:
        """Every key with its digest, time to live and what its digest leaves out; functions; encodings."""
        found: Picture = {}
        encodings: set[str] = set()
        for database in (0, 9):
            self.client.execute_command("SELECT", database)
            keys = sorted(self.client.execute_command("KEYS", "*"))
            pipeline = self.client.pipeline(transaction=False)
            pipeline.execute_command("SELECT", database)  # it has a connection of its own
            for key in keys:
                pipeline.execute_command("DEBUG", "DIGEST-VALUE", key)
                pipeline.execute_command("PEXPIRETIME", key)
                pipeline.execute_command("TYPE", key)
                pipeline.execute_command("OBJECT", "ENCODING", key)
            _, *replies = pipeline.execute()
            for number, key in enumerate(keys):
                digest, expiry, kind, encoding = replies[4 * number : 4 * number + 4]
                groups = self.groups(key) if kind == b"stream" else None
                found[database, key] = (digest, expiry, kind, groups)
                encodings.add(f"{kind.decode()} {encoding.decode()}")
        self.client.execute_command("SELECT", 0)
        libraries = map(pairs, self.client.execute_command("FUNCTION", "LIST", "WITHCODE"))
        codes = sorted(library[b"library_code"] for library in libraries)
        return found, codes, encodings

    def groups(self, key: bytes) -> list[Any]:
        """What a stream knows beside its entries: its counters, its groups, who has what pending."""
        info = pairs(self.client.execute_command("XINFO", "STREAM", key, "FULL", "COUNT", 0))
        told: list[Any] = [info[b"length"], info[b"last-generated-id"], info[b"max-deleted-entry-id"]]
        told.append(info[b"entries-added"])
        for group in map(pairs, info[b"groups"]):
            told += [group[b"name"], group[b"last-delivered-id"], group[b"entries-read"]]
            told.append([entry[:2] + entry[3:] for entry in group[b"pending"]])
            for consumer in map(pairs, group[b"consumers"]):
                told += [consumer[b"name"], [entry[:1] + entry[2:] for entry in consumer[b"pending"]]]
        return told


def pairs(flat: Any) -> dict[bytes, Any]:
    return flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    with ExitStack() as stack:
        started = {}
        for name, command in PROGRAMS.items():
            directory = tmp_path_factory.mktemp(name.replace(" ", "-"))
            options = ("--enable-debug-command", "yes")
            (node,) = stack.enter_context(running_nodes(directory, 1, *options, command=command))
            client = stack.enter_context(redis.Redis(port=node.port, single_connection_client=True))
            client.response_callbacks.clear()
            started[name] = Server(name, node, client)
        yield started


@pytest.mark.parametrize("writer", PROGRAMS)
def test_what_one_writes_all_others_read(servers: dict[str, Server], writer: str) -> None:
    source, seen = servers[writer], set()
    for seed in range(DATASETS):
        source.fill(seed)
        data = source.save()
        picture, libraries, encodings = source.picture()
        assert len(picture) > 30
        seen |= encodings
        version = int(data[5:9])
        readers = [name for name in PROGRAMS if NEWEST_READABLE[name] >= version]
        assert "shoal" in readers
        for name in readers:
            servers[name].load(data)
            found, functions, _ = servers[name].picture()
            assert found == picture, (writer, name, seed)
            assert functions == libraries, (writer, name, seed)
    assert seen >= ENCODINGS
