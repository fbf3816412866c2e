"""MEET is repeated until the other side knows us as well."""

from __future__ import annotations

from shoal.cluster import effects as fx
from shoal.cluster import events as ev
from shoal.cluster.messages import Message, MessageType, Ping
from tests.cluster.stage import STANDARD, A, F, Stage, member
from tests.cluster.world import Host, World


def meeting() -> Stage:
    """A was told to meet F, and F has answered."""
    stage = Stage(A)
    stage.members = {node.id: node for node in (*STANDARD, member(F))}
    assert stage.ask(ev.Meet("10.0.0.6", 7000)) == "OK"
    link = stage.did(fx.Connect)[0].link
    stage.step(ev.LinkConnected(link))
    assert meets(stage) == 1
    answer = stage.ping(F, MessageType.PONG)
    stage.step(ev.MessageReceived(link, answer, "10.0.0.6", "10.0.0.1"))
    assert F in stage.view.nodes
    return stage


def meets(stage: Stage) -> int:
    return [ping.kind for ping in stage.sent(Ping)].count(MessageType.MEET)


def live(stage: Stage, duration_ms: int) -> int:
    """Let time pass while everybody answers; returns how many MEETs were sent."""
    count = 0
    for _ in range(duration_ms // 100):
        stage.wait(100)
        count += meets(stage)
        stage.pongs(*(node.id for node in stage.view.others() if node.connected))
    return count


def test_a_node_that_shows_no_sign_of_knowing_us_is_met_again_and_again() -> None:
    stage = meeting()
    assert live(stage, 1900) == 0
    assert live(stage, 4000) == 2


def test_a_node_that_tells_us_of_itself_unasked_is_not_met_again() -> None:
    stage = meeting()
    stage.hears(F, stage.ping(F, MessageType.PONG), inbound=True)
    assert live(stage, 5000) == 0


def test_a_stranger_trying_to_meet_us_shows_no_sign_of_knowing_us() -> None:
    stage = meeting()
    stage.hears(F, stage.ping(F, MessageType.MEET), inbound=True)
    stage.hears(F, stage.ping(F, MessageType.PING), inbound=True)
    assert live(stage, 2200) == 1


def test_a_node_that_gave_up_on_us_still_becomes_a_member() -> None:
    world = World()
    first, second = world.host(), world.host()

    def answers_are_lost(source: Host, target: Host, message: Message) -> bool:
        return source is first and isinstance(message, Ping) and message.kind is MessageType.PONG

    world.drop = answers_are_lost
    second.ask(ev.Meet(first.ip, 7000))
    world.run(1300)
    assert second.id in first.view.nodes and list(second.view.nodes) == [second.id]
    world.drop = lambda source, target, message: False
    world.until(lambda: first.id in second.view.nodes, limit_ms=5000)
