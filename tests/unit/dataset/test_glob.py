"""Glob patterns match what a plain recursive reading of the rules matches, and never take for ever."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.node.dataset import glob
from shoal.node.dataset.glob import glob_match
from tests.differential.executor import RealServer, real_redis
from tests.peers import REDIS7_SERVER, needs

PATTERNS = st.text("ab*?[]^-\\\n", max_size=10).map(str.encode)
TEXTS = st.text("ab-]\\^\n*", max_size=6).map(str.encode)


def reference_match(pattern: bytes, text: bytes) -> bool:
    """The rules one after the other, with backtracking, as one would explain them."""
    if not pattern or not text:
        return not text and not pattern.strip(b"*")
    head, rest = pattern[:1], pattern[1:]
    if head == b"*":
        return reference_match(rest, text) or reference_match(pattern, text[1:])
    if head == b"[":
        accepted, rest = reference_class(rest, text[0])
        return accepted and reference_match(rest, text[1:])
    if head == b"\\" and rest:
        head, rest = rest[:1], rest[1:]
    elif head == b"?":
        head = text[:1]
    return head == text[:1] and reference_match(rest, text[1:])


def reference_class(rest: bytes, byte: int) -> tuple[bool, bytes]:
    negated = rest.startswith(b"^")
    rest = rest[negated:]
    found = False
    while rest and not rest.startswith(b"]"):
        if rest.startswith(b"\\") and len(rest) > 1:
            found, rest = found or rest[1] == byte, rest[2:]
        elif len(rest) > 2 and rest[1:2] == b"-":
            low, high = sorted((rest[0], rest[2]))
            found, rest = found or low <= byte <= high, rest[3:]
        else:
            found, rest = found or rest[0] == byte, rest[1:]
    return found != negated, rest[1:]


@settings(max_examples=1000)
@given(PATTERNS, TEXTS)
def test_it_agrees_with_the_reference(pattern: bytes, text: bytes) -> None:
    if text or not pattern:
        assert glob_match(pattern, text) == reference_match(pattern, text)
    else:
        assert not glob_match(pattern, text)


@pytest.fixture(scope="module")
def no_regexes() -> Iterator[None]:
    """Every pattern is taken for a long one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(glob, "MOST_FOR_A_REGEX", -1)
        glob.compile_glob.cache_clear()
        yield
    glob.compile_glob.cache_clear()


@pytest.mark.usefixtures("no_regexes")
@settings(max_examples=1000)
@given(PATTERNS, TEXTS)
def test_long_patterns_are_matched_by_the_same_rules(pattern: bytes, text: bytes) -> None:
    if text or not pattern:
        assert glob_match(pattern, text) == reference_match(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (b"h?llo", b"hello", True),
        (b"h*llo", b"hllo", True),
        (b"h[ae]llo", b"hillo", False),
        (b"h[^e]llo", b"hallo", True),
        (b"h[a-c]llo", b"hbllo", True),
        (b"h[c-a]llo", b"hbllo", True),
        (rb"h\?llo", b"h?llo", True),
        (rb"h\?llo", b"hello", False),
        (b"*", b"\r\n\x00\xff", True),
        (b"*.", b"a.b.", True),
        (b"[", b"[", False),
        (b"[ab", b"b", True),
        (b"[]", b"]", False),
        (b"a\\", b"a\\", True),
    ],
)
def test_examples(pattern: bytes, text: bytes, matches: bool) -> None:
    assert glob_match(pattern, text) is matches


HOSTILE = {
    "stars": b"a*" * 999 + b"b",
    "any byte behind each star": b"*?" * 999 + b"b",
    "stars and literals": b"*a*b" * 499,
    "classes": b"[^b]" * 49_999 + b"b",
    "ranges": b"[a-z]" * 49_999 + b"b",
    "classes behind a star": b"*" + b"[^b]" * 25_000 + b"*b",
    "escapes behind a star": b"*" + rb"\a" * 25_000 + b"b*",
    "any byte behind a star": b"*" + b"?" * 25_000 + b"b*",
    "one long class": b"*[" + b"bcd" * 16_000 + b"]*",
    "many long pieces": b"*" + b"*".join([b"a" * 50 + b"?"] * 900) + b"*b",
}


@pytest.mark.parametrize("pattern", HOSTILE.values(), ids=list(HOSTILE))
def test_no_pattern_costs_more_than_its_length_times_the_text_s(pattern: bytes) -> None:
    """A matcher that backtracks would never end, one with a regular expression for each needs a minute."""
    assert not glob_match(pattern, b"a" * 50_000)
    assert glob_match(pattern.replace(b"bcd", b"abc"), b"a" * 50_000) == (b"bcd" in pattern)


def test_a_pattern_longer_than_the_text_is_never_compiled() -> None:
    assert not glob_match(b"[a-z]*" * 20_000, b"a" * 10_000)


@pytest.fixture(scope="module")
def redis() -> Iterator[RealServer]:
    with real_redis(REDIS7_SERVER) as server:
        yield server


@pytest.mark.peers
@needs(REDIS7_SERVER)
@settings(max_examples=300, deadline=None)
@given(patterns=st.lists(PATTERNS, min_size=1, max_size=20), texts=st.sets(TEXTS, min_size=1, max_size=5))
def test_it_agrees_with_redis(redis: RealServer, patterns: list[bytes], texts: set[bytes]) -> None:
    redis.run("FLUSHALL")
    for text in texts:
        redis.run("SET", text, "")
    for pattern in patterns:
        found = redis.run("KEYS", pattern).value
        if pattern != b"*":
            assert isinstance(found, list)
            assert {text for text in texts if glob_match(pattern, text)} == set(found), pattern


LONG_PATTERNS = st.lists(
    st.tuples(st.sampled_from(["a", "?", "[ab]", "[^b]", "\\a", "b", "*"]), st.sampled_from([1, 2, 70, 120])),
    max_size=6,
).map(lambda parts: "".join(part * times for part, times in parts).encode())
LONG_TEXTS = st.lists(
    st.sampled_from([b"a", b"b", b"ab", b"a" * 70, b"b" * 120, b"ab" * 100]), max_size=6
).map(b"".join)


@pytest.mark.peers
@needs(REDIS7_SERVER)
@settings(max_examples=60, deadline=None)
@given(
    patterns=st.lists(LONG_PATTERNS, min_size=1, max_size=10),
    texts=st.sets(LONG_TEXTS, min_size=1, max_size=5),
)
def test_it_agrees_with_redis_on_long_patterns(
    redis: RealServer, patterns: list[bytes], texts: set[bytes]
) -> None:
    for pattern in patterns:
        for text in filter(None, texts):
            redis.run("FLUSHALL")
            redis.run("SET", text, "")
            found = redis.run("SCAN", "0", "MATCH", pattern).value
            assert found == [b"0", [text] if glob_match(pattern, text) else []], (pattern, text)


@pytest.mark.parametrize(("stars", "found"), [(1000, True), (1001, False)])
def test_redis_gives_up_on_more_than_a_thousand_stars(stars: int, found: bool) -> None:
    text = b"a" * 5000
    assert glob_match(b"*?" * stars, text) is found
    assert glob_match(b"*?" * stars + b"*", text) is found
    assert glob_match(b"*" * 5000, text)
