"""Sequences of commands on keys give on our server what they give on Redis 7."""

from __future__ import annotations

import pytest

from tests.differential.comparison import Command, dump
from tests.differential.executor import LocalServer, RealServer
from tests.differential.grammar import (
    FUTURE_MS,
    KEYS,
    LIFETIMES,
    ODD_NUMBERS,
    PAST_MS,
    Part,
    any_case,
    one_of,
    pick,
    several,
    words,
)
from tests.differential.twin import Twin, run_any
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

CONDITIONS = several(any_case("NX", "XX", "GT", "LT", "BOGUS"), 2)
FUTURE_SECONDS = pick(4_000_000_000, 4_000_000_001, 5_000_000_000)
DATABASE = pick(0, 1, 2, 3, 15, 16, -1, *ODD_NUMBERS)
COPY_OPTION = one_of(any_case("REPLACE", "DB", "BOGUS"), words("DB", DATABASE))
SCAN_OPTION = one_of(
    words("MATCH", pick("*", "[ab]", "{t}?", "x")),
    words("COUNT", pick(1000, 0, *ODD_NUMBERS)),
    words("TYPE", any_case("string", "list", "none")),
    any_case("MATCH", "COUNT", "TYPE", "BOGUS"),
)

KEY_COMMANDS: list[Part] = [
    words("SET", KEYS, pick("1", "text", "y" * 45)),
    words("RPUSH", KEYS, "a", "b"),
    words("SADD", KEYS, "1", "2"),
    words("HSET", KEYS, "field", "value"),
    words("ZADD", KEYS, "1.5", "member"),
    words("APPEND", KEYS, "more"),
    words(any_case("DEL", "UNLINK", "EXISTS", "TOUCH"), several(KEYS, 3, 1)),
    words("TYPE", KEYS),
    words("EXPIRE", KEYS, pick(100, 5000, 0, -1, 9223372036854775, -9223372036854776), CONDITIONS),
    words("PEXPIRE", KEYS, pick(1 << 63, (1 << 63) - 1, -(1 << 63), 0, -1), CONDITIONS),
    words("EXPIREAT", KEYS, one_of(FUTURE_SECONDS, pick(1, -1)), CONDITIONS),
    words("PEXPIREAT", KEYS, one_of(FUTURE_MS, PAST_MS), CONDITIONS),
    words(any_case("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"), KEYS, LIFETIMES),
    words("PERSIST", KEYS),
    words(any_case("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"), KEYS),
    words(any_case("RENAME", "RENAMENX"), KEYS, KEYS),
    words("COPY", KEYS, KEYS, several(COPY_OPTION, 2)),
    words("MOVE", KEYS, DATABASE),
    words("SELECT", pick(0, 1)),
    words("SWAPDB", DATABASE, DATABASE),
    words(any_case("FLUSHDB", "FLUSHALL"), several(any_case("ASYNC", "SYNC", "BOGUS"), 2, 1)),
    words("DBSIZE"),
    words("KEYS", pick("*", "?", "[a-b]", "{t}*", "x")),
    words("SCAN", "0", several(SCAN_OPTION, 2), "COUNT", "1000"),
    words("SCAN", pick("0", "0", "0", "00", *ODD_NUMBERS), several(SCAN_OPTION, 2)),
    words("OBJECT", any_case("ENCODING", "FREQ", "IDLETIME"), KEYS),
    words("RESTORE", KEYS, LIFETIMES, "payload", several(any_case("REPLACE", "ABSTTL", "IDLETIME", "FREQ"))),
]


def test_key_commands_answer_and_store_what_redis_does(twin: Twin) -> None:
    run_any(twin, KEY_COMMANDS)


PAYLOAD_MAKERS: list[Command] = [
    ("SET", "key", "text"),
    ("SET", "key", "12345"),
    ("RPUSH", "key", "a", "b", "c"),
    ("SADD", "key", "1", "2", "3"),
    ("SADD", "key", "x", "y"),
    ("HSET", "key", "f", "1", "g", "2"),
    ("ZADD", "key", "1.5", "a", "-inf", "b"),
]


@pytest.mark.parametrize("maker", PAYLOAD_MAKERS, ids=str)
def test_payloads_travel_in_both_directions(redis7: RealServer, maker: Command) -> None:
    redis7.run("SELECT", 0)
    local = LocalServer()
    for source, target in ((local, redis7), (redis7, local)):
        for server in (source, target):
            server.run("FLUSHALL")
        source.run(*maker)
        payload = source.run("DUMP", "key").value
        assert isinstance(payload, bytes)
        assert target.run("RESTORE", "key", 4_000_000_000_000, payload, "ABSTTL").value == b"OK"
        source.run("PEXPIREAT", "key", 4_000_000_000_000)
        assert dump(target) == dump(source)
        assert target.run("RESTORE", "key", 0, payload).value == (
            "error",
            "BUSYKEY Target key name already exists.",
        )
        assert target.run("RESTORE", "key", 1, payload, "REPLACE", "ABSTTL").value == b"OK"
        assert target.run("EXISTS", "key").value == 0
