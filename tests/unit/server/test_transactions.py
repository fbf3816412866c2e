"""MULTI queues, EXEC runs all of it or nothing, WATCH says which."""

from __future__ import annotations

import pytest

from shoal.node.server.client_list import flags_of
from tests.unit.server.client import World

EXEC_ABORTED = "EXECABORT Transaction discarded because of previous errors."


@pytest.fixture
def world():
    return World()


@pytest.fixture
def client(world):
    return world.client()


def test_commands_are_queued_and_run_as_one(world, client):
    other = world.client()
    assert client("MULTI") == "OK"
    assert client("SET", "k", 1) == "QUEUED"
    assert client("INCR", "k") == "QUEUED"
    assert other("GET", "k") is None
    assert client("EXEC") == ["OK", 2]
    assert other("GET", "k") == "2"
    assert client("GET", "k") == "2"


def test_an_error_while_running_is_one_element_and_stops_nothing(client):
    client("SET", "text", "x")
    client("MULTI")
    client("INCR", "text")
    client("SET", "after", 1)
    failed, done = client("EXEC")
    assert str(failed) == "ERR value is not an integer or out of range"
    assert done == "OK"
    assert client("GET", "after") == "1"


@pytest.mark.parametrize("resp", ["2", "3"])
def test_long_ranges_of_a_list_are_what_they_are_alone(client, resp):
    client("HELLO", resp)
    elements = [str(number) for number in range(300)]
    client("RPUSH", "list", *elements)
    client("MULTI")
    client("LRANGE", "list", 0, -1)
    client("DEL", "list")
    client("LRANGE", "list", 0, -1)
    assert client("EXEC") == [elements, 1, []]


@pytest.mark.parametrize("refused", [("NOSUCH",), ("GET",), ("GET", "a", "b"), ("CONFIG", "NOSUCH")])
def test_a_command_refused_while_queueing_makes_exec_run_nothing(client, refused):
    client("MULTI")
    client("SET", "k", 1)
    assert client(*refused).startswith("ERR ")
    assert client("SET", "k", 2) == "QUEUED"
    assert client("EXEC") == EXEC_ABORTED
    assert client("GET", "k") is None
    assert client("EXEC") == "ERR EXEC without MULTI"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("EXEC",), "OOM command not allowed when used memory > 'maxmemory'."),
        (("EXEC", "now"), "wrong number of arguments for 'exec' command"),
    ],
    ids=["refused at a gate", "wrong arity"],
)
def test_an_exec_that_is_refused_ends_the_transaction_and_says_why(world, client, words, reason):
    client("WATCH", "k")
    client("MULTI")
    client("SET", "k", 1)
    world.server.is_out_of_memory = True
    world.server.refresh_gates()
    assert client(*words) == f"EXECABORT Transaction discarded because of: {reason}"
    assert client("EXEC") == "ERR EXEC without MULTI"
    assert not world.server.keyspace.databases[0].watchers


def test_transactions_do_not_nest_and_the_attempt_spoils_nothing(client):
    client("MULTI")
    assert client("MULTI") == "ERR MULTI calls can not be nested"
    assert client("WATCH", "k") == "ERR WATCH inside MULTI is not allowed"
    client("SET", "k", 1)
    assert client("EXEC") == ["OK"]


def test_what_ends_a_transaction_without_running_it(client):
    for ending, answer in (("DISCARD", "OK"), ("RESET", "RESET")):
        client("MULTI")
        client("SET", "k", 1)
        assert client(ending) == answer
        assert client("GET", "k") is None
        assert client("EXEC") == "ERR EXEC without MULTI"
    assert client("DISCARD") == "ERR DISCARD without MULTI"


def test_an_empty_transaction_answers_an_empty_list(client):
    client("MULTI")
    assert client("EXEC") == []


def change(world, *words):
    world.client()(*words)


