"""From words to an answer: which refusal wins, and that no handler takes the others down with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shoal.cluster.effects import Level, Note
from shoal.node.commands.registry import COMMANDS, command
from shoal.node.commands.spec import Flag
from shoal.node.resp.replies import CommandError, Reply, SetReply
from shoal.node.resp.writer import encode_command
from shoal.node.server.append_only import AofState
from shoal.node.server.client_care import CREDIT_BYTES
from shoal.node.server.session import Session
from tests.unit.server.client import World


@pytest.fixture
def world():
    return World()


@pytest.fixture
def client(world):
    return world.client()


# --- which command it is -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("NOSUCH",), "ERR unknown command 'NOSUCH', with args beginning with: "),
        (("NOSUCH", "a", "b"), "ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "),
        (("N" * 200,), f"ERR unknown command '{'N' * 128}', with args beginning with: "),
        (("NOSUCH", "a" * 200), f"ERR unknown command 'NOSUCH', with args beginning with: '{'a' * 128}' "),
        (("GET",), "ERR wrong number of arguments for 'get' command"),
        (("get", "a", "b"), "ERR wrong number of arguments for 'get' command"),
        (("CONFIG",), "ERR wrong number of arguments for 'config' command"),
        (("CONFIG", "nosuch"), "ERR unknown subcommand 'nosuch'. Try CONFIG HELP."),
        (("CONFIG", "GET"), "ERR wrong number of arguments for 'config|get' command"),
    ],
)
def test_a_command_that_is_none(client, words, error):
    assert client(*words) == error


def test_a_name_is_understood_in_any_mixture_of_cases_and_odd_spellings_are_not_kept_without_end(
    world, client
):
    known = len(world.server.dispatcher.entries)
    for number in range(2**13):
        letters = (c.upper() if number >> i & 1 else c for i, c in enumerate("pexpiretime.."[:11]))
        assert client("".join(letters), "k") == -2
    assert len(world.server.dispatcher.entries) <= max(known, 4 * len(COMMANDS)) + 1


# --- which gate refuses first --------------------------------------------------------------------------


def close_gates(world: World, *names: str) -> None:
    server = world.server
    for name in names:
        match name:
            case "memory":
                server.is_out_of_memory = True
            case "loading":
                server.loading = True
    server.refresh_gates()


def test_an_unknown_command_and_a_wrong_arity_are_found_before_the_missing_password():
    client = World(requirepass="secret").client()
    assert client("NOSUCH").startswith("ERR unknown command")
    assert client("GET").startswith("ERR wrong number of arguments")
    assert client("GET", "k") == "NOAUTH Authentication required."
    assert client("AUTH", "wrong").startswith("WRONGPASS")
    assert client("AUTH", "secret") == "OK"
    assert client("GET", "k") is None


def test_commands_behind_auth_in_one_read_are_free_of_the_small_limits():
    world = World(requirepass="secret")
    client = world.client()
    long_command = encode_command([b"MSET", *[b"%d" % (number // 2) for number in range(40)]])
    client.send(encode_command([b"AUTH", b"secret"]) + long_command + encode_command([b"GET", b"19"]))
    while world.server.wants_turn:
        world.pass_time(0)
    assert client.received() == ["OK", "OK", "19"]


def test_before_the_password_commands_are_answered_one_by_one_and_long_ones_end_the_connection():
    world = World(requirepass="secret")
    client = world.client()
    client.send(encode_command([b"PING"]) * 3 + b"*11\r\n")
    while world.server.wants_turn:
        world.pass_time(0)
    assert client.received() == [
        *["NOAUTH Authentication required."] * 3,
        "ERR Protocol error: unauthenticated multibulk length",
    ]
    assert client.session.closing


def test_the_password_comes_before_every_other_gate(world):
    world = World(requirepass="secret")
    close_gates(world, "memory", "loading")
    assert world.client()("SET", "k", 1) == "NOAUTH Authentication required."


def test_memory_comes_before_loading_and_only_for_what_may_need_more_of_it(world, client):
    client("SET", "k", 1)
    close_gates(world, "memory")
    refused = "OOM command not allowed when used memory > 'maxmemory'."
    assert client("SET", "k", 2) == refused
    assert client("DEL", "k") == 1
    assert client("GET", "k") is None
    close_gates(world, "loading")
    assert client("SET", "k", 2) == refused
    assert client("GET", "k") == "LOADING Redis is loading the dataset in memory"
    assert client("ECHO", "x") == "x"


def test_a_command_refused_at_a_gate_spoils_the_transaction(world, client):
    client("MULTI")
    close_gates(world, "memory")
    assert client("SET", "k", 2).startswith("OOM ")
    world.server.is_out_of_memory = False
    world.server.refresh_gates()
    assert client("EXEC").startswith("EXECABORT ")


# --- handlers that fail --------------------------------------------------------------------------------


@pytest.fixture
def toys() -> Iterator[None]:
    """Commands as a faulty plug-in would bring them."""
    World()
    before = dict(COMMANDS)

    def toy(name: str) -> object:
        return command(
            name,
            arity=-1,
            flags=Flag.FAST,
            group="generic",
            since="1.0.0",
            complexity="O(1)",
            summary="A toy.",
        )

    @toy("TOYFAIL")
    def fail(session: Session, *words: bytes) -> Reply:
        raise RuntimeError("the toy broke")

    @toy("TOYREFUSE")
    def refuse(session: Session, *words: bytes) -> Reply:
        raise CommandError("TOY says no")

    @toy("TOYODD")
    def odd(session: Session, *words: bytes) -> Reply:
        return object()  # type: ignore[return-value]

    @toy("TOYNEST")
    def nest(session: Session, *words: bytes) -> Reply:
        return [b"one", SetReply([object()])]  # type: ignore[list-item]

    yield
    COMMANDS.clear()
    COMMANDS.update(before)


def warnings_of(world: World) -> list[str]:
    return [e.text for e in world.server.effects if isinstance(e, Note) and e.level is Level.WARNING]


def test_a_handler_that_breaks_answers_an_error_logs_the_traceback_and_hurts_nobody_else(toys):
    world = World()
    client, other = world.client(), world.client()
    error = "ERR internal error in 'toyfail' command, see the log"
    client.send(encode_command([b"TOYFAIL"]) + encode_command([b"PING"]))
    assert client.received() == [error, "PONG"]
    assert other("SET", "k", 1) == "OK"
    (warning,) = warnings_of(world)
    assert "Traceback" in warning
    assert "RuntimeError: the toy broke" in warning
    assert "cmdstat_toyfail:calls=1," in client("INFO", "commandstats")
    assert "failed_calls=1" in client("INFO", "commandstats")


def test_a_handler_that_breaks_inside_a_transaction_is_one_failed_element(toys):
    client = World().client()
    client("MULTI")
    client("SET", "a", 1)
    client("TOYFAIL")
    client("SET", "b", 2)
    first, second, third = client("EXEC")
    assert (first, str(second), third) == ("OK", "ERR internal error in 'toyfail' command, see the log", "OK")
    assert client("MGET", "a", "b") == ["1", "2"]


def test_a_refusal_is_no_accident(toys):
    world = World()
    assert world.client()("TOYREFUSE") == "TOY says no"
    assert warnings_of(world) == []


@pytest.mark.parametrize("name", ["TOYODD", "TOYNEST"])
@pytest.mark.parametrize("resp", [2, 3])
def test_an_answer_that_is_no_reply_is_an_error_and_only_one(toys, name, resp):
    client = World().client()
    client("HELLO", resp)
    assert client(name).startswith("ERR internal error: a reply that cannot be encoded")
    assert client("PING") == "PONG"


# --- clients that are hung up on -----------------------------------------------------------------------


@pytest.mark.parametrize("line", [b"POST / HTTP/1.1\r\n", b"Host: localhost\r\n", b"post\r\n", b"hOsT:\r\n"])
def test_a_browser_is_hung_up_on_without_an_answer_and_nothing_behind_it_runs(world, client, line):
    client.send(line + b"SET forged 1\r\n")
    assert client.received() == []
    assert client.is_hung_up
    assert "possible attack" in warnings_of(world)[0]
    client.send(b"SET forged 1\r\n")
    assert world.client()("EXISTS", "forged") == 0


def test_host_without_a_colon_is_just_no_command(client):
    assert client("HOST").startswith("ERR unknown command 'HOST'")
    assert not client.is_hung_up


# --- answers that pile up ------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["plain", "paused", "not plain", "watched by MONITOR"])
def test_commands_wait_while_more_answers_wait_than_a_client_may_have(world, client, state):
    client("SET", "big", "x" * (CREDIT_BYTES // 4))
    if state == "paused":
        world.client()("CLIENT", "PAUSE", 100_000, "WRITE")
    elif state == "watched by MONITOR":
        world.client()("MONITOR")
    elif state == "not plain":
        client("CLIENT", "NO-TOUCH", "ON")
    client.send(encode_command([b"GET", b"big"]) * 20)
    assert len(client.session.out) <= 5
    assert client.session.out_bytes <= 2 * CREDIT_BYTES
    answers = len(client.received())
    while world.server.wants_turn:
        world.pass_time(0)
        answers += len(client.received())
    assert answers == 20


def test_what_comes_in_meanwhile_is_read_ahead_and_run_in_its_turn(world, client):
    client("SET", "big", "x" * CREDIT_BYTES)
    client.send(encode_command([b"GET", b"big"]) * 2 + encode_command([b"GET", b"big"])[:9])
    client.send(encode_command([b"GET", b"big"])[9:] + encode_command([b"INCR", b"n"]))
    client.send(encode_command([b"INCR", b"n"]))
    replies = client.received()
    while world.server.wants_turn:
        world.pass_time(0)
        replies += client.received()
    assert replies[-2:] == [1, 2]
    assert len(replies) == 5


def test_changes_are_repeated_while_there_is_a_backlog_or_an_append_only_file(world: World) -> None:
    server, client = world.server, world.client()
    keyspace, history, aof = server.keyspace, server.replication.history, server.aof
    assert not keyspace.is_repeated
    client.send(encode_command((b"PSYNC", b"?", b"-1")))
    assert history.backlog is not None and keyspace.is_repeated
    aof.record(AofState.ON, recording=True)
    history.begin_anew("b" * 40)
    assert keyspace.is_repeated
    aof.suspend()
    assert not keyspace.is_repeated
    history.adopt("c" * 40, 7)
    history.keep_backlog(1 << 16)
    assert keyspace.is_repeated
