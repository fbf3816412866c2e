"""Sequences of commands on keys give on our handlers what they give on Redis 7."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.differential.comparison import Command, compare, dump
from tests.differential.executor import LocalServer, RealServer
from tests.differential.strategies import (
    FUTURE_MS,
    INTEGERS,
    KEYS,
    PAST_MS,
    any_case,
    sequences,
    several,
    words,
)
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

HARMLESS = INTEGERS.filter(lambda number: not isinstance(number, int) or number <= 0 or number >= 1 << 62)
"""Leaves out the times to live that end, or change their rounded length, while a test runs."""
CONDITIONS = several(any_case("NX", "XX", "GT", "LT", "BOGUS"), 2)
FUTURE_SECONDS = st.sampled_from([4_000_000_000, 4_000_000_001, 5_000_000_000])
DATABASE = st.sampled_from([0, 1, 15, 16, -1, "x", ""])
COPY_OPTION = st.one_of(any_case("REPLACE", "DB", "BOGUS"), words("DB", DATABASE))
SCAN_OPTION = st.one_of(
    words("MATCH", st.sampled_from(["*", "[ab]", "{t}?", "x"])),
    words("COUNT", st.sampled_from([1000, 0, -1, "x"])),
    words("TYPE", any_case("string", "list", "none")),
    any_case("MATCH", "COUNT", "TYPE", "BOGUS"),
)

KEY_COMMANDS: list[st.SearchStrategy[Command]] = [
    words("SET", KEYS, st.sampled_from(["1", "text", "y" * 45])),
    words("RPUSH", KEYS, "a", "b"),
    words("SADD", KEYS, "1", "2"),
    words("HSET", KEYS, "field", "value"),
    words("ZADD", KEYS, "1.5", "member"),
    words("APPEND", KEYS, "more"),
    words(any_case("DEL", "UNLINK", "EXISTS", "TOUCH"), several(KEYS, 3, 1)),
    words("TYPE", KEYS),
    words(
        "EXPIRE", KEYS, st.sampled_from([100, 5000, 0, -1, 9223372036854775, -9223372036854776]), CONDITIONS
    ),
    words("PEXPIRE", KEYS, st.sampled_from([1 << 63, (1 << 63) - 1, -(1 << 63), 0, -1]), CONDITIONS),
    words("EXPIREAT", KEYS, st.one_of(FUTURE_SECONDS, st.sampled_from([1, -1])), CONDITIONS),
    words("PEXPIREAT", KEYS, st.one_of(FUTURE_MS, PAST_MS), CONDITIONS),
    words(any_case("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"), KEYS, HARMLESS),
    words("PERSIST", KEYS),
    words("TTL", KEYS),
    words("PEXPIRETIME", st.just("absent")),
    words(any_case("RENAME", "RENAMENX"), KEYS, KEYS),
    words("COPY", KEYS, KEYS, several(COPY_OPTION, 2)),
    words("MOVE", KEYS, DATABASE),
    words("SELECT", st.sampled_from([0, 1])),
    words("SWAPDB", DATABASE, DATABASE),
    words(any_case("FLUSHDB", "FLUSHALL"), several(any_case("ASYNC", "SYNC", "BOGUS"), 2, 1)),
    words("DBSIZE"),
    words("KEYS", st.sampled_from(["*", "?", "[a-b]", "{t}*", "x"])),
    words("SCAN", st.sampled_from(["0", "x", "-", "18446744073709551616"]), several(SCAN_OPTION, 2)),
    words("OBJECT", any_case("ENCODING", "FREQ", "IDLETIME"), KEYS),
    words("RESTORE", KEYS, HARMLESS, "payload", several(any_case("REPLACE", "ABSTTL", "IDLETIME", "FREQ"))),
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequences(KEY_COMMANDS))
def test_key_commands_answer_and_store_what_redis_does(redis7: RealServer, commands: list[Command]) -> None:
    redis7.run("SELECT", 0)
    compare(LocalServer(), redis7, commands)


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
