"""Commands on places: a sorted set whose scores are places, see `dataset/geohash.py`."""

from __future__ import annotations

from itertools import takewhile

from shoal.node.commands.call import Call
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command
from shoal.node.commands.sorted_sets import zadd
from shoal.node.commands.spec import Arg, Flag, KeyUse, block, key_arg, one_key, one_of, token
from shoal.node.dataset.geohash import (
    LATITUDE_LIMIT,
    LONGITUDE_LIMIT,
    Place,
    distance,
    place_of,
    score_of,
    standard_geohash,
)
from shoal.node.dataset.numbers import require_float
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.resp.replies import NULL_ARRAY, CommandError, Decimal, Reply

UNIT = one_of("unit", token("M"), token("KM"), token("FT"), token("MI"))
_UNITS = {b"m": 1.0, b"km": 1000.0, b"ft": 0.3048, b"mi": 1609.34}
_ADD_OPTIONS = frozenset({b"NX", b"XX", b"CH"})
_READ = KeyUse.RO | KeyUse.ACCESS


def parse_place(longitude: bytes, latitude: bytes) -> Place:
    """Two numbers as a place that scores can stand for."""
    place = Place(require_float(longitude), require_float(latitude))
    if abs(place.longitude) > LONGITUDE_LIMIT or abs(place.latitude) > LATITUDE_LIMIT:
        raise CommandError(f"ERR invalid longitude,latitude pair {place.longitude:.6f},{place.latitude:.6f}")
    return place


def parse_unit(word: bytes) -> float:
    """How many metres the unit has."""
    metres = _UNITS.get(word.lower())
    if metres is None:
        raise CommandError("ERR unsupported unit provided. please use M, KM, FT, MI")
    return metres


def show_distance(length: float) -> bytes:
    """Four decimals are enough for kilometres too."""
    whole, decimals = divmod(round(length * 10_000), 10_000)
    return b"%d.%04d" % (whole, decimals)


def show_place(place: Place) -> Reply:
    """Longitude and latitude with 17 decimals, trailing zeros trimmed."""
    return [
        Decimal(f"{degrees:.17f}".rstrip("0").removesuffix(".").encode())
        for degrees in (place.longitude, place.latitude)
    ]


@command(
    "GEOADD",
    arity=-5,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="geo",
    since="3.2.0",
    complexity="O(log(N)) for each place added, in a sorted set of N members.",
    summary="Adds members with their places, or moves them.",
    keys=one_key(KeyUse.RW | KeyUse.UPDATE),
    arguments=(
        key_arg(),
        one_of("condition", token("NX"), token("XX"), optional=True, since="6.2.0"),
        Arg("change", "pure-token", token="CH", optional=True, since="6.2.0"),
        block(
            "longitude_latitude_member",
            Arg("longitude", "double"),
            Arg("latitude", "double"),
            Arg("member"),
            multiple=True,
        ),
    ),
    history=(("6.2.0", "Knows `CH`, `NX` and `XX`."),),
)
def geoadd(call: Call, key: bytes, *words: bytes) -> Reply:
    """What is propagated is ZADD."""
    options = tuple(takewhile(lambda word: word.upper() in _ADD_OPTIONS, words))
    triples = words[len(options) :]
    if len(triples) % 3 or {b"NX", b"XX"} <= {option.upper() for option in options}:
        raise CommandError(SYNTAX_ERROR)
    pairs: list[bytes] = []
    for at in range(0, len(triples), 3):
        pairs += (b"%d" % score_of(parse_place(triples[at], triples[at + 1])), triples[at + 2])
    changes = call.keyspace.changes
    reply = zadd(call, key, *options, *pairs)
    if call.keyspace.changes != changes:
        call.propagate(b"ZADD", key, *options, *pairs)
    return reply


def _places(call: Call, key: bytes, members: tuple[bytes, ...]) -> list[Place | None]:
    value = call.db.read_as(key, SortedSet)
    scores = [None if value is None else value.scores.get(member) for member in members]
    return [None if score is None else place_of(score) for score in scores]


@command(
    "GEOPOS",
    arity=-2,
    flags=Flag.READONLY,
    group="geo",
    since="3.2.0",
    complexity="O(N) for N members named.",
    summary="Returns the longitudes and latitudes of members.",
    keys=one_key(_READ),
    arguments=(key_arg(), Arg("member", multiple=True)),
)
def geopos(call: Call, key: bytes, *members: bytes) -> Reply:
    return [NULL_ARRAY if place is None else show_place(place) for place in _places(call, key, members)]


@command(
    "GEOHASH",
    arity=-2,
    flags=Flag.READONLY,
    group="geo",
    since="3.2.0",
    complexity="O(log(N)) for each member named, in a sorted set of N.",
    summary="Returns the places of members as standard geohashes.",
    keys=one_key(_READ),
    arguments=(key_arg(), Arg("member", multiple=True)),
)
def geohash(call: Call, key: bytes, *members: bytes) -> Reply:
    return [
        None if place is None else standard_geohash(place).encode() for place in _places(call, key, members)
    ]


@command(
    "GEODIST",
    arity=-4,
    flags=Flag.READONLY,
    group="geo",
    since="3.2.0",
    complexity="O(log(N))",
    summary="Returns how far two members are from each other.",
    keys=one_key(_READ),
    arguments=(key_arg(), Arg("member1"), Arg("member2"), one_of("unit", *UNIT.arguments, optional=True)),
)
def geodist(call: Call, key: bytes, member1: bytes, member2: bytes, *unit: bytes) -> Reply:
    if len(unit) > 1:
        raise CommandError(SYNTAX_ERROR)
    metres = parse_unit(unit[0]) if unit else 1.0
    one, other = _places(call, key, (member1, member2))
    return None if one is None or other is None else show_distance(distance(one, other) / metres)
