"""A planned failover must not be won after its time, when the primary takes writes again."""

from __future__ import annotations

from shoal.cluster import events as ev
from shoal.cluster.messages import FailoverAuthRequest, MessageFlag
from tests.cluster.stage import A, B, C, D, Stage


def asking_for_votes() -> Stage:
    """D, told to take over from A, has all of A's data and has asked for votes in epoch 6."""
    stage = Stage(D, node_timeout_ms=15_000)
    stage.step(ev.ReplicationProgress(0, primary_link_up=True, primary_last_seen_ms=stage.now_ms))
    assert stage.ask(ev.Failover()) == "OK"
    paused = MessageFlag.PAUSED | MessageFlag.EXT_DATA
    stage.hears(A, stage.ping(A, replication_offset=0, message_flags=paused))
    assert stage.sent(FailoverAuthRequest)
    return stage


def test_votes_in_time_win() -> None:
    stage = asking_for_votes()
    stage.votes(B, epoch=6)
    stage.votes(C, epoch=6)
    assert stage.view.myself.is_primary


def test_votes_read_after_a_long_pause_of_the_process_do_not() -> None:
    stage = asking_for_votes()
    stage.now_ms += 6000
    stage.votes(B, epoch=6)
    stage.votes(C, epoch=6)
    assert stage.view.myself.is_replica
