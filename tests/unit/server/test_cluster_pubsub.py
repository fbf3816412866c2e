"""Pub/Sub on a member of a cluster: which shard channels it serves, what it sends, whom it sends away."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from shoal.cluster.effects import DeliverPublish, Send, TopologyChanged
from shoal.cluster.events import LinkConnected, Tick
from shoal.cluster.messages import NodeFlag, Publish
from shoal.cluster.settings import ClusterSettings
from shoal.cluster.slots import key_slot
from shoal.cluster.view import SavedConfig
from shoal.node.resp.writer import encode_command
from shoal.node.server.cluster_bridge import ClusterBridge
from tests.cluster.stage import STANDARD, A, B, D
from tests.unit.server.client import NOW_MS, World

KEY = b"{c6}"
"""In a slot of A."""


class Member(World):
    """The server of one node of the standard cluster; effects on data and clients are carried out by hand."""

    def __init__(self, me: str, **directives: object) -> None:
        super().__init__(cluster_enabled=True, **directives)
        nodes = tuple(
            replace(node, flags=node.flags | NodeFlag.MYSELF) if node.id == me else node for node in STANDARD
        )
        self.server.keyspace.databases[0].set(KEY, b"")  # an empty primary would lie low at first
        settings = ClusterSettings(node_timeout_ms=1000, tcp_port=7000, bus_port=17000)
        saved = SavedConfig(nodes, current_epoch=5, last_vote_epoch=0)
        self.bridge = ClusterBridge(self.server, settings, Random(7), saved, NOW_MS)
        self.server.cluster = self.bridge
        self.bridge.step(Tick())
        for node in list(self.bridge.view.others()):
            assert node.link is not None
            self.bridge.step(LinkConnected(node.link.id))
        self.server.effects.clear()

    def topology_changes(self) -> None:
        """Carry out what the effects so far say about clients."""
        effects, self.server.effects = self.server.effects, []
        for effect in effects:
            if isinstance(effect, TopologyChanged):
                self.bridge.apply(effect)

    def publications(self) -> list[tuple[str, Publish]]:
        """Each publish sent, and to which node."""
        links = {node.link.id: node.id for node in self.bridge.view.others() if node.link is not None}
        return [
            (links[effect.link], effect.message)
            for effect in self.server.effects
            if isinstance(effect, Send) and isinstance(effect.message, Publish)
        ]


def channel_of(member: Member, owner: str, tag: str = "c") -> str:
    """A channel in a slot of this node."""
    view = member.bridge.view
    return next(f"{tag}{n}" for n in range(10_000) if _owner(view.slot_owner, f"{tag}{n}") == owner)


def _owner(owners: list[object], channel: str) -> str | None:
    return getattr(owners[key_slot(channel.encode())], "id", None)


@pytest.fixture
def primary() -> Member:
    return Member(A)


# --- which channels are served -------------------------------------------------------------------------


@pytest.mark.parametrize("me", [A, D], ids=["primary", "replica"])
@pytest.mark.parametrize("words", [("SSUBSCRIBE",), ("SUNSUBSCRIBE",), ("SPUBLISH", "m")])
def test_the_nodes_of_the_shard_serve_its_channels_and_others_redirect(me: str, words: tuple[str]) -> None:
    member = Member(me)
    word, *rest = words
    client = member.client()
    mine, other = channel_of(member, A), channel_of(member, B)
    assert client(word, other, *rest) == f"MOVED {key_slot(other.encode())} 10.0.0.2:7000"
    assert client(word, mine, *rest) == (0 if rest else [word.lower(), mine, 1 if word[1] == "S" else 0])


def test_channels_of_one_call_are_of_one_slot(primary: Member) -> None:
    client = primary.client()
    mine, other = channel_of(primary, A), channel_of(primary, A, "d")
    refused = "CROSSSLOT Keys in request don't hash to the same slot"
    assert client("SSUBSCRIBE", mine, other) == refused
    client.send(encode_command([b"SSUBSCRIBE", mine.encode(), b"{%b}x" % mine.encode()]))
    assert [count for _, _, count in client.received()] == [1, 2]


def test_channels_need_no_healthy_cluster_unless_configured_so() -> None:
    for allowed, answer in ((True, 0), (False, "CLUSTERDOWN The cluster is down")):
        member = Member(A)
        member.bridge.view.state_ok = False
        member.bridge.settings.allow_pubsubshard_when_down = allowed
        member.server.refresh_gates()
        assert member.client()("SPUBLISH", channel_of(member, A), "m") == answer


def test_other_channels_belong_to_no_slot(primary: Member) -> None:
    client = primary.client()
    client.send(encode_command([b"SUBSCRIBE", b"a", b"b"]))
    assert client.received() == [["subscribe", "a", 1], ["subscribe", "b", 2]]


# --- over the bus --------------------------------------------------------------------------------------


def test_a_message_goes_to_every_node_and_a_sharded_one_to_the_shard(primary: Member) -> None:
    client = primary.client()
    client("PUBLISH", "a", "m")
    sent = primary.publications()
    assert [node for node, _ in sent] == [node.id for node in primary.bridge.view.others()]
    assert all((message.channel, message.payload) == (b"a", b"m") for _, message in sent)
    primary.server.effects.clear()
    client("SPUBLISH", channel_of(primary, A), "m")
    sent = primary.publications()
    assert {node for node, _ in sent} == {node.id for node in primary.bridge.view.myself.replicas}
    assert all(message.sharded for _, message in sent)


def test_a_message_from_the_bus_reaches_the_listeners_of_its_kind(primary: Member) -> None:
    channel = channel_of(primary, A)
    plain, pattern, sharded = primary.client(), primary.client(), primary.client()
    plain("SUBSCRIBE", channel)
    pattern("PSUBSCRIBE", "*")
    sharded("SSUBSCRIBE", channel)
    primary.bridge.apply(DeliverPublish(channel.encode(), b"1", False))
    primary.bridge.apply(DeliverPublish(channel.encode(), b"2", True))
    assert plain.received() == [["message", channel, "1"]]
    assert pattern.received() == [["pmessage", "*", channel, "1"]]
    assert sharded.received() == [["smessage", channel, "2"]]
    assert not primary.publications()


def test_keyspace_notifications_stay_on_their_node() -> None:
    member = Member(A, notify_keyspace_events="KEA$")
    listener, client = member.client(), member.client()
    listener("PSUBSCRIBE", "__keyspace*")
    key = channel_of(member, A)
    member.bridge.view.state_ok = True
    member.server.refresh_gates()
    assert client("SET", key, "v") == "OK"
    assert listener.received() == [["pmessage", "__keyspace*", f"__keyspace@0__:{key}", "set"]]
    assert not member.publications()


def test_a_cluster_sends_no_message_down_the_replication_stream(primary: Member) -> None:
    client = primary.client()
    replica = primary.client()
    replica.send(b"*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n")
    before = primary.server.replication.history.offset
    client("PUBLISH", "a", "m")
    client("SPUBLISH", channel_of(primary, A), "m")
    assert primary.server.replication.history.offset == before


# --- a slot leaves -------------------------------------------------------------------------------------


def test_clients_are_told_when_the_slot_of_their_channel_goes_to_another_node(primary: Member) -> None:
    leaving, staying = channel_of(primary, A), channel_of(primary, A, "d")
    slot = key_slot(leaving.encode())
    both, one, admin = primary.client(), primary.client(), primary.client()
    for channel in (leaving, staying):
        both("SSUBSCRIBE", channel)
    one("SSUBSCRIBE", leaving)
    assert admin("CLUSTER", "SETSLOT", slot, "MIGRATING", B) == "OK"
    primary.topology_changes()
    assert admin("SPUBLISH", leaving, "m") == 2
    assert both.received() + one.received() == 2 * [["smessage", leaving, "m"]]
    assert admin("CLUSTER", "SETSLOT", slot, "NODE", B) == "OK"
    primary.topology_changes()
    assert both.received() == [["sunsubscribe", leaving, 1]]
    assert one.received() == [["sunsubscribe", leaving, 0]]
    assert one.session.plain and not both.session.plain
    assert admin("SPUBLISH", staying, "m") == 1


@pytest.mark.parametrize("words", [("DELSLOTS",), ("RESET", "HARD")])
def test_clients_are_told_when_the_slot_is_given_up(primary: Member, words: tuple[str, ...]) -> None:
    channel = channel_of(primary, A)
    client, admin = primary.client(), primary.client()
    primary.server.keyspace.flush()
    client("SSUBSCRIBE", channel)
    numbers = [key_slot(channel.encode())] if words == ("DELSLOTS",) else []
    assert admin("CLUSTER", *words, *numbers) == "OK"
    primary.topology_changes()
    assert client.received() == [["sunsubscribe", channel, 0]]


def test_a_replica_sends_away_who_listened_to_a_slot_its_shard_lost() -> None:
    member = Member(D)
    channel = channel_of(member, A)
    client = member.client()
    client("SSUBSCRIBE", channel)
    view = member.bridge.view
    view.assign(1 << key_slot(channel.encode()), view.nodes[B])
    member.bridge.apply(TopologyChanged())
    assert client.received() == [["sunsubscribe", channel, 0]]


def test_a_replica_that_takes_over_keeps_its_listeners() -> None:
    member = Member(D)
    channel = channel_of(member, A)
    client, admin = member.client(), member.client()
    client("SSUBSCRIBE", channel)
    assert admin("CLUSTER", "FAILOVER", "TAKEOVER") == "OK"
    member.topology_changes()
    assert admin("SPUBLISH", channel, "m") == 1
    assert client.received() == [["smessage", channel, "m"]]


def test_who_listens_to_a_slot_on_its_way_here_may_stay(primary: Member) -> None:
    channel = channel_of(primary, B)
    slot = key_slot(channel.encode())
    client, admin = primary.client(), primary.client()
    admin("CLUSTER", "SETSLOT", slot, "IMPORTING", B)
    client("ASKING")
    assert client("SSUBSCRIBE", channel) == ["ssubscribe", channel, 1]
    primary.topology_changes()
    assert client.received() == []
    admin("CLUSTER", "SETSLOT", slot, "NODE", A)
    primary.topology_changes()
    assert admin("SPUBLISH", channel, "m") == 1
    assert client.received() == [["smessage", channel, "m"]]
