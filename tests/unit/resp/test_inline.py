"""A line of words, as typed into telnet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.node.resp.inline import UnbalancedQuotes, split_words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", []),
        (b" \t\r\v\f ", []),
        (b"GET key", [b"GET", b"key"]),
        (b"  GET \t key  ", [b"GET", b"key"]),
        (b'SET k ""', [b"SET", b"k", b""]),
        (b"SET k ''", [b"SET", b"k", b""]),
        (b"\"a b\" 'c d'", [b"a b", b"c d"]),
        (b'a"b c"', [b"ab c"]),
        (rb'"\n\r\t\b\a"', [b"\n\r\t\b\a"]),
        (rb'"\x41\xfF\xzz\x4"', [b"A\xffxzzx4"]),
        (rb'"\"\\\q"', [b'"\\q']),
        (rb"'\n\'\\ '", [b"\\n'\\\\ "]),
        (rb"a\n", [rb"a\n"]),
    ],
)
def test_words(line, words):
    assert split_words(line) == words


@pytest.mark.parametrize(
    "line", [b'"', b"'", b'"abc', b"'abc", b'"abc"d', b"'a'b", b'"a""b"', rb'"abc\"', rb"'\'", b'a"b"c']
)
def test_unbalanced_quotes(line):
    with pytest.raises(UnbalancedQuotes):
        split_words(line)


@given(st.lists(st.binary(max_size=10), max_size=5))
def test_words_in_double_quotes_with_every_byte_escaped_are_read_back(words):
    line = b" ".join(b'"' + b"".join(b"\\x%02x" % byte for byte in word) + b'"' for word in words)
    assert split_words(line) == words


@given(st.binary(max_size=60))
def test_noise_is_words_or_unbalanced_quotes(line):
    try:
        assert all(len(word) <= len(line) for word in split_words(line))
    except UnbalancedQuotes:
        assert b'"' in line or b"'" in line
