"""The turn on real sockets, both with one task over an epoll and with a task per client."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import AsyncIterator, Callable
from random import Random

import pytest
import trio

from shoal.node import builtin_commands
from shoal.node.runtime.collector import MOST_NEW_CONTAINERS
from shoal.node.runtime.connection import READ_SIZE
from shoal.node.runtime.reactor import Reactor
from shoal.node.runtime.without_epoll import HAS_EPOLL, TO_READ
from shoal.node.server.client_care import CREDIT_BYTES, MOST_UNSENT_BYTES
from shoal.node.server.config import Config
from shoal.node.server.server import Server

builtin_commands.load()

Connect = Callable[[], trio.SocketStream]


class TurnEnds:
    """A node without effects to carry out."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def carry_out_effects(self) -> None:
        return


def new_server() -> Server:
    return Server(
        Config(), Random(1), time.perf_counter_ns, now_ms=time.time_ns() // 1_000_000, run_id="0" * 40
    )


WITH_EPOLL = pytest.param(
    True, id="epoll", marks=pytest.mark.skipif(not HAS_EPOLL, reason="this system has no epoll")
)
TASK_PER_CLIENT = pytest.param(False, id="task per client")


@pytest.fixture(params=[WITH_EPOLL, TASK_PER_CLIENT])
async def reactor(request: pytest.FixtureRequest, nursery: trio.Nursery) -> AsyncIterator[Reactor]:
    reactor = Reactor(new_server(), TurnEnds(), nursery, use_epoll=request.param)
    nursery.start_soon(reactor.run)
    yield reactor
    for session in list(reactor.server.sessions.values()):
        reactor.close_session(session)


