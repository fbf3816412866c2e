"""How nodes meet, find each other, move, and are told apart."""

from __future__ import annotations

from shoal.cluster import effects as fx
from shoal.cluster import events as ev
from shoal.cluster.messages import (
    Extensions,
    ForgottenNode,
    MessageFlag,
    MessageType,
    NodeFlag,
    Ping,
    Publish,
)
from tests.cluster.stage import START_MS, A, B, C, D, E, F, Stage, member
from tests.cluster.world import World


def lone(**settings: object) -> Stage:
    stage = Stage(F, (member(F),), keys={}, **settings)  # type: ignore[arg-type]
    stage.members[A] = member(A, epoch=1)
    return stage


def test_meet_opens_a_link_under_a_random_name_and_sends_meet() -> None:
    stage = lone()
    assert stage.ask(ev.Meet("10.0.0.1", 7000)) == "OK"
    (connect,) = stage.did(fx.Connect)
    assert (connect.ip, connect.bus_port) == ("10.0.0.1", 17000)
    stage.step(ev.LinkConnected(connect.link))
    assert [message.kind for message in stage.sent(Ping)] == [MessageType.MEET]


def test_the_answer_gives_the_true_name() -> None:
    stage = lone()
    stage.ask(ev.Meet("10.0.0.1", 7000))
    (connect,) = stage.did(fx.Connect)
    stage.step(ev.LinkConnected(connect.link))
    stage.step(ev.MessageReceived(connect.link, stage.ping(A, MessageType.PONG), "10.0.0.1"))
    assert set(stage.view.nodes) == {F, A}
    assert not stage.view.nodes[A].handshake and stage.view.nodes[A].slot_count == 5461


def test_a_node_met_that_never_answers_is_given_up() -> None:
    stage = lone()
    stage.ask(ev.Meet("10.0.0.1", 7000))
    assert len(stage.view.nodes) == 2
    stage.wait(1200)
    assert list(stage.view.nodes) == [F]


def test_meeting_the_same_address_twice_adds_one_node() -> None:
    stage = lone()
    stage.ask(ev.Meet("10.0.0.1", 7000))
    stage.ask(ev.Meet("10.0.0.1", 7000))
    assert len(stage.view.nodes) == 2


def test_a_meet_from_a_stranger_is_answered_and_returned() -> None:
    stage = lone()
    stage.step(ev.MessageReceived(-1, stage.ping(A, MessageType.MEET), "10.0.0.1", "10.0.0.6"))
    assert [message.kind for message in stage.sent(Ping)] == [MessageType.PONG]
    assert [(connect.ip, connect.bus_port) for connect in stage.did(fx.Connect)] == [("10.0.0.1", 17000)]


def test_a_node_learns_its_own_address_from_a_meet() -> None:
    stage = lone()
    stage.step(ev.MessageReceived(-1, stage.ping(A, MessageType.MEET), "10.0.0.1", "192.168.0.6"))
    assert stage.view.myself.ip == "192.168.0.6"


def test_an_announced_address_stays() -> None:
    stage = lone(announce_ip="203.0.113.1")
    stage.step(ev.MessageReceived(-1, stage.ping(A, MessageType.MEET), "10.0.0.1", "192.168.0.6"))
    assert stage.view.myself.ip == "203.0.113.1"


def test_a_ping_from_a_stranger_is_answered_and_changes_nothing() -> None:
    stage = lone()
    stage.step(ev.MessageReceived(-1, stage.ping(A, current_epoch=50), "10.0.0.1"))
    assert [message.kind for message in stage.sent(Ping)] == [MessageType.PONG]
    assert list(stage.view.nodes) == [F] and stage.view.current_epoch == 5


def test_a_node_a_member_speaks_of_is_connected_to_at_once() -> None:
    stage = Stage(B)
    stage.hears(C, stage.ping(C, gossip=(stage.entry(F),)))
    assert [connect.node for connect in stage.did(fx.Connect)] == [F]


