"""OBJECT ENCODING names what Redis 7 chooses, on both sides of every limit."""

from __future__ import annotations

import pytest

from tests.differential.comparison import Command
from tests.differential.executor import LocalServer, RealServer
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

NUMBERS = [str(number) for number in range(1026)]
VALUES: list[Command] = [
    ("SET", "k", ""),
    ("SET", "k", "123"),
    ("SET", "k", "-9223372036854775808"),
    ("SET", "k", "9223372036854775808"),
    ("SET", "k", "0123"),
    ("SET", "k", "x" * 44),
    ("SET", "k", "x" * 45),
    ("SETRANGE", "k", 3, "x"),
    ("SETBIT", "k", 3, 1),
    ("RPUSH", "k", "x"),
    ("SADD", "k", *NUMBERS[:512]),
    ("SADD", "k", *NUMBERS[:513]),
    ("SADD", "k", "1", "x"),
    ("HSET", "k", *NUMBERS[:1024]),
    ("HSET", "k", *NUMBERS[:1026]),
    ("HSET", "k", "x" * 64, "y" * 64),
    ("HSET", "k", "x" * 65, "y"),
    ("HSET", "k", "x", "y" * 65),
    ("ZADD", "k", *[word for number in NUMBERS[:128] for word in (number, number)]),
    ("ZADD", "k", *[word for number in NUMBERS[:129] for word in (number, number)]),
    ("ZADD", "k", 1, "x" * 64),
    ("ZADD", "k", 1, "x" * 65),
]


@pytest.mark.parametrize("command", VALUES, ids=lambda command: " ".join(map(str, command))[:40])
def test_encoding(redis7: RealServer, command: Command) -> None:
    local = LocalServer()
    redis7.run("SELECT", 0)
    redis7.run("FLUSHALL")
    assert local.run(*command) == redis7.run(*command)
    assert local.run("OBJECT", "ENCODING", "k") == redis7.run("OBJECT", "ENCODING", "k")


def test_a_string_whose_bits_were_written_stays_one_of_bytes(redis7: RealServer) -> None:
    """Even where SETBIT and BITFIELD found the bits as they were to be."""
    local = LocalServer()
    for server in (local, redis7):
        for write in (("SETBIT", "k", 4, 0), ("BITFIELD", "k", "SET", "u1", 4, 0)):
            server.run("SET", "k", "123")
            assert server.run(*write).value in (0, [0])
            assert server.run("OBJECT", "ENCODING", "k").value == b"raw"
