"""The instructions one by one, bytes that were never compressed, and what the library makes of both."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.node.persistence.errors import RdbError
from shoal.node.persistence.lzf import CAN_COMPRESS, compress, decompress, decompress_on_foot
from shoal.node.persistence.rdb_primitives import encode_compressed
from shoal.node.persistence.rdb_source import Source

READERS = pytest.mark.parametrize("read", [decompress, decompress_on_foot])
needs_library = pytest.mark.skipif(not CAN_COMPRESS, reason="python-lzf is not installed")


@READERS
def test_literals_are_taken_as_they_are(read):
    assert read(b"\x02abc\x00d", 4) == b"abcd"


@READERS
def test_a_copy_goes_back_by_its_distance(read):
    assert read(b"\x05abcdef\x20\x05", 9) == b"abcdefabc"


@READERS
def test_a_copy_may_overlap_what_it_puts_out(read):
    assert read(b"\x01ab\xe0\x03\x01", 14) == b"ab" + b"ab" * 6
    assert read(b"\x00a\xe0\x64\x00", 110) == b"a" * 110


@READERS
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
def test_damaged_data_is_refused(read, data, size):
    with pytest.raises(RdbError):
        read(data, size)


@given(st.binary(max_size=200), st.integers(0, 5000))
def test_any_bytes_give_the_announced_size_or_an_error(data, size):
    with suppress(RdbError):
        assert len(decompress_on_foot(data, size)) == size


@needs_library
@given(st.binary(max_size=200), st.integers(0, 5000))
def test_with_the_library_any_bytes_give_what_they_give_without(data, size):
    assert outcome(decompress, data, size) == outcome(decompress_on_foot, data, size)


def outcome(read, data, size):
    try:
        return read(data, size)
    except RdbError as error:
        return str(error)


@needs_library
@given(st.lists(st.sampled_from([b"shoal", b"of", b"fish", b" ", b"\0\xff"]), max_size=300).map(b"".join))
def test_what_is_compressed_is_smaller_and_read_back_by_both_ways(text):
    packed = compress(text, len(text) - 4) if len(text) > 4 else None
    if packed is not None:
        assert len(packed) <= len(text) - 4
        assert decompress(packed, len(text)) == decompress_on_foot(packed, len(text)) == text
    encoded = encode_compressed(text)
    assert len(encoded) <= len(text) + 5
    assert Source(encoded).string() == text


@needs_library
def test_what_repeats_itself_takes_little_room():
    assert len(encode_compressed(b"a word and another, " * 100)) < 100
    assert encode_compressed(b"as short as no other") == b"\x14as short as no other"
