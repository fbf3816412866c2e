"""When a node may serve, coming back empty, replicas that move, and crashes at any point."""

from __future__ import annotations

from dataclasses import replace

from shoal.cluster import effects as fx
from shoal.cluster import events as ev
from shoal.cluster.messages import FailoverAuthAck, NodeFlag
from shoal.cluster.view import SavedConfig
from tests.cluster.stage import A, B, C, D, E, F, Stage, member
from tests.cluster.world import World, settled


def test_with_full_coverage_required_one_unserved_slot_stops_everybody() -> None:
    world = World()
    hosts = world.cluster(3, 1)
    hosts[0].ask(ev.DelSlots((0,)))
    assert not hosts[0].view.state_ok


def test_without_full_coverage_an_unserved_slot_stops_nobody() -> None:
    world = World()
    hosts = world.cluster(3, 1, require_full_coverage=False)
    hosts[0].ask(ev.DelSlots((0,)))
    assert hosts[0].view.state_ok


def test_the_owner_of_slots_having_failed_stops_the_cluster() -> None:
    stage = Stage(D)
    stage.pongs(A, B, C, E)
    assert stage.view.state_ok
    stage.fails(C, by=B)
    assert stage.did(fx.ClusterStateChanged) == [fx.ClusterStateChanged(ok=False)]
    assert "Cluster state changed: fail" in stage.notes()


def test_a_primary_back_from_a_minority_waits_before_it_serves() -> None:
    world = World()
    hosts = world.cluster(3, 1, replica_no_failover=True)
    world.run(1000)
    world.partition([hosts[0]], hosts[1:])
    world.run(10_000)
    world.heal()
    reachable = world.until(lambda: not any(node.is_failing for node in hosts[0].view.nodes.values()))
    assert not hosts[0].view.state_ok
    assert world.until(lambda: hosts[0].view.state_ok) + reachable >= 900


def test_a_primary_that_restarts_with_slots_waits_two_seconds() -> None:
    stage = Stage(B)
    assert not stage.view.state_ok
    stage.now_ms += 1999
    stage.pongs(A, C, D, E)
    assert not stage.view.state_ok
    stage.now_ms += 1
    stage.pongs(A, C, D, E)
    assert stage.view.state_ok


def test_a_primary_that_restarts_is_cautious_whatever_it_hears_first() -> None:
    stage = Stage(B, first=ev.ReplicationProgress(0))
    stage.pongs(A, C, D, E)
    assert not stage.view.state_ok


# Coming back empty


def test_a_primary_that_comes_back_empty_does_not_cost_the_data_its_replica_has() -> None:
    world = World()
    hosts = world.cluster(3, 1)
    primary, replica = hosts[0], hosts[3]
    primary.write(0)
    world.run(1000)
    world.crash(primary)
    world.run(50)
    world.restart(primary, keep_data=False)
    world.until(lambda: replica.view.myself.is_primary and primary.view.myself.is_replica)
    world.run(2000)
    assert replica.keys == {0: 1} and primary.keys == {0: 1}
    assert fx.ClusterStateChanged(ok=True) not in primary.log[:1] and not primary.view.awaiting_failover


def test_an_empty_primary_is_silent_while_it_waits() -> None:
    stage = Stage(A, keys={})
    assert stage.view.awaiting_failover and not stage.view.state_ok
    stage.hears(B, stage.ping(B))
    assert not stage.did(fx.Send)


def test_an_empty_primary_does_not_vote_while_it_waits() -> None:
    stage = Stage(A, keys={})
    stage.fails(B, by=C)
    stage.request(D, epoch=6)
    assert stage.view.last_vote_epoch == 0


def test_an_empty_primary_serves_if_nobody_replaced_it_in_time() -> None:
    stage = Stage(A, keys={})
    stage.wait(4999)
    assert stage.view.awaiting_failover
    stage.wait(1)
    assert not stage.view.awaiting_failover and {c.node for c in stage.did(fx.Connect)} == {B, C, D, E}


