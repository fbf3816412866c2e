"""Shapes: which fields a hash has, and in what order, kept once for all hashes that agree in it.

Hashes are mostly records: a hundred thousand of them have the same ten fields. What they share is a shape,
and each keeps its values only. The hidden classes of JavaScript engines are the same idea.

How it would go wrong: some hashes are maps instead, whose fields are ids that no other hash has. A shape
for each would be memory for nothing, and time as well.

The rule: fields become a shape when they are met for the second time. What was met is remembered by a
number, and when it is too much to remember all is forgotten and learned anew: fields that many hashes
share are back at once, and a hash whose shape was forgotten goes on holding it.
"""

from __future__ import annotations

from binascii import crc32

MOST_FIELDS = 32
"""Of a shape. A value is reached by passing over those before it."""
MOST_FIELD_BYTES = 64
MOST_SHAPES = 512
MOST_MET = 4096

Fields = tuple[bytes, ...]


class Shape:
    """Fields in order of insertion, and each one's place among them."""

    __slots__ = ("fields", "places")

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.places = {field: place for place, field in enumerate(fields)}


NO_FIELDS = Shape(())
_shapes: dict[Fields, Shape] = {(): NO_FIELDS}
_met: set[int] = set()


def shape_of(fields: Fields) -> Shape | None:
    """The shape of these fields; None if they have none, or not yet."""
    return _shapes.get(fields) or _learn(fields)


def _learn(fields: Fields) -> Shape | None:
    if len(fields) > MOST_FIELDS:
        return None
    number = crc32(b"\0".join(fields))  # of others by chance: then these are taken for met, and no harm done
    if number not in _met:
        if len(_met) >= MOST_MET:
            _met.clear()
        _met.add(number)
        return None
    if len(set(fields)) < len(fields) or max(map(len, fields)) > MOST_FIELD_BYTES:
        return None
    if len(_shapes) >= MOST_SHAPES:
        _shapes.clear()
        _shapes[()] = NO_FIELDS
    shape = _shapes[fields] = Shape(fields)
    return shape
