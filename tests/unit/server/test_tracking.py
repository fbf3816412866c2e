"""Client-side caching beside the comparison with Redis: the table and its limit, INFO, CLIENT LIST."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shoal.node.dataset.keyspace import Keyspace
from tests.unit.server.client import Client, World, fields

TABLE = ("tracking_clients", "tracking_total_keys", "tracking_total_items", "tracking_total_prefixes")


@pytest.fixture
def world() -> World:
    return World(enable_debug_command="yes")


def resp3(world: World) -> Client:
    client = world.client()
    client("HELLO", 3)
    return client


def table(client: Client) -> list[int]:
    """How many clients track, and how many keys, pairs of key and client, and prefixes there are."""
    info = fields(client("INFO", "everything"))
    return [int(info[name]) for name in TABLE]


def letters(client: Client) -> str:
    described = dict(pair.split("=", 1) for pair in client("CLIENT", "INFO").split())
    return f"{described['flags']} {described['redir']}"


def test_a_key_that_was_told_of_is_forgotten(world: World) -> None:
    reader, other, writer = resp3(world), resp3(world), world.client()
    for client in (reader, other):
        client("CLIENT", "TRACKING", "on")
    reader("MGET", "k", "j")
    other("GET", "k")
    assert table(writer) == [2, 2, 3, 0]
    writer("SET", "k", 1)
    assert table(writer) == [2, 1, 1, 0]
    assert reader.received() == other.received() == [["invalidate", ["k"]]]


def test_once_nobody_tracks_nothing_is_left_and_no_change_is_heard(world: World) -> None:
    keyspace = world.server.keyspace
    reader, by_prefix = resp3(world), resp3(world)
    assert not keyspace.is_heard
    reader("CLIENT", "TRACKING", "on")
    by_prefix("CLIENT", "TRACKING", "on", "BCAST", "PREFIX", "a", "PREFIX", "b")
    reader("GET", "k")
    assert table(reader) == [2, 1, 1, 2]
    assert keyspace.is_heard
    world.server.disconnect(by_prefix.session)
    assert table(reader) == [1, 1, 1, 0]
    reader("CLIENT", "TRACKING", "off")
    assert table(reader) == [0, 0, 0, 0]
    assert not keyspace.is_heard


@pytest.mark.parametrize("end", [lambda c: c("CLIENT", "TRACKING", "off"), lambda c: c("RESET")])
def test_a_client_that_tracks_no_more_is_plain_again(world: World, end: Callable[[Client], None]) -> None:
    client = resp3(world)
    assert client.session.plain
    client("CLIENT", "TRACKING", "on")
    assert not client.session.plain
    end(client)
    assert client.session.plain


def test_what_client_list_shows_of_one_that_tracks(world: World) -> None:
    client, target = resp3(world), world.client()
    assert letters(client) == "N -1"
    client("CLIENT", "TRACKING", "on")
    assert letters(client) == "t 0"
    client("CLIENT", "TRACKING", "on", "REDIRECT", target.session.id)
    client("GET", "k")
    world.server.disconnect(target.session)
    world.client()("SET", "k", 1)
    assert client.received() == [["tracking-redir-broken", target.session.id]]
    assert letters(client) == f"tR {target.session.id}"
    client("CLIENT", "TRACKING", "off")
    client("CLIENT", "TRACKING", "on", "BCAST")
    assert letters(client) == "tB 0"


def test_above_the_limit_keys_are_forgotten_and_their_readers_told(world: World) -> None:
    reader, admin = resp3(world), world.client()
    reader("CLIENT", "TRACKING", "on")
    for number in range(50):
        reader("GET", f"key:{number}")
    admin("CONFIG", "SET", "tracking-table-max-keys", 20)
    gone = {message[1][0] for message in reader.received()}
    assert len(gone) == 30
    assert table(admin) == [1, 20, 20, 0]
    reader.send(b"*2\r\n$3\r\nGET\r\n$3\r\nnew\r\n")
    reply, message = reader.received()
    assert reply is None
    assert message[0] == "invalidate"
    assert table(admin) == [1, 20, 20, 0]
    admin("CONFIG", "SET", "tracking-table-max-keys", 0)
    reader("GET", "one-more")
    assert table(admin) == [1, 21, 21, 0]


def test_a_table_far_above_its_limit_is_made_smaller_bit_by_bit(world: World) -> None:
    reader, admin = resp3(world), world.client()
    reader("CLIENT", "TRACKING", "on")
    reader("MGET", *range(2500))
    admin("CONFIG", "SET", "tracking-table-max-keys", 1)
    sizes = [table(admin)[1]]
    while sizes[-1] > 1:
        world.pass_time(100)
        sizes.append(table(admin)[1])
    assert sizes == [1500, 500, 1]
    assert len(reader.received()) == 2499


def test_a_client_that_hears_for_others_is_owed_what_it_is_sent_in_its_own_pipeline(world: World) -> None:
    """What it changes itself it hears of at once, and its answers wait behind: both are to be counted."""
    target, tracker = resp3(world), world.client()
    tracker("CLIENT", "TRACKING", "on", "REDIRECT", target.session.id)
    tracker("MGET", "i", "j")
    target.send(b"*3\r\n$3\r\nSET\r\n$1\r\ni\r\n$1\r\n1\r\n*3\r\n$3\r\nSET\r\n$1\r\nj\r\n$1\r\n1\r\n")
    assert target.session.out_bytes == sum(map(len, target.session.out))
    assert target.received() == [["invalidate", ["i"]], "OK", ["invalidate", ["j"]], "OK"]


def test_keys_of_a_slot_that_went_to_another_node_are_told_of(world: World) -> None:
    reader = resp3(world)
    reader("SET", "k", 1)
    reader("CLIENT", "TRACKING", "on")
    reader("GET", "k")
    database = world.server.keyspace.databases[0]
    database.delete(b"k")
    database.changed(b"k", None)
    assert reader.received() == [["invalidate", ["k"]]]


def test_a_key_that_expires_by_itself_is_told_of_whoever_looks(world: World) -> None:
    """NOLOOP spares a client its own changes. That a key's time has come is no change of its own."""
    world.client()("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    client = resp3(world)
    client("CLIENT", "TRACKING", "on", "NOLOOP")
    client("SET", "k", 1, "PX", 5)
    client("GET", "k")
    world.pass_time(10)
    client.send(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")
    assert client.received() == [None, ["invalidate", ["k"]]]


def test_a_replica_tells_of_what_its_primary_changes(world: World) -> None:
    reader = resp3(world)
    reader("CLIENT", "TRACKING", "on")
    reader("GET", "k")
    stream = world.client()
    stream.session.is_primary_link = True
    world.server.dispatcher.apply(stream.session, [b"SET", b"k", b"1"])
    assert reader.received() == [["invalidate", ["k"]]]


def test_data_that_came_from_a_new_primary_invalidate_everything(world: World) -> None:
    reader = resp3(world)
    reader("CLIENT", "TRACKING", "on")
    world.server.keyspace.adopt(Keyspace(16))
    assert reader.received() == [["invalidate", None]]
