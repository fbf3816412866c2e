"""Failover by election: who stands, who votes, who wins."""

from __future__ import annotations

from shoal.cluster import effects as fx
from shoal.cluster import events as ev
from shoal.cluster.messages import Fail, FailoverAuthAck, FailoverAuthRequest, MessageFlag, Ping
from shoal.cluster.slots import SLOT_COUNT
from tests.cluster.stage import STANDARD, TIMEOUT_MS, A, B, C, D, E, F, Stage, member
from tests.cluster.world import World, settled


def voter(**options: object) -> Stage:
    """Primary B, holding A to have failed."""
    stage = Stage(B, **options)  # type: ignore[arg-type]
    stage.fails(A, by=C)
    return stage


def candidate(**options: object) -> Stage:
    """Replica D, in touch with its primary A until just now."""
    stage = Stage(D, **options)  # type: ignore[arg-type]
    stage.step(ev.ReplicationProgress(100, True, stage.now_ms))
    return stage


def lonely_candidate() -> Stage:
    """Replica D, the only one of A."""
    return candidate(members=(member(A, epoch=1), member(B, epoch=2), member(C, epoch=3), member(D, A)))


# The voter


def test_a_vote_is_on_disk_before_it_is_sent() -> None:
    stage = voter()
    stage.request(D, epoch=6)
    assert stage.sent(FailoverAuthAck, to=D)
    assert fx.PersistConfig(fsync=True) in stage.effects
    assert stage.comes_before(fx.PersistConfig, FailoverAuthAck)
    assert stage.machine.saved().last_vote_epoch == 6


def test_a_voter_grants_at_most_one_vote_per_epoch() -> None:
    stage = voter()
    stage.request(D, epoch=6)
    stage.request(E, epoch=6)
    assert not stage.sent(FailoverAuthAck)
    assert any("already voted for epoch 6" in note for note in stage.notes())


def test_a_voter_grants_at_most_one_vote_per_epoch_even_across_a_restart() -> None:
    stage = voter(epoch=6, last_vote=6)
    stage.request(D, epoch=6)
    assert not stage.sent(FailoverAuthAck)


def test_a_voter_refuses_an_epoch_older_than_its_own() -> None:
    stage = voter(epoch=9)
    stage.request(D, epoch=8)
    assert not stage.sent(FailoverAuthAck)


def test_a_voter_refuses_while_it_does_not_hold_the_primary_to_have_failed() -> None:
    stage = Stage(B)
    stage.request(D, epoch=6)
    assert not stage.sent(FailoverAuthAck)
    assert any("its master is up" in note for note in stage.notes())


def test_a_voter_grants_a_manual_failover_although_the_primary_is_up() -> None:
    stage = Stage(B)
    stage.request(D, epoch=6, flags=MessageFlag.FORCE_ACK)
    assert stage.sent(FailoverAuthAck, to=D)


def test_a_voter_does_not_vote_again_about_a_primary_within_twice_the_node_timeout() -> None:
    stage = voter()
    stage.request(D, epoch=6)
    stage.now_ms += 2 * TIMEOUT_MS - 1
    stage.request(E, epoch=7)
    assert not stage.sent(FailoverAuthAck)
    stage.now_ms += 1
    stage.request(E, epoch=8)
    assert stage.sent(FailoverAuthAck, to=E)


def test_a_voter_refuses_a_claim_on_slots_that_moved_on_with_a_greater_epoch() -> None:
    stage = voter()
    stage.hears(C, stage.ping(C, config_epoch=5, slots=stage.header(A).slots))
    stage.request(D, epoch=6)
    assert not stage.sent(FailoverAuthAck)


def test_a_primary_without_slots_does_not_vote() -> None:
    members = (*STANDARD[:3], member(D, A), member(F))
    stage = Stage(F, members)
    stage.fails(A, by=C)
    stage.request(D, epoch=6)
    assert not stage.sent(FailoverAuthAck)


def test_a_replica_does_not_vote() -> None:
    stage = Stage(E)
    stage.fails(A, by=C)
    stage.request(D, epoch=6)
    assert not stage.sent(FailoverAuthAck)


