"""Sequences of set commands give on our server what they give on Redis 7."""

from __future__ import annotations

import pytest

from tests.differential.grammar import (
    INTEGERS,
    KEYS,
    NOT_ONE,
    ODD_NUMBERS,
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

MEMBERS = pick("a", "b", "c", "1", "02", "", b"\x00\xff\r\n", *ODD_NUMBERS)
LIMIT = one_of(words(any_case("LIMIT"), INTEGERS), pick("LIMIT"), pick("BOGUS"))
COUNTED_KEYS = one_of(words("1", KEYS), words("2", KEYS, KEYS), words(INTEGERS, KEYS))

SET_COMMANDS: list[Part] = [
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
    words(
        any_case("SPOP", "SRANDMEMBER"),
        KEYS,
        NOT_ONE,
        pick(0, 0, 100, *NOT_ONE),
    ),
    words(any_case("SPOP", "SRANDMEMBER"), KEYS, "1", "2"),
    words("SET", KEYS, "text"),
    words("DEL", KEYS),
    words("PEXPIREAT", KEYS, "4000000000000"),
]


@pytest.mark.usefixtures("any_tables")
def test_set_commands_answer_and_store_what_redis_does(twin: Twin) -> None:
    run_any(twin, SET_COMMANDS)
