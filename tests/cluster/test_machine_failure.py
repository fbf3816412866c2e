"""Failure detection: PFAIL is an observation, FAIL a verdict."""

from __future__ import annotations

from shoal.cluster import effects as fx
from shoal.cluster import events as ev
from shoal.cluster.messages import Fail, MessageType, NodeFlag, Ping
from tests.cluster.stage import TIMEOUT_MS, A, B, C, D, E, F, Stage
from tests.cluster.world import World


def silence(stage: Stage, *others: str) -> None:
    """A's link breaks, and A answers nothing for the node timeout while the others do."""
    link = stage.view.nodes[A].link
    assert link is not None
    stage.now_ms += 200
    stage.step(ev.LinkClosed(link.id))
    until_ms = stage.now_ms + TIMEOUT_MS - 1
    while stage.now_ms < until_ms:
        stage.wait(min(100, until_ms - stage.now_ms))
        stage.pongs(*others)


def test_a_node_is_suspected_exactly_one_node_timeout_after_its_link_broke() -> None:
    stage = Stage(B)
    silence(stage, C, D, E)
    assert not stage.view.nodes[A].pfail
    stage.wait(1)
    assert stage.view.nodes[A].pfail
    assert any(note.startswith(f"*** NODE {A}") for note in stage.notes())


def test_a_lost_link_is_opened_again_at_once() -> None:
    stage = Stage(B)
    stage.now_ms += 200
    link = stage.view.nodes[A].link
    assert link is not None
    stage.step(ev.LinkClosed(link.id))
    assert [connect.node for connect in stage.did(fx.Connect)] == [A]


def test_a_refused_link_is_tried_again_with_the_next_cron() -> None:
    stage = Stage(B, connected=False)
    link = stage.view.nodes[A].link
    assert link is not None
    stage.step(ev.LinkClosed(link.id))
    assert not stage.did(fx.Connect)
    stage.wait(100)
    assert [connect.node for connect in stage.did(fx.Connect)] == [A]


def test_any_packet_from_a_node_is_a_life_sign() -> None:
    stage = Stage(B)
    silence(stage, C, D, E)
    stage.hears(A, stage.ping(A), inbound=True)
    stage.wait(1)
    assert not stage.view.nodes[A].pfail


def test_a_voting_primary_puts_a_fresh_suspicion_before_the_other_voters_at_once() -> None:
    stage = Stage(B)
    silence(stage, C, D, E)
    stage.wait(1)
    told = [message for message in stage.sent(Ping, to=C) if message.kind is MessageType.PING]
    assert any(entry.node == A and entry.flags & NodeFlag.PFAIL for entry in told[-1].gossip)


def test_a_majority_of_voting_primaries_makes_a_suspicion_a_verdict() -> None:
    stage = Stage(B)
    silence(stage, C, D, E)
    stage.wait(1)
    assert not stage.view.nodes[A].fail
    stage.hears(C, stage.ping(C, gossip=(stage.entry(A, NodeFlag.PFAIL),)))
    assert stage.view.nodes[A].fail and not stage.view.nodes[A].pfail
    assert any("quorum reached" in note for note in stage.notes())
    assert {message.node for message in stage.sent(Fail)} == {A}
    assert len(stage.sent(Fail)) == 3


def test_nobody_is_suspected_within_a_tenth_of_a_second_however_short_the_timeout() -> None:
    stage = Stage(B)
    stage.machine.settings.node_timeout_ms = 1
    node = stage.view.nodes[A]
    node.pfail, node.ping_sent_ms, node.data_received_ms = False, stage.now_ms, stage.now_ms
    stage.wait(99)
    assert not node.pfail
    stage.wait(1)
    assert node.pfail


def test_what_others_suspect_alone_is_no_verdict() -> None:
    stage = Stage(B)
    for _ in range(3):
        stage.hears(C, stage.ping(C, gossip=(stage.entry(A, NodeFlag.PFAIL),)))
    assert not stage.view.nodes[A].is_failing


def test_reports_of_replicas_do_not_count() -> None:
    stage = Stage(B)
    silence(stage, C, D, E)
    stage.wait(1)
    for replica in (D, E):
        stage.hears(replica, stage.ping(replica, gossip=(stage.entry(A, NodeFlag.PFAIL),)))
    assert not stage.view.nodes[A].fail


def test_reports_expire_after_twice_the_node_timeout() -> None:
    stage = Stage(B)
    stage.hears(C, stage.ping(C, gossip=(stage.entry(A, NodeFlag.PFAIL),)))
    stage.now_ms += 2 * TIMEOUT_MS
    stage.pongs(A, C, D, E)
    silence(stage, C, D, E)
    stage.wait(1)
    assert stage.view.nodes[A].pfail and not stage.view.nodes[A].fail


