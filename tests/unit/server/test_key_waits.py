"""Clients that wait for keys: who is served, when, in which order, and what ends a wait otherwise."""

from __future__ import annotations

import pytest

from shoal.node.resp.parser import CommandParser
from shoal.node.server.client_list import flags_of
from tests.unit.server.client import Client, World, fields

UNBLOCKED = "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"


@pytest.fixture
def world():
    return World()


@pytest.fixture
def writer(world):
    return world.client()


def say(client: Client, *words: str | int) -> None:
    """Send a command without looking for its answer."""
    client.send(" ".join(map(str, words)).encode() + b"\r\n")


def waiting(world: World, *words: str | int) -> Client:
    """A new client that waits in this command."""
    client = world.client()
    say(client, *words)
    assert client.received() == []
    assert flags_of(client.session) == "b"
    return client


def test_what_is_there_is_taken_at_once_from_the_first_key_that_has_any(writer):
    writer("RPUSH", "b", 1, 2)
    writer("RPUSH", "c", 3)
    assert writer("BLPOP", "a", "b", "c", 0) == ["b", "1"]
    assert writer("BRPOP", "a", "b", "c", 0) == ["b", "2"]
    assert writer("BLPOP", "a", "b", "c", 0) == ["c", "3"]


def test_the_longest_waiting_is_served_first(world, writer):
    first, second, third = (waiting(world, "BLPOP", "k", 0) for _ in range(3))
    writer("RPUSH", "k", "x", "y")
    assert first.received() == [["k", "x"]]
    assert second.received() == [["k", "y"]]
    assert third.received() == []
    writer("RPUSH", "k", "z")
    assert third.received() == [["k", "z"]]
    assert writer("EXISTS", "k") == 0


def test_a_client_keeps_its_place_in_each_of_its_lines(world, writer):
    both = waiting(world, "BLPOP", "a", "b", 0)
    only_b = waiting(world, "BLPOP", "b", 0)
    writer("RPUSH", "b", 1)
    assert both.received() == [["b", "1"]]
    writer("RPUSH", "a", 2)
    writer("RPUSH", "b", 3)
    assert only_b.received() == [["b", "3"]]
    assert writer("LRANGE", "a", 0, -1) == ["2"]


def test_nobody_is_served_in_the_middle_of_a_transaction(world, writer):
    client = waiting(world, "BLPOP", "k", 0)
    writer("MULTI")
    writer("RPUSH", "k", 1)
    writer("DEL", "k")
    assert writer("EXEC") == [1, 1]
    assert client.received() == []
    writer("MULTI")
    writer("RPUSH", "k", 1)
    writer("LPUSH", "k", 0)
    assert writer("EXEC") == [1, 2]
    assert client.received() == [["k", "0"]]


def test_nobody_is_served_in_the_middle_of_a_script(world, writer):
    client = waiting(world, "BLPOP", "k", 0)
    script = "redis.call('rpush', 'k', 1) redis.call('lpush', 'k', 0) return redis.call('llen', 'k')"
    assert writer("EVAL", script, 0) == 2
    assert client.received() == [["k", "0"]]
    client = waiting(world, "BLPOP", "none", 0)
    assert writer("EVAL", "redis.call('rpush', 'none', 1) return redis.call('del', 'none')", 0) == 1
    assert client.received() == []


def test_within_a_script_nothing_waits(writer):
    assert writer("EVAL", "return redis.call('blmpop', 0, 1, 'k', 'LEFT')", 0) is None
    assert writer("EVAL", "return redis.call('blpop', 'k', 0)", 0) is None


def test_each_command_of_a_pipeline_is_followed_by_those_who_waited_for_it(world, writer):
    client = waiting(world, "BLPOP", "k", 0)
    writer.send(b"RPUSH k 1\r\nLPOP k\r\n")
    assert writer.received() == [1, None]
    assert client.received() == [["k", "1"]]


def test_of_several_keys_the_one_that_was_ready_first_counts(world, writer):
    client = waiting(world, "BLPOP", "a", "b", 0)
    writer("MULTI")
    writer("RPUSH", "b", 1)
    writer("RPUSH", "a", 2)
    writer("EXEC")
    assert client.received() == [["b", "1"]]