def test_a_request_from_a_primary_is_refused() -> None:
    stage = voter()
    stage.request(C, epoch=6)
    assert not stage.sent(FailoverAuthAck)


# The candidate


def test_a_replica_with_no_living_sibling_asks_at_once() -> None:
    stage = lonely_candidate()
    stage.fails(A, by=B)
    assert len(stage.sent(FailoverAuthRequest)) == 3
    assert stage.view.current_epoch == 6


def test_the_new_epoch_is_on_disk_before_a_vote_is_asked_for() -> None:
    stage = lonely_candidate()
    stage.fails(A, by=B)
    assert stage.comes_before(fx.PersistConfig, FailoverAuthRequest)


def test_the_verdict_reaches_each_voter_before_the_request() -> None:
    stage = lonely_candidate()
    stage.fails(A, by=B)
    for node in (B, C):
        link = stage.view.nodes[node].link
        assert link is not None
        kinds = [type(e.message) for e in stage.did(fx.Send) if e.link == link.id]
        assert kinds.index(Fail) < kinds.index(FailoverAuthRequest)


def test_a_replica_waits_a_second_for_each_sibling_with_more_data() -> None:
    stage = candidate()
    stage.hears(E, stage.ping(E, replication_offset=500))
    stage.fails(A, by=B)
    stage.wait(999)
    assert not stage.sent(FailoverAuthRequest)
    stage.wait(100)
    assert stage.sent(FailoverAuthRequest)


