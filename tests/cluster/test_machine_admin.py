"""CLUSTER requests: what each does and the texts clients match."""

from __future__ import annotations

import pytest

from shoal.cluster import effects as fx
from shoal.cluster import events as ev
from shoal.cluster.messages import MessageType, NodeFlag, Ping
from tests.cluster.stage import A, B, C, D, E, F, Stage, member
from tests.cluster.world import World, settled

X = "0" * 40


@pytest.mark.parametrize(
    ("me", "request_", "text"),
    [
        (B, ev.Meet("nowhere", 7000), "ERR Invalid node address specified: nowhere:7000"),
        (B, ev.Meet("10.0.0.7", 0), "ERR Invalid node address specified: 10.0.0.7:0"),
        (B, ev.Meet("10.0.0.7", 60000), "ERR Invalid node address specified: 10.0.0.7:60000"),
        (B, ev.Forget(X), f"ERR Unknown node {X}"),
        (B, ev.Forget(B), "ERR I tried hard but I can't forget myself..."),
        (D, ev.Forget(A), "ERR Can't forget my master!"),
        (B, ev.AddSlots((1,)), "ERR Slot 1 is already busy"),
        (B, ev.AddSlots((1, 1)), "ERR Slot 1 specified multiple times"),
        (B, ev.DelSlots((2, 2)), "ERR Slot 2 specified multiple times"),
        (B, ev.FlushSlots(), "ERR DB must be empty to perform CLUSTER FLUSHSLOTS."),
        (D, ev.SetSlotStable(1), "ERR Please use SETSLOT only with masters."),
        (B, ev.SetSlotMigrating(1, A), "ERR I'm not the owner of hash slot 1"),
        (B, ev.SetSlotMigrating(5461, X), f"ERR I don't know about node {X}"),
        (B, ev.SetSlotMigrating(5461, D), "ERR Target node is not a master"),
        (B, ev.SetSlotImporting(5461, A), "ERR I'm already the owner of hash slot 5461"),
        (B, ev.SetSlotImporting(1, X), f"ERR I don't know about node {X}"),
        (B, ev.SetSlotImporting(1, D), "ERR Target node is not a master"),
        (B, ev.SetSlotNode(1, X), f"ERR Unknown node {X}"),
        (B, ev.SetSlotNode(1, D), "ERR Target node is not a master"),
        (
            B,
            ev.SetSlotNode(5461, A),
            "ERR Can't assign hashslot 5461 to a different node while I still hold keys for this hash slot.",
        ),
        (B, ev.Replicate(X), f"ERR Unknown node {X}"),
        (B, ev.Replicate(B), "ERR Can't replicate myself"),
        (D, ev.Replicate(E), "ERR I can only replicate a master, not a replica."),
        (
            B,
            ev.Replicate(A),
            "ERR To set a master the node must be empty and without assigned slots.",
        ),
        (B, ev.Failover(), "ERR You should send CLUSTER FAILOVER to a replica"),
        (B, ev.Reset(), "ERR CLUSTER RESET can't be called with master nodes containing keys"),
        (B, ev.SetConfigEpoch(-1), "ERR Invalid config epoch specified: -1"),
        (
            B,
            ev.SetConfigEpoch(9),
            "ERR The user can assign a config epoch only when the node does not know any other node.",
        ),
    ],
)
def test_a_refused_request_says_why_and_changes_nothing(
    me: str, request_: ev.AdminRequest, text: str
) -> None:
    stage = Stage(me, keys={5461: 1})
    before = stage.machine.saved()
    assert stage.ask(request_) == text
    assert stage.machine.saved() == before
    assert stage.effects == [fx.AnswerAdmin(text, is_error=True)]


def test_deleting_an_unassigned_slot_is_refused() -> None:
    stage = Stage(F, (member(F),))
    assert stage.ask(ev.DelSlots((5,))) == "ERR Slot 5 is already unassigned"


def test_a_config_epoch_is_assigned_once() -> None:
    stage = Stage(F, (member(F),), epoch=0)
    assert stage.ask(ev.SetConfigEpoch(4)) == "OK"
    assert (stage.view.myself.config_epoch, stage.view.current_epoch) == (4, 4)
    assert stage.ask(ev.SetConfigEpoch(5)) == "ERR Node config epoch is already non-zero"


def test_failover_is_refused_while_the_primary_is_down() -> None:
    stage = Stage(D)
    stage.fails(A, by=B)
    text = "ERR Master is down or failed, please use CLUSTER FAILOVER FORCE"
    assert stage.ask(ev.Failover()) == text


def test_failover_is_refused_while_the_replica_receives_no_stream_to_catch_up_with() -> None:
    stage = Stage(D)
    stage.step(ev.ReplicationProgress(100, primary_link_up=False))
    text = "ERR Master is down or failed, please use CLUSTER FAILOVER FORCE"
    assert stage.ask(ev.Failover()) == text


def test_the_answer_comes_after_the_save() -> None:
    stage = Stage(F, (member(F),), keys={})
    stage.ask(ev.AddSlots((1, 2, 3)))
    kinds = [type(effect) for effect in stage.effects]
    assert fx.PersistConfig(fsync=True) in stage.effects
    assert kinds.index(fx.PersistConfig) < kinds.index(fx.AnswerAdmin)


def test_bumpepoch_raises_an_epoch_that_is_not_the_greatest_and_only_that() -> None:
    stage = Stage(B)
    assert stage.ask(ev.BumpEpoch()) == "BUMPED 6"
    assert stage.ask(ev.BumpEpoch()) == "STILL 6"


def test_added_slots_are_announced_at_once() -> None:
    stage = Stage(B)
    stage.now_ms += 500
    stage.ask(ev.DelSlots((5461,)))
    assert [message.kind for message in stage.sent(Ping, to=C)] == [MessageType.PONG]


