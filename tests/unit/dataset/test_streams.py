"""Streams as a structure: nodes fill, entries are found, and what is said of the radix tree is so."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sortedcontainers import SortedDict

from shoal.node.dataset.listpack import encode_text, text_at
from shoal.node.dataset.radix_trees import NODES_OF_NOTHING, nodes_of_key
from shoal.node.dataset.stream_filling import NodeFiller, NodeLimits, Pairs
from shoal.node.dataset.stream_ids import (
    MAX_ID,
    format_id,
    make_id,
    next_id,
    parse_id,
    parse_range_end,
    parse_range_start,
)
from shoal.node.dataset.stream_nodes import StreamNode
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
    filler = NodeFiller(node, NodeLimits())
    for step, texts in entries:
        pairs = [text for field in texts for text in (b"a", field)]
        filler.append(entry_id, tuple(pairs))
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


def packed_plainly(entries: list[tuple[int, Pairs, NodeLimits]]) -> list[StreamNode]:
    """Nodes of these entries, each of which is added as if it were the first to be."""
    nodes: list[StreamNode] = []
    for entry_id, pairs, limits in entries:
        node = nodes[-1] if nodes else None
        is_full = node is not None and (
            0 < limits.max_entries <= len(node)
            or node.size + len(b"".join(pairs)) >= (limits.max_bytes or 1 << 30)
        )
        if node is None or is_full:
            node = StreamNode(entry_id, pairs[::2])
            nodes.append(node)
        NodeFiller(node, limits).append(entry_id, pairs)
    return nodes


@settings(deadline=None)
@example((7 << 64) - 3, [(1, [b"a"], [b"x"])] * 5, NodeLimits(), NodeLimits(), 0)
@given(STARTS, ENTRIES, LIMITS, LIMITS, st.integers(0, 70))
def test_entries_like_the_one_before_are_packed_as_any_others(
    entry_id, entries, limits, later_limits, change
):
    stream, plain, expected = Stream(), [], []
    for number, (step, names, texts) in enumerate(entries):
        pairs = tuple(word for pair in zip(names, texts, strict=False) for word in pair)
        allowed = limits if number < change else later_limits
        stream.append(entry_id, pairs, allowed)
        plain.append((entry_id, pairs, allowed))
        expected.append((entry_id, list(pairs)))
        entry_id = (entry_id >> 64) + 1 << 64 if step is TO_THE_NEXT_MILLISECOND else entry_id + step
    nodes = packed_plainly(plain)
    assert len(stream) == len(expected)
    assert (
        bytes_of(stream.copied()) == bytes_of(stream) == [(node.first_id, node.listpack()) for node in nodes]
    )
    assert list(stream.entries()) == expected
    assert [(node.size, node.last_id) for node in stream.nodes.values()] == [
        (len(node.listpack()), node.id(len(node) - 1)) for node in nodes
    ]


CONTENTS = st.sampled_from([b"x", b"other", b":", b"7", b"", b"long" * 20])
STEPS = st.one_of(
    st.tuples(st.just("next"), st.sampled_from([0, 0, 0, 0, 1, 700, -1]), CONTENTS, st.sampled_from(b"aaab")),
    st.tuples(st.just("given"), st.sampled_from([1, 2, 600, 1 << 64]), CONTENTS, st.sampled_from(b"aaab")),
    st.tuples(st.sampled_from(["delete the last", "set the last id", "trim", "copy"])),
)


@settings(deadline=None)
@example(0, 1_023, [("next", 0, b"x", ord("a"))] * 5, NodeLimits())
@example(0, (1 << 64) - 3, [("next", 0, b"x", ord("a"))] * 5, NodeLimits())
@example(0, 1_000, [("next", 1, b"x", ord("a")), ("next", 0, b"x", ord("a"))], NodeLimits())
@example(0, 9_000, [("next", 1, b"x", ord("a")), ("next", 0, b"x", ord("a"))], NodeLimits())
@given(st.integers(0, 3), st.sampled_from([0, 5, 1_000]), st.lists(STEPS, max_size=40), LIMITS)
def test_the_next_id_is_found_along_the_way_as_it_is_by_itself(moment, sequence, steps, limits):
    """Entries with `*` among all that else happens to a stream are those with the ids of `next_id`."""
    now_ms, streams = moment + 10, [Stream(), Stream()]
    for stream in streams:
        stream.append(make_id(now_ms, sequence), (b"a", b"x"), limits)
    quick, plain = streams
    for step in steps:
        if step[0] == "next":
            now_ms = max(now_ms + step[1], 1)
            pairs = (bytes([step[3]]), step[2])
            entry_id, text = next_id(plain.last_id, now_ms)
            plain.append(entry_id, pairs, limits)
            assert quick.append_next(now_ms, pairs, limits) == text == format_id(entry_id)
        else:
            streams = [quick, plain] = [_after(step, stream, limits) for stream in streams]
    assert (quick.last_id, len(quick), quick.entries_added) == (
        plain.last_id,
        len(plain),
        plain.entries_added,
    )
    assert bytes_of(quick) == bytes_of(plain)
    last_ids = [[node.last_id for node in stream.nodes.values()] for stream in (quick, plain)]
    assert last_ids[0] == last_ids[1]


def _after(step, stream: Stream, limits: NodeLimits) -> Stream:
    match step:
        case "given", further, content, name:
            stream.append(stream.last_id + further, (bytes([name]), content), limits)
        case ("delete the last",):
            stream.delete(stream.last_id)
        case ("set the last id",):
            stream.set_last_id(stream.last_id + 3)
        case ("trim",):
            stream.trim(Trim(max_length=2))
        case ("copy",):
            return stream.copied()
    return stream


@pytest.mark.parametrize("names", [(b"a",), (b"a", b"b")])
@pytest.mark.parametrize("text", [b"x", b"7", b"-9223372036854775808"])
@pytest.mark.parametrize("max_bytes", range(100, 600, 20))
def test_a_node_is_full_at_the_same_entry_whatever_was_added_before(max_bytes, text, names):
    stream, limits = Stream(), NodeLimits(max_bytes, 0)
    pairs = tuple(word for name in names for word in (name, text))
    for number in range(1, 100):
        stream.append(number, pairs, limits)
    plain = packed_plainly([(number, pairs, limits) for number in range(1, 100)])
    assert bytes_of(stream) == [(node.first_id, node.listpack()) for node in plain]


def test_a_copy_and_a_stream_that_lost_its_last_node_are_added_to_where_they_end():
    stream = filled(11)
    copy = stream.copied()
    assert stream.delete(make_id(11, 0))
    for either in (stream, copy):
        either.append(make_id(12, 0), (b"f", b"x"), LIMITS_OF_TEN)
    assert [len(node) for node in copy.nodes.values()] == [10, 2]
    assert [len(node) for node in stream.nodes.values()] == [10, 1]
    assert [entry_id >> 64 for entry_id, _ in stream.entries()] == [*range(1, 11), 12]


def test_deleted_entries_count_for_how_full_a_node_is():
    stream = filled(5)
    for number in (3, 4):
        assert stream.delete(make_id(number, 0))
    for number in range(6, 12):
        stream.append(make_id(number, 0), (b"f", b"x"), LIMITS_OF_TEN)
    assert [len(node) for node in stream.nodes.values()] == [8, 1]


def test_ids_may_go_back_behind_entries_that_were_deleted():
    stream = filled(3, NodeLimits())
    for entry_id in (make_id(900, 5), make_id(900, 6)):
        stream.append(entry_id, (b"f", b"x"), NodeLimits())
        assert stream.delete(entry_id)
    stream.set_last_id(make_id(4, 0))
    for entry_id in (make_id(4, 1), make_id(4, 2)):
        stream.append(entry_id, (b"f", b"x"), NodeLimits())
    assert [entry_id for entry_id, _ in stream.entries(make_id(4, 0))] == [make_id(4, 1), make_id(4, 2)]


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
