"""Sequences of bit commands give on our handlers what they give on Redis 7."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.differential.comparison import Command, compare
from tests.differential.executor import LocalServer, RealServer
from tests.differential.strategies import INTEGERS, KEYS, any_case, sequences, several, words
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

OFFSETS = st.one_of(st.integers(0, 40), st.sampled_from([-1, "x", 1 << 32, (1 << 63) - 1]))
BITS = st.sampled_from([0, 1, 0, 1, 2, -1, "x"])
VALUES = st.sampled_from(["", b"\xff", b"\xff\xff\xff", b"\x00\x00", b"\x0f\xf0\xaa", "foobar", b"\xff\xfe"])
TYPES = st.sampled_from(["u1", "u8", "i8", "i5", "u63", "i64", "u64", "i65", "u0", "i1", "x8", "i"])
FIELD_OFFSETS = st.one_of(st.integers(0, 30), st.sampled_from(["#0", "#1", "#2", "#", "-1", "#-1", "x"]))
FIELD_OPERATION = st.one_of(
    words("GET", TYPES, FIELD_OFFSETS),
    words(any_case("SET", "INCRBY"), TYPES, FIELD_OFFSETS, INTEGERS),
    words(any_case("SET", "INCRBY"), st.sampled_from(["u4", "i4"]), st.integers(0, 9), st.integers(-20, 20)),
    words("OVERFLOW", any_case("WRAP", "SAT", "FAIL", "BOGUS")),
    any_case("GET", "BOGUS"),
)

BIT_COMMANDS: list[st.SearchStrategy[Command]] = [
    words("SET", KEYS, VALUES),
    words("SETBIT", KEYS, OFFSETS, BITS),
    words("GETBIT", KEYS, OFFSETS),
    words("BITCOUNT", KEYS, several(INTEGERS, 2)),
    words("BITCOUNT", KEYS, INTEGERS, INTEGERS, any_case("BIT", "BYTE", "BOGUS")),
    words("BITPOS", KEYS, BITS, several(INTEGERS, 2)),
    words("BITPOS", KEYS, BITS, INTEGERS, INTEGERS, any_case("BIT", "BYTE", "BOGUS")),
    words("BITOP", any_case("AND", "OR", "XOR", "NOT", "BOGUS"), KEYS, several(KEYS, 3, 1)),
    words(any_case("BITFIELD", "BITFIELD_RO"), KEYS, several(FIELD_OPERATION)),
    words("GET", KEYS),
    words("RPUSH", KEYS, "element"),
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequences(BIT_COMMANDS))
def test_bit_commands_answer_and_store_what_redis_does(redis7: RealServer, commands: list[Command]) -> None:
    redis7.run("SELECT", 0)
    compare(LocalServer(), redis7, commands)
