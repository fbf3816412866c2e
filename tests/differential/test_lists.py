"""Sequences of list commands give on our handlers what they give on Redis 7."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.differential.comparison import Command, compare
from tests.differential.executor import LocalServer, RealServer
from tests.differential.strategies import INTEGERS, KEYS, any_case, sequences, several, words
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

ELEMENTS = st.sampled_from(["a", "b", "c", "", b"\x00\xff\r\n"])
SIDES = any_case("LEFT", "RIGHT")
ANY_SIDE = st.one_of(SIDES, st.just("MIDDLE"))
COUNT = st.one_of(words(any_case("COUNT"), INTEGERS), st.just("COUNT"))
LPOS_OPTION = st.one_of(
    words(any_case("RANK", "COUNT", "MAXLEN"), st.integers(-4, 5)), words("COUNT", INTEGERS)
)
LISTS = st.one_of(words("1", KEYS), words("2", KEYS, KEYS), words(INTEGERS, KEYS))

LIST_COMMANDS: list[st.SearchStrategy[Command]] = [
    words(any_case("LPUSH", "RPUSH"), KEYS, several(ELEMENTS, 8, 1)),
    words(any_case("LPUSH", "RPUSH"), KEYS, several(ELEMENTS, 8, 1)),
    words(any_case("LPUSHX", "RPUSHX"), KEYS, several(ELEMENTS, 2, 1)),
    words(any_case("LPOP", "RPOP"), KEYS),
    words(any_case("LPOP", "RPOP"), KEYS, several(INTEGERS, 2, 1)),
    words("LMPOP", LISTS, ANY_SIDE, several(COUNT, 1)),
    words("LMOVE", KEYS, KEYS, SIDES, ANY_SIDE),
    words("RPOPLPUSH", KEYS, KEYS),
    words("LLEN", KEYS),
    words(any_case("LRANGE", "LTRIM"), KEYS, INTEGERS, INTEGERS),
    words("LRANGE", KEYS, st.integers(-8, 8), st.integers(-8, 8)),
    words("LTRIM", KEYS, st.integers(-3, 3), st.integers(-3, 8)),
    words("LINDEX", KEYS, INTEGERS),
    words("LSET", KEYS, INTEGERS, ELEMENTS),
    words("LINSERT", KEYS, any_case("BEFORE", "AFTER", "BESIDE"), ELEMENTS, ELEMENTS),
    words("LREM", KEYS, INTEGERS, ELEMENTS),
    words("LREM", KEYS, st.integers(-3, 3), ELEMENTS),
    words("LPOS", KEYS, ELEMENTS),
    words("LPOS", KEYS, ELEMENTS, several(LPOS_OPTION)),
    words("SET", KEYS, "text"),
    words("DEL", KEYS),
    words("PEXPIREAT", KEYS, "4000000000000"),
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequences(LIST_COMMANDS))
def test_list_commands_answer_and_store_what_redis_does(redis7: RealServer, commands: list[Command]) -> None:
    compare(LocalServer(), redis7, commands)
