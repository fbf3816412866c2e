"""List commands: what clients get, and what replicas are told."""

from __future__ import annotations

import pytest

from shoal.node.dataset.lists import ListValue
from shoal.node.resp.replies import NULL_ARRAY, OK, CommandError
from tests.unit.commands.client import Client


@pytest.fixture
def client() -> Client:
    return Client()


def test_pushes_at_the_head_reverse_the_order_given(client: Client) -> None:
    assert client("LPUSH l a b c") == 3
    assert client("RPUSH l d") == 4
    assert client("LRANGE l 0 -1") == [b"c", b"b", b"a", b"d"]


def test_pushx_neither_creates_nor_propagates(client: Client) -> None:
    assert client("LPUSHX l a") == 0
    assert client.sent == []
    assert client.call.db.peek(b"l") is None


def test_pop_with_a_count_returns_an_array_and_without_one_an_element(client: Client) -> None:
    client("RPUSH l a b c d")
    assert client("LPOP l") == b"a"
    assert client("RPOP l 2") == [b"d", b"c"]
    assert client("LPOP l 0") == []
    assert client.sent == []
    assert client("LPOP l 9") == [b"b"]
    assert client.call.db.peek(b"l") is None
    assert client("LPOP l") is None
    assert client("LPOP l 1") is NULL_ARRAY


def test_lmpop_takes_the_first_list_there_is_and_tells_replicas_which(client: Client) -> None:
    client("RPUSH second a b c")
    assert client("LMPOP 2 first second RIGHT COUNT 2") == [b"second", [b"c", b"b"]]
    assert client.sent == ["RPOP second 2"]
    assert client("LMPOP 1 first LEFT") is NULL_ARRAY
    assert client.sent == []


def test_a_list_can_be_rotated_onto_itself(client: Client) -> None:
    client("RPUSH l a b c")
    assert client("LMOVE l l LEFT RIGHT") == b"a"
    assert client("RPOPLPUSH l l") == b"a"
    assert client("LRANGE l 0 -1") == [b"a", b"b", b"c"]
    client("DEL l")
    client("RPUSH l only")
    assert client("RPOPLPUSH l l") == b"only"
    assert client("LRANGE l 0 -1") == [b"only"]


def test_a_move_to_a_key_of_another_type_moves_nothing(client: Client) -> None:
    client("RPUSH l a")
    client("SADD s x")
    with pytest.raises(CommandError, match="WRONGTYPE"):
        client("LMOVE l s LEFT LEFT")
    assert client("LRANGE l 0 -1") == [b"a"]


def test_trim_that_leaves_nothing_removes_the_key(client: Client) -> None:
    client("RPUSH l a b c")
    assert client("LTRIM l 0 -1") is OK
    assert client.sent == []
    assert client("LTRIM l 1 1") is OK
    assert client("LRANGE l 0 -1") == [b"b"]
    assert client("LTRIM l 5 9") is OK
    assert client.call.db.peek(b"l") is None


@pytest.mark.parametrize(
    ("options", "places"),
    [
        ("", 0),
        ("RANK 2", 2),
        ("RANK -1", 6),
        ("COUNT 0", [0, 2, 4, 6]),
        ("COUNT 2 RANK -2", [4, 2]),
        ("COUNT 0 MAXLEN 3", [0, 2]),
        ("COUNT 0 MAXLEN 3 RANK -1", [6, 4]),
        ("RANK 5", None),
        ("COUNT 1 RANK 5", []),
    ],
)
def test_lpos_counts_matches_from_either_end(client: Client, options: str, places: object) -> None:
    client("RPUSH l x a x b x c x")
    assert client(f"LPOS l x {options}") == places


@pytest.mark.parametrize(
    ("count", "left"),
    [(0, "b c"), (1, "b a c a"), (-1, "a b a c"), (2, "b c a"), (-2, "a b c"), (9, "b c"), (-9, "b c")],
)
def test_lrem_removes_from_the_end_its_sign_names(client: Client, count: int, left: str) -> None:
    client("RPUSH l a b a c a")
    assert client(f"LREM l {count} a") == 5 - len(left.split())
    assert client("LRANGE l 0 -1") == left.encode().split()


def test_a_range_is_the_same_from_whichever_end_it_is_reached() -> None:
    elements = [b"%d" % number for number in range(20)]
    value = ListValue(elements)
    for first in range(20):
        for last in range(first, 20):
            assert value.between(first, last) == elements[first : last + 1]
