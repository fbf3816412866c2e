"""Hashes: whatever is done to one, packed or not, it holds what a dict would."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.node.dataset import shapes
from shoal.node.dataset.hashes import (
    MOST_PACKED_BYTES,
    ExpiringHash,
    HashValue,
    PackedHash,
    hash_of,
    new_hash,
)
from shoal.node.dataset.keyspace import Keyspace
from shoal.node.dataset.shapes import MOST_FIELD_BYTES, MOST_FIELDS, MOST_MET, MOST_SHAPES, shape_of
from shoal.node.dataset.values import copy_value, type_name
from tests.unit.samples import load, plain_keyspace, save

RECORD = [b"name", b"Ada", b"born", b"1815", b"died", b"1852"]
_fields = st.sampled_from([b"a", b"b", b"c", b"d", b"", b"long" * 20])
_contents = st.one_of(
    st.binary(max_size=5),
    st.sampled_from([b"\xc1", b"\xc1\xc0", bytes(range(256)), b"x" * 300, bytes(range(255)), b"\xff" * 40]),
)
_words = st.lists(st.tuples(_fields, _contents), min_size=1, max_size=8).map(lambda pairs: [*chain(*pairs)])
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), _fields, _contents),
        st.tuples(st.just("replace"), _fields, _contents),
        st.tuples(st.just("discard"), _fields),
        st.tuples(st.just("put_words"), _words),
    ),
    max_size=12,
)


def _do(value: HashValue, model: dict[bytes, bytes], step: tuple[Any, ...]) -> None:
    """The same step to both, with the same answer."""
    match step:
        case ("put" | "replace" as name, field, content):
            getattr(value, name)(field, content)
            model[field] = content
        case ("discard", field):
            assert value.discard(field) == (model.pop(field, None) is not None)
        case (_, words):
            before = len(model)
            model.update(zip(words[::2], words[1::2], strict=True))
            assert value.put_words(words) == len(model) - before


def _assert_same(value: HashValue, model: dict[bytes, bytes]) -> None:
    """Every way of looking at a hash shows the same, in the same order."""
    assert list(value) == list(value.keys()) == list(model)
    assert list(value.pairs()) == list(value.items()) == list(model.items())
    assert value.contents() == list(value.values()) == list(model.values())
    assert len(value) == len(model)
    assert bool(value) == bool(model)
    assert value == model
    assert model == value
    assert dict(value) == model
    for field in [*model, b"missing"]:
        assert value.get(field) == model.get(field)
        assert (field in value) == (field in model)
    for field in model:
        assert value[field] == model[field]
    with pytest.raises(KeyError):
        value[b"missing"]
    assert value.scan(0, 10) == (0, list(model))
    assert set(value.random_picks(Random(1), len(model))) == set(model)
    if model:
        assert value.random_key(Random(1)) in model


@given(_steps)
def test_a_hash_holds_what_a_dict_would_after_every_step(steps: list[tuple[Any, ...]]) -> None:
    value, model = new_hash(), dict[bytes, bytes]()
    for step in steps:
        _do(value, model, step)
        _assert_same(value, model)


@given(_steps, _steps)
def test_a_copy_and_its_original_go_their_own_ways(
    before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]
) -> None:
    value, model = new_hash(), dict[bytes, bytes]()
    for step in before:
        _do(value, model, step)
    copy, kept = copy_value(value), dict(model)
    assert isinstance(copy, HashValue)
    for step in after:
        _do(value, model, step)
    _assert_same(copy, kept)
    _assert_same(value, model)


@given(_steps)
def test_a_hash_whose_fields_come_to_expire_is_the_same_object_with_the_same_fields(
    steps: list[tuple[Any, ...]],
) -> None:
    value, model = new_hash(), dict[bytes, bytes]()
    for step in steps:
        _do(value, model, step)
    assert value.expiring() is value
    assert type(value) is ExpiringHash
    assert value.deadlines.at == {}
    _assert_same(value, model)
    assert type_name(value) == b"hash"


def packed_hash(words: Sequence[bytes]) -> HashValue:
    """A hash whose shape is no longer new."""
    hash_of(words)
    value = hash_of(words)
    assert type(value) is PackedHash
    assert type_name(value) == b"hash"
    return value


def test_fields_met_twice_are_packed_however_they_came() -> None:
    packed = packed_hash(RECORD)
    one_by_one = [new_hash() for _ in range(len(RECORD))]
    for value in one_by_one:
        for field, content in zip(RECORD[::2], RECORD[1::2], strict=True):
            value.put(field, content)
    assert type(one_by_one[-1]) is PackedHash
    assert all(value == packed for value in one_by_one)
    assert one_by_one[-1].shape is packed.shape


def test_a_byte_of_any_value_may_be_in_what_is_packed() -> None:
    value = packed_hash(RECORD)
    for byte in range(255):
        value.put(b"name", bytes([byte]))
        value.put(b"born", bytes(range(byte + 1)))
        assert value == {b"name": bytes([byte]), b"born": bytes(range(byte + 1)), b"died": b"1852"}
        assert type(value) is PackedHash
    value.put(b"died", b"\xff")
    assert type(value) is HashValue
    assert value[b"died"] == b"\xff"


@pytest.mark.parametrize("size", [MOST_PACKED_BYTES - 14, MOST_PACKED_BYTES])
def test_what_is_too_large_becomes_a_table_and_shares_its_names(size: int) -> None:
    value = packed_hash(RECORD)
    names = value.shape.fields
    value.put(b"name", b"x" * size)
    assert (type(value) is HashValue) == (size == MOST_PACKED_BYTES)
    assert value[b"name"] == b"x" * size
    made = hash_of([b"name", b"x" * MOST_PACKED_BYTES, *RECORD[2:]])
    assert type(made) is HashValue
    assert all(mine is shared for mine, shared in zip(made, names, strict=True))


def test_fields_that_are_many_long_or_repeated_have_no_shape() -> None:
    many = tuple(b"%d" % number for number in range(MOST_FIELDS + 1))
    for fields in (many, (b"x" * (MOST_FIELD_BYTES + 1),), (b"a", b"a")):
        assert [shape_of(fields) for _ in range(3)] == [None] * 3
    shape_of(many[1:])
    assert shape_of(many[1:]) is not None


def test_fields_of_single_hashes_are_no_shapes_and_do_not_fill_the_memory() -> None:
    packed_hash(RECORD)
    for number in range(3 * MOST_MET):
        assert type(hash_of([b"id:%d" % number, b"1"])) is HashValue
    assert len(shapes._met) <= MOST_MET
    for number in range(2 * MOST_SHAPES):
        packed_hash([b"twice:%d" % number, b"1"])
    assert len(shapes._shapes) <= MOST_SHAPES
    assert packed_hash(RECORD) == dict(zip(RECORD[::2], RECORD[1::2], strict=True))


def test_a_packed_hash_keeps_one_string_of_its_own() -> None:
    value = packed_hash(RECORD)
    assert value.packed == b"Ada\xc11815\xc11852\xc1"
    value.put(b"born", b"10 December 1815")
    assert value.packed == b"Ada\xc110 December 1815\xc11852\xc1"


def test_hashes_that_are_loaded_are_packed_and_what_was_packed_is_saved_like_a_table() -> None:
    keyspace = Keyspace(16)
    for number in range(3):
        keyspace.databases[0].set(b"shaped %d" % number, packed_hash([*RECORD, b"number", b"%d" % number]))
    loaded = load(save(keyspace))
    assert plain_keyspace(loaded) == plain_keyspace(keyspace)
    assert all(type(loaded.databases[0].read_hash(b"shaped %d" % n)) is PackedHash for n in range(3))