def test_what_a_served_client_pushes_serves_the_next(world, writer):
    last = waiting(world, "BLPOP", "c", 0)
    second = waiting(world, "BLMOVE", "b", "c", "LEFT", "RIGHT", 0)
    first = waiting(world, "BRPOPLPUSH", "a", "b", 0)
    writer("RPUSH", "a", "x")
    assert [client.received() for client in (first, second, last)] == [["x"], ["x"], [["c", "x"]]]
    assert writer("DBSIZE") == 0


def test_a_move_onto_a_key_of_another_type_is_an_error_and_takes_nothing(world, writer):
    writer("SET", "text", 1)
    client = waiting(world, "BLMOVE", "k", "text", "LEFT", "RIGHT", 0)
    behind = waiting(world, "BLPOP", "k", 0)
    writer("RPUSH", "k", 1)
    (error,) = client.received()
    assert error.startswith("WRONGTYPE")
    assert behind.received() == [["k", "1"]]


@pytest.mark.parametrize(
    "words",
    [
        ("RENAME", "source", "k"),
        ("COPY", "source", "k"),
        ("LMOVE", "source", "k", "LEFT", "LEFT"),
        ("RPUSH", "k", "1"),
    ],
)
def test_any_write_that_makes_a_list_wakes(world, writer, words):
    writer("RPUSH", "source", 1)
    client = waiting(world, "BLPOP", "k", 0)
    writer(*words)
    assert client.received() == [["k", "1"]]


def test_restore_and_swapdb_wake(world, writer):
    writer("RPUSH", "source", 1)
    payload = world.server.dispatcher.entries[b"dump"].handler(writer.session, b"source")
    client = waiting(world, "BLPOP", "k", 0)
    writer("RESTORE", "k", 0, payload)
    assert client.received() == [["k", "1"]]
    client = waiting(world, "BLPOP", "k", 0)
    writer("SELECT", 1)
    writer("RPUSH", "k", 2)
    assert client.received() == []
    writer("SWAPDB", 0, 1)
    assert client.received() == [["k", "2"]]


def test_a_value_of_another_type_wakes_nobody(world, writer):
    client = waiting(world, "BLPOP", "k", 0)
    writer("SET", "k", 1)
    writer("DEL", "k")
    writer("SADD", "k", 1)
    writer("DEL", "k")
    assert client.received() == []
    writer("RPUSH", "k", 1)
    assert client.received() == [["k", "1"]]


def test_time_ends_a_wait_and_not_a_moment_before(world, writer):
    client = waiting(world, "BLPOP", "k", "0.1231")
    world.pass_time(123)
    assert client.received() == []
    world.pass_time(1)
    assert client.received() == [None]
    writer("RPUSH", "k", 1)
    assert writer("LLEN", "k") == 1


def test_waits_end_in_the_order_of_their_deadlines(world):
    later, sooner = waiting(world, "BLPOP", "k", 2), waiting(world, "BLPOP", "k", 1)
    world.server.outgoing.clear()
    world.pass_time(5000)
    assert world.server.outgoing == [sooner.session, later.session]


def test_deadlines_of_waits_that_ended_are_not_kept_for_ever(world, writer):
    client = world.client()
    for _ in range(3000):
        say(client, "BLPOP", "k", 1000)
        writer("RPUSH", "k", 1)
        assert client.received() == [["k", "1"]]
    assert len(world.server.blocked.deadlines) < 1100


def test_commands_behind_the_one_that_waits_run_after_it(world, writer):
    client = world.client()
    client.send(b"BLPOP k 0\r\nRPUSH k 2\r\nLLEN k\r\n")
    assert client.received() == []
    writer("RPUSH", "k", 1)
    world.pass_time(0)
    assert client.received() == [["k", "1"], 1, 1]


def test_within_a_transaction_nothing_waits(writer):
    writer("MULTI")
    for words in (("BLPOP", "k", 0), ("BLMOVE", "k", "l", "LEFT", "LEFT", 0), ("BLMPOP", 0, 1, "k", "LEFT")):
        writer(*words)
    assert writer("EXEC") == [None, None, None]


def test_a_client_that_left_is_not_served(world, writer):
    gone, client = (waiting(world, "BLPOP", "k", 0) for _ in range(2))
    world.server.disconnect(gone.session)
    writer("RPUSH", "k", 1)
    assert client.received() == [["k", "1"]]