def test_gossip_of_a_stranger_is_ignored() -> None:
    stage = lone()
    stage.hears(A, stage.ping(A, gossip=(stage.entry(B),)))
    assert B not in stage.view.nodes


def test_another_identity_at_a_nodes_address_leaves_the_node_without_an_address() -> None:
    stage = Stage(B)
    link = stage.view.nodes[A].link
    assert link is not None
    stage.members[F] = member(F)
    stage.step(ev.MessageReceived(link.id, stage.ping(F, MessageType.PONG), "10.0.0.1"))
    assert stage.view.nodes[A].noaddr and stage.view.nodes[A].link is None
    assert fx.CloseLink(link.id) in stage.effects


def test_a_node_that_speaks_from_a_new_address_is_connected_to_there() -> None:
    stage = Stage(D)
    stage.step(ev.MessageReceived(-1, stage.ping(A), "10.9.9.9"))
    assert stage.view.nodes[A].ip == "10.9.9.9"
    assert stage.did(fx.FollowPrimary) == [fx.FollowPrimary(A, "10.9.9.9", 7000)]
    assert stage.did(fx.CloseLink) and stage.did(fx.Connect)[0].ip == "10.9.9.9"


def test_gossip_moves_a_node_only_while_it_cannot_be_reached() -> None:
    stage = Stage(B)
    stage.hears(C, stage.ping(C, gossip=(stage.entry(D, ip="10.9.9.9"),)))
    assert stage.view.nodes[D].ip == "10.0.0.4"
    stage.fails(D, by=C)
    stage.hears(C, stage.ping(C, gossip=(stage.entry(D, ip="10.9.9.9"),)))
    assert stage.view.nodes[D].ip == "10.9.9.9"


def test_extensions_go_only_to_nodes_that_understand_them() -> None:
    stage = Stage(B, announce_hostname="b.example", connected=False)
    for connect in stage.did(fx.Connect):
        stage.step(ev.LinkConnected(connect.link))
    stage.hears(A, stage.ping(A, message_flags=MessageFlag.NONE))
    assert stage.sent(Ping)[0].extensions == Extensions()
    stage.hears(A, stage.ping(A))
    assert stage.sent(Ping)[0].extensions == Extensions("b.example", None, B)


def test_an_absent_hostname_clears_it() -> None:
    stage = Stage(B)
    message = Ping(MessageType.PING, stage.header(A), (), Extensions("a.example", "ann", A))
    stage.hears(A, message)
    assert (stage.view.nodes[A].hostname, stage.view.nodes[A].human_name) == ("a.example", "ann")
    stage.hears(A, stage.ping(A))
    assert (stage.view.nodes[A].hostname, stage.view.nodes[A].human_name) == ("", "")


def test_a_replica_takes_its_primarys_shard_id() -> None:
    stage = Stage(D)
    stage.hears(A, Ping(MessageType.PING, stage.header(A), (), Extensions(shard_id=F)))
    assert stage.view.myself.shard_id == F


def test_a_node_forgotten_elsewhere_is_forgotten_here() -> None:
    stage = Stage(B)
    extensions = Extensions(shard_id=C, forgotten=(ForgottenNode(D, 60), ForgottenNode(B, 60)))
    stage.hears(C, Ping(MessageType.PING, stage.header(C), (), extensions))
    assert D not in stage.view.nodes and B in stage.view.nodes


def test_a_replica_does_not_forget_its_primary_by_hearsay() -> None:
    stage = Stage(D)
    extensions = Extensions(shard_id=C, forgotten=(ForgottenNode(A, 60),))
    stage.hears(C, Ping(MessageType.PING, stage.header(C), (), extensions))
    assert A in stage.view.nodes


def test_gossip_tells_of_at_least_three_and_of_all_suspects_but_never_of_its_ends() -> None:
    stage = Stage(B)
    stage.now_ms += 5000
    stage.view.nodes[D].pfail = True
    stage.hears(C, stage.ping(C))
    told = {entry.node for entry in stage.sent(Ping)[0].gossip}
    assert D in told and len(told) >= 3 and not told & {B, C}


