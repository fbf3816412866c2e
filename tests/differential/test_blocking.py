"""Several connections at once: who waits, who is served with what and in which order, is as on Redis 7.

Both servers get the same bytes on the same connections, one step after the other; after each step all that
each connection has received is compared, byte for byte.

Left out is storing over a key of another type: Redis 7.0 does not look for who waits for it, we do.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoal.node.resp.writer import encode_command
from tests.differential.executor import RealServer, to_words
from tests.differential.grammar import Command, Part, any_case, drawn, pick, several, words
from tests.peers import REDIS7_SERVER, needs
from tests.unit.server.client import World

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

WAITERS = 4
WRITER = WAITERS
"""Connections by number; the writer is the last, and never waits."""

KEYS = pick("a", "b", "c")
SIDES = any_case("LEFT", "RIGHT")
ENDS = any_case("MIN", "MAX")
COUNT = several(words("COUNT", 2), 1)
VALUES = pick("1", "2", "3", "4")

WAITS: list[Part] = [
    words(any_case("BLPOP", "BRPOP"), several(KEYS, 3, 1), "0"),
    words("BLMOVE", KEYS, KEYS, SIDES, SIDES, "0"),
    words("BRPOPLPUSH", KEYS, KEYS, "0"),
    words("BLMPOP", "0", "1", KEYS, SIDES, COUNT),
    words("BLMPOP", "0", "2", KEYS, KEYS, SIDES),
    words(any_case("BZPOPMIN", "BZPOPMAX"), several(KEYS, 3, 1), "0"),
    words("BZMPOP", "0", "2", KEYS, KEYS, ENDS, COUNT),
]
WRITES: list[Part] = [
    words(any_case("LPUSH", "RPUSH"), KEYS, several(VALUES, 4, 1)),
    words(any_case("LPUSH", "RPUSH"), KEYS, several(VALUES, 4, 1)),
    words("ZADD", KEYS, VALUES, VALUES, VALUES, VALUES),
    words("ZADD", KEYS, VALUES, VALUES),
    words("SADD", KEYS, VALUES),
    words("DEL", KEYS),
    words("RENAME", KEYS, KEYS),
    words("COPY", KEYS, KEYS, "REPLACE"),
    words("LMOVE", KEYS, KEYS, SIDES, SIDES),
    words("LPOP", KEYS),
    words("ZPOPMIN", KEYS),
    words("SWAPDB", "0", "1"),
    words("FLUSHDB"),
]
STORES: list[Sequence[Command]] = [
    ((b"DEL", b"a"), (b"SORT", b"b", b"ALPHA", b"STORE", b"a")),
    ((b"DEL", b"a"), (b"ZUNIONSTORE", b"a", b"2", b"b", b"c")),
]

Step = tuple[int, Sequence[Command]]
"""Which connection sends which commands at once."""


def transaction(commands: list[Command]) -> Sequence[Command]:
    return ((b"MULTI",), *commands, (b"EXEC",))


STEPS = st.one_of(
    st.tuples(st.integers(0, WAITERS - 1), drawn(*WAITS).map(lambda command: (command,))),
    st.tuples(st.integers(0, WAITERS - 1), st.tuples(drawn(*WAITS), drawn(*WAITS))),
    st.tuples(st.just(WRITER), drawn(*WRITES).map(lambda command: (command,))),
    st.tuples(st.just(WRITER), st.lists(drawn(*WRITES), min_size=2, max_size=4)),
    st.tuples(st.just(WRITER), st.lists(drawn(*WRITES, *WAITS), min_size=1, max_size=4).map(transaction)),
    st.tuples(st.just(WRITER), st.sampled_from(STORES)),
)


class Ours:
    """Sessions of a server in this process."""

    def __init__(self) -> None:
        self.world = World()
        self.clients = [self.world.client() for _ in range(WAITERS + 1)]

    def send(self, number: int, data: bytes) -> None:
        self.clients[number].send(data)
        self.world.pass_time(0)
        while self.world.server.wants_turn:  # what was sent behind what waited may take another
            self.world.pass_time(0)

    def received(self) -> list[bytes]:
        """What each connection has received since the last look."""
        found = [b"".join(client.session.out) for client in self.clients]
        for client in self.clients:
            client.session.out.clear()
            client.session.out_bytes = 0
        return found


class Theirs:
    """Connections to a real server."""

    def __init__(self, server: RealServer) -> None:
        self.server = server
        self.sockets = [socket.socket(socket.AF_UNIX) for _ in range(WAITERS + 1)]
        for connection in self.sockets:
            connection.connect(server.socket.getpeername())

    def send(self, number: int, data: bytes) -> None:
        self.sockets[number].sendall(data)

    def received(self) -> list[bytes]:
        """By the second answer to somebody else, all that was sent before has been run and answered."""
        self.server.run("PING")
        self.server.run("PING")
        return [_all_of(connection) for connection in self.sockets]

    def close(self) -> None:
        for connection in self.sockets:
            connection.close()


def _all_of(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 20, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""


@contextmanager
def connected(server: RealServer) -> Iterator[Theirs]:
    server.run("FLUSHALL")
    theirs = Theirs(server)
    try:
        yield theirs
    finally:
        theirs.close()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, min_size=3, max_size=20))
def test_everybody_is_served_as_by_redis(redis7: RealServer, steps: list[Step]) -> None:
    with connected(redis7) as theirs:
        ours, history = Ours(), []
        for number, commands in steps:
            history.append((number, commands))
            data = b"".join(encode_command(list(command)) for command in commands)
            ours.send(number, data)
            theirs.send(number, data)
            mine, real = ours.received(), theirs.received()
            assert mine == real, f"after {history}\nwe sent {mine}, Redis sent {real}"
        for key in ("a", "b", "c"):
            for command in (("LRANGE", key, "0", "-1"), ("ZRANGE", key, "0", "-1")):
                data = encode_command(to_words(command))
                ours.send(WRITER, data)
                theirs.send(WRITER, data)
                assert ours.received() == theirs.received(), history
