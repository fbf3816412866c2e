"""COMMAND, DEBUG, MEMORY, MONITOR, SHUTDOWN and TIME as a client sees them."""

from typing import Any

import pytest

from shoal.cluster.effects import Note
from shoal.node.commands.registry import COMMANDS
from shoal.node.resp.replies import Push
from shoal.node.resp.writer import encode
from shoal.node.server.effects import Shutdown
from shoal.node.server.entries import READS
from tests.unit.server.client import NOW_MS, World

# --- COMMAND -------------------------------------------------------------------------------------------


def test_the_whole_table_is_listed_and_counted() -> None:
    client = World().client()
    assert client("COMMAND", "COUNT") == len(client("COMMAND")) == len(COMMANDS)
    names = client("COMMAND", "LIST")
    assert {"get", "config", "config|get"} <= set(names)


def test_the_list_is_filtered_by_category_pattern_or_module() -> None:
    client = World().client()
    assert "lpush" in client("COMMAND", "LIST", "FILTERBY", "ACLCAT", "list")
    assert "get" not in client("COMMAND", "LIST", "FILTERBY", "ACLCAT", "list")
    assert set(client("COMMAND", "LIST", "FILTERBY", "PATTERN", "hm*")) == {"hmget", "hmset"}
    assert client("COMMAND", "LIST", "FILTERBY", "MODULE", "x") == []
    assert client("COMMAND", "LIST", "FILTERBY", "SIZE", "1") == "ERR syntax error"


def test_unknown_names_are_null_in_info_and_missing_in_docs() -> None:
    client = World().client()
    known, unknown, child = client("COMMAND", "INFO", "GET", "nothing", "config|get")
    assert (known[0], unknown, child[0]) == ("get", None, "config|get")
    assert client("COMMAND", "DOCS", "get", "nothing")[::2] == ["get"]


def test_keys_of_a_command_line_and_what_is_done_with_them() -> None:
    client = World().client()
    assert client("COMMAND", "GETKEYS", "MSET", "a", 1, "b", 2) == ["a", "b"]
    assert client("COMMAND", "GETKEYS", "MEMORY", "USAGE", "k") == ["k"]
    assert client("COMMAND", "GETKEYSANDFLAGS", "LMOVE", "a", "b", "LEFT", "LEFT") == [
        ["a", ["RW", "access", "delete"]],
        ["b", ["RW", "insert"]],
    ]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("nothing", "a"), "ERR Invalid command specified"),
        (("PING", "a"), "ERR The command has no key arguments"),
        (("GET", "a", "b"), "ERR Invalid number of arguments specified for command"),
        (("ZINTERSTORE", "dst", "many", "a"), "ERR Invalid arguments specified for command"),
    ],
)
def test_what_is_no_proper_command_line_has_no_keys(words: tuple[str, ...], error: str) -> None:
    assert World().client()("COMMAND", "GETKEYS", *words) == error


# --- DEBUG ---------------------------------------------------------------------------------------------


def test_debug_is_closed_unless_opened_and_may_be_open_to_local_clients_only() -> None:
    assert World().client()("DEBUG", "DIGEST").startswith("ERR DEBUG command not allowed.")
    world = World(enable_debug_command="local")
    assert world.client()("DEBUG", "DIGEST") == "0" * 40
    assert world.client("10.0.0.9:1")("DEBUG", "DIGEST").startswith("ERR DEBUG command not allowed.")


def test_no_module_of_redis_is_loaded_and_who_may_not_try_is_told_so() -> None:
    client = World().client()
    assert client("MODULE", "LIST") == []
    for words in (["LOAD", "/x.so"], ["LOADEX", "/x.so", "CONFIG", "a", "b"], ["UNLOAD", "x"]):
        assert client("MODULE", *words).startswith("ERR MODULE command not allowed.")
    client = World(enable_module_command="local").client()
    assert (
        client("MODULE", "LOAD", "/x.so") == "ERR Error loading the extension. Please check the server logs."
    )
    assert client("MODULE", "UNLOAD", "x") == "ERR Error unloading module: no such module with that name"


