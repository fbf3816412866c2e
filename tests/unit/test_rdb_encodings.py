"""Compact encodings built by hand from their description, and every way to damage them."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.node.persistence.errors import RdbError
from shoal.node.persistence.rdb_encodings import intset, listpack, ziplist, zipmap


def le(number: int, size: int) -> bytes:
    return number.to_bytes(size, "little", signed=number < 0)


def listpack_of(*entries: bytes, count: int | None = None) -> bytes:
    body = b"".join(entry + back_length(len(entry)) for entry in entries)
    return le(len(body) + 7, 4) + le(len(entries) if count is None else count, 2) + body + b"\xff"


def back_length(size: int) -> bytes:
    if size < 128:
        return bytes((size,))
    if size < 16384:
        return bytes((size >> 7, size & 127 | 128))
    return bytes((size >> 14, size >> 7 & 127 | 128, size & 127 | 128))


def ziplist_of(*entries: bytes, count: int | None = None) -> bytes:
    body, last, previous = b"", 10, 0
    for entry in entries:
        last = 10 + len(body)
        whole = (bytes((previous,)) if previous < 254 else b"\xfe" + le(previous, 4)) + entry
        previous = len(whole)
        body += whole
    return (
        le(len(body) + 11, 4) + le(last, 4) + le(len(entries) if count is None else count, 2) + body + b"\xff"
    )


LISTPACK_ENTRIES = [
    (b"\x00", b"0"),
    (b"\x7f", b"127"),
    (b"\x80", b""),
    (b"\x83abc", b"abc"),
    (b"\xbf" + b"x" * 63, b"x" * 63),
    (b"\xdf\xff", b"-1"),
    (b"\xcf\xff", b"4095"),
    (b"\xd0\x00", b"-4096"),
    (b"\xe0\x40" + b"y" * 64, b"y" * 64),
    (b"\xef\xff" + b"y" * 4095, b"y" * 4095),
    (b"\xf0" + le(20000, 4) + b"z" * 20000, b"z" * 20000),
    (b"\xf1\xff\x7f", b"32767"),
    (b"\xf2\x00\x00\x80", b"-8388608"),
    (b"\xf3\xff\xff\xff\x7f", b"2147483647"),
    (b"\xf4" + le(-(1 << 63), 8), b"-9223372036854775808"),
]
ZIPLIST_ENTRIES = [
    (b"\x00", b""),
    (b"\x3f" + b"x" * 63, b"x" * 63),
    (b"\x40\x40" + b"y" * 64, b"y" * 64),
    (b"\x7f\xff" + b"y" * 16383, b"y" * 16383),
    (b"\x80\x00\x00\x4e\x20" + b"z" * 20000, b"z" * 20000),
    (b"\xc0\xff\x7f", b"32767"),
    (b"\xd0\x00\x00\x00\x80", b"-2147483648"),
    (b"\xe0" + le(1 << 40, 8), b"1099511627776"),
    (b"\xf0\xff\xff\x7f", b"8388607"),
    (b"\xfe\x80", b"-128"),
    (b"\xf1", b"0"),
    (b"\xfd", b"12"),
]
ZIPMAP = b"\x02\x01a\x02\x00bb\xfe\x03\x00\x00\x00ccc\x00\x02xx\xff"
ZIPMAP_OF_300 = b"\xfe" + b"".join(b"\x03%03d\x01\x00v" % number for number in range(300)) + b"\xff"


def test_every_kind_of_listpack_entry():
    blob = listpack_of(*(entry for entry, _ in LISTPACK_ENTRIES))
    assert listpack(blob) == [element for _, element in LISTPACK_ENTRIES]


def test_every_kind_of_ziplist_entry():
    blob = ziplist_of(*(entry for entry, _ in ZIPLIST_ENTRIES))
    assert ziplist(blob) == [element for _, element in ZIPLIST_ENTRIES]


@pytest.mark.parametrize(("build", "decode"), [(listpack_of, listpack), (ziplist_of, ziplist)])
def test_a_count_of_65535_means_unknown(build, decode):
    assert decode(build(b"\x00", b"\x00", count=65535)) == decode(build(b"\x00", b"\x00"))


@pytest.mark.parametrize(
    ("width", "numbers"), [(2, [-300, 0, 5]), (4, [-70000, 1]), (8, [-(1 << 40), 1 << 62])]
)
def test_intsets_of_every_width(width, numbers):
    blob = le(width, 4) + le(len(numbers), 4) + b"".join(le(number, width) for number in numbers)
    assert intset(blob) == [b"%d" % number for number in numbers]


def test_zipmaps_with_spare_bytes_long_lengths_and_many_fields():
    assert zipmap(ZIPMAP) == [b"a", b"bb", b"ccc", b""]
    assert len(zipmap(ZIPMAP_OF_300)) == 600


@pytest.mark.parametrize(
    ("decode", "blob"),
    [
        (listpack, b""),
        (listpack, le(8, 4) + le(0, 2) + b"\xff"),
        (listpack, le(7, 4) + le(0, 2) + b"\x00"),
        (listpack, listpack_of(b"\x01", count=2)),
        (listpack, listpack_of(b"\x83ab")),
        (listpack, listpack_of(b"\xf0\xff\xff\xff\xffab")),
        (listpack, listpack_of(b"\xf4\x01\x02")),
        (listpack, listpack_of(b"\xf5")),
        (listpack, le(9, 4) + le(1, 2) + b"\x01\x02" + b"\xff"),
        (listpack, le(8, 4) + le(1, 2) + b"\x01" + b"\xff"),
        (ziplist, b""),
        (ziplist, le(12, 4) + le(10, 4) + le(0, 2) + b"\xff"),
        (ziplist, ziplist_of(b"\xf1", count=3)),
        (ziplist, ziplist_of(b"\x05ab")),
        (ziplist, ziplist_of(b"\x80\xff\xff\xff\xffab")),
        (ziplist, ziplist_of(b"\x81")),
        (ziplist, ziplist_of(b"\xf1", b"\xf2").replace(b"\x02\xf2", b"\x09\xf2")),
        (ziplist, le(13, 4) + le(11, 4) + le(1, 2) + b"\x00\xf1\xff"),
        (intset, b"\x02"),
        (intset, le(3, 4) + le(0, 4)),
        (intset, le(2, 4) + le(2, 4) + le(1, 2)),
        (intset, le(8, 4) + le((1 << 32) - 1, 4) + le(1, 8)),
        (intset, le(2, 4) + le(2, 4) + le(5, 2) + le(5, 2)),
        (zipmap, b"\xff"),
        (zipmap, b"\x00\x00"),
        (zipmap, ZIPMAP.replace(b"\x02\x01a", b"\x03\x01a")),
        (zipmap, b"\x01\x01a\xff"),
        (zipmap, b"\x01\x01a\x09\x00bb\xff"),
        (zipmap, b"\x01\x01a\x02\x05bb\xff"),
        (zipmap, b"\x01\xff\xff"),
    ],
)
def test_what_does_not_hold_together_is_refused(decode, blob):
    with pytest.raises(RdbError):
        decode(blob)


SEEDS: list[tuple[Callable[[bytes], list[bytes]], bytes]] = [
    (listpack, listpack_of(*(entry for entry, _ in LISTPACK_ENTRIES if len(entry) < 100))),
    (ziplist, ziplist_of(*(entry for entry, _ in ZIPLIST_ENTRIES if len(entry) < 100))),
    (intset, le(4, 4) + le(3, 4) + le(1, 4) + le(2, 4) + le(70000, 4)),
    (zipmap, ZIPMAP),
]


@settings(max_examples=1000)
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=4))
def test_mutants_are_refused_or_decoded_within_their_bounds(seed, changes):
    decode, blob = seed
    mutant = bytearray(blob)
    for at, byte in changes:
        mutant[at % len(mutant)] = byte
    with suppress(RdbError):
        assert sum(map(len, decode(bytes(mutant)))) <= 20 * len(mutant)
