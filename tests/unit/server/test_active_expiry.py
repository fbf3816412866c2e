"""Keys whose time has come go by themselves: a share of them in each turn, until all are gone."""

from __future__ import annotations

from shoal.node.server.active_expiry import EXPIRED_KEYS_PER_TURN
from tests.unit.server.client import World


def test_a_turn_deletes_its_share_and_wants_another_while_keys_are_due() -> None:
    world = World()
    client = world.client()
    shares = 3
    for key in range(shares * EXPIRED_KEYS_PER_TURN):
        client("SET", key, "v", "PX", 50)
    client("SET", "stays", "v", "PX", 60_000)
    world.pass_time(100)
    for left in range(shares - 1, 0, -1):
        assert len(world.server.keyspace) == left * EXPIRED_KEYS_PER_TURN + 1
        assert world.server.wants_turn
        world.pass_time(0)
    assert len(world.server.keyspace) == 1
    world.pass_time(0)
    assert not world.server.wants_turn
