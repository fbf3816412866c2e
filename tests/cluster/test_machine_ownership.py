"""Slot claims, epochs, and who is told what."""

from __future__ import annotations

from shoal.cluster import effects as fx
from shoal.cluster import events as ev
from shoal.cluster.messages import MessageType, Ping, Update
from shoal.cluster.slots import slots_to_bitmap
from tests.cluster.stage import STANDARD, A, B, C, D, E, F, Stage, member
from tests.cluster.world import World, settled

ALL_OF_A = slots_to_bitmap(range(5461))
ALL_OF_B = slots_to_bitmap(range(5461, 10923))
SOME_OF_B = slots_to_bitmap(range(5461, 5471))


def test_a_claim_with_a_greater_epoch_takes_the_slots() -> None:
    stage = Stage(B)
    stage.hears(C, stage.ping(C, config_epoch=5, slots=ALL_OF_A))
    assert stage.view.slot_owner[0] is stage.view.nodes[C]
    assert fx.TopologyChanged() in stage.effects
    assert fx.PersistConfig(fsync=True) in stage.effects


def test_a_claim_with_a_smaller_epoch_takes_nothing_and_is_answered_by_one_update() -> None:
    stage = Stage(B)
    stage.hears(A, stage.ping(A, slots=slots_to_bitmap([*range(5461), 16383])))
    assert stage.view.slot_owner[16383] is stage.view.nodes[C]
    (update,) = stage.sent(Update, to=A)
    assert (update.node, update.config_epoch) == (C, 3)


def test_a_slot_without_an_owner_goes_to_whoever_claims_it() -> None:
    stage = Stage(B)
    stage.ask(ev.DelSlots((16383,)))
    stage.hears(A, stage.ping(A, slots=slots_to_bitmap([*range(5461), 16383])))
    assert stage.view.slot_owner[16383] is stage.view.nodes[A]


def test_a_slot_its_owner_stopped_announcing_can_be_claimed_with_any_epoch() -> None:
    stage = Stage(B)
    stage.hears(C, stage.ping(C, slots=slots_to_bitmap(range(10923, 16383))))
    assert stage.view.slot_owner[16383] is stage.view.nodes[C]
    stage.hears(A, stage.ping(A, slots=slots_to_bitmap([*range(5461), 16383])))
    assert stage.view.slot_owner[16383] is stage.view.nodes[A]


def test_a_slot_its_owner_announces_again_is_its_own_as_before() -> None:
    stage = Stage(B)
    stage.hears(C, stage.ping(C, slots=slots_to_bitmap(range(10923, 16383))))
    stage.hears(C, stage.ping(C))
    stage.hears(A, stage.ping(A, slots=slots_to_bitmap([*range(5461), 16383])))
    assert stage.view.slot_owner[16383] is stage.view.nodes[C]


def test_an_unchanged_claim_costs_nothing() -> None:
    stage = Stage(B)
    before = stage.view.nodes[A].bitmap
    stage.hears(A, stage.ping(A))
    assert stage.view.nodes[A].bitmap is before
    assert not stage.did(fx.TopologyChanged) and not stage.did(fx.PersistConfig)


def test_the_keys_of_slots_lost_to_another_are_deleted() -> None:
    stage = Stage(B, keys={5461: 3, 9000: 1})
    stage.hears(C, stage.ping(C, config_epoch=5, slots=SOME_OF_B))
    assert stage.did(fx.DeleteSlotKeys) == [fx.DeleteSlotKeys((5461,))]
    assert stage.view.myself.is_primary


def test_a_primary_that_loses_its_last_slot_follows_the_new_owner() -> None:
    stage = Stage(B)
    stage.hears(C, stage.ping(C, config_epoch=5, slots=ALL_OF_B))
    assert stage.did(fx.FollowPrimary) == [fx.FollowPrimary(C, "10.0.0.3", 7000)]
    assert stage.view.myself.primary is stage.view.nodes[C]


def test_it_stays_an_empty_primary_if_replica_migration_is_not_allowed() -> None:
    stage = Stage(B, allow_replica_migration=False)
    theirs_and_ours = slots_to_bitmap(range(5461, 16384))
    stage.hears(C, stage.ping(C, config_epoch=5, slots=theirs_and_ours))
    assert stage.view.myself.is_primary and not stage.view.myself.slot_count


def test_a_replica_whose_primary_loses_its_last_slot_follows_the_new_owner() -> None:
    stage = Stage(D)
    stage.hears(C, stage.ping(C, config_epoch=5, slots=ALL_OF_A))
    assert stage.did(fx.FollowPrimary)[0].node == C


def test_a_lost_slot_is_no_longer_migrating() -> None:
    stage = Stage(B)
    stage.ask(ev.SetSlotMigrating(5461, A))
    stage.hears(C, stage.ping(C, config_epoch=5, slots=SOME_OF_B))
    assert not stage.view.migrating


def test_an_import_follows_a_failover_of_its_source() -> None:
    stage = Stage(B)
    stage.view.nodes[D].shard_id = A
    stage.ask(ev.SetSlotImporting(7, A))
    stage.hears(D, stage.ping(D, replica_of=None, config_epoch=6, current_epoch=6))
    assert stage.view.importing[7].id == D
    assert stage.view.slot_owner[7] is stage.view.nodes[D]


