"""A primary that came back empty lies low; when it speaks again, everybody must be able to hear it."""

from __future__ import annotations

from shoal.cluster import effects as fx
from tests.cluster.stage import A, B, Stage


def test_pings_left_unanswered_in_the_silence_do_not_stay_so() -> None:
    stage = Stage(A, keys={})
    stage.hears(B, stage.ping(B))
    assert stage.view.awaiting_failover
    inbound = [link for link in stage.view.links if link < 0]
    stage.wait(5000)
    assert not stage.view.awaiting_failover
    assert inbound
    assert [close.link for close in stage.did(fx.CloseLink)] == inbound
    assert not [link for link in stage.view.links if link < 0]
