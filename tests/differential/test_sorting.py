"""SORT orders, looks up and stores what it does on Redis 7, by weights of every kind."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.differential.comparison import Command, compare
from tests.differential.executor import LocalServer, RealServer
from tests.differential.strategies import INTEGERS, any_case, sequences, several, words
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

SOURCES = st.sampled_from(["list", "set", "zset"])
NUMBERS = st.sampled_from(["1", "2", "10", "-3", "0.5", "1e3", "007"])
ODD_NUMBERS = st.sampled_from(
    ["", "x", "inf", "-inf", "nan", "1e400", "1e-400", "0x1f", " 4", "4 ", "0e0", "1.", ".5"]
)
ELEMENTS = st.one_of(NUMBERS, NUMBERS, st.sampled_from(["a", "B", "b", ""]))
PATTERNS = st.sampled_from(
    ["#", "w_*", "w_*", "h_*->f", "h_*->g", "h_*->", "*_tail", "nostar", "nostar->f", "*", "w_*->*", "##"]
)
WEIGHTED = st.one_of(NUMBERS, ELEMENTS, ODD_NUMBERS)
LIMIT = words(any_case("LIMIT"), st.integers(-2, 6), st.integers(-2, 6))
BY = words(any_case("BY"), PATTERNS)
GET = words(any_case("GET"), PATTERNS)
ORDER = any_case("ASC", "DESC")
ALPHA = any_case("ALPHA")
STORE = words(any_case("STORE"), st.sampled_from(["stored", "list", "set", "text"]))
WRONG = st.one_of(
    st.sampled_from(["LIMIT", "BY", "GET", "STORE", "NOSUCH"]), words("LIMIT", INTEGERS, INTEGERS)
)

SORTS: list[st.SearchStrategy[Command]] = [
    words("SORT", SOURCES, several(st.one_of(LIMIT, ORDER, GET), 3)),
    words("SORT", SOURCES, ALPHA, several(st.one_of(LIMIT, ORDER, GET), 3)),
    words(
        "SORT", SOURCES, "BY", st.sampled_from(["w_*", "h_*->f"]), several(st.one_of(LIMIT, ORDER, GET), 3)
    ),
    words("SORT", SOURCES, ALPHA, several(ORDER, 1), several(GET, 2), STORE),
    words(
        "SORT", st.sampled_from(["list", "zset"]), "BY", "nostar", several(st.one_of(LIMIT, ORDER, GET), 3)
    ),
    words("SORT", SOURCES, "BY", "nostar", several(st.one_of(LIMIT, ORDER, ALPHA), 3), STORE),
    words("SORT_RO", SOURCES, several(st.one_of(LIMIT, ORDER, GET, ALPHA, STORE), 3)),
    words("SORT", st.one_of(SOURCES, st.sampled_from(["none", "text"])), several(WRONG, 2)),
]
COMMANDS: list[st.SearchStrategy[Command]] = [
    words("RPUSH", "list", several(ELEMENTS, 6, 1)),
    words("RPUSH", "list", several(NUMBERS, 6, 1)),
    words("SADD", "set", several(NUMBERS, 6, 1)),
    words("ZADD", "zset", st.integers(0, 3), ELEMENTS),
    words("ZADD", "zset", st.integers(0, 3), NUMBERS),
    words("SET", st.builds("w_{}".format, ELEMENTS), WEIGHTED),
    words("HSET", st.builds("h_{}".format, ELEMENTS), st.sampled_from(["f", "g"]), WEIGHTED),
    words("SET", "text", "x"),
    words("DEL", st.sampled_from(["list", "set", "zset"])),
    *SORTS,
    *SORTS,
]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequences(COMMANDS, 30))
def test_sort_answers_and_stores_what_redis_does(redis7: RealServer, commands: list[Command]) -> None:
    compare(LocalServer(), redis7, commands)