def test_a_report_is_withdrawn_by_a_line_without_the_flag() -> None:
    stage = Stage(B)
    stage.hears(C, stage.ping(C, gossip=(stage.entry(A, NodeFlag.PFAIL),)))
    stage.hears(C, stage.ping(C, gossip=(stage.entry(A),)))
    assert not stage.view.nodes[A].fail_reports


def test_a_verdict_of_another_node_is_obeyed_at_once() -> None:
    stage = Stage(B)
    stage.fails(A, by=D)
    assert stage.view.nodes[A].fail
    assert any(note.startswith(f"FAIL message received from {D}") for note in stage.notes())


def test_a_verdict_from_an_unknown_node_is_ignored() -> None:
    stage = Stage(B)
    stage.members[F] = stage.members[C]
    stage.hears(F, Fail(stage.header(C, sender=F), A))
    assert not stage.view.nodes[A].fail


def test_a_verdict_about_myself_is_ignored() -> None:
    stage = Stage(B)
    stage.fails(B, by=C)
    assert not stage.view.myself.is_failing


def test_an_answer_ends_a_suspicion() -> None:
    stage = Stage(B)
    silence(stage, C, D, E)
    stage.wait(1)
    link = stage.view.nodes[A].link
    assert link is not None
    stage.step(ev.LinkConnected(link.id))
    stage.pongs(A)
    assert not stage.view.nodes[A].is_failing


def test_a_failed_replica_is_cleared_by_its_first_answer() -> None:
    stage = Stage(B)
    stage.fails(D, by=C)
    stage.pongs(D)
    assert not stage.view.nodes[D].fail
    assert any(note.startswith(f"Clear FAIL state for node {D}") for note in stage.notes())


def test_a_failed_voting_primary_is_cleared_only_after_twice_the_node_timeout() -> None:
    stage = Stage(B)
    stage.fails(A, by=C)
    stage.now_ms += 2 * TIMEOUT_MS
    stage.pongs(A)
    assert stage.view.nodes[A].fail
    stage.now_ms += 1
    stage.pongs(A)
    assert not stage.view.nodes[A].fail


def test_a_pong_on_the_peers_own_link_is_no_answer() -> None:
    stage = Stage(B)
    stage.fails(D, by=C)
    stage.hears(D, stage.ping(D, MessageType.PONG), inbound=True)
    assert stage.view.nodes[D].fail


def test_quiet_nodes_are_pinged_after_half_the_node_timeout() -> None:
    stage = Stage(B)
    stage.wait(TIMEOUT_MS // 2 + 200)
    for node in (A, C, D, E):
        assert [m.kind for m in stage.sent(Ping, to=node)].count(MessageType.PING) == 1


def test_a_link_that_delivers_nothing_is_replaced() -> None:
    stage = Stage(B)
    first = stage.view.nodes[A].link
    for _ in range(13):
        stage.wait(100)
        stage.pongs(C, D, E)
    assert first is not None and stage.view.nodes[A].link is not first


def test_the_only_voter_judges_alone() -> None:
    world = World()
    primary, replica = world.cluster(1, 1)
    world.run(1000)
    world.crash(replica)
    world.until(lambda: primary.sees(replica).fail, limit_ms=2 * TIMEOUT_MS)


def test_a_frozen_primary_is_replaced_within_one_and_a_half_node_timeouts() -> None:
    world = World()
    hosts = world.cluster(3, 1)
    world.run(3000)
    world.freeze(hosts[0])
    took = world.until(lambda: hosts[3].view.myself.is_primary)
    assert took <= TIMEOUT_MS * 3 // 2 + 200


def test_a_minority_brings_nobody_down() -> None:
    world = World()
    hosts = world.cluster(3, 1)
    world.run(1000)
    minority, majority = [hosts[0], hosts[3]], [hosts[1], hosts[2], hosts[4], hosts[5]]
    world.partition(minority, majority)
    world.run(10 * TIMEOUT_MS)
    assert all(not hosts[0].sees(other).fail for other in majority)
    assert not hosts[0].view.state_ok and not hosts[3].view.myself.is_primary


def test_a_primary_of_the_minority_stops_serving_before_its_replica_replaces_it() -> None:
    world = World()
    hosts = world.cluster(3, 1)
    world.run(1000)
    world.partition([hosts[0]], hosts[1:])
    stopped = world.until(lambda: not hosts[0].view.state_ok)
    assert stopped <= TIMEOUT_MS * 3 // 2 + 200
    world.until(lambda: hosts[3].view.myself.is_primary)
    world.heal()
    world.until(lambda: hosts[0].view.myself.is_replica)
    assert fx.ClusterStateChanged(ok=True) not in hosts[0].log[-20:]
