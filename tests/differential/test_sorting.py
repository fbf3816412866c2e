"""SORT orders, looks up and stores what it does on Redis 7, by weights of every kind."""

from __future__ import annotations

import pytest

from tests.differential.grammar import (
    INTEGERS,
    Part,
    any_case,
    formatted,
    integers,
    one_of,
    pick,
    several,
    words,
)
from tests.differential.twin import Twin, run_any
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

SOURCES = pick("list", "set", "zset")
NUMBERS = pick("1", "2", "10", "-3", "0.5", "1e3", "007")
ODD_NUMBERS = pick("", "x", "inf", "-inf", "nan", "0x1f", " 4", "4 ", "0e0", "1.", ".5")
ELEMENTS = one_of(NUMBERS, NUMBERS, pick("a", "B", "b", ""))
PATTERNS = pick(
    "#", "w_*", "w_*", "h_*->f", "h_*->g", "h_*->", "*_tail", "nostar", "nostar->f", "*", "w_*->*", "##"
)
WEIGHTED = one_of(NUMBERS, ELEMENTS, ODD_NUMBERS)
LIMIT = words(any_case("LIMIT"), integers(-2, 6), integers(-2, 6))
BY = words(any_case("BY"), PATTERNS)
GET = words(any_case("GET"), PATTERNS)
ORDER = any_case("ASC", "DESC")
ALPHA = any_case("ALPHA")
STORE = words(any_case("STORE"), pick("stored", "list", "set", "text"))
WRONG = one_of(pick("LIMIT", "GET", "STORE", "NOSUCH"), words("LIMIT", INTEGERS, INTEGERS))

SORTS: list[Part] = [
    words("SORT", SOURCES, several(one_of(LIMIT, ORDER, GET), 3)),
    words("SORT", SOURCES, ALPHA, several(one_of(LIMIT, ORDER, GET), 3)),
    words("SORT", SOURCES, "BY", pick("w_*", "h_*->f"), several(one_of(LIMIT, ORDER, GET), 3)),
    words("SORT", SOURCES, ALPHA, several(ORDER, 1), several(GET, 2), STORE),
    words("SORT", pick("list", "zset"), "BY", "nostar", several(one_of(LIMIT, ORDER, GET), 3)),
    words("SORT", SOURCES, "BY", "nostar", several(one_of(LIMIT, ORDER, ALPHA), 3), STORE),
    words("SORT_RO", SOURCES, several(one_of(LIMIT, ORDER, GET, ALPHA, STORE), 3)),
    words("SORT", SOURCES, "BY"),
    words("SORT", one_of(SOURCES, pick("none", "text")), several(WRONG, 2)),
]
COMMANDS: list[Part] = [
    words("RPUSH", "list", several(ELEMENTS, 6, 1)),
    words("RPUSH", "list", several(NUMBERS, 6, 1)),
    words("SADD", "set", several(NUMBERS, 6, 1)),
    words("ZADD", "zset", integers(0, 3), ELEMENTS),
    words("ZADD", "zset", integers(0, 3), NUMBERS),
    words("SET", formatted("w_{}", ELEMENTS), WEIGHTED),
    words("HSET", formatted("h_{}", ELEMENTS), pick("f", "g"), WEIGHTED),
    words("SET", "text", "x"),
    words("DEL", pick("list", "set", "zset")),
    *SORTS,
    *SORTS,
]


def test_sort_answer_and_store_what_redis_does(twin: Twin) -> None:
    run_any(twin, COMMANDS)
