"""Pub/Sub between sessions: who hears what, what a subscription costs and ends with, what others get."""

from __future__ import annotations

import pytest

from shoal.node.resp.writer import encode_command
from shoal.node.server.append_only import AofState
from shoal.node.server.special_parameters import BufferLimit
from tests.unit.server.client import Client, World, fields


@pytest.fixture
def world() -> World:
    return World()


def subscribed(world: World, *channels: str, word: str = "SUBSCRIBE", resp: int = 2) -> Client:
    """A client that listens, its confirmations taken."""
    client = world.client()
    if resp == 3:
        client("HELLO", 3)
    client(word, *channels)
    return client


# --- states of a client --------------------------------------------------------------------------------


def test_a_subscriber_is_shown_as_one_and_is_no_more_when_it_listens_to_nothing(world: World) -> None:
    client, observer = world.client(), world.client()
    client("SUBSCRIBE", "a")
    client("PSUBSCRIBE", "b*")
    client("SSUBSCRIBE", "c")
    (line,) = observer("CLIENT", "LIST", "TYPE", "pubsub").splitlines()
    assert " flags=P " in line and " sub=1 psub=1 ssub=1 " in line
    stats = fields(observer("INFO", "stats"))
    names = ("pubsub_channels", "pubsub_patterns", "pubsubshard_channels")
    assert [stats[name] for name in names] == ["1", "1", "1"]
    for word in ("UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"):
        client(word)
    assert client.session.plain
    assert observer("CLIENT", "LIST", "TYPE", "pubsub") == ""
    assert fields(observer("INFO", "stats"))["pubsub_channels"] == "0"


@pytest.mark.parametrize("ending", ["RESET", "disconnect"])
def test_reset_and_disconnection_end_every_subscription(world: World, ending: str) -> None:
    client, other = subscribed(world, "a"), world.client()
    client("PSUBSCRIBE", "*")
    client("SSUBSCRIBE", "a")
    if ending == "RESET":
        assert client("RESET") == "RESET"
        assert client("GET", "k") is None
    else:
        world.server.disconnect(client.session)
    assert (other("PUBLISH", "a", "m"), other("SPUBLISH", "a", "m")) == (0, 0)
    pubsub = world.server.pubsub
    assert not (pubsub.channels or pubsub.patterns or pubsub.shard_channels)


def test_client_kill_finds_subscribers_by_their_type(world: World) -> None:
    client, other = subscribed(world, "a"), world.client()
    assert other("CLIENT", "KILL", "TYPE", "pubsub") == 1
    assert client.is_hung_up and not other.is_hung_up


def test_the_protocol_cannot_be_changed_under_a_resp2_subscription(world: World) -> None:
    client = subscribed(world, "a")
    assert client("HELLO", 3).startswith("ERR Can't execute 'hello': only (P|S)SUBSCRIBE / ")
    assert client.session.resp == 2


def test_a_refusal_by_another_gate_comes_first_as_in_redis() -> None:
    world = World(requirepass="secret")
    client = world.client()
    client("AUTH", "secret")
    client("SUBSCRIBE", "a")
    assert client("NOSUCH").startswith("ERR unknown command")
    assert client("GET").startswith("ERR wrong number of arguments")
    world.server.loading = True
    assert client("GET", "k").startswith("ERR Can't execute 'get'")


def test_an_idle_subscriber_is_not_hung_up_on() -> None:
    world = World(timeout=5)
    listener, idle = subscribed(world, "a"), world.client()
    for _ in range(4):
        world.pass_time(2000)
    assert idle.is_hung_up and not listener.is_hung_up


# --- delivery ------------------------------------------------------------------------------------------


def test_one_encoding_serves_all_who_speak_the_same_protocol(world: World) -> None:
    listeners = [subscribed(world, "a", resp=resp) for resp in (2, 2, 3, 3)]
    assert world.client()("PUBLISH", "a", "m" * 100) == 4
    first, second, third, fourth = [listener.session.out[-1] for listener in listeners]
    assert first is second and third is fourth
    assert first[:1] + third[:1] == b"*>" and first[1:] == third[1:]


def test_a_message_costs_nothing_for_those_who_do_not_listen(world: World) -> None:
    idle = [world.client() for _ in range(100)]
    listener = subscribed(world, "a")
    world.server.outgoing.clear()
    listener.received()
    world.server.pubsub.publish(b"a", b"m")
    assert world.server.outgoing == [listener.session]
    assert not any(client.session.out for client in idle)


