"""Who is let in, and who is hung up on."""

import pytest

from shoal.node.resp.writer import encode_command
from shoal.node.server.client_care import MOST_UNSENT_BYTES, PROTECTED, TOO_MANY_CLIENTS, refusal
from shoal.node.server.effects import CloseSession
from shoal.node.server.session import Session
from shoal.node.server.special_parameters import BufferLimit
from tests.unit.server.client import World

NO_LIMIT = BufferLimit(0, 0, 0)


def hung_up_on(world: World) -> list[Session]:
    closed = [effect.session for effect in world.server.effects if isinstance(effect, CloseSession)]
    world.server.effects.clear()
    return closed


def test_there_is_room_for_maxclients_and_the_refused_are_counted() -> None:
    world = World(maxclients=2)
    client = world.client()
    assert refusal(world.server, "127.0.0.1:1") is None
    world.client()
    assert refusal(world.server, "127.0.0.1:1") == TOO_MANY_CLIENTS
    assert "rejected_connections:1\r\n" in client("INFO", "stats")


def test_without_a_password_only_this_machine_is_let_in_unless_told_otherwise() -> None:
    server = World().server
    assert refusal(server, "10.1.2.3:1") == PROTECTED
    assert [refusal(server, local) for local in ("127.0.0.9:1", "[::1]:1", "shoal.sock:0")] == [None] * 3
    assert refusal(World(requirepass="secret").server, "10.1.2.3:1") is None
    assert refusal(World(protected_mode=False).server, "10.1.2.3:1") is None


def test_idle_clients_are_closed_but_not_those_who_watch() -> None:
    world = World(timeout=10)
    idle, busy, watcher = world.client(), world.client(), world.client()
    watcher("MONITOR")
    world.pass_time(6000)
    busy("PING")
    world.pass_time(6000)
    assert hung_up_on(world) == [idle.session]


def test_a_client_that_does_not_take_its_answers_is_closed_at_the_hard_limit_or_after_a_while() -> None:
    world = World(client_output_buffer_limit={"normal": BufferLimit(1000, 100, 3), "pubsub": NO_LIMIT})
    world.pass_time(1000)
    hard, soft, brief = world.client(), world.client(), world.client()
    for client, size in ((hard, 2000), (soft, 200), (brief, 200)):
        client.session.send(b"x" * size)
    assert hung_up_on(world) == [hard.session]
    world.server.disconnect(hard.session)
    world.pass_time(1000)
    brief.session.out_bytes = 0
    world.pass_time(1000)
    brief.session.out_bytes = 200
    world.pass_time(900)
    assert hung_up_on(world) == []
    world.pass_time(1000)
    assert hung_up_on(world) == [soft.session]


def test_the_hard_limit_ends_a_pipeline_in_its_midst_but_a_transaction_at_its_end() -> None:
    world = World(client_output_buffer_limit={"normal": BufferLimit(100_000, 0, 0), "pubsub": NO_LIMIT})
    client, other = world.client(), world.client()
    client("SET", "big", "x" * 30_000)
    client.send(b"GET big\r\nINCR before\r\n" * 3 + b"GET big\r\nINCR after\r\n" * 3)
    assert client.is_hung_up
    assert other("MGET", "before", "after") == ["3", None]
    other("MULTI")
    for _ in range(4):
        other("GET", "big")
    other("INCR", "after")
    other.send(b"EXEC\r\n")
    assert other.is_hung_up
    assert world.client()("GET", "after") == "1"


def test_without_a_limit_a_client_that_takes_nothing_is_slowed_down_and_goes_on_once_it_does() -> None:
    world = World()
    client = world.client()
    client("SET", "big", "x" * (1 << 20))
    for _ in range(100):
        client.send(b"GET big\r\n")
        world.pass_time(1)
    assert MOST_UNSENT_BYTES < client.session.out_bytes < MOST_UNSENT_BYTES + (2 << 20)
    answers = len(client.received())
    while client.session.has_input:
        world.server.run_pending(client.session)
        answers += len(client.received())
    assert answers == 100


@pytest.mark.parametrize(
    ("directive", "limit"), [("client-output-buffer-limit", "normal 50mb 0 0"), ("maxmemory-clients", "50mb")]
)
def test_up_to_a_limit_answers_pile_up(directive: str, limit: str) -> None:
    world = World()
    client = world.client()
    assert world.client()("CONFIG", "SET", directive, limit) == "OK"
    client("SET", "big", "x" * (1 << 20))
    for _ in range(45):
        client.send(b"GET big\r\n")
        world.server.client_memory.settle()
    assert client.session.out_bytes > 45 << 20
    for _ in range(10):
        client.send(b"GET big\r\n")
        world.server.client_memory.touched.add(client.session)
        world.server.client_memory.settle()
    assert client.is_hung_up


@pytest.mark.parametrize("command", ["SRANDMEMBER set", "HRANDFIELD hash", "ZRANDMEMBER sorted"])
def test_an_answer_above_the_limit_is_not_even_made(command: str) -> None:
    world = World(client_output_buffer_limit={"normal": BufferLimit(100_000, 0, 0), "pubsub": NO_LIMIT})
    client = world.client()
    client("SADD", "set", "a")
    client("HSET", "hash", "a", "b")
    client("ZADD", "sorted", 1, "a")
    assert len(client(*command.split(), -1000)) == 1000
    client.send(command.encode() + b" -999999999\r\n")
    assert client.is_hung_up


def test_a_longest_argument_set_now_holds_for_clients_already_connected() -> None:
    client = World().client()
    client("CONFIG", "SET", "proto-max-bulk-len", "1mb")
    client.server.receive(client.session, b"*2\r\n$3\r\nGET\r\n$1048577\r\n")
    assert client.received() == ["ERR Protocol error: invalid bulk length"]


def test_a_client_that_another_hangs_up_on_in_the_same_turn_runs_nothing_more() -> None:
    world = World()
    killer, victim = world.client(), world.client("127.0.0.1:7")
    killing = encode_command([b"CLIENT", b"KILL", b"ADDR", b"127.0.0.1:7"])
    writing = encode_command([b"SET", b"key", b"value"])
    world.server.receive_all([(killer.session, killing), (victim.session, writing)])
    assert killer.received() == [1]
    assert victim.received() == []
    assert killer("GET", "key") is None


def test_what_a_client_sends_while_it_waits_is_told_of_to_whoever_reads() -> None:
    world = World()
    client = world.client()
    client.send(b"BLPOP list 0\r\n")
    assert world.server.client_care.put_aside == []
    client.send(b"PING\r\n")
    assert world.server.client_care.put_aside == [client.session]
