"""What a connection may ask for itself: silence, patience, and nothing that hurts the others."""

from __future__ import annotations

from itertools import pairwise

import pytest

from shoal.node.resp.writer import encode_command
from shoal.node.server.server import COMMANDS_PER_CLIENT_PER_TURN
from tests.unit.server.client import World


@pytest.fixture
def world():
    return World()


@pytest.fixture
def client(world):
    return world.client()


def pipeline(*commands: tuple[str, ...]) -> bytes:
    return b"".join(encode_command([word.encode() for word in words]) for words in commands)


# --- CLIENT REPLY --------------------------------------------------------------------------------------


def test_reply_off_is_silence_until_reply_on(client):
    client.send(pipeline(("CLIENT", "REPLY", "OFF"), ("SET", "k", "1"), ("NOSUCH",), ("GET",), ("PING",)))
    assert client.received() == []
    assert client("CLIENT", "REPLY", "ON") == "OK"
    assert client("GET", "k") == "1"


def test_reply_skip_swallows_the_answer_of_exactly_the_next_command(client):
    client.send(pipeline(("CLIENT", "REPLY", "SKIP"), ("SET", "k", "1"), ("GET", "k"), ("PING",)))
    assert client.received() == ["1", "PONG"]


def test_reply_skip_while_off_changes_nothing(client):
    client.send(pipeline(("CLIENT", "REPLY", "OFF"), ("CLIENT", "REPLY", "SKIP"), ("PING",), ("PING",)))
    assert client.received() == []


def test_reply_off_holds_for_the_errors_of_refused_commands_and_for_exec(client):
    client.send(pipeline(("CLIENT", "REPLY", "OFF"), ("MULTI",), ("SET", "k", "1"), ("EXEC",)))
    client.send(pipeline(("CLIENT", "REPLY", "ON"), ("GET", "k")))
    assert client.received() == ["OK", "1"]


def test_an_unknown_mode_is_refused(client):
    assert client("CLIENT", "REPLY", "MAYBE") == "ERR syntax error"


def test_reset_makes_a_silent_client_speak_again(client):
    client.send(pipeline(("CLIENT", "REPLY", "OFF"), ("RESET",)))
    client.received()
    assert client("PING") == "PONG"


# --- CLIENT PAUSE --------------------------------------------------------------------------------------


def test_a_pause_of_writes_holds_writes_back_and_lets_reads_through(world, client):
    writer, reader = world.client(), world.client()
    client("CLIENT", "PAUSE", 1000, "WRITE")
    writer.send(pipeline(("SET", "k", "1"), ("GET", "k")))
    assert reader("GET", "k") is None
    assert writer.received() == []
    world.pass_time(999)
    assert writer.received() == []
    world.pass_time(1)
    assert writer.received() == ["OK", "1"]


def test_a_pause_of_all_holds_everything_back_but_the_way_to_end_it(world, client):
    reader = world.client()
    client("CLIENT", "PAUSE", 100_000, "ALL")
    reader.send(pipeline(("GET", "k")))
    assert reader.received() == []
    assert client("CLIENT", "UNPAUSE") == "OK"
    assert reader.received() == [None]


def test_a_transaction_with_a_write_is_held_at_its_exec(world, client):
    writer, reader = world.client(), world.client()
    client("CLIENT", "PAUSE", 1000, "WRITE")
    writer("MULTI")
    writer("SET", "k", 1)
    writer.send(pipeline(("EXEC",)))
    assert writer.received() == []
    reader("MULTI")
    reader("GET", "k")
    assert reader("EXEC") == [None]
    world.pass_time(1000)
    assert writer.received() == [["OK"]]


def test_a_held_client_that_leaves_never_runs_its_command(world, client):
    writer = world.client()
    client("CLIENT", "PAUSE", 1000, "WRITE")
    writer.send(pipeline(("SET", "k", "1")))
    world.server.disconnect(writer.session)
    world.pass_time(1000)
    assert client("GET", "k") is None


def test_of_two_pauses_the_later_end_and_the_stricter_kind_hold(world, client):
    reader = world.client()
    client("CLIENT", "PAUSE", 1000, "ALL")
    world.server.pause.extend(
        world.server.keyspace.now_ms + 10, only_writes=True, now_ms=world.server.keyspace.now_ms
    )
    reader.send(pipeline(("GET", "k")))
    world.pass_time(500)
    assert reader.received() == []
    world.pass_time(500)
    assert reader.received() == [None]


def test_a_pause_that_ends_lets_go_whom_the_other_does_not_hold(world, client):
    reader, writer = world.client(), world.client()
    world.server.pause.failover_until_ms = world.server.keyspace.now_ms + 5000
    client("CLIENT", "PAUSE", 100, "ALL")
    reader.send(pipeline(("GET", "k")))
    writer.send(pipeline(("SET", "k", "1")))
    world.pass_time(100)
    assert (reader.received(), writer.received()) == ([None], [])
    world.pass_time(4900)
    assert writer.received() == ["OK"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("-1",), "ERR timeout is negative"),
        (("x",), "ERR timeout is not an integer or out of range"),
        (("9999999999999999999",), "ERR timeout is not an integer or out of range"),
        (("1", "SOME"), "ERR CLIENT PAUSE mode must be WRITE or ALL"),
    ],
)
def test_a_pause_that_makes_no_sense_is_refused(client, words, error):
    assert client("CLIENT", "PAUSE", *words) == error
    assert client("SET", "k", 1) == "OK"