@pytest.mark.parametrize(
    ("kind", "resp2", "resp3"),
    [
        ("string", b"$11\r\nHello World\r\n", b"$11\r\nHello World\r\n"),
        ("integer", b":12345\r\n", b":12345\r\n"),
        ("double", b"$5\r\n3.141\r\n", b",3.141\r\n"),
        ("null", b"$-1\r\n", b"_\r\n"),
        ("array", b"*3\r\n:0\r\n:1\r\n:2\r\n", b"*3\r\n:0\r\n:1\r\n:2\r\n"),
        ("set", b"*3\r\n:0\r\n:1\r\n:2\r\n", b"~3\r\n:0\r\n:1\r\n:2\r\n"),
        ("map", b"*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n", b"%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n"),
        ("true", b":1\r\n", b"#t\r\n"),
        (
            "attrib",
            b"$39\r\nSome real reply following the attribute\r\n",
            b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n"
            b"$39\r\nSome real reply following the attribute\r\n",
        ),
    ],
)
def test_a_sample_of_every_type_of_reply(kind: str, resp2: bytes, resp3: bytes) -> None:
    client = World(enable_debug_command="yes").client()
    for resp, expected in ((2, resp2), (3, resp3)):
        client.session.resp = resp
        client.server.receive(client.session, b"DEBUG PROTOCOL %b\r\n" % kind.encode())
        assert b"".join(client.session.out) == expected
        client.session.out.clear()


def test_a_push_goes_before_the_reply_and_only_to_resp3() -> None:
    client = World(enable_debug_command="yes").client()
    assert client("DEBUG", "PROTOCOL", "push") == "ERR RESP2 is not supported by this command"
    client.session.resp = 3
    client.server.receive(client.session, b"DEBUG PROTOCOL push\r\n")
    assert client.session.out[0] == encode(Push([b"server-cpu-usage", 42]), 3)


def test_reload_keeps_every_value_and_time_to_live() -> None:
    client = World(enable_debug_command="yes").client()
    client("DEBUG", "POPULATE", 100, "p", 30)
    client("HSET", "h", "f", "v")
    client("PEXPIRE", "h", 5000)
    client("SELECT", 2)
    client("ZADD", "z", "1.5", "m")
    before = client("DEBUG", "DIGEST")
    assert client("DEBUG", "RELOAD") == "OK"
    assert client("DEBUG", "DIGEST") == before
    assert client("ZSCORE", "z", "m") == "1.5"
    client("SELECT", 0)
    assert (client("DBSIZE"), client("PTTL", "h")) == (101, 5000)


def test_populate_leaves_existing_keys_alone() -> None:
    client = World(enable_debug_command="yes").client()
    client("SET", "key:1", "mine")
    client("DEBUG", "POPULATE", 3)
    assert client("MGET", "key:0", "key:1", "key:2") == ["value:0", "mine", "value:2"]


