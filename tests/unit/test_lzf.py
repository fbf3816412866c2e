"""Decompression: the instructions one by one, and bytes that were never compressed."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.node.persistence.errors import RdbError
from shoal.node.persistence.lzf import decompress


def test_literals_are_taken_as_they_are():
    assert decompress(b"\x02abc\x00d", 4) == b"abcd"


def test_a_copy_goes_back_by_its_distance():
    assert decompress(b"\x05abcdef\x20\x05", 9) == b"abcdefabc"


def test_a_copy_may_overlap_what_it_puts_out():
    assert decompress(b"\x01ab\xe0\x03\x01", 14) == b"ab" + b"ab" * 6
    assert decompress(b"\x00a\xe0\x64\x00", 110) == b"a" * 110


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"\x05abc", 6),
        (b"\x00a\x20", 4),
        (b"\x00a\xe0\x10", 30),
        (b"\x00a\x20\x01", 4),
        (b"\x00a\x20\x00", 3),
        (b"\x00a\x20\x00", 5),
        (b"", 1),
    ],
    ids=[
        "short literal",
        "short copy",
        "short long copy",
        "before the start",
        "too much",
        "too little",
        "nothing",
    ],
)
def test_damaged_data_is_refused(data, size):
    with pytest.raises(RdbError):
        decompress(data, size)


@given(st.binary(max_size=200), st.integers(0, 5000))
def test_any_bytes_give_the_announced_size_or_an_error(data, size):
    with suppress(RdbError):
        assert len(decompress(data, size)) == size