def test_news_of_a_third_node_is_believed_only_if_it_is_newer() -> None:
    stage = Stage(B)
    stage.hears(A, Update(stage.header(A), 3, C, ALL_OF_A))
    assert stage.view.slot_owner[0] is stage.view.nodes[A]
    stage.hears(A, Update(stage.header(A), 6, C, ALL_OF_A))
    assert stage.view.slot_owner[0] is stage.view.nodes[C]
    assert stage.view.current_epoch == 6


def test_a_replica_named_by_newer_news_is_a_primary() -> None:
    stage = Stage(B)
    stage.hears(C, Update(stage.header(C), 6, D, ALL_OF_A))
    assert stage.view.nodes[D].is_primary and stage.view.nodes[D].slot_count == 5461


def test_news_about_myself_changes_nothing() -> None:
    stage = Stage(D)
    stage.hears(C, Update(stage.header(C), 6, D, ALL_OF_A))
    assert stage.view.myself.is_replica


def test_a_demoted_primary_hands_its_slots_over_without_a_gap() -> None:
    stage = Stage(B)
    stage.now_ms += 2000
    stage.pongs(A, C, D, E)
    assert stage.view.state_ok
    stage.hears(A, stage.ping(A, replica_of=D, config_epoch=6, current_epoch=6))
    assert stage.view.nodes[A].primary is stage.view.nodes[D]
    assert stage.view.slot_owner[0] is stage.view.nodes[D]
    assert stage.view.state_ok and not stage.did(fx.ClusterStateChanged)


def test_a_replica_of_a_demoted_primary_follows_the_new_one() -> None:
    stage = Stage(E)
    stage.hears(A, stage.ping(A, replica_of=D, config_epoch=6, current_epoch=6))
    assert stage.did(fx.FollowPrimary)[-1].node == D


# Epochs


def test_the_greatest_epoch_seen_is_current_and_on_disk_before_it_is_repeated() -> None:
    stage = Stage(B)
    stage.hears(C, stage.ping(C, current_epoch=99), inbound=True)
    assert stage.view.current_epoch == 99
    assert stage.comes_before(fx.PersistConfig, Ping)


def test_epochs_of_unknown_senders_are_ignored() -> None:
    stage = Stage(B)
    stage.members[F] = member(F)
    stage.hears(F, stage.ping(F, current_epoch=99), inbound=True)
    assert stage.view.current_epoch == 5


def test_of_two_primaries_with_one_epoch_the_smaller_id_takes_a_fresh_one() -> None:
    stage = Stage(B)
    stage.hears(C, stage.ping(C, config_epoch=2))
    assert stage.view.myself.config_epoch == 6


def test_of_two_primaries_with_one_epoch_the_greater_id_does_nothing() -> None:
    stage = Stage(B, (member(A, epoch=2), member(B, epoch=2), member(C, epoch=3)))
    assert stage.view.myself.config_epoch == 2


def test_the_fresh_epoch_is_on_disk_before_it_is_told() -> None:
    members = (member(A, epoch=1), member(B, epoch=3), member(C, epoch=3))
    stage = Stage(B, members, connected=False)
    for connect in stage.did(fx.Connect):
        stage.step(ev.LinkConnected(connect.link))
    stage.hears(C, stage.ping(C, MessageType.PONG))
    assert stage.view.myself.config_epoch == 6
    assert stage.comes_before(fx.PersistConfig, Ping)


def test_nodes_all_created_at_epoch_zero_end_with_different_epochs() -> None:
    world = World()
    hosts = [world.host() for _ in range(4)]
    for index, host in enumerate(hosts):
        host.ask(ev.AddSlots(tuple(range(index * 4096, (index + 1) * 4096))))
    for host in hosts[1:]:
        host.ask(ev.Meet(hosts[0].ip, 7000))
    world.run(5000)
    assert len({host.view.myself.config_epoch for host in hosts}) == 4
    assert all(settled(host, hosts) and host.view.state_ok for host in hosts)


# At start


def test_keys_of_unassigned_slots_are_taken_responsibility_for_at_start() -> None:
    bare = member(F)
    stage = Stage(F, (bare,), keys={77: 1})
    assert stage.view.slot_owner[77] is stage.view.myself


def test_keys_of_another_nodes_slots_are_deleted_at_start() -> None:
    stage = Stage(B, connected=False, keys={5461: 1, 3: 2})
    assert stage.did(fx.DeleteSlotKeys) == [fx.DeleteSlotKeys((3,))]


def test_a_restarted_replica_follows_its_primary_again() -> None:
    stage = Stage(D, STANDARD, connected=False)
    assert stage.did(fx.FollowPrimary) == [fx.FollowPrimary(A, "10.0.0.1", 7000)]


def test_a_primary_answers_for_the_data_it_found_at_its_start() -> None:
    stage = Stage(B)
    stage.ask(ev.DelSlots((16383,)))
    stage.step(ev.DataLoaded((0, 5461, 16383)))
    view = stage.view
    assert view.slot_owner[5461] is view.slot_owner[16383] is view.myself
    assert view.importing == {0: view.nodes[A]}
    assert fx.PersistConfig(fsync=True) in stage.effects
    stage.step(ev.DataLoaded((0, 5461, 16383)))
    assert fx.PersistConfig(fsync=True) not in stage.effects, "it agrees by now"


def test_a_replica_leaves_that_to_its_primary() -> None:
    stage = Stage(D)
    stage.step(ev.DataLoaded((0, 16383)))
    assert not stage.view.importing
