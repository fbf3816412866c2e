"""Sequences of hash commands give on our handlers what they give on Redis 7."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.differential.comparison import Command, compare
from tests.differential.executor import LocalServer, RealServer
from tests.differential.strategies import INTEGERS, KEYS, TEXTS, any_case, sequences, several, words
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

FIELDS = st.sampled_from(["f", "g", "h", "", b"\x00\xff\r\n"])
VALUES = TEXTS.filter(lambda text: text != "0x10")
"""Redis counts on from hexadecimal; ours reads decimal numbers only."""
RANDOM_COUNTS = st.sampled_from([0, "x", -(1 << 63), 1 << 63])

HASH_COMMANDS: list[st.SearchStrategy[Command]] = [
    words("HSET", KEYS, FIELDS, VALUES),
    words(any_case("HSET", "HMSET"), KEYS, several(words(FIELDS, VALUES), 3, 1)),
    words(any_case("HSET", "HMSET"), KEYS, FIELDS, VALUES, FIELDS),
    words("HSETNX", KEYS, FIELDS, VALUES),
    words("HDEL", KEYS, several(FIELDS, 3, 1)),
    words(any_case("HGET", "HEXISTS", "HSTRLEN"), KEYS, FIELDS),
    words("HMGET", KEYS, several(FIELDS, 3, 1)),
    words(any_case("HGETALL", "HKEYS", "HVALS", "HLEN"), KEYS),
    words("HINCRBY", KEYS, FIELDS, INTEGERS),
    words("HINCRBYFLOAT", KEYS, FIELDS, VALUES),
    words("HRANDFIELD", KEYS, RANDOM_COUNTS, several(any_case("WITHVALUES", "BOGUS"), 2)),
    words("HRANDFIELD", KEYS, st.sampled_from([(1 << 63) - 1, -(1 << 62) - 1]), "WITHVALUES"),
    words("SET", KEYS, "text"),
    words("DEL", KEYS),
    words("PEXPIREAT", KEYS, "4000000000000"),
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequences(HASH_COMMANDS))
def test_hash_commands_answer_and_store_what_redis_does(redis7: RealServer, commands: list[Command]) -> None:
    compare(LocalServer(), redis7, commands)
