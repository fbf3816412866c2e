"""Redis's glob patterns on bytes: KEYS, SCAN, PSUBSCRIBE, CONFIG GET and ACL rules match with them.

`*` is any bytes, `?` one byte, `[abc]`, `[a-z]` and `[^a]` one byte of a class, a backslash takes the
next byte literally. Oddities kept for compatibility: an unclosed class ends with the pattern, `]`
closes a class even as its first byte, the empty string matches the empty pattern only, not even `*`, and a
pattern in which something stands behind each of more than 1000 stars matches nothing.

Each piece between two stars is matched at the first place it fits and never reconsidered, which
finds a match whenever there is one. An atomic group says so to the regular expression engine, so that
no pattern costs more than its length times the string's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

CACHED_PATTERNS = 256
MAX_NESTED_STARS = 1000
_SPECIAL = re.compile(rb"[*?\[\\]")


def glob_match(pattern: bytes, text: bytes) -> bool:
    """Whether a text matches a pattern."""
    return compile_glob(pattern)(text)


@lru_cache(CACHED_PATTERNS)
def compile_glob(pattern: bytes) -> Callable[[bytes], bool]:
    """A pattern as a function that says whether a text matches it.

    The regular expression is built for the first text that is long enough to match, so that a
    gigantic pattern costs a command no more than reading it once.
    """
    if not _SPECIAL.search(pattern):
        return pattern.__eq__
    pieces = _split_at_stars(pattern)
    if sum(map(bool, pieces[1:])) > MAX_NESTED_STARS:
        return _matches_nothing
    least = max(sum(map(len, pieces)), 1)
    full_match: Callable[[bytes], re.Match[bytes] | None] | None = None

    def matches(text: bytes) -> bool:
        nonlocal full_match
        if len(text) < least:
            return False
        if full_match is None:
            full_match = re.compile(_to_regex(pieces), re.DOTALL).fullmatch
        return full_match(text) is not None

    return matches


def _matches_nothing(text: bytes) -> bool:
    return False


def _to_regex(pieces: list[list[bytes]]) -> bytes:
    first, *others = [b"".join(piece) for piece in pieces]
    if not others:
        return first
    *inner, last = others
    return first + b"".join([b"(?>.*?%b)" % piece for piece in inner if piece]) + b".*" + last


def _split_at_stars(pattern: bytes) -> list[list[bytes]]:
    """What stands between the stars: for every byte to match, the regular expression of it."""
    pieces: list[list[bytes]] = [[]]
    position = 0
    while position < len(pattern):
        char = pattern[position : position + 1]
        position += 1
        if char == b"*":
            pieces.append([])
        elif char == b"?":
            pieces[-1].append(b".")
        elif char == b"[":
            members, position = _read_class(pattern, position)
            pieces[-1].append(members)
        else:
            if char == b"\\" and position < len(pattern):
                char = pattern[position : position + 1]
                position += 1
            pieces[-1].append(re.escape(char))
    return pieces


def _read_class(pattern: bytes, position: int) -> tuple[bytes, int]:
    """The class that begins after its `[`, as a regular expression, and the position after it."""
    negated = pattern.startswith(b"^", position)
    position += negated
    members: set[int] = set()
    while position < len(pattern):
        byte = pattern[position]
        left = len(pattern) - position
        if byte == ord("\\") and left >= 2:
            members.add(pattern[position + 1])
            position += 2
        elif byte == ord("]"):
            position += 1
            break
        elif left >= 3 and pattern[position + 1] == ord("-"):
            low, high = sorted((byte, pattern[position + 2]))
            members.update(range(low, high + 1))
            position += 3
        else:
            members.add(byte)
            position += 1
    if negated:
        members = set(range(256)) - members
    return b"[%b]" % b"".join(
        [b"\\x%02x" % byte for byte in sorted(members)]
    ) if members else b"(?!)", position