def test_the_replica_with_the_most_data_waits_only_for_the_news_to_spread() -> None:
    stage = candidate()
    stage.hears(E, stage.ping(E, replication_offset=50))
    stage.fails(A, by=B)
    assert not stage.sent(FailoverAuthRequest)
    stage.wait(2 * TIMEOUT_MS // 30 + 2)
    assert stage.sent(FailoverAuthRequest)


def test_a_failed_shard_before_ours_goes_first() -> None:
    members = (member(A, epoch=1), member(B, epoch=2), member(C, epoch=3), member(D, A), member(E, B))
    stage = Stage(E, members)
    stage.step(ev.ReplicationProgress(100, True, stage.now_ms))
    stage.fails(A, by=C)
    stage.fails(B, by=C)
    assert not stage.sent(FailoverAuthRequest)
    stage.hears(D, stage.ping(D, replica_of=None, config_epoch=6, current_epoch=6))
    assert stage.sent(FailoverAuthRequest)


def test_a_majority_of_votes_wins_and_the_win_is_on_disk_before_it_is_told() -> None:
    stage = lonely_candidate()
    stage.fails(A, by=B)
    stage.votes(B, epoch=6)
    assert not stage.did(fx.BecomePrimary)
    stage.votes(C, epoch=6)
    assert stage.did(fx.BecomePrimary) and stage.comes_before(fx.PersistConfig, Ping)
    assert stage.view.myself.config_epoch == 6
    assert stage.view.myself.slot_count == 5461
    assert stage.view.state_ok


def test_one_voter_counts_once() -> None:
    stage = lonely_candidate()
    stage.fails(A, by=B)
    stage.votes(B, epoch=6)
    stage.votes(B, epoch=6)
    assert stage.view.myself.is_replica


def test_a_vote_of_an_older_epoch_does_not_count() -> None:
    stage = lonely_candidate()
    stage.fails(A, by=B)
    stage.votes(B, epoch=5)
    stage.votes(C, epoch=5)
    assert stage.view.myself.is_replica


def test_votes_of_replicas_do_not_count() -> None:
    stage = candidate()
    stage.fails(A, by=B)
    stage.wait(100)
    stage.votes(E, epoch=6)
    stage.votes(B, epoch=6)
    assert stage.view.myself.is_replica


def test_an_attempt_without_a_majority_expires_and_is_repeated_with_a_fresh_epoch() -> None:
    stage = lonely_candidate()
    stage.fails(A, by=B)
    stage.step(ev.ReplicationProgress(100, False, stage.now_ms + 3 * TIMEOUT_MS))
    for _ in range(39):
        stage.wait(100)
        assert not stage.sent(FailoverAuthRequest)
        stage.pongs(B, C)
    stage.wait(100)
    assert stage.sent(FailoverAuthRequest)
    assert stage.view.current_epoch == 7


def test_votes_after_the_attempt_expired_do_not_count() -> None:
    stage = lonely_candidate()
    stage.fails(A, by=B)
    stage.now_ms += 2 * TIMEOUT_MS
    stage.votes(B, epoch=6)
    stage.votes(C, epoch=6)
    assert stage.view.myself.is_replica


def test_a_replica_out_of_touch_for_too_long_does_not_stand() -> None:
    stage = candidate(replica_validity_factor=1)
    stage.step(ev.ReplicationProgress(100, False, stage.now_ms - 20_000))
    stage.fails(A, by=B)
    stage.wait(5000)
    assert not stage.sent(FailoverAuthRequest)


def test_a_validity_factor_of_zero_lets_any_replica_stand() -> None:
    stage = candidate(replica_validity_factor=0)
    stage.step(ev.ReplicationProgress(100, False, None))
    stage.fails(A, by=B)
    stage.wait(100)
    assert stage.sent(FailoverAuthRequest)


def test_a_replica_told_not_to_fail_over_does_not_stand() -> None:
    stage = candidate(replica_no_failover=True)
    stage.fails(A, by=B)
    stage.wait(5000)
    assert not stage.sent(FailoverAuthRequest)


def test_a_replica_of_a_primary_without_slots_does_not_stand() -> None:
    bare = member(F)
    stage = Stage(D, (*STANDARD[:3], bare, member(D, bare.id)))
    stage.step(ev.ReplicationProgress(100, True, stage.now_ms))
    stage.fails(bare.id, by=B)
    stage.wait(2000)
    assert not stage.sent(FailoverAuthRequest)


# All together


def test_a_killed_primary_is_replaced_within_the_node_timeout_and_a_moment() -> None:
    world = World()
    hosts = world.cluster(3, 1)
    world.run(3000)
    world.crash(hosts[0])
    took = world.until(lambda: hosts[3].view.myself.is_primary and hosts[3].view.state_ok)
    assert took <= TIMEOUT_MS + 50
    world.run(100)
    assert all(host.view.state_ok and settled(host, hosts[1:]) for host in hosts[1:])


def test_of_two_replicas_the_one_with_more_data_is_promoted() -> None:
    world = World(seed=3)
    hosts = world.cluster(3, 2)
    behind, ahead = hosts[3], hosts[4]
    world.run(2000)
    behind.follows = None
    behind.primary_seen_ms = world.now_ms
    hosts[0].write(0)
    world.run(2000)
    world.crash(hosts[0])
    world.until(lambda: ahead.view.myself.is_primary)
    world.run(2000)
    assert behind.view.myself.primary is not None and behind.view.myself.primary.id == ahead.id


def test_two_primaries_failing_together_are_both_replaced_in_one_go() -> None:
    for seed in range(5):
        world = World(seed=seed)
        hosts = world.cluster(5, 1)
        world.run(2000)
        world.crash(hosts[0])
        world.crash(hosts[1])
        replicas = [hosts[5], hosts[6]]
        took = world.until(lambda replicas=replicas: all(r.view.myself.is_primary for r in replicas))  # type: ignore[misc]
        assert took <= TIMEOUT_MS + 600


def test_a_returning_primary_becomes_a_replica_of_its_successor() -> None:
    world = World()
    hosts = world.cluster(3, 1)
    world.run(1000)
    world.crash(hosts[0])
    world.until(lambda: hosts[3].view.myself.is_primary)
    world.run(1000)
    world.restart(hosts[0])
    world.until(lambda: hosts[0].follows == hosts[3].id, limit_ms=500)
    world.run(1000)
    assert all(settled(host, hosts) for host in hosts)
    assert hosts[3].view.myself.slot_count + sum(h.view.myself.slot_count for h in hosts[1:3]) == SLOT_COUNT
