"""Sequences of set commands give on our handlers what they give on Redis 7."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.differential.comparison import Command, compare
from tests.differential.executor import LocalServer, RealServer
from tests.differential.strategies import INTEGERS, KEYS, any_case, sequences, several, words
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

MEMBERS = st.sampled_from(["a", "b", "c", "1", "02", "", b"\x00\xff\r\n"])
LIMIT = st.one_of(words(any_case("LIMIT"), INTEGERS), st.just("LIMIT"), st.just("BOGUS"))
COUNTED_KEYS = st.one_of(words("1", KEYS), words("2", KEYS, KEYS), words(INTEGERS, KEYS))

SET_COMMANDS: list[st.SearchStrategy[Command]] = [
    words("SADD", KEYS, several(MEMBERS, 5, 1)),
    words("SADD", KEYS, several(MEMBERS, 5, 1)),
    words("SREM", KEYS, several(MEMBERS, 3, 1)),
    words("SMOVE", KEYS, KEYS, MEMBERS),
    words(any_case("SMEMBERS", "SCARD"), KEYS),
    words("SISMEMBER", KEYS, MEMBERS),
    words("SMISMEMBER", KEYS, several(MEMBERS, 3, 1)),
    words(any_case("SUNION", "SINTER", "SDIFF"), several(KEYS, 4, 1)),
    words(any_case("SUNIONSTORE", "SINTERSTORE", "SDIFFSTORE"), KEYS, several(KEYS, 4, 1)),
    words("SINTERCARD", COUNTED_KEYS, several(LIMIT, 2)),
    words(any_case("SPOP", "SRANDMEMBER"), KEYS, st.sampled_from([0, "x", -(1 << 63), 1 << 63])),
    words(any_case("SPOP", "SRANDMEMBER"), KEYS, "1", "2"),
    words("SET", KEYS, "text"),
    words("DEL", KEYS),
    words("PEXPIREAT", KEYS, "4000000000000"),
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequences(SET_COMMANDS))
def test_set_commands_answer_and_store_what_redis_does(redis7: RealServer, commands: list[Command]) -> None:
    compare(LocalServer(), redis7, commands)