def test_a_publish_reaches_every_member() -> None:
    stage = Stage(B)
    stage.step(ev.PublishToCluster(b"news", b"hello"))
    assert len(stage.sent(Publish)) == 4


def test_a_sharded_publish_reaches_the_shard_alone() -> None:
    stage = Stage(D)
    stage.step(ev.PublishToCluster(b"news", b"hello", sharded=True))
    assert len(stage.sent(Publish)) == 2
    assert stage.sent(Publish, to=A) and stage.sent(Publish, to=E)


def test_a_members_publish_is_delivered_and_a_strangers_is_not() -> None:
    stage = Stage(B)
    stage.hears(A, Publish(stage.header(A), b"news", b"hello"))
    assert stage.did(fx.DeliverPublish) == [fx.DeliverPublish(b"news", b"hello", False)]
    stage.members[F] = member(F)
    stage.hears(F, Publish(stage.header(F), b"news", b"hello"))
    assert not stage.did(fx.DeliverPublish)


def test_a_light_publish_is_delivered_if_its_link_is_a_members() -> None:
    stage = Stage(B)
    stage.step(ev.MessageReceived(-8, Publish(None, b"news", b"hello"), "10.0.0.1"))
    assert not stage.did(fx.DeliverPublish)
    stage.hears(A, stage.ping(A), inbound=True)
    stage.step(ev.MessageReceived(-1, Publish(None, b"news", b"hello"), "10.0.0.1"))
    assert stage.did(fx.DeliverPublish)


def test_a_saved_configuration_restores_the_same_view() -> None:
    stage = Stage(B)
    stage.ask(ev.SetSlotMigrating(5461, A))
    saved = stage.machine.saved()
    again = Stage(B, saved.nodes, epoch=saved.current_epoch)
    assert [node.slots for node in again.machine.saved().nodes] == [node.slots for node in saved.nodes]
    assert saved.migrating == ((5461, A),)
    assert not any(node.flags & NodeFlag.HANDSHAKE for node in saved.nodes)


def test_six_fresh_nodes_are_a_cluster_in_a_fraction_of_a_second() -> None:
    world = World()
    world.cluster(3, 1)
    assert world.now_ms - START_MS < 300


def test_twenty_fresh_nodes_find_each_other_quickly_and_quietly() -> None:
    world = World()
    hosts = [world.host() for _ in range(20)]
    for host in hosts[1:]:
        host.ask(ev.Meet(hosts[0].ip, 7000))
    world.until(lambda: all(len(host.view.nodes) == 20 for host in hosts), limit_ms=2000)
    world.run(2000)
    before = sum(host.view.messages_sent.total() for host in hosts)
    world.run(10_000)
    per_node_and_second = (sum(host.view.messages_sent.total() for host in hosts) - before) / 200
    assert per_node_and_second < 120


def test_a_light_publish_goes_only_to_who_can_read_it_and_has_shown_to_know_us() -> None:
    stage = Stage(B)
    reader = NodeFlag.PRIMARY | NodeFlag.LIGHT_HEADER_PUBLISH
    stage.hears(A, stage.ping(A, flags=reader), inbound=True)
    stage.hears(C, stage.ping(C, flags=reader), inbound=True)
    stage.view.nodes[C].heard_inbound = False
    stage.step(ev.PublishToCluster(b"news", b"hello"))
    assert [message.header is None for message in stage.sent(Publish, to=A)] == [True]
    assert [message.header is None for message in stage.sent(Publish, to=C)] == [False]
    assert [message.header is None for message in stage.sent(Publish, to=D)] == [False]


def test_we_say_that_we_can_read_a_light_header() -> None:
    stage = Stage(B)
    stage.hears(C, stage.ping(C))
    assert stage.sent(Ping)[0].header.flags & NodeFlag.LIGHT_HEADER_PUBLISH