@pytest.mark.parametrize(
    "changing",
    [
        ("SET", "k", "2"),
        ("SET", "k", "1"),
        ("DEL", "k"),
        ("APPEND", "k", "x"),
        ("PEXPIRE", "k", "100000"),
        ("RENAME", "k", "other"),
        ("RENAME", "source", "k"),
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("SWAPDB", "0", "1"),
        ("PEXPIREAT", "k", "1"),
    ],
    ids=" ".join,
)
def test_exec_does_nothing_once_a_watched_key_has_changed(world, client, changing):
    client("SET", "k", 1)
    client("SET", "source", 1)
    client("WATCH", "k")
    change(world, *changing)
    client("MULTI")
    client("SET", "done", 1)
    assert client("EXEC") is None
    assert client("EXISTS", "done") == 0
    client("MULTI")
    assert client("EXEC") == []


@pytest.mark.parametrize(
    "harmless",
    [
        ("GET", "k"),
        ("SET", "other", "1"),
        ("SET", "k", "1", "NX"),
        ("DEL", "missing"),
        ("TOUCH", "k"),
        ("SREM", "s", "x"),
    ],
    ids=" ".join,
)
def test_exec_runs_while_no_watched_key_has_changed(world, client, harmless):
    client("SET", "k", 1)
    client("SADD", "s", "y")
    client("WATCH", "k", "s")
    change(world, *harmless)
    client("MULTI")
    client("INCR", "k")
    assert client("EXEC") == [2]


def test_a_watched_key_that_expires_fails_the_transaction_though_nobody_looked(world, client):
    client("SET", "k", 1, "PX", 50)
    client("WATCH", "k")
    world.pass_time(60)
    client("MULTI")
    assert client("EXEC") is None


def test_a_key_that_had_expired_before_it_was_watched_and_is_gone_now_did_not_change(world, client):
    world.server.active_expiry.is_on = False
    client("SET", "k", 1, "PX", 50)
    world.pass_time(60)
    client("WATCH", "k")
    client("MULTI")
    client("SET", "k", 2)
    assert client("EXEC") == ["OK"]


@pytest.mark.parametrize("ending", ["UNWATCH", "DISCARD", "EXEC", "RESET"])
def test_what_ends_watching(world, client, ending):
    client("WATCH", "k")
    if ending in ("DISCARD", "EXEC"):
        client("MULTI")
    client(ending)
    change(world, "SET", "k", 1)
    assert flags_of(client.session) == "N"
    assert not world.server.keyspace.databases[0].watchers
    client("MULTI")
    assert client("EXEC") == []


def test_a_client_that_leaves_is_watched_for_no_more(world, client):
    client("WATCH", "k", "k", "other")
    world.server.disconnect(client.session)
    assert not world.server.keyspace.databases[0].watchers


def test_ones_own_change_between_watch_and_multi_counts_too(client):
    client("WATCH", "k")
    client("SET", "k", 1)
    client("MULTI")
    assert client("EXEC") is None


def test_queued_commands_of_a_client_that_leaves_never_run(world, client):
    client("MULTI")
    client("SET", "k", 1)
    world.server.disconnect(client.session)
    assert world.client()("GET", "k") is None


@pytest.mark.parametrize("stale_in", [(0,), (1,), (0, 1)])
def test_swapping_keys_whose_time_has_come_changes_nothing_that_is_watched(world, client, stale_in):
    client("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    for database in stale_in:
        client("SELECT", database)
        client("SET", "k", "v", "PX", 1)
    world.pass_time(10)
    client("SELECT", 1)
    client("WATCH", "k")
    client("SWAPDB", 0, 1)
    client("MULTI")
    client("PING")
    assert client("EXEC") == ["PONG"]


@pytest.mark.parametrize("holder", [0, 1])
def test_swapping_a_watched_key_in_or_out_fails_the_transaction(client, holder):
    client("SELECT", holder)
    client("SET", "k", "v")
    client("SELECT", 1)
    client("WATCH", "k")
    client("SWAPDB", 0, 1)
    client("MULTI")
    client("PING")
    assert client("EXEC") is None


def test_exec_is_refused_where_a_queued_command_would_be(world, client):
    client("CONFIG", "SET", "replica-serve-stale-data", "no")
    client("MULTI")
    client("GET", "k")
    world.server.follow_primary("127.0.0.1", 7001)
    assert client("EXEC").startswith("EXECABORT Transaction discarded because of: MASTERDOWN")
    client("MULTI")
    client("PING")
    assert client("EXEC").startswith("EXECABORT")
