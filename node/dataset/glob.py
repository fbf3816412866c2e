"""Redis's glob patterns on bytes: KEYS, SCAN, PSUBSCRIBE, CONFIG GET and ACL rules match with them.

`*` is any bytes, `?` one byte, `[abc]`, `[a-z]` and `[^a]` one byte of a class, a backslash takes the
next byte literally. Oddities kept for compatibility: an unclosed class ends with the pattern, `]`
closes a class even as its first byte, the empty string matches the empty pattern only, not even `*`, and a
pattern in which something stands behind each of more than 1000 stars matches nothing.

Each piece between two stars is matched at the first place it fits and never reconsidered, which finds a match
whenever there is one, so that no pattern costs more than its length times the text's. A short pattern becomes
a regular expression, in which atomic groups say so. To build one takes some microseconds for each byte of the
pattern; a long pattern is matched without, all its bytes in step as the bits of one number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

CACHED_PATTERNS = 256
MAX_NESTED_STARS = 1000
MOST_FOR_A_REGEX = 200
"""Bytes to match by the longest pattern that is worth a regular expression."""

ByteSet = int
"""Which bytes match in one place: bit N for byte N."""
Piece = list[ByteSet]
"""What stands between two stars: a set for every byte to match."""

_ANY: ByteSet = (1 << 256) - 1
_SPECIAL = re.compile(rb"[*?\[\\]")


def glob_match(pattern: bytes, text: bytes) -> bool:
    """Whether a text matches a pattern."""
    return compile_glob(pattern)(text)


@lru_cache(CACHED_PATTERNS)
def compile_glob(pattern: bytes) -> Callable[[bytes], bool]:
    """A pattern as a function that says whether a text matches it.

    What it takes to match is made for the first text that is long enough, so that a gigantic pattern costs a
    command no more than reading it once.
    """
    if not _SPECIAL.search(pattern):
        return pattern.__eq__
    pieces = _split_at_stars(pattern)
    if sum(map(bool, pieces[1:])) > MAX_NESTED_STARS:
        return _matches_nothing
    size = sum(map(len, pieces))
    least = max(size, 1)
    full_match: Callable[[bytes], object] | None = None

    def matches(text: bytes) -> bool:
        nonlocal full_match
        if len(text) < least:
            return False
        if full_match is None:
            if size <= MOST_FOR_A_REGEX:
                full_match = re.compile(_to_regex(pieces), re.DOTALL).fullmatch
            else:
                full_match = _in_step(pieces)
        return bool(full_match(text))

    return matches


def _matches_nothing(text: bytes) -> bool:
    return False


# --- reading a pattern -----------------------------------------------------------------------------


def _split_at_stars(pattern: bytes) -> list[Piece]:
    pieces: list[Piece] = [[]]
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == ord("*"):
            pieces.append([])
        elif char == ord("?"):
            pieces[-1].append(_ANY)
        elif char == ord("["):
            members, position = _read_class(pattern, position)
            pieces[-1].append(members)
        else:
            if char == ord("\\") and position < len(pattern):
                char = pattern[position]
                position += 1
            pieces[-1].append(1 << char)
    return pieces


def _read_class(pattern: bytes, position: int) -> tuple[ByteSet, int]:
    """The class that begins after its `[`, and the position after it."""
    negated = pattern.startswith(b"^", position)
    position += negated
    members = 0
    while position < len(pattern):
        byte = pattern[position]
        left = len(pattern) - position
        if byte == ord("\\") and left >= 2:
            members |= 1 << pattern[position + 1]
            position += 2
        elif byte == ord("]"):
            position += 1
            break
        elif left >= 3 and pattern[position + 1] == ord("-"):
            low, high = sorted((byte, pattern[position + 2]))
            members |= (2 << high) - (1 << low)
            position += 3
        else:
            members |= 1 << byte
            position += 1
    return members ^ _ANY if negated else members, position


# --- short patterns: a regular expression -------------------------------------------------------------


def _to_regex(pieces: list[Piece]) -> bytes:
    first, *others = [b"".join(map(_byte_regex, piece)) for piece in pieces]
    if not others:
        return first
    *inner, last = others
    return first + b"".join([b"(?>.*?%b)" % piece for piece in inner if piece]) + b".*" + last


@lru_cache(CACHED_PATTERNS)
def _byte_regex(members: ByteSet) -> bytes:
    """One byte of a set."""
    if members == _ANY:
        return b"."
    negated = members.bit_count() > 128
    ranges = b"".join(b"\\x%02x-\\x%02x" % ends for ends in _ranges(members ^ _ANY if negated else members))
    return b"[%b%b]" % (b"^" if negated else b"", ranges) if ranges else b"(?!)"


def _ranges(members: ByteSet) -> Iterator[tuple[int, int]]:
    """The first and the last byte of every run of bytes in a set."""
    start = 0
    while members >> start:
        rest = members >> start
        start += (rest & -rest).bit_length() - 1
        rest = members >> start
        size = (~rest & rest + 1).bit_length() - 1
        yield start, start + size - 1
        start += size


# --- long patterns: every byte in step ----------------------------------------------------------------


def _in_step(pieces: list[Piece]) -> Callable[[bytes], bool]:
    first, *others = pieces

    def full_match(text: bytes) -> bool:
        if not others:
            return len(text) == len(first) and _all_fit(first, text)
        *inner, last = others
        end = len(text) - len(last)
        if not (_all_fit(first, text) and _all_fit(last, text[end:])):
            return False
        position = len(first)
        for piece in filter(None, inner):
            position = _end_of_first_fit(piece, text, position, end)
            if not position:
                return False
        return position <= end

    return full_match


def _all_fit(piece: Piece, text: bytes) -> bool:
    """Whether a text begins with what matches a piece."""
    return all(members >> byte & 1 for members, byte in zip(piece, text, strict=False))


def _end_of_first_fit(piece: Piece, text: bytes, start: int, end: int) -> int:
    """Behind the first place between two others where a piece matches; 0 if there is none.

    Bit N of `fitting` says whether the text up to here ends with what matches the first N + 1 bytes of the
    piece. Each byte of the text moves all of them one further at once, and leaves those that it fits.
    """
    accepting: dict[int, int] = {}
    whole = 1 << len(piece) - 1
    fitting = 0
    for position in range(start, end):
        byte = text[position]
        if byte not in accepting:
            accepting[byte] = _places_for(byte, piece)
        fitting = (fitting << 1 | 1) & accepting[byte]
        if fitting & whole:
            return position + 1
    return 0


def _places_for(byte: int, piece: Sequence[ByteSet]) -> int:
    """Bit N for every set, the Nth of the piece, that a byte is in."""
    return int("".join(["1" if members >> byte & 1 else "0" for members in reversed(piece)]), 2)