# --- CLIENT NO-TOUCH, and the share of a turn ----------------------------------------------------------


def test_no_touch_is_shown_and_ends_with_off_or_reset(client):
    for ending in (("CLIENT", "NO-TOUCH", "OFF"), ("RESET",)):
        assert client("CLIENT", "NO-TOUCH", "ON") == "OK"
        assert " flags=T " in client("CLIENT", "INFO")
        client(*ending)
        assert " flags=N " in client("CLIENT", "INFO")
    assert client("CLIENT", "NO-TOUCH", "MAYBE") == "ERR syntax error"


def test_reads_of_a_client_that_does_not_touch_leave_keys_as_idle_as_they_were(world, client):
    client("MSET", "a", 1, "b", 2)
    world.pass_time(60_000)
    client("CLIENT", "NO-TOUCH", "ON")
    assert client("MGET", "a", "b") == ["1", "2"]
    client("MULTI")
    client("GET", "a")
    assert client("EXEC") == ["1"]
    assert (client("OBJECT", "IDLETIME", "a"), client("OBJECT", "IDLETIME", "b")) == (60, 60)
    client("TOUCH", "a")
    client("SET", "b", 3)
    assert (client("OBJECT", "IDLETIME", "a"), client("OBJECT", "IDLETIME", "b")) == (0, 0)


def test_a_long_pipeline_gives_way_after_its_share_of_a_turn(world, client):
    other = world.client()
    client.send(pipeline(*[("INCR", "k")] * (2 * COMMANDS_PER_CLIENT_PER_TURN + 1)))
    assert len(client.received()) == COMMANDS_PER_CLIENT_PER_TURN
    assert other("GET", "k") == str(COMMANDS_PER_CLIENT_PER_TURN)
    assert world.server.wants_turn
    world.pass_time(0)
    world.pass_time(0)
    assert len(client.received()) == COMMANDS_PER_CLIENT_PER_TURN + 1
    assert not world.server.wants_turn
    assert other("GET", "k") == str(2 * COMMANDS_PER_CLIENT_PER_TURN + 1)


def test_commands_behind_a_long_pipeline_keep_their_order(world, client):
    part = [("INCR", "k")] * (COMMANDS_PER_CLIENT_PER_TURN * 3 // 2)
    stream = pipeline(*part * 4)
    cuts = [0, 7, len(stream) // 3, len(stream) // 2, len(stream) - 5, len(stream)]
    for start, end in pairwise(cuts):
        client.send(stream[start:end])
        world.pass_time(0)
    while world.server.wants_turn:
        world.pass_time(0)
    assert client.received() == list(range(1, 4 * len(part) + 1))


def test_a_break_of_the_protocol_behind_a_long_pipeline_is_found_in_its_turn(world, client):
    client.send(pipeline(*[("INCR", "k")] * (COMMANDS_PER_CLIENT_PER_TURN + 1)))
    client.send(b"*1\r\n$-1\r\n")
    while world.server.wants_turn:
        world.pass_time(0)
    assert client.received()[-2:] == [
        COMMANDS_PER_CLIENT_PER_TURN + 1,
        "ERR Protocol error: invalid bulk length",
    ]
    assert client.session.closing


def test_nothing_runs_behind_quit(client):
    client.send(pipeline(("SET", "k", "1"), ("QUIT",), ("SET", "k", "2")))
    assert client.received() == ["OK", "OK"]
    assert client.session.closing
    client.send(pipeline(("SET", "k", "3")))
    assert client.server.keyspace.databases[0].peek(b"k") == b"1"


def test_a_client_that_asks_about_itself_is_shown_as_running_that(client) -> None:
    client("PING")
    for words in (
        ("CLIENT", "INFO"),
        ("CLIENT", "LIST"),
        ("CLIENT", "LIST", "ID", str(client("CLIENT", "ID"))),
    ):
        shown = dict(pair.split("=", 1) for pair in client(*words).split())
        assert shown["cmd"] == "|".join(words[:2]).lower()
        assert int(shown["qbuf"]) == len(encode_command([word.encode() for word in words]))


def test_what_is_complete_of_an_unfinished_command_is_no_longer_counted_as_unread(world, client) -> None:
    name = "unfinished"
    client("CLIENT", "SETNAME", name)
    client.send(b"*3\r\n$3\r\nSET\r\n$1000\r\n" + b"x" * 700)
    (line,) = [line for line in world.client()("CLIENT", "LIST").splitlines() if f"name={name}" in line]
    shown = dict(pair.split("=", 1) for pair in line.split())
    assert (shown["qbuf"], int(shown["argv-mem"]) >= 3) == ("700", True)
    client.send(b"x" * 300 + b"\r\n$1\r\nv\r\n")
    assert client.received() == ["OK"]