def test_nothing_is_left_of_a_line_without_anybody(world, writer):
    client = waiting(world, "BLPOP", "a", "b", "a", 0)
    database = world.server.keyspace.databases[0]
    assert set(database.watchers) == {b"a", b"b"}
    writer("RPUSH", "a", 1)
    assert client.received() == [["a", "1"]]
    assert database.watchers == {}


@pytest.mark.parametrize(
    ("how", "reply"),
    [((), None), (("TIMEOUT",), None), (("ERROR",), "UNBLOCKED client unblocked via CLIENT UNBLOCK")],
)
def test_client_unblock_ends_a_wait(world, writer, how, reply):
    client = waiting(world, "BLPOP", "k", 0)
    assert writer("CLIENT", "UNBLOCK", client.session.id, *how) == 1
    assert client.received() == [reply]
    assert writer("CLIENT", "UNBLOCK", client.session.id) == 0
    assert writer("RPUSH", "k", 1) == 1
    assert writer("LLEN", "k") == 1


def test_info_counts_who_waits_and_who_has_a_deadline(world, writer):
    waiting(world, "BLPOP", "k", 0)
    waiting(world, "BLPOP", "k", 10)
    info = fields(writer("INFO", "clients"))
    assert (info["blocked_clients"], info["clients_in_timeout_table"]) == ("2", "1")
    assert (info["total_blocking_keys"], info["total_blocking_keys_on_nokey"]) == ("1", "0")
    writer("RPUSH", "k", 1, 2)
    assert fields(writer("INFO", "clients"))["blocked_clients"] == "0"


def test_a_primary_that_becomes_a_replica_lets_nobody_wait(world, writer):
    client = waiting(world, "BLPOP", "k", 0)
    writer("REPLICAOF", "127.0.0.1", 1)
    assert client.received() == [UNBLOCKED]
    assert client.session.closing


def test_a_call_counts_once_and_its_time_without_the_wait(world, writer):
    world.stopwatch.step_us = 1
    client = waiting(world, "BLPOP", "k", 0)
    world.stopwatch.now_ns += 10**9
    writer("RPUSH", "k", 1)
    assert client.received() == [["k", "1"]]
    line = fields(writer("INFO", "commandstats"))["cmdstat_blpop"]
    calls, microseconds = (int(part.split("=")[1]) for part in line.split(",")[:2])
    assert calls == 1
    assert 1 < microseconds < 100


def test_who_waits_for_a_key_that_is_being_moved_is_served_when_that_is_over(world, writer):
    client = waiting(world, "BLMOVE", "k", "l", "LEFT", "LEFT", 0)
    world.server.migrating_keys.add(b"l")
    world.server.refresh_gates()
    writer("RPUSH", "k", 1)
    assert client.received() == []
    world.server.migrating_keys.clear()
    world.server.refresh_gates()
    world.server.key_waits.release()
    assert world.server.wants_turn
    world.pass_time(0)
    assert client.received() == ["1"]


def test_what_is_propagated_is_the_effect_after_what_caused_it(world, writer):
    """Each in its own right: a replica that gets only the first part is as its primary was in between."""
    history = world.server.replication.history
    history.keep_backlog(1 << 20)
    first = waiting(world, "BLPOP", "a", 0)
    waiting(world, "BLMOVE", "a", "b", "LEFT", "RIGHT", 0)
    waiting(world, "BZMPOP", 0, 1, "z", "MAX", "COUNT", 9)
    writer("MULTI")
    writer("RPUSH", "a", 1, 2)
    writer("ZADD", "z", 1, "x", 2, "y")
    writer("EXEC")
    say(first, "BRPOPLPUSH", "b", "c", 0)
    assert history.backlog is not None
    commands = [
        b" ".join(words).decode()
        for words in CommandParser().feed(history.backlog.read_from(history.backlog.first_offset, 1 << 20))
    ]
    assert commands == [
        "SELECT 0",
        "MULTI",
        "RPUSH a 1 2",
        "ZADD z 1 x 2 y",
        "EXEC",
        "LPOP a",
        "LMOVE a b LEFT RIGHT",
        "ZPOPMAX z 2",
        "RPOPLPUSH b c",
    ]
