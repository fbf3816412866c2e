"""Sequences of hash commands give on our server what they give on Redis 7."""

from __future__ import annotations

import pytest

from tests.differential.grammar import INTEGERS, KEYS, NOT_ONE, TEXTS, Part, any_case, pick, several, words
from tests.differential.twin import Twin, run_any
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

FIELDS = pick("f", "g", "h", "", b"\x00\xff\r\n")
RANDOM_COUNTS = pick(0, 0, 100, *NOT_ONE)

HASH_COMMANDS: list[Part] = [
    words("HSET", KEYS, FIELDS, TEXTS),
    words(any_case("HSET", "HMSET"), KEYS, several(words(FIELDS, TEXTS), 3, 1)),
    words(any_case("HSET", "HMSET"), KEYS, FIELDS, TEXTS, FIELDS),
    words("HSETNX", KEYS, FIELDS, TEXTS),
    words("HDEL", KEYS, several(FIELDS, 3, 1)),
    words(any_case("HGET", "HEXISTS", "HSTRLEN"), KEYS, FIELDS),
    words("HMGET", KEYS, several(FIELDS, 3, 1)),
    words(any_case("HGETALL", "HKEYS", "HVALS", "HLEN"), KEYS),
    words("HINCRBY", KEYS, FIELDS, INTEGERS),
    words("HINCRBYFLOAT", KEYS, FIELDS, TEXTS),
    words("HRANDFIELD", KEYS, RANDOM_COUNTS, several(any_case("WITHVALUES", "BOGUS"), 2)),
    words("HRANDFIELD", KEYS, pick((1 << 63) - 1, -(1 << 62) - 1), "WITHVALUES"),
    words("SET", KEYS, "text"),
    words("DEL", KEYS),
    words("PEXPIREAT", KEYS, "4000000000000"),
]


@pytest.mark.usefixtures("any_tables")
def test_hash_commands_answer_and_store_what_redis_does(twin: Twin) -> None:
    run_any(twin, HASH_COMMANDS)
