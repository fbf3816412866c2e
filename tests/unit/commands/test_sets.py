"""Set commands: what clients get, and what replicas are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.node.commands.set_algebra import difference, intersection, union
from shoal.node.dataset.values import SetValue
from shoal.node.resp.replies import CommandError, SetReply
from tests.unit.commands.client import Client

MEMBERS = st.sets(st.integers(0, 30).map(lambda number: b"%d" % number))


@pytest.fixture
def client() -> Client:
    return Client()


def members(client: Client, line: str) -> set[object]:
    """A set reply as a Python set."""
    reply = client(line)
    assert isinstance(reply, SetReply)
    assert len(set(map(str, reply.members))) == len(reply.members)
    return set(reply.members)


def test_adding_what_is_there_is_no_change(client: Client) -> None:
    assert client("SADD s a b a") == 2
    assert client("SADD s a b") == 0
    assert client.sent == []


def test_the_last_member_takes_the_key_along(client: Client) -> None:
    client("SADD s a b")
    assert client("SREM s a b c") == 2
    assert client.call.db.peek(b"s") is None


def test_a_member_moved_onto_its_own_set_stays(client: Client) -> None:
    client("SADD s a")
    assert client("SMOVE s s a") == 1
    assert client("SMOVE s s b") == 0
    assert client.sent == []
    assert members(client, "SMEMBERS s") == {b"a"}


def test_a_member_moves_into_a_set_that_has_it(client: Client) -> None:
    client("SADD one a")
    client("SADD two a b")
    assert client("SMOVE one two a") == 1
    assert client.call.db.peek(b"one") is None
    assert members(client, "SMEMBERS two") == {b"a", b"b"}


def test_what_chance_popped_is_told_to_replicas_by_name(client: Client) -> None:
    client("SADD s a b c")
    popped = client("SPOP s")
    assert isinstance(popped, bytes)
    assert client.sent == [f"SREM s {popped.decode()}"]
    assert members(client, "SPOP s 9") == {b"a", b"b", b"c"} - {popped}
    assert client.sent == ["DEL s"]
    assert client.call.db.peek(b"s") is None
    client("SADD s last")
    assert client("SPOP s") == b"last"
    assert client.sent == ["SREM s last"]
    assert members(client, "SPOP s 1") == set()
    assert client("SPOP s") is None
    assert client.sent == []


def test_many_popped_members_are_told_in_several_commands(client: Client) -> None:
    client("SADD s " + " ".join(map(str, range(3000))))
    popped = members(client, "SPOP s 2500")
    told = [line.split() for line in client.sent]
    assert [len(words) - 2 for words in told] == [1024, 1024, 452]
    assert {word.encode() for words in told for word in words[2:]} == popped


def test_a_store_may_overwrite_its_own_source(client: Client) -> None:
    client("SADD s a b")
    client("SADD t b c")
    assert client("SUNIONSTORE s s t s") == 3
    assert members(client, "SMEMBERS s") == {b"a", b"b", b"c"}
    assert client("SDIFFSTORE s s s") == 0
    assert client.call.db.peek(b"s") is None


def test_a_store_replaces_any_type_and_its_time_to_live(client: Client) -> None:
    client("RPUSH d x")
    client.call.db.set_expiry(b"d", 4_000_000_000_000)
    client("SADD s a")
    assert client("SINTERSTORE d s s") == 1
    assert client.call.db.expiry(b"d") is None
    assert client("SINTERSTORE d s missing") == 0
    assert client.call.db.peek(b"d") is None


def test_every_source_is_checked_even_when_the_result_is_empty_anyway(client: Client) -> None:
    client("RPUSH l x")
    with pytest.raises(CommandError, match="WRONGTYPE"):
        client("SINTER missing l")


@given(st.lists(MEMBERS, min_size=1, max_size=4))
def test_algebra_is_that_of_python_sets(sets: list[set[bytes]]) -> None:
    values = [SetValue.of(members) for members in sets]
    assert union(values) == set[bytes]().union(*sets)
    assert sorted(intersection(values)) == sorted(sets[0].intersection(*sets))
    assert difference(values) == sets[0].difference(*sets[1:])
