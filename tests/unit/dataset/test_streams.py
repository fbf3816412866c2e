"""Streams as a structure: nodes fill, entries are found, and what is said of the radix tree is so."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sortedcontainers import SortedDict

from shoal.node.dataset.listpack import encode_text, text_at
from shoal.node.dataset.radix_trees import NODES_OF_NOTHING, nodes_of_key
from shoal.node.dataset.stream_ids import (
    MAX_ID,
    format_id,
    make_id,
    parse_id,
    parse_range_end,
    parse_range_start,
)
from shoal.node.dataset.stream_nodes import NodeLimits, StreamNode
from shoal.node.dataset.streams import Stream, Trim
from shoal.node.persistence.rdb_encodings import listpack
from shoal.node.resp.replies import CommandError

IDS = st.one_of(st.integers(0, 40), st.integers(0, MAX_ID), st.integers(0, 255).map(lambda byte: byte << 64))


def radix_nodes(keys: list[bytes]) -> int:
    """The nodes of the tree below a node, built to be counted: the definition, in a few lines."""
    if not keys[0]:
        return 1
    first_bytes = {key[:1] for key in keys}
    if len(first_bytes) > 1:
        return 1 + sum(radix_nodes([key[1:] for key in keys if key[:1] == byte]) for byte in first_bytes)
    common = next((depth for depth in range(16) if len({key[: depth + 1] for key in keys}) > 1), len(keys[0]))
    return 1 + radix_nodes([key[common:] for key in keys])


@given(st.lists(IDS, max_size=12, unique=True), st.data())
def test_the_nodes_of_the_radix_tree_are_counted_key_by_key(ids, data):
    keys, count = SortedDict(), NODES_OF_NOTHING
    for step in range(2 * len(ids)):
        key = ids[step] if step < len(ids) else data.draw(st.sampled_from(list(keys)))
        if key in keys:
            count -= nodes_of_key(keys, key)
            del keys[key]
        else:
            keys[key] = None
            count += nodes_of_key(keys, key)
        assert count == (radix_nodes([key.to_bytes(16, "big") for key in keys]) if keys else 1)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 127, 128, 4095, 4096, 16380, 16384, 70000])
def test_texts_of_every_size_class_come_back(size):
    text = b"x" * size
    packed = bytearray(encode_text(text))
    assert text_at(packed, 0) == (text, len(packed))


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_numbers_come_back(number):
    packed = bytearray(encode_text(b"%d" % number))
    assert text_at(packed, 0) == (b"%d" % number, len(packed))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 1 << 70), st.lists(st.binary(max_size=70), min_size=1, max_size=3))))
def test_a_node_keeps_its_entries_and_knows_its_size(entries):
    node, entry_id, expected = StreamNode(5, [b"a"]), 5, []
    for step, texts in entries:
        pairs = [text for field in texts for text in (b"a", field)]
        node.append(entry_id, tuple(pairs))
        expected.append((entry_id, pairs))
        entry_id += step
    assert [node.entry(position) for position in range(len(node))] == expected
    assert [node.position(entry_id) for entry_id, _ in expected] == list(range(len(expected)))
    assert node.size == len(node.listpack())
    assert listpack(node.listpack())[0] == b"%d" % len(expected)


TO_THE_NEXT_MILLISECOND = None
STEPS = st.one_of(
    st.just(TO_THE_NEXT_MILLISECOND), st.integers(1, 3), st.integers(500, 520), st.integers(1, 1 << 80)
)
STARTS = st.one_of(st.integers(0, 1 << 80), st.integers(1, 3).map(lambda before: (7 << 64) - before))
NAMES = st.lists(st.sampled_from([b"a", b"b"]), min_size=1, max_size=3)
TEXTS = st.one_of(st.sampled_from([b"", b"7", b"-12", b"007", b"x1"]), st.binary(max_size=70))
ENTRIES = st.lists(st.tuples(STEPS, NAMES, st.lists(TEXTS, min_size=3, max_size=3)), max_size=70)
LIMITS = st.builds(NodeLimits, st.sampled_from([0, 90, 200, 400, 4096]), st.sampled_from([0, 1, 5, 20]))


def bytes_of(stream: Stream) -> list[tuple[int, bytes]]:
    return [(first_id, node.listpack()) for first_id, node in stream.nodes.items()]


@settings(deadline=None)
@example((7 << 64) - 3, [(1, [b"a"], [b"x"])] * 5, NodeLimits(), NodeLimits(), 0)
@given(STARTS, ENTRIES, LIMITS, LIMITS, st.integers(0, 70))
def test_entries_packed_together_are_packed_as_one_by_one(entry_id, entries, limits, later_limits, change):
    together, one_by_one, expected = Stream(), Stream(), []
    for number, (step, names, texts) in enumerate(entries):
        pairs = tuple(word for pair in zip(names, texts, strict=False) for word in pair)
        for stream in (together, one_by_one):
            stream.append(entry_id, pairs, limits if number < change else later_limits)
        assert len(one_by_one.nodes) > 0
        expected.append((entry_id, list(pairs)))
        entry_id = (entry_id >> 64) + 1 << 64 if step is TO_THE_NEXT_MILLISECOND else entry_id + step
    assert len(together) == len(expected)
    assert bytes_of(together.copy()) == bytes_of(together) == bytes_of(one_by_one)
    assert together.radix_nodes == one_by_one.radix_nodes
    assert list(together.entries()) == list(one_by_one.entries()) == expected
    assert [(node.size, node.last_id) for node in together.nodes.values()] == [
        (len(node.listpack()), node.id(len(node) - 1)) for node in one_by_one.nodes.values()
    ]


@pytest.mark.parametrize("max_bytes", range(100, 600, 20))
def test_a_node_is_full_at_the_same_entry_whether_or_not_entries_are_packed_together(max_bytes):
    together, one_by_one, limits = Stream(), Stream(), NodeLimits(max_bytes, 0)
    for number in range(1, 100):
        for stream in (together, one_by_one):
            stream.append(number, (b"a", b"x"), limits)
        assert len(one_by_one.nodes) > 0
    assert bytes_of(together) == bytes_of(one_by_one)


def test_what_waits_counts_for_the_only_node_when_that_is_trimmed():
    stream = filled(5)
    assert len(stream.nodes) == 1
    for number in range(6, 9):
        stream.append(make_id(number, 0), (b"f", b"x"), LIMITS_OF_TEN)
    assert stream.trim(Trim(max_length=3, approximate=True)) == 0


def test_trimming_packs_only_what_it_may_drop(monkeypatch):
    stream, packed = filled(100), []
    assert len(stream.nodes) == 10
    real = Stream._pack
    monkeypatch.setattr(Stream, "_pack", lambda stream: packed.append(len(stream)) or real(stream))
    for number in range(101, 111):
        stream.append(make_id(number, 0), (b"f", b"x"), LIMITS_OF_TEN)
        stream.trim(Trim(max_length=100, approximate=True))
    assert (len(stream), packed) == (100, [])


LIMITS_OF_TEN = NodeLimits(4096, 10)


def filled(count: int, limits: NodeLimits = LIMITS_OF_TEN) -> Stream:
    stream = Stream()
    for number in range(1, count + 1):
        stream.append(make_id(number, 0), (b"f", b"%d" % number), limits)
    return stream


def test_a_full_node_is_followed_by_another():
    stream = filled(25)
    assert [len(node) for node in stream.nodes.values()] == [10, 10, 5]
    stream = Stream()
    limits = NodeLimits(200, 0)
    for number in range(1, 4):
        stream.append(number, (b"f", b"x" * 100), limits)
    assert [len(node) for node in stream.nodes.values()] == [1, 1, 1]


def test_an_approximate_trim_drops_whole_nodes_up_to_its_limit():
    stream = filled(95)
    assert stream.trim(Trim(max_length=12, approximate=True)) == 80
    stream = filled(95)
    assert stream.trim(Trim(max_length=0, approximate=True, limit=35)) == 30
    assert stream.trim(Trim(min_id=make_id(55, 0), approximate=True)) == 20
    assert stream.first_id == make_id(51, 0)
    assert stream.trim(Trim(min_id=make_id(55, 0))) == 4
    assert stream.first_id == make_id(55, 0)


def test_only_what_is_asked_for_is_unpacked(monkeypatch):
    stream, unpacked = filled(100_000, NodeLimits()), []
    real = StreamNode.entry
    monkeypatch.setattr(StreamNode, "entry", lambda node, place: unpacked.append(place) or real(node, place))
    start = make_id(77_777, 0)
    assert next(stream.entries(start))[0] == start
    assert next(stream.entries_backwards(0, start))[0] == start
    assert len(unpacked) == 2


def test_a_small_entry_takes_few_bytes():
    stream, limits = Stream(), NodeLimits()
    for number in range(10_000):
        pairs = (b"sensor", b"%d" % (number % 50), b"temperature", b"19.8")
        stream.append(make_id(1_700_000_000_000 + 7 * number, 0), pairs, limits)
    assert sum(node.memory_bytes for node in stream.nodes.values()) < 40 * 10_000


@pytest.mark.parametrize(
    ("text", "shown"),
    [(b"-", b"0-0"), (b"5", b"5-0"), (b"5-7", b"5-7"), (b"05- 7", b"5-7"), (b"+", format_id(MAX_ID))],
)
def test_ids_are_read_as_redis_reads_them(text, shown):
    assert format_id(parse_id(text)) == shown


@pytest.mark.parametrize("text", [b"", b"x", b"1-", b"-1", b"1-2-3", b"1-*", b"%d-0" % (1 << 64), b"1" * 128])
def test_what_is_no_id_is_refused(text):
    with pytest.raises(CommandError, match="Invalid stream ID"):
        parse_id(text)


def test_a_range_may_leave_out_its_ends():
    assert format_id(parse_range_start(b"(5-7")) == b"5-8"
    assert format_id(parse_range_end(b"(5")) == b"5-18446744073709551614"
    for parse, text in ((parse_range_start, b"(%b" % format_id(MAX_ID)), (parse_range_end, b"(0-0")):
        with pytest.raises(CommandError, match="for the interval"):
            parse(text)
