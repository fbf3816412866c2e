"""What each server writes, every server that reads its RDB version loads: the same, key by key."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any

import hiredis
import pytest

from shoal.node.resp.writer import encode_command
from tests.peers import REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER, needs
from tests.processes.nodes import HOST, SHOAL, Node, running_nodes
from tests.processes.random_data import FIELDS, commands_of, settings_of

pytestmark = [pytest.mark.peers, pytest.mark.processes, needs(REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER)]

FILES = 16
"""From each writer; each is loaded by every reader."""
DATASETS_PER_FILE = 16
"""A dataset is a database of about forty keys, made under settings of its own, and perhaps a function.
Four writers, so many files of so many datasets: 1,024 datasets, each read by up to four servers."""
DATABASES = range(DATASETS_PER_FILE)
PROGRAMS = {
    "redis 7.0": (str(REDIS7_SERVER),),
    "redis 8.0": (str(REDIS8_SERVER),),
    "valkey 8.1": (str(VALKEY8_SERVER),),
    "shoal": SHOAL,
}
NEWEST_READABLE = {"redis 7.0": 10, "redis 8.0": 12, "valkey 8.1": 11, "shoal": 12}
"""The greatest RDB version each claims to read."""
EXPIRING_FIELDS = 12
"""The first version in which a hash's fields may expire."""
ENCODINGS = {
    *("string int", "string embstr", "string raw", "list quicklist", "set intset", "set hashtable"),
    *("hash listpack", "hash hashtable", "zset listpack", "zset skiplist", "stream stream"),
}
"""What every server of these makes at least; Redis 7.2 and later have two more."""

Picture = dict[tuple[int, bytes], tuple[Any, ...]]


@dataclass
class Server:
    """One of the four, and a connection to it."""

    name: str
    node: Node
    connection: socket.socket
    reader: hiredis.Reader = field(default_factory=hiredis.Reader)

    def fill(self, file_number: int) -> None:
        """Make the datasets of this file, no two of which are alike."""
        self.ask(("FLUSHALL",), ("FUNCTION", "FLUSH"))
        fields_expire = self.has_expiring_fields(file_number)
        for index in range(DATASETS_PER_FILE):
            number = file_number * DATASETS_PER_FILE + index
            rng = Random(number)
            directives = [("CONFIG", "SET", name, value) for name, value in settings_of(rng).items()]
            self.ask(*directives, ("SELECT", index))
            self.ask(*commands_of(rng, number, fields_expire=fields_expire))

    @property
    def knows_expiring_fields(self) -> bool:
        return NEWEST_READABLE[self.name] >= EXPIRING_FIELDS

    def has_expiring_fields(self, file_number: int) -> bool:
        """Whether the fields of some hashes in this file expire: in a quarter of the files, if they can."""
        return self.knows_expiring_fields and file_number % 4 == 3

    def ask(self, *commands: tuple[Any, ...]) -> list[Any]:
        """The replies to commands sent together; none may be an error."""
        self.connection.sendall(b"".join(map(encode, commands)))
        replies: list[Any] = []
        while len(replies) < len(commands):
            while (reply := self.reader.gets()) is not False:
                replies.append(reply)
            if len(replies) < len(commands):
                data = self.connection.recv(1 << 20)
                assert data, f"{self.name} hung up"
                self.reader.feed(data)
        errors = [reply for reply in replies if isinstance(reply, hiredis.ReplyError)]
        assert not errors, (self.name, errors[:3])
        return replies

    def save(self) -> bytes:
        self.ask(("SAVE",))
        return (self.node.directory / "dump.rdb").read_bytes()

    def load(self, data: bytes) -> None:
        (self.node.directory / "dump.rdb").write_bytes(data)
        self.ask(("DEBUG", "RELOAD", "NOSAVE"))

    def picture(self) -> tuple[Picture, list[bytes]]:
        """Every key with its digest (its type is part of it), time to live and what its digest leaves out."""
        found: Picture = {}
        for database in DATABASES:
            _, keys = self.ask(("SELECT", database), ("KEYS", "*"))
            keys.sort()
            digests, *expiries = self.ask(
                ("DEBUG", "DIGEST-VALUE", *keys), *(("PEXPIRETIME", key) for key in keys)
            )
            for key, digest, expiry in zip(keys, digests, expiries, strict=True):
                found[database, key] = (digest, expiry)
            streams = [key for key in keys if key.startswith(b"stream:")]
            told = self.ask(*(("XINFO", "STREAM", key, "FULL", "COUNT", 0) for key in streams))
            for key, info in zip(streams, told, strict=True):
                found[database, key] += tuple(groups(pairs(info)))
            for key in keys:
                if key.startswith(b"expiring hash:"):
                    found[database, key] = self.expiring_hash(key)
        libraries = map(pairs, self.ask(("FUNCTION", "LIST", "WITHCODE"))[0])
        return found, sorted(library[b"library_code"] for library in libraries)

    def expiring_hash(self, key: bytes) -> tuple[Any, ...]:
        """Its fields and deadlines, of which Redis's digest tells in one of its encodings only."""
        content, *rest = self.ask(
            ("HGETALL", key), ("PEXPIRETIME", key), ("HPEXPIRETIME", key, "FIELDS", len(FIELDS), *FIELDS)
        )
        return (sorted(pairs(content).items()), *rest)

    def encodings(self, picture: Picture) -> set[str]:
        """How the keys of a picture are kept here."""
        seen = set()
        for database in DATABASES:
            keys = [key for place, key in picture if place == database]
            _, *kinds = self.ask(("SELECT", database), *(("TYPE", key) for key in keys))
            encodings = self.ask(*(("OBJECT", "ENCODING", key) for key in keys))
            seen |= {
                f"{kind.decode()} {encoding.decode()}"
                for kind, encoding in zip(kinds, encodings, strict=True)
            }
        return seen


def encode(words: tuple[Any, ...]) -> bytes:
    return encode_command([word if isinstance(word, bytes) else str(word).encode() for word in words])


def groups(info: dict[bytes, Any]) -> list[Any]:
    """What a stream knows beside its entries: its counters, its groups, who has what pending."""
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
            connection = stack.enter_context(socket.create_connection((HOST, node.port), timeout=30))
            started[name] = Server(name, node, connection)
        yield started


@pytest.mark.parametrize("writer", PROGRAMS)
def test_what_one_writes_all_others_read(servers: dict[str, Server], writer: str) -> None:
    source, seen = servers[writer], set()
    for number in range(FILES):
        source.fill(number)
        data = source.save()
        picture, libraries = source.picture()
        assert len(picture) > 30 * DATASETS_PER_FILE
        seen |= source.encodings(picture)
        version = EXPIRING_FIELDS if source.has_expiring_fields(number) else int(data[5:9])
        readers = [name for name in PROGRAMS if NEWEST_READABLE[name] >= version]
        assert "shoal" in readers
        for name in readers:
            servers[name].load(data)
            found, functions = servers[name].picture()
            assert found == picture, (writer, name, number)
            assert functions == libraries, (writer, name, number)
    assert seen >= ENCODINGS
