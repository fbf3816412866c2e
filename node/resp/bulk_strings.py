"""Many bulk strings one after the other: what stands in an array of nothing else, without its header.

Framing is what a long reply mostly costs, so it is done with no call for each string.
"""

from __future__ import annotations

from collections.abc import Sequence

import hiredis

NEXT_HEADERS = tuple(b"\r\n$%d\r\n" % size for size in range(512))
"""What stands between two bulk strings, by the size of the second: a short one, of less than 512 bytes."""
_reader = hiredis.Reader()
"""Holds nothing between two calls of `unframe`."""


def frame(texts: Sequence[bytes]) -> bytes:
    """Bulk strings, at least one."""
    framed = frame_short(texts)
    if framed is None:
        return b"".join([b"$%d\r\n%b\r\n" % (len(text), text) for text in texts])
    return framed


def frame_short(texts: Sequence[bytes]) -> bytes | None:
    """Bulk strings, at least one; None if one is long. Ends of unequal sizes spare the look at the others."""
    try:
        if len(texts[0]) == len(texts[-1]) and len(sizes := set(map(len, texts))) == 1:
            header = NEXT_HEADERS[sizes.pop()]
            return header[2:] + header.join(texts) + b"\r\n"
        return b"".join([NEXT_HEADERS[len(text)] + text for text in texts])[2:] + b"\r\n"
    except IndexError:
        return None


def unframe(framed: bytes, count: int) -> list[bytes]:
    """The strings of what `frame` made of so many."""
    _reader.feed(b"*%d\r\n%b" % (count, framed))
    texts: list[bytes] = _reader.gets()
    return texts