def test_expired_keys_stay_until_touched_while_active_expiry_is_off() -> None:
    world = World(enable_debug_command="yes")
    client = world.client()
    client("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    client("SET", "k", "v", "PX", 10)
    world.pass_time(100)
    assert client("DBSIZE") == 1
    client("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    world.pass_time(100)
    assert client("DBSIZE") == 0


def test_other_debugging() -> None:
    world = World(enable_debug_command="yes")
    client = world.client()
    assert client("DEBUG", "ERROR", "MYCODE some words") == "MYCODE some words"
    client("DEBUG", "LOG", "hello")
    assert any(isinstance(effect, Note) and "hello" in effect.text for effect in world.server.effects)
    client("SET", "k", 12)
    assert " encoding:int " in client("DEBUG", "OBJECT", "k")
    assert client("DEBUG", "OBJECT", "none") == "ERR no such key"
    assert client("DEBUG", "STRINGMATCH-LEN", 20000, "a*a*a*a*a*b") == 0
    assert "unknown subcommand" in client("DEBUG", "NONSENSE")
    old = world.server.replication.history.replid
    client("DEBUG", "CHANGE-REPL-ID")
    assert world.server.replication.history.replid != old


# --- the rest ------------------------------------------------------------------------------------------


def test_memory_usage_grows_with_what_a_key_holds() -> None:
    client = World().client()
    client("SET", "small", "x")
    client("SET", "large", "x" * 10_000)
    for number in range(50):
        client("RPUSH", "list", f"{number:0100}")
    small, large = client("MEMORY", "USAGE", "small"), client("MEMORY", "USAGE", "large")
    assert 50 < small < 300
    assert 10_000 < large < 10_400
    everything = client("MEMORY", "USAGE", "list", "SAMPLES", 0)
    assert 50 * 100 < everything == client("MEMORY", "USAGE", "list")
    assert client("MEMORY", "USAGE", "none") is None
    assert client("MEMORY", "USAGE", "list", "SAMPLES", -1) == "ERR syntax error"


def test_monitors_see_what_others_run_even_inside_a_transaction_but_no_secrets() -> None:
    world = World()
    watcher, client = world.client(), world.client("127.0.0.1:7")
    assert watcher("MONITOR") == "OK"
    client("MULTI")
    client("SET", "k", 'a "b"\n')
    client("EXEC")
    client("AUTH", "secret")
    client("CONFIG", "GET", "port")
    prefix = f"{NOW_MS // 1000}.000000 [0 127.0.0.1:7] "
    assert watcher.received() == [
        prefix + line for line in ('"MULTI"', '"SET" "k" "a \\"b\\"\\n"', '"EXEC"', '"AUTH" "(redacted)"')
    ]
    world.server.disconnect(watcher.session)
    assert world.server.open_for[READS]


def test_reset_ends_monitoring() -> None:
    world = World()
    watcher, client = world.client(), world.client()
    watcher("MONITOR")
    client("PING")
    assert len(watcher.received()) == 1
    watcher.server.receive(watcher.session, b"RESET\r\n")
    watcher.received()
    client("PING")
    assert watcher.received() == []


@pytest.mark.parametrize(
    ("words", "save", "now", "force"),
    [
        ((), None, False, False),
        (("NOSAVE", "NOW"), False, True, False),
        (("save", "force"), True, False, True),
    ],
)
def test_shutdown_is_left_to_the_runtime(
    words: tuple[str, ...], save: bool | None, now: bool, force: bool
) -> None:
    world = World()
    client = world.client()
    client.server.receive(client.session, " ".join(("SHUTDOWN", *words)).encode() + b"\r\n")
    assert world.server.effects == [Shutdown(client.session, save, now, force)]
    assert client.session.blocked is not None


def test_shutdown_refuses_contradictions() -> None:
    client = World().client()
    for words in (("SAVE", "NOSAVE"), ("ABORT", "NOW"), ("LATER",)):
        assert client("SHUTDOWN", *words) == "ERR syntax error"


def test_time_is_that_of_the_turn() -> None:
    world = World()
    world.pass_time(1234)
    reply: Any = world.client()("TIME")
    assert reply == [str(NOW_MS // 1000 + 1), "234000"]


def test_keys_that_take_long_to_expire_are_a_spike_of_their_own() -> None:
    world = World(latency_monitor_threshold=20)
    client = world.client()
    client("SET", "k", "v", "PX", 5)
    world.pass_time(100)
    assert "expire-cycle" not in str(client("LATENCY", "LATEST"))
    client("SET", "k", "v", "PX", 5)
    world.stopwatch.step_us = 30_000
    world.pass_time(100)
    assert ["expire-cycle", 30, 30] in [[name, *took] for name, _, *took in client("LATENCY", "LATEST")]
