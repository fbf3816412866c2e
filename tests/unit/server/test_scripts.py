"""Scripts in a server: the cache, transactions, replication, and a script that takes too long."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha1

import pytest

from shoal.node.server.append_only import AofState
from tests.unit.server.client import Client, World

ENDLESS = "while true do end"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def client(world: World) -> Client:
    return world.client()


def spin(world: World, client: Client, script: str = ENDLESS) -> None:
    """Begin a script that does not end, and let its time run out."""
    world.stopwatch.step_us = 6_000_000
    client.send(command("EVAL", script, "0"))
    assert client.received() == []
    world.stopwatch.step_us = 0


def command(*words: str) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w.encode()) for w in words)


def test_a_script_is_kept_under_its_digest_until_it_is_flushed(client: Client) -> None:
    digest = sha1(b"return KEYS[1]").hexdigest()
    assert client("EVALSHA", digest, 1, "k") == "NOSCRIPT No matching script. Please use EVAL."
    assert client("SCRIPT", "LOAD", "return KEYS[1]") == digest
    assert client("EVALSHA", digest.upper(), 1, "k") == "k"
    assert client("SCRIPT", "EXISTS", digest, "0" * 40) == [1, 0]
    assert client("SCRIPT", "FLUSH", "ASYNC") == "OK"
    assert client("SCRIPT", "EXISTS", digest) == [0]


def test_a_select_in_a_script_ends_with_the_script(client: Client) -> None:
    assert client("EVAL", "redis.call('select', 5) redis.call('set', 'k', 'v')", 0) is None
    assert client("EXISTS", "k") == 0
    client("SELECT", 5)
    assert client("EXISTS", "k") == 1


def test_a_script_in_a_transaction_is_one_of_its_replies(client: Client) -> None:
    client("MULTI")
    client("SET", "k", 1)
    client("EVAL", "return redis.call('incr', KEYS[1])", 1, "k")
    client("EVAL", "return redis.call('nosuch')", 0)
    replies = client("EXEC")
    assert replies[:2] == ["OK", 2]
    assert "Unknown Redis command" in str(replies[2])


@pytest.mark.parametrize("resp", [2, 3])
def test_a_script_reads_long_ranges_of_a_list_as_any_other(client: Client, resp: int) -> None:
    elements = [str(number * number) for number in range(300)]
    client("RPUSH", "list", *elements)
    look = f"redis.setresp({resp}); local all = redis.call('LRANGE', 'list', 1, -2)"
    assert client("EVAL", look + " return {#all, all[1], all}", 0) == [298, "1", elements[1:-1]]


def test_a_watched_key_changed_by_a_script_fails_the_transaction(world: World, client: Client) -> None:
    client("WATCH", "k")
    world.client()("EVAL", "redis.call('set', KEYS[1], 1)", 1, "k")
    client("MULTI")
    client("PING")
    assert client("EXEC") is None


def test_time_stands_still_within_a_script(client: Client) -> None:
    script = "redis.call('psetex', 'k', 1, 'v') for i = 1, 1e6 do end return redis.call('get', 'k')"
    assert client("EVAL", script, 0) == "v"


def test_others_are_answered_busy_until_the_script_is_killed(world: World, client: Client) -> None:
    spin(world, client)
    other = world.client()
    assert other("GET", "k").startswith("BUSY Redis is busy running a script. You can only call SCRIPT KILL")
    assert other("SHUTDOWN", "SAVE").startswith("BUSY")
    world.pass_time(1)
    assert client.received() == []
    assert other("SCRIPT", "KILL") == "OK"
    world.pass_time(1)
    (reply,) = client.received()
    assert "Script killed by user with SCRIPT KILL" in reply
    assert other("GET", "k") is None
    assert client("PING") == "PONG"
    assert other("SCRIPT", "KILL") == "NOTBUSY No scripts in execution right now."


def test_a_script_cannot_catch_that_it_is_killed(world: World, client: Client) -> None:
    spin(world, client, "while true do pcall(function() while true do end end) end")
    assert world.client()("SCRIPT", "KILL") == "OK"
    world.pass_time(1)
    (reply,) = client.received()
    assert "Script killed by user" in reply
    assert client("EVAL", "return 1", 0) == 1


def test_a_script_that_has_written_cannot_be_killed(world: World, client: Client) -> None:
    spin(world, client, "redis.call('set', 'k', 'v') for i = 1, 3000000 do end return redis.call('get', 'k')")
    other = world.client()
    assert other("SCRIPT", "KILL").startswith("UNKILLABLE")
    while not (replies := client.received()):
        world.pass_time(1)
    assert replies == ["v"]
    assert other("GET", "k") == "v"


def test_a_transaction_with_a_long_script_goes_on_where_it_was(world: World, client: Client) -> None:
    for words in (
        ("MULTI",),
        ("SET", "a", "1"),
        ("EVAL", "for i = 1, 3000000 do end return 7", "0"),
        ("GET", "a"),
    ):
        client(*words)
    world.stopwatch.step_us = 6_000_000
    client.send(command("EXEC"))
    world.stopwatch.step_us = 0
    assert world.client()("GET", "a").startswith("BUSY")
    while not (replies := client.received()):
        world.pass_time(1)
    assert replies == [["OK", 7, "1"]]


def test_a_client_that_left_does_not_end_its_script(world: World, client: Client) -> None:
    spin(world, client, "for i = 1, 3000000 do end redis.call('set', 'k', 'v')")
    world.server.disconnect(client.session)
    other = world.client()
    while other("GET", "k") != "v":
        world.pass_time(1)


def test_an_error_inside_a_script_is_one_error_and_a_failed_call_of_both(client: Client) -> None:
    client("EVAL", "return redis.call('nosuch')", 0)
    client("EVAL", "redis.pcall('incr', 'l') redis.call('lpush', 'l', 1) redis.pcall('incr', 'l')", 0)
    client("SET", "s", "text")
    client("EVAL", "return redis.call('incr', 's')", 0)
    stats = client("INFO", "commandstats") + client("INFO", "errorstats")
    assert "errorstat_ERR:count=2" in stats
    assert "failed_calls=1" in next(line for line in stats.split("\r\n") if line.startswith("cmdstat_incr:"))
    assert "failed_calls=3" in next(line for line in stats.split("\r\n") if line.startswith("cmdstat_eval:"))


def test_a_script_writes_to_the_log_or_to_replicas_alone(world: World, client: Client) -> None:
    server = world.server
    told: dict[str, bytes] = {"log": b"", "replicas": b""}

    def reader(name: str) -> Callable[[object, bytes], None]:
        def append(operations: object, rendered: bytes) -> None:
            told[name] += rendered

        return append

    server.aof.record(AofState.ON, recording=True)
    server.replication.history.keep_backlog(1 << 16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.aof, "append", reader("log"))
        patch.setattr(server.replication, "append", reader("replicas"))
        for name in ("NONE", "AOF", "REPLICA", "ALL"):
            client("EVAL", f"redis.set_repl(redis.REPL_{name}) return redis.call('set', '{name}', 1)", 0)
        client("SET", "later", 1)
    written = {name: [key for key in KEPT if b"\r\n%b\r\n" % key in data] for name, data in told.items()}
    assert written == {"log": [b"AOF", b"ALL", b"later"], "replicas": [b"REPLICA", b"ALL", b"later"]}


KEPT = (b"NONE", b"AOF", b"REPLICA", b"ALL", b"later")


def test_exec_is_refused_for_what_its_scripts_declare(world: World, client: Client) -> None:
    other = world.client()
    for each, script in ((client, "#!lua\nreturn 1"), (other, "#!lua flags=no-writes\nreturn 1")):
        each("MULTI")
        each("EVAL", script, 0)
    world.client()("REPLICAOF", "127.0.0.1", 1)
    assert client("EXEC").startswith("EXECABORT Transaction discarded because of: READONLY")
    assert other("EXEC") == [1]


def test_a_test_may_let_scripts_run_any_command() -> None:
    client = World(enable_debug_command="yes").client()
    script = "return tostring(redis.call('client', 'getname'))"
    assert "not allowed from script" in client("EVAL", script, 0)
    client("DEBUG", "SET-DISABLE-DENY-SCRIPTS", 1)
    assert client("EVAL", script, 0) == "false"
    client("DEBUG", "SET-DISABLE-DENY-SCRIPTS", 0)
    assert "not allowed from script" in client("EVAL", script, 0)


def test_function_stats_shows_the_command_as_it_was_typed(world: World, client: Client) -> None:
    client(
        "FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('spins', function() while true do end end)"
    )
    world.stopwatch.step_us = 6_000_000
    client.send(command("fCall", "spins", "0"))
    world.stopwatch.step_us = 0
    other = world.client()
    name, running, *_ = other("FUNCTION", "STATS")
    assert (name, running[:4]) == ("running_script", ["name", "spins", "command", ["fCall", "spins", "0"]])
    assert other("FUNCTION", "KILL") == "OK"
    world.pass_time(1)
    assert "killed by user" in client.received()[0]


DEPRECATED = {
    "getmetatable(newproxy(true)).__gc = function() while true do end end collectgarbage() return 1": 1,
    "local m = getmetatable(newproxy(true)) rawset(m, '__gc', error) return type(rawget(m, '__gc'))": "nil",
    "return pcall(setmetatable, getmetatable(newproxy(true)), {}) and 1 or 0": 0,
    "local f = function() return x end setfenv(f, {x = 5}) return f()": 5,
    "return getfenv(redis.call) == _G and getfenv(0) == _G and getfenv() == _G and 1": 1,
    "return pcall(setfenv, redis.call, {}) and 1 or 0": 0,
    "return pcall(setfenv, 0, {}) and 1 or 0": 0,
}


def test_the_deprecated_functions_reach_what_is_the_scripts_own() -> None:
    client = World(lua_enable_deprecated_api=True).client()
    assert {script: client("EVAL", script, 0) for script in DEPRECATED} == DEPRECATED


def test_a_dump_of_no_functions_is_restored_as_none(client: Client) -> None:
    session = client.session
    session.server.receive(session, command("FUNCTION", "DUMP"))
    (payload,) = [part.split(b"\r\n", 1)[1][:-2] for part in session.out]
    session.out.clear()
    assert client("FUNCTION", "RESTORE", payload) == "OK"
    assert client("FUNCTION", "LIST") == []