@pytest.fixture
async def connect(reactor: Reactor) -> AsyncIterator[Connect]:
    """Makes clients of the reactor, each over a pair of connected sockets."""
    clients: list[trio.SocketStream] = []

    def connect_one() -> trio.SocketStream:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        reactor.accept(theirs)
        clients.append(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
        return clients[-1]

    yield connect_one
    for client in clients:
        await client.aclose()


async def receive_exactly(stream: trio.SocketStream, size: int) -> bytes:
    data = b""
    with trio.fail_after(20):
        while len(data) < size:
            more = await stream.receive_some(65536)
            assert more, data
            data += more
    return data


async def test_a_client_is_answered_in_order(connect: Connect) -> None:
    client = connect()
    await client.send_all(b"SET k v\r\nGET k\r\nINCR n\r\nnonsense\r\n")
    expected = b"+OK\r\n$1\r\nv\r\n:1\r\n-ERR unknown command 'nonsense', with args beginning with: \r\n"
    assert await receive_exactly(client, len(expected)) == expected


async def test_clients_are_served_side_by_side(connect: Connect) -> None:
    clients = [connect() for _ in range(20)]
    for number, client in enumerate(clients):
        await client.send_all(b"SET k%d %d\r\n" % (number, number))
    for client in clients:
        assert await receive_exactly(client, 5) == b"+OK\r\n"


async def test_an_answer_larger_than_the_socket_takes_arrives_whole(connect: Connect) -> None:
    client = connect()
    value = b"x" * 3_000_000
    await client.send_all(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%b\r\n" % (len(value), value))
    assert await receive_exactly(client, 5) == b"+OK\r\n"
    await client.send_all(b"GET k\r\nPING\r\n")
    answer = await receive_exactly(client, len(value) + len(b"$3000000\r\n\r\n+PONG\r\n"))
    assert answer == b"$3000000\r\n%b\r\n+PONG\r\n" % value


async def test_what_the_socket_has_no_room_for_counts_as_memory_in_use(
    reactor: Reactor, connect: Connect
) -> None:
    client, memory = connect(), reactor.server.memory
    await client.send_all(b"SET k %b\r\n" % (b"x" * 60_000))
    assert await receive_exactly(client, 5) == b"+OK\r\n"
    await client.send_all(b"GET k\r\n")
    await receive_exactly(client, 60_010)
    assert memory.kept_bytes == 0
    await client.send_all(b"GET k\r\n" * 50)
    with trio.fail_after(20):
        while memory.kept_bytes == 0:  # noqa: ASYNC110 (it is not announced)
            await trio.sleep(0.01)


async def test_a_large_argument_is_read_in_one_turn_as_far_as_it_is_here(nursery: trio.Nursery) -> None:
    reactor = Reactor(new_server(), TurnEnds(), nursery, use_epoll=HAS_EPOLL)
    ours, theirs = socket.socketpair()
    for one in (ours, theirs):
        one.setblocking(False)
    reactor.accept(theirs)
    (session,) = reactor.server.sessions.values()
    sent = ours.send(b"*2\r\n$3\r\nGET\r\n$1000000\r\n" + b"x" * 200_000)
    assert sent > 2 * READ_SIZE
    reactor.turn([(session.fd, TO_READ)])
    assert session.parser.buffered == sent
    reactor.close_session(session)
    ours.close()


async def test_a_long_pipeline_is_answered_over_several_turns(connect: Connect) -> None:
    client = connect()
    async with trio.open_nursery() as sending:
        sending.start_soon(client.send_all, b"INCR n\r\n" * 5000)
        expected = b"".join(b":%d\r\n" % number for number in range(1, 5001))
        assert await receive_exactly(client, len(expected)) == expected


async def test_a_client_that_hangs_up_is_forgotten(reactor: Reactor, connect: Connect) -> None:
    client, other = connect(), connect()
    await client.aclose()
    with trio.fail_after(20):
        while len(reactor.server.sessions) > 1:  # noqa: ASYNC110 (a session does not announce its end)
            await trio.sleep(0.01)
    await other.send_all(b"PING\r\n")
    assert await receive_exactly(other, 7) == b"+PONG\r\n"


async def test_quit_is_answered_before_the_connection_closes(connect: Connect) -> None:
    client = connect()
    await client.send_all(b"QUIT\r\nPING\r\n")
    assert await receive_exactly(client, 5) == b"+OK\r\n"
    with trio.fail_after(20):
        assert await client.receive_some(100) == b""


async def test_a_client_may_send_far_more_than_it_reads_before_it_reads_anything(connect: Connect) -> None:
    client = connect()
    count, answer = 50_000, b"$100\r\n%b\r\n" % (b"v" * 100)
    await client.send_all(b"SET k %b\r\n" % (b"v" * 100))
    assert await receive_exactly(client, 5) == b"+OK\r\n"
    with trio.fail_after(60):
        await client.send_all(b"GET k\r\n" * count)
    assert await receive_exactly(client, len(answer) * count) == answer * count


async def test_a_client_that_never_reads_is_not_read_without_end(
    reactor: Reactor, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.node.runtime.reactor.READ_AHEAD_BYTES", 256 * 1024)
    client, other = connect(), connect()
    await client.send_all(b"SET k %b\r\n" % (b"v" * 60_000))
    assert await receive_exactly(client, 5) == b"+OK\r\n"
    async with trio.open_nursery() as sending:
        sending.start_soon(client.send_all, b"GET k\r\n" * 1_000_000)
        with trio.fail_after(20):
            while not reactor.muted:  # noqa: ASYNC110 (it is not announced)
                await trio.sleep(0.01)
        sending.cancel_scope.cancel()
    session = reactor.server.sessions[1]
    assert len(session.read_ahead) <= 256 * 1024 + 64 * 1024
    assert session.out_bytes <= MOST_UNSENT_BYTES + 2 * CREDIT_BYTES
    await other.send_all(b"PING\r\n")
    assert await receive_exactly(other, 7) == b"+PONG\r\n"


async def test_what_a_client_sent_before_it_stopped_sending_is_run_and_answered(connect: Connect) -> None:
    client = connect()
    await client.send_all(b"INCR n\r\n" * 30_000)
    await client.send_eof()
    expected = b"".join(b":%d\r\n" % number for number in range(1, 30_001))
    assert await receive_exactly(client, len(expected)) == expected
    with trio.fail_after(20):
        assert await client.receive_some(100) == b""


async def test_a_client_that_stopped_sending_still_gets_all_of_a_long_answer(connect: Connect) -> None:
    client = connect()
    await client.send_all(b"SETRANGE k 9999999 x\r\n")
    assert await receive_exactly(client, 11) == b":10000000\r\n"
    await client.send_all(b"GET k\r\n")
    assert await client.receive_some(11) == b"$10000000\r\n"
    await client.send_eof()
    await receive_exactly(client, 10_000_002)
    with trio.fail_after(20):
        assert await client.receive_some(100) == b""


async def test_a_client_that_is_gone_while_its_commands_wait_is_forgotten(
    reactor: Reactor, connect: Connect
) -> None:
    client, other = connect(), connect()
    await client.send_all(b"SET k %b\r\n" % (b"v" * 60_000) + b"GET k\r\n" * 5000)
    assert await client.receive_some(5) == b"+OK\r\n"
    await client.aclose()
    with trio.fail_after(20):
        while len(reactor.server.sessions) > 1:  # noqa: ASYNC110 (a session does not announce its end)
            await trio.sleep(0.01)
    await other.send_all(b"PING\r\n")
    assert await receive_exactly(other, 7) == b"+PONG\r\n"


async def test_a_socket_that_is_no_clients_is_told_of_until_it_is_forgotten(reactor: Reactor) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    told: list[bytes] = []

    def on_ready() -> None:
        try:
            told.append(ours.recv(100))
        except BlockingIOError:
            told.append(b"(room)")

    async def wait_for(count: int) -> None:
        with trio.fail_after(20):
            while len(told) < count:
                await trio.lowlevel.checkpoint()

    reactor.look_after(ours, on_ready)
    theirs.send(b"first")
    await wait_for(1)
    reactor.wait_for_room(ours, is_wanted=True)
    await wait_for(2)
    reactor.wait_for_room(ours, is_wanted=False)
    assert told[:2] == [b"first", b"(room)"]
    seen = len(told)
    theirs.send(b"second")
    await wait_for(seen + 1)
    assert told[-1] == b"second"
    reactor.forget(ours)
    ours.close()
    theirs.close()
    assert not reactor.others


async def test_the_end_of_a_turn_has_the_collector_look_at_many_new_containers(
    reactor: Reactor, connect: Connect
) -> None:
    client = connect()
    commands = b"".join(b"SADD s:%d a\r\n" % number for number in range(2 * MOST_NEW_CONTAINERS))
    await client.send_all(commands)
    await receive_exactly(client, 4 * 2 * MOST_NEW_CONTAINERS)
    oldest = set(map(id, gc.get_objects(generation=2)))
    assert id(reactor.server.keyspace.databases[0].stored(b"s:1")) in oldest