def test_flushslots_lets_all_slots_go() -> None:
    stage = Stage(B, keys={}, members=(member(A, epoch=1), member(B, epoch=2)))
    assert stage.ask(ev.FlushSlots()) == "OK"
    assert not stage.view.myself.slot_count


# FORGET


def test_a_forgotten_node_is_not_learnt_again_by_gossip_for_a_minute() -> None:
    stage = Stage(B)
    assert stage.ask(ev.Forget(D)) == "OK"
    stage.hears(C, stage.ping(C, gossip=(stage.entry(D),)))
    assert D not in stage.view.nodes
    stage.now_ms += 60_000
    stage.hears(C, stage.ping(C, gossip=(stage.entry(D),)))
    assert D in stage.view.nodes


def test_forgetting_a_node_twice_is_fine() -> None:
    stage = Stage(B)
    assert stage.ask(ev.Forget(D)) == "OK"
    assert stage.ask(ev.Forget(D)) == "OK"


def test_one_forget_is_enough_for_the_whole_cluster() -> None:
    world = World()
    hosts = world.cluster(3, 1)
    world.run(2000)
    gone = hosts[5]
    world.crash(gone)
    assert hosts[0].ask(ev.Forget(gone.id)) == "OK"
    world.until(lambda: all(gone.id not in host.view.nodes for host in hosts[:5]), limit_ms=2000)
    world.run(30_000)
    assert all(gone.id not in host.view.nodes for host in hosts[:5])


def test_a_peer_is_told_of_a_forgotten_node_once_unless_it_still_speaks_of_it() -> None:
    stage = Stage(B)
    stage.now_ms += 200
    stage.ask(ev.Forget(D))
    (told,) = stage.sent(Ping, to=C)
    assert [forgotten.node for forgotten in told.extensions.forgotten] == [D]
    stage.hears(C, stage.ping(C))
    assert not stage.sent(Ping)[0].extensions.forgotten
    stage.hears(C, stage.ping(C, gossip=(stage.entry(D),)))
    stage.hears(C, stage.ping(C))
    assert stage.sent(Ping)[0].extensions.forgotten


# RESET


def test_a_soft_reset_forgets_everybody_and_keeps_the_identity() -> None:
    stage = Stage(D, keys={})
    assert stage.ask(ev.Reset()) == "OK"
    assert list(stage.view.nodes) == [D]
    assert stage.view.myself.is_primary and stage.view.current_epoch == 5
    assert fx.BecomePrimary() in stage.effects and fx.ResetDataset() in stage.effects
    assert not stage.view.links or all(link.node is None for link in stage.view.links.values())


def test_a_hard_reset_makes_a_new_node() -> None:
    stage = Stage(D, keys={})
    assert stage.ask(ev.Reset(hard=True)) == "OK"
    assert stage.view.myself.id != D and list(stage.view.nodes) == [stage.view.myself.id]
    assert (stage.view.current_epoch, stage.view.last_vote_epoch, stage.view.myself.config_epoch) == (0, 0, 0)


# SETSLOT


def test_a_slot_moves_from_one_primary_to_another() -> None:
    world = World()
    hosts = world.cluster(3, 1)
    source, target = hosts[0], hosts[1]
    source.write(0)
    assert target.ask(ev.SetSlotImporting(0, source.id)) == "OK"
    assert source.ask(ev.SetSlotMigrating(0, target.id)) == "OK"
    assert source.view.migrating[0].id == target.id and target.view.importing[0].id == source.id
    target.keys[0] = source.keys.pop(0)
    before = target.view.myself.config_epoch
    assert target.ask(ev.SetSlotNode(0, target.id)) == "OK"
    assert source.ask(ev.SetSlotNode(0, target.id)) == "OK"
    assert target.view.myself.config_epoch > max(before, source.view.myself.config_epoch)
    assert not source.view.migrating and not target.view.importing
    world.until(lambda: all(settled(host, hosts) for host in hosts), limit_ms=2000)


def test_the_rest_of_the_cluster_learns_of_a_moved_slot_from_the_target_alone() -> None:
    world = World()
    hosts = world.cluster(3, 1)
    target, source = hosts[1], hosts[0]
    target.ask(ev.SetSlotImporting(0, source.id))
    target.ask(ev.SetSlotNode(0, target.id))
    world.until(lambda: all(settled(host, hosts) for host in hosts), limit_ms=1000)


def test_giving_the_last_slot_away_makes_a_replica() -> None:
    stage = Stage(B, keys={})
    stage.ask(ev.DelSlots(tuple(range(5462, 10923))))
    assert stage.ask(ev.SetSlotNode(5461, C)) == "OK"
    assert stage.view.myself.primary is stage.view.nodes[C]


def test_stable_closes_an_open_slot() -> None:
    stage = Stage(B)
    stage.ask(ev.SetSlotMigrating(5461, A))
    stage.ask(ev.SetSlotImporting(1, A))
    assert stage.ask(ev.SetSlotStable(5461)) == "OK" and stage.ask(ev.SetSlotStable(1)) == "OK"
    assert not stage.view.migrating and not stage.view.importing


# REPLICATE


def test_a_replica_can_be_sent_to_another_primary() -> None:
    stage = Stage(D)
    assert stage.ask(ev.Replicate(B)) == "OK"
    assert stage.did(fx.FollowPrimary) == [fx.FollowPrimary(B, "10.0.0.2", 7000)]
    assert stage.view.myself.shard_id == B


def test_a_nofailover_replica_announces_it() -> None:
    stage = Stage(D, replica_no_failover=True)
    stage.hears(C, stage.ping(C))
    assert stage.sent(Ping)[0].header.flags & NodeFlag.NOFAILOVER
