"""maxmemory-clients: who is hung up on when clients together take too much memory, and who never is."""

from __future__ import annotations

import pytest

from shoal.node.runtime.heap import heap_meter
from shoal.node.server.client_memory import output_bytes
from tests.unit.server.client import Client, World, fields

KIB = 1024


@pytest.fixture
def world() -> World:
    return World()


def limited(world: World, kibibytes: int | str, **directives: str) -> None:
    value = kibibytes if isinstance(kibibytes, str) else kibibytes * KIB
    words = [word for name, text in directives.items() for word in (name, text)]
    assert world.client()("CONFIG", "SET", "maxmemory-clients", value, *words) == "OK"


def unfinished(client: Client, kibibytes: int) -> None:
    """Send the beginning of a command so large."""
    client.send(b"*2\r\n$3\r\nGET\r\n$%d\r\n" % (1000 * KIB) + b"x" * (kibibytes * KIB))


def gone(world: World, *clients: Client) -> list[bool]:
    """Whether each is hung up on at the end of this turn."""
    world.server.client_memory.settle()
    return [client.is_hung_up for client in clients]


def test_the_largest_go_until_the_rest_fits(world: World) -> None:
    limited(world, 300)
    clients = [world.client() for _ in range(5)]
    for client, size in zip(clients, (20, 40, 60, 80, 30), strict=True):
        unfinished(client, size)
    assert gone(world, *clients) == [False] * 5
    unfinished(clients[0], 100)
    assert gone(world, *clients) == [True, False, False, False, False]
    assert fields(world.client()("INFO", "stats"))["evicted_clients"] == "1"


def test_a_lower_limit_takes_effect_at_once_and_none_at_all_lets_be(world: World) -> None:
    clients = [world.client() for _ in range(3)]
    for client, size in zip(clients, (100, 200, 300), strict=True):
        unfinished(client, size)
    assert gone(world, *clients) == [False, False, False]
    limited(world, 400)
    assert gone(world, *clients) == [False, False, True]
    limited(world, 0)
    unfinished(clients[0], 500)
    assert not world.server.client_memory.touched
    assert not clients[0].is_hung_up


def test_a_part_of_maxmemory_may_be_the_limit(world: World) -> None:
    limited(world, "10%", maxmemory="1mb")
    client = world.client()
    unfinished(client, 50)
    assert gone(world, client) == [False]
    unfinished(client, 60)
    assert gone(world, client) == [True]


def test_a_large_command_is_not_run_when_there_is_no_room_for_it(world: World) -> None:
    limited(world, 100)
    client = world.client()
    client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%b\r\n" % (200 * KIB, b"x" * (200 * KIB)))
    assert client.is_hung_up
    assert len(world.server.keyspace) == 0


def test_what_is_kept_for_a_client_counts(world: World) -> None:
    client = world.client()
    limited(world, 100)
    for number in range(1000):
        client("WATCH", number)
        if gone(world, client) == [True]:
            break
    assert client.is_hung_up
    queueing = world.client()
    queueing("MULTI")
    queueing("SET", "k", "x" * 60 * KIB)
    assert gone(world, queueing) == [False]
    queueing("SET", "k", "x" * 60 * KIB)
    assert gone(world, queueing) == [True]


def test_a_listener_that_takes_nothing_is_found_whoever_speaks(world: World) -> None:
    listener, speaker = world.client(), world.client()
    limited(world, 100)
    listener("SUBSCRIBE", "x")
    for _ in range(10):
        speaker("PUBLISH", "x", "y" * 20 * KIB)
        if gone(world, listener) == [True]:
            break
    assert listener.is_hung_up
    assert not speaker.is_hung_up


def test_who_asked_for_it_stays_as_long_as_it_asks(world: World) -> None:
    client = world.client()
    client("CLIENT", "NO-EVICT", "on")
    limited(world, 100)
    client("MULTI")
    client("SET", "k", "x" * 200 * KIB)
    assert gone(world, client) == [False]
    shown = dict(pair.split("=", 1) for pair in world.client()("CLIENT", "LIST").split("\n")[0].split())
    assert int(shown["tot-mem"]) > int(shown["multi-mem"]) > 200 * KIB
    client("DISCARD")
    client("CLIENT", "NO-EVICT", "off")
    client("MULTI")
    client("SET", "k", "x" * 60 * KIB)
    client("SET", "k", "x" * 60 * KIB)
    assert gone(world, client) == [True]


def test_who_exceeds_its_own_limit_goes_before_others_are_judged(world: World) -> None:
    world.client()("CONFIG", "SET", "client-output-buffer-limit", "normal 102400 0 0")
    limited(world, 300)
    large, behind = world.client(), world.client()
    unfinished(large, 200)
    behind.session.send(b"x" * 150 * KIB)
    world.server.client_memory.touched.add(behind.session)
    assert gone(world, large, behind) == [False, True]


def test_who_looks_right_after_sees_nobody_above_the_limit(world: World) -> None:
    limited(world, 100)
    client, observer = world.client(), world.client()
    client("CLIENT", "SETNAME", "large")
    client("SET", "k", "x" * (60 * KIB))
    client.send(b"GET k\r\nGET k\r\n")
    assert "name=large" not in observer("CLIENT", "LIST")
    assert client.is_hung_up


def test_who_was_answered_too_much_is_gone_before_the_next_of_the_turn_has_its_say(world: World) -> None:
    limited(world, 300)
    greedy, witness = world.client(), world.client()
    witness("SET", "k", "x" * 100 * KIB)
    greedy("CLIENT", "SETNAME", "greedy")
    world.server.receive_all([(greedy.session, b"GET k\r\n" * 4), (witness.session, b"CLIENT LIST\r\n")])
    assert "name=greedy" not in witness.received()[0]


def test_what_is_answered_in_later_turns_is_counted_as_well(world: World) -> None:
    """A client beyond its credit runs one command a turn, whether it sends more or not."""
    limited(world, 3000)
    greedy = world.client()
    world.client()("SET", "k", "x" * 200 * KIB)
    greedy.send(b"GET k\r\n" * 20)
    for _ in range(20):
        world.pass_time(1)
        if gone(world, greedy)[0]:
            break
    assert greedy.is_hung_up
    assert greedy.session.out_bytes < 3300 * KIB


@pytest.mark.parametrize("size", [20, 100, 470, 485, 600, 5000])
def test_what_waits_to_be_sent_takes_as_much_as_is_told(world: World, size: int) -> None:
    measure = heap_meter()
    if measure is None:
        pytest.skip("this C library or this Python does not tell what it has given out")
    session = world.client().session
    count = 10_000_000 // size
    before = measure()
    session.out.extend(b"%0*d" % (size - number % 16, number) for number in range(count))
    used = measure() - before
    session.out_bytes = sum(map(len, session.out))
    assert output_bytes(session) == pytest.approx(used, rel=0.01)
