"""Places are scored, found and measured to the last digit as on Redis 7."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.differential.comparison import Command, compare
from tests.differential.executor import LocalServer, RealServer
from tests.differential.strategies import any_case, sequences, several, words
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

KEYS = st.sampled_from(["a", "b", "text"])
MEMBERS = st.sampled_from(["m1", "m2", "m3", "m4", "m5", "m6"])
LONGITUDES = st.one_of(
    st.floats(-180, 180), st.floats(13, 16), st.sampled_from([180, -180, 0, 13.361389, 180.1, "x"])
)
LATITUDES = st.one_of(
    st.floats(-85.05112878, 85.05112878),
    st.floats(37, 39),
    st.sampled_from([85.05112878, -85.05112878, 0, 38.115556, 86, "nan"]),
)
PLACE = st.tuples(LONGITUDES, LATITUDES).map(lambda place: tuple(map(str, place)))
UNITS = any_case("M", "KM", "FT", "MI")
LENGTHS = st.one_of(
    st.sampled_from(["0", "1", "50", "200", "1000", "6000", "30000", "1e7", "-1", "x"]),
    st.floats(0, 20000).map(str),
)
ANY_UNIT = st.one_of(UNITS, UNITS, UNITS, st.just("furlong"))
FROM = st.one_of(words(any_case("FROMMEMBER"), MEMBERS), words(any_case("FROMLONLAT"), PLACE))
BY = st.one_of(
    words(any_case("BYRADIUS"), LENGTHS, ANY_UNIT), words(any_case("BYBOX"), LENGTHS, LENGTHS, ANY_UNIT)
)
PARTS = st.one_of(
    any_case("WITHDIST", "WITHHASH", "WITHCOORD", "ASC", "DESC"), words("COUNT", st.integers(0, 4))
)
SORTED = any_case("ASC", "DESC")
STORE = words(any_case("STORE"), KEYS)

ADD = words("GEOADD", KEYS, several(words(PLACE, MEMBERS), 4, 1))
COMMANDS: list[st.SearchStrategy[Command]] = [
    ADD,
    ADD,
    ADD,
    words("GEOADD", KEYS, several(any_case("NX", "XX", "CH"), 2), several(words(PLACE, MEMBERS), 2)),
    words("ZADD", KEYS, st.integers(0, 1 << 52).map(str), MEMBERS),
    words(any_case("GEOPOS", "GEOHASH"), KEYS, several(MEMBERS, 3)),
    words("GEODIST", KEYS, MEMBERS, MEMBERS, several(ANY_UNIT, 1)),
    words("GEOSEARCH", KEYS, FROM, BY, several(PARTS, 4)),
    words("GEOSEARCH", KEYS, FROM, BY, several(PARTS, 4)),
    words("GEOSEARCH", KEYS, FROM, BY, "COUNT", "1", "ANY"),
    words(
        "geosearch", KEYS, several(st.one_of(FROM, BY, PARTS, st.sampled_from(["ANY", "STOREDIST"])), 4, 3)
    ),
    words("GEOSEARCHSTORE", KEYS, KEYS, FROM, BY, several(PARTS, 2)),
    words("GEORADIUS", KEYS, PLACE, LENGTHS, ANY_UNIT, several(PARTS, 3), several(STORE, 1)),
    words("GEORADIUSBYMEMBER", KEYS, MEMBERS, LENGTHS, ANY_UNIT, several(PARTS, 3), several(STORE, 1)),
    words("GEORADIUS_RO", KEYS, PLACE, LENGTHS, UNITS, several(st.one_of(PARTS, STORE), 2)),
    words("GEORADIUSBYMEMBER_RO", KEYS, MEMBERS, LENGTHS, UNITS, several(PARTS, 2)),
    words("SET", "text", "x"),
    words("DEL", KEYS),
]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequences(COMMANDS))
def test_geo_commands_answer_and_store_what_redis_does(redis7: RealServer, commands: list[Command]) -> None:
    compare(LocalServer(), redis7, commands)


def test_searches_among_many_places_find_the_same_at_the_same_distance(redis7: RealServer) -> None:
    """Dense and scattered, at the poles and across the date line; stored distances are the same doubles."""
    rng = Random(5)
    for scale in (0.01, 1, 20, 180):
        ours = LocalServer()
        redis7.run("FLUSHALL")
        middle = rng.uniform(-180, 180), rng.uniform(-80, 80)

        def somewhere(middle: tuple[float, float] = middle, scale: float = scale) -> tuple[str, str]:
            longitude, latitude = (degrees + rng.uniform(-scale, scale) for degrees in middle)
            return repr((longitude + 540) % 360 - 180), repr(max(-85.0, min(latitude, 85.0)))

        def length(scale: float = scale) -> str:
            return repr(rng.choice([1, 100, 1000, 20_000]) * rng.uniform(0, 2) * scale / 20)

        for number in range(60):
            add = ("GEOADD", "all", *somewhere(), f"m{number}")
            assert ours.run(*add) == redis7.run(*add)
        for _ in range(60):
            centre = rng.choice([("FROMMEMBER", f"m{rng.randrange(60)}"), ("FROMLONLAT", *somewhere())])
            shape = rng.choice([("BYRADIUS", length(), "km"), ("BYBOX", length(), length(), "mi")])
            area = (*centre, *shape)
            search = ("GEOSEARCH", "all", *area, rng.choice(["ASC", "DESC"]), "WITHDIST", "WITHCOORD")
            assert ours.run(*search) == redis7.run(*search), search
            store = ("GEOSEARCHSTORE", "found", "all", *area, "STOREDIST")
            assert ours.run(*store) == redis7.run(*store), store
            assert scores(ours) == scores(redis7), store


def scores(server: LocalServer | RealServer) -> list[tuple[bytes, float]]:
    """The members found with their scores, however these are printed."""
    flat = server.run("ZRANGE", "found", "0", "-1", "WITHSCORES").value
    assert isinstance(flat, list)
    return [(member, float(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)]
