"""Sequences of list commands give on our server what they give on Redis 7."""

from __future__ import annotations

import pytest

from tests.differential.grammar import INTEGERS, KEYS, Part, any_case, integers, one_of, pick, several, words
from tests.differential.twin import Twin, run_any
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

ELEMENTS = pick("a", "b", "c", "", b"\x00\xff\r\n")
SIDES = any_case("LEFT", "RIGHT")
ANY_SIDE = one_of(SIDES, pick("MIDDLE"))
COUNT = one_of(words(any_case("COUNT"), INTEGERS), pick("COUNT"))
LPOS_OPTION = one_of(words(any_case("RANK", "COUNT", "MAXLEN"), integers(-4, 5)), words("COUNT", INTEGERS))
LISTS = one_of(words("1", KEYS), words("2", KEYS, KEYS), words(INTEGERS, KEYS))

LIST_COMMANDS: list[Part] = [
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
    words("LRANGE", KEYS, integers(-8, 8), integers(-8, 8)),
    words("LTRIM", KEYS, integers(-3, 3), integers(-3, 8)),
    words("LINDEX", KEYS, INTEGERS),
    words("LSET", KEYS, INTEGERS, ELEMENTS),
    words("LINSERT", KEYS, any_case("BEFORE", "AFTER", "BESIDE"), ELEMENTS, ELEMENTS),
    words("LREM", KEYS, INTEGERS, ELEMENTS),
    words("LREM", KEYS, integers(-3, 3), ELEMENTS),
    words("LPOS", KEYS, ELEMENTS),
    words("LPOS", KEYS, ELEMENTS, several(LPOS_OPTION)),
    words("SET", KEYS, "text"),
    words("DEL", KEYS),
    words("PEXPIREAT", KEYS, "4000000000000"),
]


def test_list_commands_answer_and_store_what_redis_does(twin: Twin) -> None:
    run_any(twin, LIST_COMMANDS)


PLACES = integers(-150, 150)
MEMBERS = one_of(integers(0, 70), ELEMENTS)
MANY = one_of(words(*range(70)), words(*range(0, 200, 3), b"\r\n", *range(66)), words(*["same"] * 70))
"""More than a list keeps in its ends."""

LONG_LIST_COMMANDS: list[Part] = [
    words(any_case("LPUSH", "RPUSH"), KEYS, MANY),
    words(any_case("LPUSH", "RPUSH"), KEYS, MANY),
    words(any_case("LPUSH", "RPUSH"), KEYS, several(ELEMENTS, 8, 1)),
    words(any_case("LPOP", "RPOP"), KEYS, integers(0, 40)),
    words("LMOVE", KEYS, KEYS, SIDES, SIDES),
    words(any_case("LRANGE"), KEYS, PLACES, PLACES),
    words(any_case("LRANGE"), KEYS, PLACES, PLACES),
    words("LTRIM", KEYS, integers(-3, 60), integers(-60, -1)),
    words("LINDEX", KEYS, PLACES),
    words("LSET", KEYS, PLACES, ELEMENTS),
    words("LINSERT", KEYS, any_case("BEFORE", "AFTER"), MEMBERS, ELEMENTS),
    words("LREM", KEYS, integers(-12, 12), MEMBERS),
    words(
        "LPOS", KEYS, MEMBERS, "RANK", one_of(integers(-3, -1), integers(1, 3)), "MAXLEN", integers(0, 150)
    ),
    words("SORT", KEYS, "ALPHA", "STORE", KEYS),
    words("COPY", KEYS, KEYS, "REPLACE"),
]


def test_commands_on_long_lists_answer_and_store_what_redis_does(twin: Twin) -> None:
    run_any(twin, LONG_LIST_COMMANDS)
