"""CLUSTER FAILOVER: a planned change of places."""

from __future__ import annotations

from shoal.cluster import effects as fx
from shoal.cluster import events as ev
from shoal.cluster.messages import FailoverAuthRequest, ManualFailoverStart, MessageFlag, Ping
from tests.cluster.stage import A, B, C, D, E, Stage
from tests.cluster.world import World, settled

PAUSED = MessageFlag.PAUSED | MessageFlag.EXT_DATA


def replica(offset: int = 100) -> Stage:
    stage = Stage(D)
    stage.step(ev.ReplicationProgress(offset, True, stage.now_ms))
    return stage


def test_the_replica_asks_its_primary_to_pause() -> None:
    stage = replica()
    assert stage.ask(ev.Failover()) == "OK"
    assert stage.sent(ManualFailoverStart, to=A) and not stage.sent(FailoverAuthRequest)


def test_the_primary_holds_writes_back_for_twice_the_failover_timeout() -> None:
    stage = Stage(A)
    stage.hears(D, ManualFailoverStart(stage.header(D)))
    assert stage.did(fx.PauseWrites) == [fx.PauseWrites(stage.now_ms + 10_000)]


def test_the_primary_obeys_only_its_own_replicas() -> None:
    stage = Stage(B)
    stage.hears(D, ManualFailoverStart(stage.header(D)))
    assert not stage.did(fx.PauseWrites)


def test_the_final_offset_is_announced_only_after_the_pause_took_hold() -> None:
    stage = Stage(A)
    stage.step(ev.ReplicationProgress(100))
    stage.hears(D, ManualFailoverStart(stage.header(D)))
    assert not stage.sent(Ping)
    stage.step(ev.ReplicationProgress(110))
    assert not stage.sent(Ping)
    stage.step(ev.WritesPaused(120))
    (ping,) = stage.sent(Ping, to=D)
    assert ping.header.replication_offset == 120
    assert ping.header.message_flags & MessageFlag.PAUSED


def test_the_replica_asks_for_votes_when_it_has_processed_exactly_that_much() -> None:
    stage = replica(offset=100)
    stage.ask(ev.Failover())
    stage.hears(A, stage.ping(A, message_flags=PAUSED, replication_offset=120), inbound=True)
    assert not stage.sent(FailoverAuthRequest)
    stage.step(ev.ReplicationProgress(120, True, stage.now_ms))
    requests = stage.sent(FailoverAuthRequest)
    assert requests and all(r.header.message_flags & MessageFlag.FORCE_ACK for r in requests)


def test_offsets_of_a_primary_that_is_not_paused_do_not_count() -> None:
    stage = replica(offset=100)
    stage.ask(ev.Failover())
    stage.hears(A, stage.ping(A, replication_offset=100), inbound=True)
    assert not stage.sent(FailoverAuthRequest)


def test_force_asks_for_votes_without_the_primary() -> None:
    stage = replica()
    assert stage.ask(ev.Failover(ev.FailoverMode.FORCE)) == "OK"
    assert stage.sent(FailoverAuthRequest) and not stage.sent(ManualFailoverStart)
    stage.votes(B, epoch=6)
    stage.votes(C, epoch=6)
    assert stage.view.myself.is_primary


def test_takeover_asks_nobody_and_is_on_disk_before_it_is_told() -> None:
    stage = replica()
    stage.now_ms += 200
    assert stage.ask(ev.Failover(ev.FailoverMode.TAKEOVER)) == "OK"
    assert stage.view.myself.slot_count == 5461 and stage.view.myself.config_epoch == 6
    assert stage.comes_before(fx.PersistConfig, Ping)


def test_the_primary_lets_writes_go_on_when_the_time_is_over() -> None:
    stage = Stage(A)
    stage.hears(D, ManualFailoverStart(stage.header(D)))
    stage.step(ev.WritesPaused(100))
    for _ in range(50):
        stage.wait(100)
        if stage.did(fx.ResumeWrites):
            return
        stage.pongs(B, C, D, E)
    raise AssertionError("writes were held back beyond the time given")


def test_the_replica_gives_up_when_the_time_is_over() -> None:
    stage = replica()
    stage.ask(ev.Failover())
    stage.now_ms += 5000
    stage.step(ev.Tick())
    assert "Manual failover timed out." in stage.notes()
    stage.hears(A, stage.ping(A, message_flags=PAUSED, replication_offset=100), inbound=True)
    assert not stage.sent(FailoverAuthRequest)


def test_the_old_primary_lets_writes_go_only_after_it_follows_the_new_one() -> None:
    stage = Stage(A)
    stage.hears(D, ManualFailoverStart(stage.header(D)))
    stage.hears(D, stage.ping(D, replica_of=None, config_epoch=6, current_epoch=6))
    kinds = [type(effect) for effect in stage.effects]
    assert kinds.index(fx.FollowPrimary) < kinds.index(fx.ResumeWrites)


def test_a_planned_failover_takes_moments_and_loses_nothing() -> None:
    world = World()
    hosts = world.cluster(3, 1)
    primary, successor = hosts[0], hosts[3]
    primary.write(0)
    assert successor.ask(ev.Failover()) == "OK"
    took = world.until(lambda: successor.view.myself.is_primary and primary.view.myself.is_replica)
    assert took <= 50
    world.until(lambda: all(settled(host, hosts) and host.view.state_ok for host in hosts), limit_ms=500)
    assert not primary.paused_until_ms and successor.keys == {0: 1}
    assert not any(fx.ClusterStateChanged(ok=False) in host.log for host in hosts)
