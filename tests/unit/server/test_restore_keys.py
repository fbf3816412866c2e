"""RESTORE-KEYS: all of its keys or none, and what others hear of it."""

from __future__ import annotations

import pytest

from shoal.node.dataset.frequencies import NEW
from shoal.node.persistence.dump_payload import dump
from shoal.node.persistence.moving_keys import MovingKey, pack
from shoal.node.server.append_only import AofState
from tests.unit.server.client import NOW_MS, Client, World


@pytest.fixture
def client() -> Client:
    return World().client()


def restore(client: Client, *keys: MovingKey, replace: bool = False) -> object:
    return client(*pack(keys, replace=replace))


def test_keys_of_one_slot_are_stored_with_their_times_to_live(client: Client) -> None:
    sent = (MovingKey(b"{t}a", 0, b"1"), MovingKey(b"{t}b", 5000, b"2"))
    assert restore(client, *sent) == "OK"
    assert client("MGET", "{t}a", "{t}b") == ["1", "2"]
    assert client("PTTL", "{t}a") == -1 and client("PEXPIRETIME", "{t}b") == NOW_MS + 5000
    assert client("DBSIZE") == 2


def test_keys_of_different_slots_are_refused_as_a_whole(client: Client) -> None:
    assert "one hash slot" in str(restore(client, MovingKey(b"a", 0, b"1"), MovingKey(b"b", 0, b"2")))
    assert client("DBSIZE") == 0


def test_one_key_that_is_there_keeps_all_from_being_stored(client: Client) -> None:
    client("SET", "{t}b", "old")
    sent = (MovingKey(b"{t}a", 0, b"new"), MovingKey(b"{t}b", 0, b"new"))
    assert str(restore(client, *sent)).startswith("BUSYKEY")
    assert client("MGET", "{t}a", "{t}b") == [None, "old"]
    assert restore(client, *sent, replace=True) == "OK"
    assert client("MGET", "{t}a", "{t}b") == ["new", "new"] and client("DBSIZE") == 2


def test_a_key_that_has_expired_is_not_in_the_way(client: Client) -> None:
    client("SET", "{t}a", "old", "PX", "5")
    client.server.active_expiry.is_on = False
    client.server.begin_turn(NOW_MS + 10)
    assert restore(client, MovingKey(b"{t}a", 0, b"new")) == "OK"
    assert client("GET", "{t}a") == "new" and client("PTTL", "{t}a") == -1 and client("DBSIZE") == 1


def test_under_a_policy_that_counts_uses_keys_arrive_as_new_ones(client: Client) -> None:
    client("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    restore(client, MovingKey(b"{t}a", 0, b"1"), MovingKey(b"{t}b", 0, b"2"))
    assert client("OBJECT", "FREQ", "{t}a") == client("OBJECT", "FREQ", "{t}b") == NEW


def test_replicas_and_the_log_hear_of_commands_that_every_server_knows(client: Client) -> None:
    server = client.server
    server.aof.record(AofState.ON, recording=True)
    restore(client, MovingKey(b"{t}a", 0, b"1"), MovingKey(b"{t}b", 5000, b"2"))
    recorded = b"".join(server.aof.pending)
    assert recorded.count(b"\r\nRESTORE\r\n") == 2 and b"RESTORE-KEYS" not in recorded
    assert dump(b"2") in recorded and b"%d" % (NOW_MS + 5000) in recorded and b"ABSTTL" in recorded


def test_every_key_is_an_event(client: Client) -> None:
    client("CONFIG", "SET", "notify-keyspace-events", "KEA")
    other = Client(client.server, "127.0.0.1:50001")
    other("SUBSCRIBE", "__keyevent@0__:restore")
    restore(client, MovingKey(b"{t}a", 0, b"1"), MovingKey(b"{t}b", 0, b"2"))
    assert [message[2] for message in other.received()] == ["{t}a", "{t}b"]


def test_a_watched_key_that_arrives_spoils_the_transaction(client: Client) -> None:
    other = Client(client.server, "127.0.0.1:50001")
    other("WATCH", "{t}a")
    restore(client, MovingKey(b"{t}a", 0, b"1"))
    other("MULTI")
    other("PING")
    assert other("EXEC") is None
