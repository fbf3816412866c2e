"""Places are scored, found and measured to the last digit as on Redis 7."""

from __future__ import annotations

from random import Random

import pytest

from tests.differential.executor import LocalServer, RealServer
from tests.differential.grammar import (
    INTEGERS,
    ODD_NUMBERS,
    Part,
    any_case,
    floats,
    integers,
    one_of,
    pick,
    several,
    words,
)
from tests.differential.twin import Twin, run_any
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

KEYS = pick("a", "b", "", "text")
MEMBERS = pick("m1", "m2", "m3", "m4", "", b"\xff\r\n")
LONGITUDES = one_of(
    floats(-180, 180), floats(13, 16), pick(180, -180, 0, 13.361389, 180.1, -180.00000001, *ODD_NUMBERS)
)
LATITUDES = one_of(
    floats(-85.05112878, 85.05112878),
    floats(37, 39),
    pick(85.05112878, -85.05112878, 85.05112879, 0, 38.115556, 86, *ODD_NUMBERS),
)
PLACE = words(LONGITUDES, LATITUDES)
UNITS = any_case("M", "KM", "FT", "MI")
LENGTHS = one_of(
    pick("0", "1", "50", "200", "1000", "6000", "30000", "1e7", *ODD_NUMBERS),
    floats(0, 20000),
)
ANY_UNIT = one_of(UNITS, UNITS, UNITS, pick("furlong"))
FROM = one_of(words(any_case("FROMMEMBER"), MEMBERS), words(any_case("FROMLONLAT"), PLACE))
BY = one_of(
    words(any_case("BYRADIUS"), LENGTHS, ANY_UNIT), words(any_case("BYBOX"), LENGTHS, LENGTHS, ANY_UNIT)
)
PARTS = one_of(
    any_case("WITHDIST", "WITHHASH", "WITHCOORD", "ASC", "DESC"),
    words("COUNT", one_of(integers(0, 4), integers(1, 4), INTEGERS)),
)
SORTED = any_case("ASC", "DESC")
STORE = words(any_case("STORE"), KEYS)

ADD = words("GEOADD", KEYS, several(words(PLACE, MEMBERS), 4, 1))
COMMANDS: list[Part] = [
    ADD,
    ADD,
    ADD,
    words("GEOADD", KEYS, several(any_case("NX", "XX", "CH"), 2), several(words(PLACE, MEMBERS), 2)),
    words("ZADD", KEYS, integers(0, 1 << 52), MEMBERS),
    words(any_case("GEOPOS", "GEOHASH"), KEYS, several(MEMBERS, 3)),
    words("GEODIST", KEYS, MEMBERS, MEMBERS, several(ANY_UNIT, 1)),
    words("GEOSEARCH", KEYS, FROM, BY, several(PARTS, 4)),
    words("GEOSEARCH", KEYS, FROM, BY, several(PARTS, 4)),
    words("GEOSEARCH", KEYS, FROM, BY, "COUNT", "1", "ANY"),
    words("geosearch", KEYS, several(one_of(FROM, BY, PARTS, pick("ANY", "STOREDIST")), 4, 3)),
    words("GEOSEARCHSTORE", KEYS, KEYS, FROM, BY, several(PARTS, 2)),
    words("GEORADIUS", KEYS, PLACE, LENGTHS, ANY_UNIT, several(PARTS, 3), several(STORE, 1)),
    words("GEORADIUSBYMEMBER", KEYS, MEMBERS, LENGTHS, ANY_UNIT, several(PARTS, 3), several(STORE, 1)),
    words("GEORADIUS_RO", KEYS, PLACE, LENGTHS, UNITS, several(one_of(PARTS, STORE), 2)),
    words("GEORADIUSBYMEMBER_RO", KEYS, MEMBERS, LENGTHS, UNITS, several(PARTS, 2)),
    words("SET", "text", "x"),
    words("DEL", KEYS),
]


def test_geo_commands_answer_and_store_what_redis_does(twin: Twin) -> None:
    run_any(twin, COMMANDS)


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


EDGES = ("2.5", "-0.25", "-1", "inf", "-inf", "1e20", "-1e20", "1.8e19", "9.3e18", "-9.3e18", str(1 << 63))


@pytest.mark.parametrize("score", EDGES)
def test_any_score_is_a_place(redis7: RealServer, score: str) -> None:
    ours = LocalServer()
    for server in (ours, redis7):
        server.run("DEL", "z")
        server.run("ZADD", "z", score, "m")
    for question in (("GEOPOS", "z", "m"), ("GEOSEARCH", "z", "FROMMEMBER", "m", "BYRADIUS", 1, "m")):
        assert ours.run(*question) == redis7.run(*question)
