"""MIGRATE while the node's role changes: what may still be deleted when the keys have arrived."""

from __future__ import annotations

import pytest

from shoal.node.resp.writer import encode_command
from shoal.node.server.migration import FAILOVER_ERROR, MigrateKeys, finish
from shoal.node.server.server import Server
from tests.unit.server.client import Client, World


@pytest.fixture
def world() -> World:
    return World()


def begin_move(client: Client) -> MigrateKeys:
    client("SET", "k", "v")
    client.send(encode_command((b"MIGRATE", b"127.0.0.1", b"7001", b"k", b"0", b"1000")))
    return next(effect for effect in client.server.effects if isinstance(effect, MigrateKeys))


def keys_of(server: Server) -> list[bytes]:
    return list(server.keyspace.databases[0].keys())


def test_a_key_that_arrived_is_deleted(world: World) -> None:
    client = world.client()
    finish(world.server, begin_move(client), [b"k"], None)
    assert client.received() == ["OK"] and keys_of(world.server) == []


def test_a_node_demoted_meanwhile_deletes_nothing(world: World) -> None:
    client = world.client()
    request = begin_move(client)
    world.server.follow_primary("127.0.0.1", 7002)
    finish(world.server, request, [b"k"], None)
    assert client.received() == [FAILOVER_ERROR] and keys_of(world.server) == [b"k"]


def test_nothing_is_deleted_while_the_stream_must_stand_still(world: World) -> None:
    client = world.client()
    request = begin_move(client)
    world.server.pause.failover_until_ms = world.server.keyspace.now_ms + 1000
    finish(world.server, request, [b"k"], None)
    assert client.received() == [FAILOVER_ERROR] and keys_of(world.server) == [b"k"]
    assert not world.server.migrating_keys
