"""XREAD and XREADGROUP that wait: what counts as new, who gets it, and what ends the wait otherwise."""

from __future__ import annotations

import pytest

from tests.unit.server.client import World
from tests.unit.server.test_key_waits import waiting

KEY_GONE = "UNBLOCKED the stream key no longer exists"
GROUP_GONE = "NOGROUP the consumer group this client was blocked on no longer exists"


@pytest.fixture
def world():
    return World()


@pytest.fixture
def writer(world):
    return world.client()


def entries(key, *numbers):
    """The reply that shows these entries of one stream."""
    return [[key, [[f"{number}-0", ["f", str(number)]] for number in numbers]]]


def add(writer, key, *numbers):
    for number in numbers:
        writer("XADD", key, number, "f", number)


@pytest.fixture
def group(writer):
    """A stream `s` with the entry 1-0, which the group `g` has read."""
    add(writer, "s", 1)
    writer("XGROUP", "CREATE", "s", "g", "$")


def test_everybody_who_reads_alone_gets_the_entry(world, writer):
    clients = [waiting(world, "XREAD", "BLOCK", 0, "STREAMS", "s", "0") for _ in range(3)]
    add(writer, "s", 1)
    assert [client.received() for client in clients] == [[entries("s", 1)]] * 3


def test_the_last_id_is_that_of_the_time_of_the_call(world, writer):
    add(writer, "s", 1)
    client = waiting(world, "XREAD", "BLOCK", 0, "STREAMS", "s", "t", "$", "$")
    writer("MULTI")
    add(writer, "s", 2, 3)
    writer("DEL", "s")
    add(writer, "s", 4, 5)
    writer("EXEC")
    assert client.received() == [entries("s", 4, 5)]


def test_what_has_a_smaller_id_wakes_nobody(world, writer):
    client = waiting(world, "XREAD", "BLOCK", 0, "STREAMS", "s", "5")
    add(writer, "s", 4)
    assert client.received() == []
    add(writer, "s", 5, 6, 7)
    assert client.received() == [entries("s", 6)]


def test_a_reader_alone_waits_on_when_its_key_goes(world, writer):
    add(writer, "s", 7)
    client = waiting(world, "XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    writer("SET", "s", "text")
    writer("DEL", "s")
    assert client.received() == []
    add(writer, "s", 8)
    assert client.received() == [entries("s", 8)]


def test_each_entry_goes_to_one_consumer_in_the_order_they_came(world, writer, group):
    commands = [("XREADGROUP", "GROUP", "g", name, "BLOCK", 0, "STREAMS", "s", ">") for name in ("a", "b")]
    first, second = (waiting(world, *words) for words in commands)
    add(writer, "s", 2)
    assert (first.received(), second.received()) == ([entries("s", 2)], [])
    add(writer, "s", 3)
    assert second.received() == [entries("s", 3)]
    assert writer("XPENDING", "s", "g") == [2, "2-0", "3-0", [["a", "1"], ["b", "1"]]]


def test_new_is_what_the_group_has_not_read_when_the_entry_comes(world, writer, group):
    client = waiting(world, "XREADGROUP", "GROUP", "g", "a", "BLOCK", 0, "STREAMS", "s", ">")
    writer("XGROUP", "SETID", "s", "g", "10")
    add(writer, "s", 9)
    assert client.received() == []
    add(writer, "s", 11)
    assert client.received() == [entries("s", 11)]


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (("DEL", "s"), KEY_GONE),
        (("SET", "s", "text"), KEY_GONE),
        (("RENAME", "s", "t"), KEY_GONE),
        (("FLUSHALL",), KEY_GONE),
        (("PEXPIREAT", "s", 1), KEY_GONE),
        (("XGROUP", "DESTROY", "s", "g"), GROUP_GONE),
    ],
)
def test_a_consumer_hears_that_its_key_or_group_is_gone(world, writer, group, command, error):
    client = waiting(world, "XREADGROUP", "GROUP", "g", "a", "BLOCK", 0, "STREAMS", "s", ">")
    writer(*command)
    assert client.received() == [error]


def test_another_group_does_not_matter(world, writer, group):
    writer("XGROUP", "CREATE", "s", "h", "$")
    client = waiting(world, "XREADGROUP", "GROUP", "g", "a", "BLOCK", 0, "STREAMS", "s", ">")
    writer("XGROUP", "DESTROY", "s", "h")
    assert client.received() == []


def test_what_is_pending_is_shown_at_once(world, writer, group):
    assert writer("XREADGROUP", "GROUP", "g", "a", "BLOCK", 0, "STREAMS", "s", "0") == [["s", []]]


def test_in_a_transaction_nobody_waits(writer, group):
    writer("MULTI")
    writer("XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    writer("XREADGROUP", "GROUP", "g", "a", "BLOCK", 0, "STREAMS", "s", ">")
    assert writer("EXEC") == [None, None]


def test_a_wait_ends_with_its_time(world, writer):
    client = waiting(world, "XREAD", "BLOCK", 100, "STREAMS", "s", "$")
    world.pass_time(99)
    assert client.received() == []
    world.pass_time(1)
    assert client.received() == [None]
