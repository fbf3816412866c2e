"""GEOSEARCH and the older GEORADIUS: the members within a circle or a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from shoal.node.commands.call import Call
from shoal.node.commands.geo import UNIT, parse_place, parse_unit, show_distance, show_place
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command
from shoal.node.commands.spec import (
    Arg,
    Flag,
    KeySpec,
    KeyUse,
    block,
    key_arg,
    key_at,
    one_key,
    one_of,
    token,
)
from shoal.node.dataset.geohash import Area, Place, place_of
from shoal.node.dataset.numbers import require_float, require_integer
from shoal.node.dataset.sorted_sets import ScoreRange, SortedSet
from shoal.node.resp.replies import CommandError, Reply

_READ = KeyUse.RO | KeyUse.ACCESS
_STORE = KeyUse.OW | KeyUse.UPDATE
_COMPLEXITY = "O(N+log(M)) for N members in the cells around the area, of M in the sorted set."
_UNITS_SINCE = ("7.0.0", "Units may be in upper case.")
_ANY_SINCE = ("6.2.0", "Knows `ANY` with `COUNT`.")
_ORDER = one_of("order", token("ASC"), token("DESC"), optional=True)
_PARTS = tuple(token(name, optional=True) for name in ("WITHCOORD", "WITHDIST", "WITHHASH"))


def _count(any_since: str | None = None) -> Arg:
    any_token = token("ANY", optional=True, since=any_since)
    return block("count", Arg("count", "integer", token="COUNT"), any_token, optional=True)


_SHAPE = (
    one_of(
        "from",
        Arg("member", token="FROMMEMBER"),
        block(
            "longitude_latitude",
            Arg("longitude", "double"),
            Arg("latitude", "double"),
            token="FROMLONLAT",
        ),
    ),
    one_of(
        "by",
        block("circle", Arg("radius", "double", token="BYRADIUS"), UNIT),
        block("box", Arg("width", "double", token="BYBOX"), Arg("height", "double"), UNIT),
    ),
    _ORDER,
    _count(),
)
_STORE_OPTIONS = (
    Arg("key", "key", token="STORE", optional=True, key_spec=1),
    Arg("key", "key", token="STOREDIST", optional=True, key_spec=2),
)


@dataclass(slots=True)
class Search:
    """What is looked for, and what is answered."""

    name: str
    centre: Place | None = None
    """None where it is a member of a key that does not exist."""
    has_centre: bool = False
    radius: float | None = None
    box: tuple[float, float] | None = None
    unit: float = 1.0
    """Metres."""
    count: int = 0
    """0 is for all."""
    any: bool = False
    order: bytes | None = None
    with_distance: bool = False
    with_score: bool = False
    with_place: bool = False
    destination: bytes | None = None
    store_distance: bool = False

    @property
    def area(self) -> Area:
        assert self.centre is not None
        if self.box is not None:
            return Area(self.centre, box=(self.box[0] * self.unit, self.box[1] * self.unit))
        return Area(self.centre, (self.radius or 0.0) * self.unit)


@dataclass(frozen=True, slots=True)
class Found:
    """A member inside the area."""

    member: bytes
    score: float
    place: Place
    metres: float


# --- commands --------------------------------------------------------------------------------------


@command(
    "GEOSEARCH",
    arity=-7,
    flags=Flag.READONLY,
    group="geo",
    since="6.2.0",
    complexity=_COMPLEXITY,
    summary="Returns the members inside a circle or a box.",
    keys=one_key(_READ),
    arguments=(key_arg(), *_SHAPE, *_PARTS),
    history=(_UNITS_SINCE,),
)
def geosearch(call: Call, key: bytes, *words: bytes) -> Reply:
    value = call.db.read_as(key, SortedSet)
    search = Search("geosearch")
    _parse(search, value, words, _GEOSEARCH_OPTIONS | _PART_OPTIONS)
    return _answer(call, search, value)


@command(
    "GEOSEARCHSTORE",
    arity=-8,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="geo",
    since="6.2.0",
    complexity=_COMPLEXITY,
    summary="Stores the members inside a circle or a box.",
    keys=(key_at(1, _STORE), key_at(2, _READ)),
    arguments=(
        key_arg("destination"),
        key_arg("source", spec=1),
        *_SHAPE,
        token("STOREDIST", optional=True),
    ),
    history=(_UNITS_SINCE,),
)
def geosearchstore(call: Call, destination: bytes, source: bytes, *words: bytes) -> Reply:
    value = call.db.read_as(source, SortedSet)
    search = Search("geosearchstore", destination=destination)
    _parse(search, value, words, _GEOSEARCH_OPTIONS | _PART_OPTIONS | {b"STOREDIST": 0})
    return _answer(call, search, value)


_RADIUS = (Arg("radius", "double"), UNIT)
_AROUND_PLACE = (key_arg(), Arg("longitude", "double"), Arg("latitude", "double"), *_RADIUS)
_AROUND_MEMBER = (key_arg(), Arg("member"), *_RADIUS)


def _keys_from(first_option: int) -> tuple[KeySpec, ...]:
    stores = [
        KeySpec(_STORE, first_option, keyword=word, search=partial(_last_after, word, first_option))
        for word in (b"STORE", b"STOREDIST")
    ]
    return (key_at(1, _READ), *stores)


def _last_after(option: bytes, first_option: int, argv: Sequence[bytes]) -> list[int]:
    """Where the key after an option stands: of several the last, for that is the one which is written."""
    found: list[int] = []
    position = first_option
    while position < len(argv):
        word = argv[position].upper()
        if word == option and position + 1 < len(argv):
            found = [position + 1]
        position += 2 if word in (b"STORE", b"STOREDIST", b"COUNT") else 1
    return found


@command(
    "GEORADIUS",
    arity=-6,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="geo",
    since="3.2.0",
    complexity=_COMPLEXITY,
    summary="Returns or stores the members inside a circle around a place.",
    keys=_keys_from(6),
    arguments=(*_AROUND_PLACE, *_PARTS, _count("6.2.0"), _ORDER, *_STORE_OPTIONS),
    history=(_ANY_SINCE, _UNITS_SINCE),
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
)
def georadius(
    call: Call, key: bytes, longitude: bytes, latitude: bytes, radius: bytes, unit: bytes, *words: bytes
) -> Reply:
    place = (longitude, latitude)
    return _around_place(call, key, place, (radius, unit), words, _PART_OPTIONS | _STORING_OPTIONS)


@command(
    "GEORADIUS_RO",
    arity=-6,
    flags=Flag.READONLY,
    group="geo",
    since="3.2.10",
    complexity=_COMPLEXITY,
    summary="Returns the members inside a circle around a place.",
    keys=one_key(_READ),
    arguments=(*_AROUND_PLACE, *_PARTS, _count("6.2.0"), _ORDER),
    history=(_ANY_SINCE,),
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` with the `BYRADIUS` argument",
)
def georadius_ro(
    call: Call, key: bytes, longitude: bytes, latitude: bytes, radius: bytes, unit: bytes, *words: bytes
) -> Reply:
    return _around_place(call, key, (longitude, latitude), (radius, unit), words, _PART_OPTIONS)


@command(
    "GEORADIUSBYMEMBER",
    arity=-5,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="geo",
    since="3.2.0",
    complexity=_COMPLEXITY,
    summary="Returns or stores the members inside a circle around one of them.",
    keys=_keys_from(5),
    arguments=(*_AROUND_MEMBER, *_PARTS, _count(), _ORDER, *_STORE_OPTIONS),
    history=(_UNITS_SINCE,),
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
)
def georadiusbymember(
    call: Call, key: bytes, member: bytes, radius: bytes, unit: bytes, *words: bytes
) -> Reply:
    return _around_member(call, key, member, (radius, unit), words, _PART_OPTIONS | _STORING_OPTIONS)


@command(
    "GEORADIUSBYMEMBER_RO",
    arity=-5,
    flags=Flag.READONLY,
    group="geo",
    since="3.2.10",
    complexity=_COMPLEXITY,
    summary="Returns the members inside a circle around one of them.",
    keys=one_key(_READ),
    arguments=(*_AROUND_MEMBER, *_PARTS, _count(), _ORDER),
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
)
def georadiusbymember_ro(
    call: Call, key: bytes, member: bytes, radius: bytes, unit: bytes, *words: bytes
) -> Reply:
    return _around_member(call, key, member, (radius, unit), words, _PART_OPTIONS)


Options = dict[bytes, int]
"""The options of a command, and how many words follow each."""


def _around_place(
    call: Call,
    key: bytes,
    place: tuple[bytes, bytes],
    radius: tuple[bytes, bytes],
    words: tuple[bytes, ...],
    options: Options,
) -> Reply:
    value = call.db.read_as(key, SortedSet)
    search = Search("georadius", parse_place(*place), has_centre=True)
    _parse_radius(search, radius)
    _parse(search, value, words, options)
    return _answer(call, search, value)


def _around_member(
    call: Call,
    key: bytes,
    member: bytes,
    radius: tuple[bytes, bytes],
    words: tuple[bytes, ...],
    options: Options,
) -> Reply:
    value = call.db.read_as(key, SortedSet)
    search = Search("georadius", has_centre=True, radius=0.0)
    if value is not None:
        search.centre = _place_of_member(value, member)
        _parse_radius(search, radius)
    _parse(search, value, words, options)
    return _answer(call, search, value)


# --- options ---------------------------------------------------------------------------------------

_PART_OPTIONS: Options = {
    b"WITHDIST": 0, b"WITHHASH": 0, b"WITHCOORD": 0, b"ANY": 0, b"ASC": 0, b"DESC": 0, b"COUNT": 1
}  # fmt: skip
_STORING_OPTIONS: Options = {b"STORE": 1, b"STOREDIST": 1}
_GEOSEARCH_OPTIONS: Options = {b"FROMMEMBER": 1, b"FROMLONLAT": 2, b"BYRADIUS": 2, b"BYBOX": 3}


def _parse(search: Search, value: SortedSet | None, words: tuple[bytes, ...], options: Options) -> None:
    """Read the options in order; CommandError for the first that makes no sense, then for what is missing."""
    at = 0
    from_member = from_place = False
    while at < len(words):
        word = words[at].upper()
        size = options.get(word)
        if size is None or at + size >= len(words):
            raise CommandError(SYNTAX_ERROR)
        rest = words[at + 1 : at + 1 + size]
        if word == b"FROMMEMBER" and not from_place:
            search.centre = None if value is None else _place_of_member(value, rest[0])
            search.has_centre = from_member = True
        elif word == b"FROMLONLAT" and not from_member:
            search.centre = parse_place(*rest)
            search.has_centre = from_place = True
        elif word == b"BYRADIUS" and search.box is None:
            _parse_radius(search, rest)
        elif word == b"BYBOX" and search.radius is None:
            _parse_box(search, rest)
        elif word in _GEOSEARCH_OPTIONS:
            raise CommandError(SYNTAX_ERROR)
        else:
            _parse_part(search, word, rest)
        at += 1 + size
    _check(search)


def _parse_part(search: Search, word: bytes, rest: Sequence[bytes]) -> None:
    match word:
        case b"WITHDIST":
            search.with_distance = True
        case b"WITHHASH":
            search.with_score = True
        case b"WITHCOORD":
            search.with_place = True
        case b"ANY":
            search.any = True
        case b"ASC" | b"DESC":
            search.order = word
        case b"COUNT":
            search.count = require_integer(rest[0])
            if search.count <= 0:
                raise CommandError("ERR COUNT must be > 0")
        case b"STORE" | b"STOREDIST":
            search.destination = rest[0] if rest else search.destination
            search.store_distance = word == b"STOREDIST"


def _parse_radius(search: Search, words: Sequence[bytes]) -> None:
    search.radius = require_float(words[0], "ERR need numeric radius")
    if search.radius < 0:
        raise CommandError("ERR radius cannot be negative")
    search.unit = parse_unit(words[1])


def _parse_box(search: Search, words: Sequence[bytes]) -> None:
    width = require_float(words[0], "ERR need numeric width")
    height = require_float(words[1], "ERR need numeric height")
    if width < 0 or height < 0:
        raise CommandError("ERR height or width cannot be negative")
    search.box = (width, height)
    search.unit = parse_unit(words[2])


def _check(search: Search) -> None:
    has_parts = search.with_distance or search.with_score or search.with_place
    if search.destination is not None and has_parts:
        what = "GEOSEARCHSTORE" if search.name == "geosearchstore" else "STORE option in GEORADIUS"
        raise CommandError(f"ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options")
    if not search.has_centre:
        raise CommandError(f"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {search.name}")
    if search.radius is None and search.box is None:
        raise CommandError(f"ERR exactly one of BYRADIUS and BYBOX can be specified for {search.name}")
    if search.any and not search.count:
        raise CommandError("ERR the ANY argument requires COUNT argument")


def _place_of_member(value: SortedSet, member: bytes) -> Place:
    score = value.scores.get(member)
    if score is None:
        raise CommandError("ERR could not decode requested zset member")
    return place_of(score)


# --- searching -------------------------------------------------------------------------------------


def _answer(call: Call, search: Search, value: SortedSet | None) -> Reply:
    found = [] if value is None else _found(search, value)
    if search.destination is not None:
        return _store(call, search, search.destination, found)
    return [_shown(search, one) for one in found]


def _found(search: Search, value: SortedSet) -> list[Found]:
    """The members asked for. The nearest come first if only so many are wanted, unless any will do."""
    order = search.order or (b"ASC" if search.count and not search.any else None)
    found = _inside(search.area, value, search.count if search.any else 0)
    if order is not None:
        found.sort(key=lambda one: one.metres, reverse=order == b"DESC")
    return found[: search.count] if search.count else found


def _inside(area: Area, value: SortedSet, limit: int) -> list[Found]:
    """The members inside the area, cell by cell; no more than `limit`, if it is not 0."""
    found: list[Found] = []
    cells = area.cells()
    for at, cell in enumerate(cells):
        if at > 1 and cell == cells[at - 1]:
            continue  # an area that goes round the earth has the same cell on both sides
        first, stop = cell.scores
        ranks = value.ranks_of_scores(ScoreRange(float(first), float(stop), high_open=True))
        for member, score in value.at(ranks):
            place = place_of(score)
            metres = area.distance_inside(place)
            if metres is not None:
                found.append(Found(member, score, place, metres))
            if limit and len(found) >= limit:
                return found
    return found


def _shown(search: Search, one: Found) -> Reply:
    parts: list[Reply] = [one.member]
    if search.with_distance:
        parts.append(show_distance(one.metres / search.unit))
    if search.with_score:
        parts.append(int(one.score))
    if search.with_place:
        parts.append(show_place(one.place))
    return parts if len(parts) > 1 else one.member


def _store(call: Call, search: Search, destination: bytes, found: list[Found]) -> int:
    """Make the result a sorted set, with places or distances as scores; without one, the destination goes."""
    if found:
        scores = {
            one.member: one.metres / search.unit if search.store_distance else one.score for one in found
        }
        call.db.set(destination, SortedSet.of(scores))
        event = "geosearchstore" if search.name == "geosearchstore" else "georadiusstore"
        call.db.changed(destination, event)
    elif call.db.delete(destination):
        call.db.changed(destination, "del")
    return len(found)
