"""Members drawn at random and scanned by a cursor, from small tables and from those with an index."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.node.dataset.values import SetValue
from shoal.node.resp.replies import CommandError, PairList, Reply
from tests.differential.executor import LocalServer
from tests.unit.commands.client import Client

SMALL, LARGE = 40, 2000
ADDERS = {"S": "SADD k {0}", "H": "HSET k {0} v{0}", "Z": "ZADD k {0} {0}"}


@pytest.fixture
def client() -> Client:
    return Client()


def fill(client: Client, kind: str, size: int) -> set[bytes]:
    """Give the key `k` members 0, 1, 2, …; returns them."""
    for number in range(size):
        client(ADDERS[kind].format(number))
    return {b"%d" % number for number in range(size)}


def as_list(reply: Reply) -> list[Reply]:
    assert isinstance(reply, list)
    return reply


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize(("kind", "draw"), [("S", "SRANDMEMBER"), ("H", "HRANDFIELD"), ("Z", "ZRANDMEMBER")])
def test_a_positive_count_draws_different_members_and_a_negative_one_just_draws(
    client: Client, kind: str, draw: str, size: int
) -> None:
    members = fill(client, kind, size)
    assert client(f"{draw} k") in members
    for count in (0, 1, size // 2, size - 1):
        drawn = as_list(client(f"{draw} k {count}"))
        assert len(drawn) == len(set(map(str, drawn))) == count
        assert members.issuperset(drawn)
    assert sorted(map(str, as_list(client(f"{draw} k {2 * size}")))) == sorted(map(str, members))
    assert len(as_list(client(f"{draw} k -{2 * size}"))) == 2 * size
    assert len(as_list(client(f"{draw} k -3"))) == 3
    assert client(f"{draw} none") is None
    assert client(f"{draw} none 3") == []
    assert client.sent == []


def test_draws_come_with_their_values_if_asked(client: Client) -> None:
    fill(client, "H", SMALL)
    reply = client("HRANDFIELD k 5 WITHVALUES")
    assert isinstance(reply, PairList)
    assert len(reply.keys) == 5
    assert reply.values == [b"v" + field for field in reply.keys]
    client("DEL k")
    fill(client, "Z", SMALL)
    reply = client("ZRANDMEMBER k -5 WITHSCORES")
    assert isinstance(reply, PairList)
    assert len(reply.keys) == 5
    assert reply.values == [float(member) for member in reply.keys]


def test_every_member_is_drawn_sooner_or_later(client: Client) -> None:
    members = fill(client, "S", SMALL)
    assert {client("SRANDMEMBER k") for _ in range(40 * SMALL)} == members


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_spop_takes_each_member_once(client: Client, size: int) -> None:
    members = fill(client, "S", size)
    popped = [client("SPOP k") for _ in range(size)]
    assert set(popped) == members
    assert client("SPOP k") is None


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize(("kind", "step"), [("S", 1), ("H", 2), ("Z", 2)])
def test_a_scan_meets_every_member_that_stays(client: Client, kind: str, step: int, size: int) -> None:
    members = fill(client, kind, size)
    seen, cursor, calls = set[str](), b"0", 0
    while calls == 0 or cursor != b"0":
        reply = as_list(client(f"{kind}SCAN k {cursor.decode()} COUNT 100"))
        assert isinstance(reply[0], bytes)
        cursor, calls = reply[0], calls + 1
        seen.update(map(str, as_list(reply[1])[::step]))
        client(ADDERS[kind].format(f"{calls}000000"))
    assert seen.issuperset(map(str, members))


def test_a_scan_returns_pairs_laid_flat_and_leaves_out_what_does_not_match(client: Client) -> None:
    client("HSET h apple 1 pear 2")
    assert client("HSCAN h 0 MATCH a*") == [b"0", [b"apple", b"1"]]
    client("ZADD z 1.5 apple 2 pear")
    assert client("ZSCAN z 0 MATCH a*") == [b"0", [b"apple", b"1.5"]]
    assert client("SSCAN none 0") == [b"0", []]
    with pytest.raises(CommandError, match="ERR invalid cursor"):
        client("SSCAN none x")
    with pytest.raises(CommandError, match="ERR syntax error"):
        client("HSCAN h 0 COUNT 0")


@given(st.lists(st.tuples(st.sampled_from(["SADD a", "SADD b", "SREM a"]), st.integers(0, 9)), max_size=20))
def test_a_replica_ends_with_the_members_chance_left(changes: list[tuple[str, int]]) -> None:
    replica = LocalServer().follow()
    primary = LocalServer(replica)
    for change, member in changes:
        primary.run(*change.split(), member)
        primary.run("SPOP", "b", member % 3)
        primary.run("SPOP", "a")
    for key in (b"a", b"b"):
        mine, theirs = (server.keyspace.databases[0].read_as(key, SetValue) for server in (primary, replica))
        assert (None if mine is None else set(mine)) == (None if theirs is None else set(theirs))