def test_a_whole_cluster_that_restarts_empty_does_not_wait() -> None:
    world = World()
    hosts = world.cluster(3, 1)
    world.run(1000)
    for host in hosts:
        world.crash(host)
    for host in hosts:
        world.restart(host, keep_data=False)
    world.until(lambda: all(host.view.state_ok for host in hosts), limit_ms=3000)
    assert all(settled(host, hosts) for host in hosts)


def test_an_empty_primary_without_replicas_does_not_wait() -> None:
    stage = Stage(B, keys={})
    assert not stage.view.awaiting_failover


# Replica migration


def test_a_spare_replica_moves_to_a_primary_that_lost_its_last() -> None:
    world = World()
    hosts = world.cluster(3, 2)
    world.run(1000)
    for replica in hosts[3:5]:
        world.crash(replica)
    world.until(lambda: any(host.follows == hosts[0].id for host in hosts[5:]), limit_ms=15_000)
    world.run(10_000)
    assert sum(host.follows == hosts[0].id for host in hosts[5:]) == 1


def test_a_primary_that_never_had_replicas_attracts_none() -> None:
    members = (member(A, epoch=1), member(B, epoch=2), member(C, epoch=3), member(D, A), member(E, A))
    stage = Stage(D, members)
    for _ in range(70):
        stage.wait(100)
        stage.pongs(A, B, C, E)
    assert stage.view.myself.primary is stage.view.nodes[A]


def test_a_promoted_replica_may_be_sent_another() -> None:
    stage = Stage(B)
    stage.hears(D, stage.ping(D, replica_of=None, config_epoch=6, current_epoch=6))
    assert stage.view.nodes[D].migrate_to


# Crashes


def test_no_epoch_or_vote_told_to_anybody_is_lost_by_a_crash_at_any_effect() -> None:
    """Replay a vote and a promotion, crash after each effect in turn, and compare disk with wire."""
    for disk, trail in (_vote(), _promotion()):
        for effect, saved in trail:
            if isinstance(effect, fx.PersistConfig):
                disk = saved
            if not isinstance(effect, fx.Send) or (header := effect.message.header) is None:
                continue
            assert disk.current_epoch >= header.current_epoch
            assert not isinstance(effect.message, FailoverAuthAck) or disk.last_vote_epoch == 6
            me = next(node for node in disk.nodes if node.flags & NodeFlag.MYSELF)
            assert header.replica_of is not None or me.config_epoch == header.config_epoch


def _vote() -> tuple[SavedConfig, list[tuple[fx.Effect, SavedConfig]]]:
    stage = Stage(B)
    stage.fails(A, by=C)
    before = stage.machine.saved()
    effects = stage.request(D, epoch=6)
    return before, [(effect, stage.machine.saved()) for effect in effects]


def _promotion() -> tuple[SavedConfig, list[tuple[fx.Effect, SavedConfig]]]:
    stage = Stage(D, (member(A, epoch=1), member(B, epoch=2), member(C, epoch=3), member(D, A)))
    stage.step(ev.ReplicationProgress(100, True, stage.now_ms))
    before = stage.machine.saved()
    trail: list[tuple[fx.Effect, SavedConfig]] = []
    trail += [(effect, stage.machine.saved()) for effect in stage.fails(A, by=B)]
    trail += [(effect, stage.machine.saved()) for effect in stage.votes(B, epoch=6)]
    trail += [(effect, stage.machine.saved()) for effect in stage.votes(C, epoch=6)]
    return before, trail


def test_a_world_of_random_faults_comes_to_rest_with_one_owner_per_slot() -> None:
    for seed in range(3):
        world = World(seed=seed)
        hosts = world.cluster(3, 1)
        for _ in range(6):
            victim = world.rng.choice(hosts)
            world.crash(victim)
            world.run(world.rng.randrange(200, 4000))
            world.restart(victim)
            world.run(world.rng.randrange(200, 2000))
        world.run(30_000)
        assert all(host.view.state_ok and settled(host, hosts) for host in hosts)
        assert len({host.view.myself.config_epoch for host in world.primaries()}) == 3


def test_contradictory_saved_state_is_refused() -> None:
    orphan = replace(member(D, A), primary=F)
    try:
        Stage(B, (member(B), orphan))
    except ValueError as error:
        assert F in str(error)
    else:
        raise AssertionError("accepted a replica of an unknown node")
