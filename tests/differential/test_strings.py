"""Sequences of string commands give on our server what they give on Redis 7."""

from __future__ import annotations

import pytest

from tests.differential.grammar import (
    FUTURE_MS,
    INTEGERS,
    KEYS,
    PAST_MS,
    TEXTS,
    Part,
    any_case,
    integers,
    one_of,
    pick,
    several,
    words,
)
from tests.differential.twin import Twin, run_any
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

ABSOLUTE = one_of(words("PXAT", FUTURE_MS), words("EXAT", pick(4_000_000_000, 0, -1, "x", 9223372036854776)))
EXPIRATION = one_of(ABSOLUTE, words(any_case("EX", "PX"), pick(0, -1, "x", (1 << 63) - 1)))
SET_OPTION = one_of(any_case("NX", "XX", "GET", "KEEPTTL"), EXPIRATION, any_case("PERSIST", "EX", "BOGUS"))
GETEX_OPTION = one_of(EXPIRATION, any_case("PERSIST"), any_case("KEEPTTL", "EX"), words("PXAT", PAST_MS))
LCS_OPTION = one_of(any_case("LEN", "IDX", "WITHMATCHLEN", "MINMATCHLEN"), words("MINMATCHLEN", INTEGERS))

STRING_COMMANDS: list[Part] = [
    words("SET", KEYS, TEXTS),
    words("SET", KEYS, TEXTS, several(SET_OPTION)),
    words("GET", KEYS),
    words("GETEX", KEYS, several(GETEX_OPTION, 2)),
    words("GETDEL", KEYS),
    words("GETSET", KEYS, TEXTS),
    words("SETNX", KEYS, TEXTS),
    words(any_case("SETEX", "PSETEX"), KEYS, pick(0, -5, "x", (1 << 63) - 1, 1 << 60), TEXTS),
    words("MGET", several(KEYS, 4, 1)),
    words(any_case("MSET", "MSETNX"), several(words(KEYS, TEXTS), 3, 1)),
    words(any_case("MSET", "MSETNX"), KEYS, TEXTS, KEYS),
    words("APPEND", KEYS, TEXTS),
    words("STRLEN", KEYS),
    words("SETRANGE", KEYS, one_of(integers(-2, 60), pick((1 << 63) - 1, "x")), TEXTS),
    words(any_case("GETRANGE", "SUBSTR"), KEYS, INTEGERS, INTEGERS),
    words(any_case("INCR", "DECR"), KEYS),
    words(any_case("INCRBY", "DECRBY"), KEYS, INTEGERS),
    words("INCRBYFLOAT", KEYS, TEXTS),
    words("LCS", KEYS, KEYS, several(LCS_OPTION)),
    words("RPUSH", KEYS, "element"),
    words("DEL", KEYS),
    words("TYPE", KEYS),
    words("PEXPIRETIME", KEYS),
]


def test_string_commands_answer_and_store_what_redis_does(twin: Twin) -> None:
    run_any(twin, STRING_COMMANDS)


def test_hexadecimal_numbers_are_added_with_all_bits_of_a_long_double(twin: Twin) -> None:
    twin.check([(b"SET", b"a", b"0x109223372036854775800"), (b"INCRBYFLOAT", b"a", b"-9223372036854775809")])
    twin.check([(b"SET", b"a", b"-0xFFFFFFFFFFFFFFFF"), (b"INCRBYFLOAT", b"a", b"1"), (b"GET", b"a")])
