"""RESP replies with the type of every part, so that a status is told from a string a map from an array."""

from __future__ import annotations

Reply = tuple[bytes, object]
"""The first byte, and what follows: a line's text, a string's bytes or the replies of an aggregate."""

_LINES = b"+-:,(#_"
_STRINGS = b"$=!"
_SINGLE = b"*~>"
_PAIRS = b"%|"


def parse_all(data: bytes) -> list[Reply]:
    """Every reply there is; the data end with the last one."""
    found = []
    position = 0
    while position < len(data):
        reply, position = parse(data, position)
        found.append(reply)
    return found


def parse(data: bytes, position: int) -> tuple[Reply, int]:
    """The reply at a position, and the position behind it."""
    kind = data[position : position + 1]
    end = data.index(b"\r\n", position)
    line = data[position + 1 : end]
    position = end + 2
    if kind in _STRINGS:
        size = int(line)
        if size < 0:
            return (kind, None), position
        return (kind, data[position : position + size]), position + size + 2
    if kind in _LINES:
        return (kind, line), position
    assert kind in _SINGLE or kind in _PAIRS, data[position - 40 : position + 40]
    count = int(line) * (2 if kind in _PAIRS else 1)
    if count < 0:
        return (kind, None), position
    parts = []
    for _ in range(count):
        part, position = parse(data, position)
        parts.append(part)
    return (kind, parts), position


def sorted_parts(reply: Reply) -> Reply:
    """An aggregate without its order."""
    kind, parts = reply
    return (kind, sorted(parts, key=repr)) if isinstance(parts, list) else reply


def sorted_pairs(reply: Reply) -> Reply:
    """A flat aggregate of names and values without the order of the pairs."""
    kind, parts = reply
    if not isinstance(parts, list):
        return reply
    return kind, sorted(zip(parts[::2], parts[1::2], strict=False), key=repr)
