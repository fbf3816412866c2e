"""Places as scores: longitude and latitude in 52 bits, so that what is near mostly has a score that is near.

Each coordinate becomes a number of `step` bits, and the bits of both take turns, longitude first. A cell is
such a number with fewer bits: the prefix of all places in it, whose scores are therefore one range. A search
looks at the cell around its centre and its eight neighbours, of a size that they cover the area.

Every formula and its order of operations is Redis's, since scores and distances are compared to the last bit.
Source: Redis's description of GEOADD; the haversine formula on a sphere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

STEP_MAX = 26
LATITUDE_LIMIT = 85.05112878
"""Beyond, the Mercator projection would not be a square."""
LONGITUDE_LIMIT = 180.0
EARTH_RADIUS_M = 6372797.560856

_RADIANS = math.pi / 180.0
_MERCATOR_MAX = 20037726.37
_EVEN_BITS = 0x5555555555555555
_ODD_BITS = 0xAAAAAAAAAAAAAAAA
_SPREADS = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
)
_ALPHABET = "0123456789bcdefghjkmnpqrstuvwxyz"
_GEOHASH_CHARACTERS = 10


@dataclass(frozen=True, slots=True)
class Place:
    """A point on the earth, in degrees."""

    longitude: float
    latitude: float


@dataclass(frozen=True, slots=True)
class Cell:
    """All places whose bits begin with these `2 * step` ones."""

    bits: int
    step: int

    @property
    def scores(self) -> tuple[int, int]:
        """The first score inside, and the first behind."""
        shift = 2 * (STEP_MAX - self.step)
        return self.bits << shift, (self.bits + 1) << shift

    @property
    def bounds(self) -> Bounds:
        """What part of the earth it is."""
        size = 1 << self.step
        row, column = _every_second_bit(self.bits), _every_second_bit(self.bits >> 1)
        height, width = LATITUDE_LIMIT - -LATITUDE_LIMIT, LONGITUDE_LIMIT - -LONGITUDE_LIMIT
        return Bounds(
            -LONGITUDE_LIMIT + column / size * width,
            -LATITUDE_LIMIT + row / size * height,
            -LONGITUDE_LIMIT + (column + 1) / size * width,
            -LATITUDE_LIMIT + (row + 1) / size * height,
        )

    def neighbour(self, east: int, north: int) -> Cell:
        """The cell so many steps (-1, 0 or 1) away; at the edge of the map, the one at the other edge."""
        used = (1 << 2 * self.step) - 1
        columns, rows = self.bits & _ODD_BITS, self.bits & _EVEN_BITS
        columns = _moved(columns, east, _ODD_BITS & used, _EVEN_BITS & used)
        rows = _moved(rows, north, _EVEN_BITS & used, _ODD_BITS & used)
        return Cell(columns | rows, self.step)


@dataclass(frozen=True, slots=True)
class Bounds:
    """A part of the earth between two longitudes and two latitudes."""

    west: float
    south: float
    east: float
    north: float


def _moved(bits: int, by: int, own: int, others: int) -> int:
    """One of two interleaved numbers, one up or down: its gaps are filled so that a carry runs through."""
    if by > 0:
        bits = bits + others + 1
    elif by < 0:
        bits = (bits | others) - (others + 1)
    return bits & own if by else bits


# --- coding ----------------------------------------------------------------------------------------


def cell_at(
    place: Place, step: int, longitude_limit: float = LONGITUDE_LIMIT, latitude_limit: float = LATITUDE_LIMIT
) -> Cell:
    """The cell of that size in which a place is."""
    row = (place.latitude - -latitude_limit) / (latitude_limit - -latitude_limit)
    column = (place.longitude - -longitude_limit) / (longitude_limit - -longitude_limit)
    size = 1 << step
    return Cell(_spread(int(row * size)) | _spread(int(column * size)) << 1, step)


def score_of(place: Place) -> int:
    """What GEOADD stores."""
    return cell_at(place, STEP_MAX).bits


def place_of(score: float) -> Place:
    """The middle of the smallest cell that a score stands for."""
    bounds = Cell(_as_uint64(score), STEP_MAX).bounds
    return Place(
        _within((bounds.west + bounds.east) / 2, LONGITUDE_LIMIT),
        _within((bounds.south + bounds.north) / 2, LATITUDE_LIMIT),
    )


def _as_uint64(score: float) -> int:
    """A score without its fraction, as C makes it on x86-64: GEO commands take any sorted set for places.

    What 64 bits do not hold becomes 0 above, and the sign alone below.
    """
    if score >= 1 << 64:
        return 0
    return 1 << 63 if score < -(1 << 63) else int(score) & (1 << 64) - 1


def standard_geohash(place: Place) -> str:
    """The geohash of the rest of the world, whose latitudes go to the poles; its last digit is always 0."""
    bits = cell_at(place, STEP_MAX, latitude_limit=90.0).bits
    digits = [_ALPHABET[bits >> 2 * STEP_MAX - 5 * (at + 1) & 31] for at in range(_GEOHASH_CHARACTERS)]
    return "".join(digits) + _ALPHABET[0]


def _within(degrees: float, limit: float) -> float:
    return max(-limit, min(degrees, limit))


def _spread(number: int) -> int:
    """The bits of a 32-bit number, each followed by a gap."""
    for by, mask in _SPREADS:
        number = (number | number << by) & mask
    return (number | number << 1) & _EVEN_BITS


def _every_second_bit(bits: int) -> int:
    """The 32-bit number of the even bits: `_spread` undone."""
    bits &= _EVEN_BITS
    bits = (bits | bits >> 1) & 0x3333333333333333
    bits = (bits | bits >> 2) & 0x0F0F0F0F0F0F0F0F
    bits = (bits | bits >> 4) & 0x00FF00FF00FF00FF
    bits = (bits | bits >> 8) & 0x0000FFFF0000FFFF
    return (bits | bits >> 16) & 0x00000000FFFFFFFF


# --- measuring -------------------------------------------------------------------------------------


def distance(one: Place, other: Place) -> float:
    """Metres along a great circle."""
    half_longitude = math.sin((other.longitude * _RADIANS - one.longitude * _RADIANS) / 2)
    if half_longitude == 0:
        return _distance_north(one.latitude, other.latitude)
    first, second = one.latitude * _RADIANS, other.latitude * _RADIANS
    half_latitude = math.sin((second - first) / 2)
    chord = (
        half_latitude * half_latitude + math.cos(first) * math.cos(second) * half_longitude * half_longitude
    )
    return 2.0 * EARTH_RADIUS_M * math.asin(math.sqrt(chord))


def _distance_north(one: float, other: float) -> float:
    return EARTH_RADIUS_M * abs(other * _RADIANS - one * _RADIANS)


EVERYWHERE = Bounds(-math.inf, -math.inf, math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Area:
    """A circle around `centre`, or a box if it has a width and a height; in metres."""

    centre: Place
    radius: float = 0.0
    box: tuple[float, float] | None = None
    """Width and height."""

    def distance_inside(self, place: Place) -> float | None:
        """How far a place is from the centre; None if it is outside."""
        if self.box is not None:
            width, height = self.box
            if _distance_north(place.latitude, self.centre.latitude) > height / 2:
                return None
            if distance(place, Place(self.centre.longitude, place.latitude)) > width / 2:
                return None
            return distance(self.centre, place)
        metres = distance(self.centre, place)
        return None if metres > self.radius else metres

    @property
    def reach(self) -> float:
        """From the centre to the farthest point."""
        if self.box is None:
            return self.radius
        width, height = self.box
        return math.sqrt((width / 2) * (width / 2) + (height / 2) * (height / 2))

    @property
    def bounds(self) -> Bounds:
        """The part of the earth that holds it. Towards a pole the same width spans more degrees."""
        width, height = (self.radius, self.radius) if self.box is None else (self.box[0] / 2, self.box[1] / 2)
        longitude, latitude = self.centre.longitude, self.centre.latitude
        rise = height / EARTH_RADIUS_M / _RADIANS
        edge = latitude - rise if latitude < 0 else latitude + rise
        if math.isinf(edge):
            return EVERYWHERE
        spread = width / EARTH_RADIUS_M / math.cos(edge * _RADIANS) / _RADIANS
        return Bounds(longitude - spread, latitude - rise, longitude + spread, latitude + rise)

    def cells(self) -> list[Cell]:
        """Cells that cover it: the centre's, and those around it that may hold a part."""
        bounds, step = self.bounds, _step_for(self.reach, self.centre.latitude)
        cell = cell_at(self.centre, step)
        if step > 1 and not _cover(cell, bounds):
            step -= 1
            cell = cell_at(self.centre, step)
        inside = cell.bounds
        may_skip = step >= 2
        reaches = {
            (0, -1): inside.south >= bounds.south,
            (0, 1): inside.north <= bounds.north,
            (-1, 0): inside.west >= bounds.west,
            (1, 0): inside.east <= bounds.east,
        }
        chosen = [cell]
        for east, north in _AROUND:
            sides = [side for side in ((east, 0), (0, north)) if side != (0, 0)]
            if not may_skip or all(reaches[side] for side in sides):
                chosen.append(cell.neighbour(east, north))
        return chosen


_AROUND = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""(east, north) of the neighbours, in the order in which they are searched."""


def _step_for(metres: float, latitude: float) -> int:
    """How many bits make a cell about as large as the distance; larger ones near the poles."""
    if metres == 0:
        return STEP_MAX
    step = 1
    while metres < _MERCATOR_MAX:
        metres *= 2
        step += 1
    step -= 2
    if abs(latitude) > 66:
        step -= 1
    if abs(latitude) > 80:
        step -= 1
    return max(1, min(step, STEP_MAX))


def _cover(cell: Cell, bounds: Bounds) -> bool:
    """Whether the cells next to one reach the bounds on every side."""
    return (
        cell.neighbour(0, 1).bounds.north >= bounds.north
        and cell.neighbour(0, -1).bounds.south <= bounds.south
        and cell.neighbour(1, 0).bounds.east >= bounds.east
        and cell.neighbour(-1, 0).bounds.west <= bounds.west
    )