def test_a_message_to_oneself_counts_as_output_and_comes_before_the_reply(world: World) -> None:
    client = subscribed(world, "a", resp=3)
    client.send(b"*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$1\r\nm\r\n")
    data = b"".join(client.session.out)
    assert data == b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n:1\r\n"
    assert client.session.out_bytes == len(data)


def test_a_transaction_that_publishes_to_its_own_client_keeps_its_array_whole(world: World) -> None:
    client = subscribed(world, "a", resp=3)
    client("MULTI")
    client("PUBLISH", "a", "m")
    client.send(b"*1\r\n$4\r\nEXEC\r\n")
    assert b"".join(client.session.out) == b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n*1\r\n:1\r\n"


def test_a_message_is_matched_with_every_pattern_however_many_there_are(world: World) -> None:
    listener, publisher = world.client(), world.client()
    patterns = [f"*{n}*" for n in range(1000)]
    listener.send(encode_command([b"PSUBSCRIBE", *(pattern.encode() for pattern in patterns)]))
    listener.received()
    assert publisher("PUBLISH", "-999-", "m") == 3
    assert sorted(message[1] for message in listener.received()) == ["*9*", "*99*", "*999*"]


# --- output limits -------------------------------------------------------------------------------------


def limited(hard: int, soft: int, seconds: int) -> World:
    limits = {"normal": BufferLimit(0, 0, 0), "pubsub": BufferLimit(hard, soft, seconds)}
    return World(client_output_buffer_limit=limits)


def test_a_subscriber_beyond_the_hard_limit_is_hung_up_on_at_once_and_once() -> None:
    world = limited(1000, 0, 0)
    slow, quick, publisher = subscribed(world, "a"), subscribed(world, "a"), world.client()
    for _ in range(30):
        publisher("PUBLISH", "a", "m" * 100)
        quick.received()
    closing = [effect for effect in world.server.effects if getattr(effect, "session", None) is slow.session]
    assert len(closing) == 1
    assert slow.session.out_bytes < 1200
    assert not quick.is_hung_up


def test_a_subscriber_above_the_soft_limit_has_so_many_seconds_to_get_below() -> None:
    world = limited(0, 100, 3)
    slow, brief, publisher = subscribed(world, "a"), subscribed(world, "a"), world.client()
    publisher("PUBLISH", "a", "m" * 100)
    world.pass_time(2000)
    brief.received()
    world.pass_time(1000)
    publisher("PUBLISH", "a", "m" * 100)
    assert slow.is_hung_up and not brief.is_hung_up
    world.pass_time(2000)
    assert not brief.is_hung_up
    world.pass_time(1000)
    assert brief.is_hung_up


def test_limits_set_now_hold_for_the_next_message() -> None:
    world = limited(0, 0, 0)
    slow, publisher = subscribed(world, "a"), world.client()
    publisher("PUBLISH", "a", "m" * 100)
    publisher("CONFIG", "SET", "client-output-buffer-limit", "pubsub 150 0 0")
    publisher("PUBLISH", "a", "m" * 100)
    assert slow.is_hung_up
    assert fields(publisher("INFO", "stats"))["client_output_buffer_limit_disconnections"] == "1"


# --- what replicas and the append-only file get --------------------------------------------------------


def test_a_message_goes_to_replicas_as_typed_and_with_no_listener_too(world: World) -> None:
    client = world.client()
    replica = world.client()
    replica.send(b"*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n")
    begin = world.server.replication.history.offset
    client("publish", "a", "m")
    client("SPUBLISH", "a", "m")
    backlog = world.server.replication.history.backlog
    assert backlog is not None
    assert bytes(backlog.read_from(begin + 1, 1 << 20)) == (
        b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$7\r\npublish\r\n$1\r\na\r\n$1\r\nm\r\n"
        b"*3\r\n$8\r\nSPUBLISH\r\n$1\r\na\r\n$1\r\nm\r\n"
    )


def test_messages_are_left_out_of_the_append_only_file() -> None:
    world = World(appendonly=True)
    world.server.aof.record(AofState.ON, recording=True)
    client, replica = world.client(), world.client()
    client("PUBLISH", "a", "m")
    assert not world.server.aof.pending
    replica.send(b"*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n")
    client("PUBLISH", "a", "m")
    assert not world.server.aof.pending
    client("MULTI")
    client("SET", "k", "v")
    client("PUBLISH", "a", "m")
    assert client("EXEC") == ["OK", 0]
    logged = b"".join(world.server.aof.pending)
    assert b"SET" in logged and b"PUBLISH" not in logged and b"MULTI" not in logged
    client("SET", "k", "w")
    assert b"".join(world.server.aof.pending).count(b"SET\r\n") == 2
