"""Sequences of bit commands give on our server what they give on Redis 7."""

from __future__ import annotations

import pytest

from tests.differential.grammar import INTEGERS, KEYS, Part, any_case, integers, one_of, pick, several, words
from tests.differential.twin import Twin, run_any
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

OFFSETS = one_of(integers(0, 40), pick(-1, "x", 1 << 32, (1 << 63) - 1))
BITS = pick(0, 1, 0, 1, 2, -1, "x")
VALUES = pick("", b"\xff", b"\xff\xff\xff", b"\x00\x00", b"\x0f\xf0\xaa", "foobar", b"\xff\xfe")
TYPES = pick("u1", "u8", "i8", "i5", "u63", "i64", "u64", "i65", "u0", "i1", "x8", "i")
FIELD_OFFSETS = one_of(integers(0, 30), pick("#0", "#1", "#2", "#", "-1", "#-1", "x"))
FIELD_OPERATION = one_of(
    words("GET", TYPES, FIELD_OFFSETS),
    words(any_case("SET", "INCRBY"), TYPES, FIELD_OFFSETS, INTEGERS),
    words(any_case("SET", "INCRBY"), pick("u4", "i4"), integers(0, 9), integers(-20, 20)),
    words("OVERFLOW", any_case("WRAP", "SAT", "FAIL", "BOGUS")),
    any_case("GET", "BOGUS"),
)

BIT_COMMANDS: list[Part] = [
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


def test_bit_commands_answer_and_store_what_redis_does(twin: Twin) -> None:
    run_any(twin, BIT_COMMANDS)


@pytest.mark.parametrize("overflow", ["WRAP", "SAT", "FAIL"])
@pytest.mark.parametrize("kind", ["i1", "i8", "i62", "i63", "i64", "u1", "u8", "u63"])
def test_numbers_at_the_edges_of_64_bits_are_fitted_in_as_by_redis(
    twin: Twin, kind: str, overflow: str
) -> None:
    lowest, highest = -(1 << 63), (1 << 63) - 1
    edges = [lowest, lowest + 127, lowest + 128, -(1 << 62) - 1, -(1 << 62), 1 << 62, highest, -2, 0, 255]
    words = [
        (b"BITFIELD", b"%d" % place, b"OVERFLOW", overflow.encode(), name, kind.encode(), b"0", b"%d" % edge)
        for place, edge in enumerate(edges)
        for name in (b"SET", b"INCRBY", b"INCRBY")
    ]
    twin.check(words)
