"""Lists against Python's: whatever is done at their ends and inside, where nodes begin and end included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from sys import getsizeof

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.node.dataset.list_nodes import NODE_SIZE, opened
from shoal.node.dataset.lists import MOST_PLAIN, ListValue
from shoal.node.dataset.sizes import value_bytes
from shoal.node.dataset.values import copy_value
from shoal.node.resp.replies import BulkStrings
from shoal.node.resp.writer import encode

NASTY = [b"", b"\r", b"\n", b"\r\n", b"a\r", b"\nb", b"$1", b"$1\r\n", b"x$2", b"*1\r\n", b"$-1"]
"""What might be taken for a line end, or for what stands between two bulk strings."""
KINDS: list[Callable[[int], bytes]] = [
    lambda number: b"%d" % number,
    lambda number: b"same size",
    lambda number: NASTY[number % len(NASTY)],
    lambda number: [b"", b"\r", b"\n", b"$1", b"$2", b"x$2"][number % 6],
    lambda number: b"long" * 200 if number % 40 == 0 else b"short",
    lambda number: b"y" * (number % 600),
]
SIZES = st.one_of(st.integers(0, 4), st.integers(0, 5 * NODE_SIZE))
PLACES = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0]))
"""How far inside a list, as a part of it."""
STEPS = st.one_of(
    st.tuples(st.just("push"), st.booleans(), SIZES, st.sampled_from(KINDS)),
    st.tuples(st.just("pop"), st.booleans(), SIZES),
    st.tuples(st.just("take"), st.booleans(), SIZES),
    st.tuples(st.just("set"), PLACES, st.sampled_from(KINDS)),
    st.tuples(st.just("insert"), PLACES, st.sampled_from(KINDS)),
    st.tuples(st.just("remove"), PLACES, st.sampled_from([0, 1, -1, 3, -3, 2**63, -(2**63)])),
    st.tuples(st.just("remove at"), PLACES),
    st.tuples(st.just("trim"), PLACES, PLACES),
    st.tuples(st.just("copy")),
)


@settings(max_examples=100, deadline=None)
@given(steps=st.lists(STEPS, max_size=12), start=SIZES, seed=st.integers(0, 99))
def test_a_list_is_what_a_plain_one_is(steps: list[tuple], start: int, seed: int) -> None:
    model = [KINDS[seed % len(KINDS)](number) for number in range(start)]
    value = ListValue(model)
    rng = Random(seed)
    for step in steps:
        value = act(step, value, model)
        check(value, model, rng)


def act(step: tuple, value: ListValue, model: list[bytes]) -> ListValue:
    """The same thing to both."""
    name, *rest = step
    size = len(model)
    match name, rest:
        case "push", (left, count, kind):
            elements = tuple(kind(size + number) for number in range(count))
            if left:
                model[:0] = elements[::-1]
                assert value.push_left(elements) == len(model)
            else:
                model += elements
                assert value.push_right(elements) == len(model)
        case "pop", (left, count):
            for _ in range(min(count, size)):
                assert (value.pop_left() if left else value.pop_right()) == model.pop(0 if left else -1)
        case "take", (left, count):
            taken = model[:count] if left else model[::-1][:count]
            model[:] = model[len(taken) :] if left else model[: size - len(taken)]
            assert value.take(count, left=left) == taken
        case "set", (part, kind) if model:
            place = int(part * (size - 1))
            value[place] = model[place] = kind(place)
        case "insert", (part, kind):
            place = int(part * size)
            model.insert(place, kind(place))
            value.insert(place, kind(place))
        case "remove", (part, count) if model:
            element = model[int(part * (size - 1))]
            assert value.remove_matching(element, count) == remove(model, element, count)
        case "remove at", (part,) if model:
            place = int(part * (size - 1))
            del model[place]
            value.remove(place)
        case "trim", (one, other):
            first, stop = sorted((int(one * size), int(other * size)))
            del model[stop:], model[:first]
            value.trim(*(first, stop - 1) if first < stop else (size, size - 1))
        case "copy", _:
            copy = copy_value(value)
            for _ in range(size // 2):  # the original goes its own way
                value.pop_left()
                value.pop_right()
            value.push_right([b"not in the copy"] * 100)
            assert isinstance(copy, ListValue)
            return copy
    return value


def remove(model: list[bytes], element: bytes, count: int) -> int:
    """LREM, one after the other."""
    places = [place for place, one in enumerate(model) if one == element]
    chosen = places if not count else places[:count] if count > 0 else places[count:]
    for place in reversed(chosen):
        del model[place]
    return len(chosen)


def check(value: ListValue, model: list[bytes], rng: Random) -> None:
    """All that can be seen of it."""
    size = len(model)
    assert [*value] == model
    assert (len(value), value.size, bool(value)) == (size, size, size > 0)
    assert len(value.head) <= MOST_PLAIN and len(value.tail) <= MOST_PLAIN
    if not model:
        return
    for _ in range(3):
        place, first = rng.randrange(size), rng.randrange(size)
        last = rng.randrange(first, size)
        assert value[place] == model[place]
        assert encode(value.between(first, last), 2) == encode(BulkStrings(model[first : last + 1]), 2)
    for element in (model[place], rng.choice(NASTY)):
        most = rng.randrange(1, size + 1)
        assert [*value.places_of(element, most=most)] == places_in(model[:most], element)
        assert [*value.places_of(element, from_tail=True)] == places_in(model[::-1], element)


def places_in(elements: list[bytes], element: bytes) -> list[int]:
    return [place for place, one in enumerate(elements) if one == element]


def test_every_range_of_a_list_with_nodes_is_what_redis_would_send() -> None:
    elements = [b"%d" % (number * number) for number in range(3 * NODE_SIZE)]
    value = ListValue(elements[20:])
    value.push_left(elements[:20][::-1])
    assert value.head and value.nodes and value.tail
    for first in range(len(elements)):
        for last in range(first, len(elements)):
            reply, expected = value.between(first, last), elements[first : last + 1]
            assert encode(reply, 3) == encode(expected, 3)
            assert [*reply] == expected


@pytest.mark.parametrize("odd", [b"tame", b"a line\r\nanother", b"z" * 512])
def test_an_element_of_any_kind_can_be_put_and_removed_anywhere(odd: bytes) -> None:
    model = [b"%d" % number for number in range(6 * NODE_SIZE)]
    for place in range(len(model)):
        value, other = ListValue(model), model.copy()
        other.insert(place, odd)
        value.insert(place, odd)
        assert [*value] == other
        del other[len(model) - place]
        value.remove(len(model) - place)
        assert [*value] == other
        value[place] = other[place] = odd
        assert [*value] == other
        assert all(isinstance(node, tuple) for node in value.nodes if odd != b"tame" and odd in opened(node))


def framed_nodes(value: ListValue) -> int:
    return sum(isinstance(node, bytes) for node in value.nodes)


@pytest.mark.parametrize("odd", [b"a line\r\nanother", b"z" * 512])
def test_what_holds_a_line_end_or_is_large_is_not_framed_but_its_neighbours_are(odd: bytes) -> None:
    elements = [b"%d" % number for number in range(10 * NODE_SIZE)]
    elements[NODE_SIZE + 3] = odd
    value = ListValue(elements)
    assert framed_nodes(value) == len(value.nodes) - 1
    assert value.nodes[1] == tuple(elements[NODE_SIZE : 2 * NODE_SIZE])
    value[NODE_SIZE + 3] = b"tame"
    assert framed_nodes(value) == len(value.nodes)


def test_a_short_list_has_no_nodes_and_an_end_keeps_what_was_last_pushed() -> None:
    value = ListValue([b"e"] * MOST_PLAIN)
    assert not value.nodes
    value.push_right((b"one more",))
    assert len(value.nodes) == 1 and len(value.tail) == NODE_SIZE + 1


@pytest.mark.parametrize("left", [True, False])
def test_to_and_fro_at_an_end_neither_seals_nor_opens_nodes(left: bool) -> None:
    value = ListValue([b"e"] * 10 * NODE_SIZE)
    push, pop = (value.push_left, value.pop_left) if left else (value.push_right, value.pop_right)
    changes = 0
    for count in range(1, NODE_SIZE):
        for act_once in (lambda: push((b"e",)), pop):
            for _ in range(count):
                before = len(value.nodes)
                act_once()
                changes += before != len(value.nodes)
    assert changes <= 1


def test_trimming_lets_go_of_nodes_unopened() -> None:
    value = ListValue([b"%d" % number for number in range(100 * NODE_SIZE)])
    kept = list(value.nodes)[40:60]
    value.trim(40 * NODE_SIZE, 60 * NODE_SIZE - 1)
    assert all(mine is before for mine, before in zip(value.nodes, kept, strict=True))


def test_copies_share_nodes() -> None:
    value = ListValue([b"%d" % number for number in range(10 * NODE_SIZE)])
    assert all(mine is its for mine, its in zip(value.copied().nodes, value.nodes, strict=True))


def objects_of(value: ListValue) -> Iterator[object]:
    yield from (value, value.head, value.nodes, value.tail)
    yield from (*value.head, *value.nodes, *value.tail)
    yield from (element for node in value.nodes if isinstance(node, tuple) for element in node)


def test_a_list_takes_what_its_objects_take_and_samples_come_near() -> None:
    elements = [b"%05d" % number for number in range(1000)]
    elements[100] = b"\r\n"
    value = ListValue(elements)
    assert value_bytes(value) == sum(map(getsizeof, objects_of(value)))
    elements[100] = b"a"
    value = ListValue(elements)
    assert abs(value_bytes(value, 5) - value_bytes(value)) < value_bytes(value) / 50
    assert value_bytes(value) < sum(map(getsizeof, elements)) / 2
