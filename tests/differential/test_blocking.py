"""Several connections at once: who waits, who is served with what and in which order, is as on Redis.

Both servers get the same bytes on the same connections, one step after the other; after each step all that
each connection has received is compared, byte for byte: with Redis 7.0 whatever anybody waits for, with 8.0
where each waits for one key, of one type.

Left out is storing over a key of another type: Redis 7.0 does not look for who waits for it, we do. Redis 8.0
runs a command again to serve it, and so sees all its keys anew: it takes from the first that holds something,
and refuses it because of one that is of a wrong type. Nor is a stream emptied: Redis 7.0 serves a client with
nothing out of one that is put in a key's place.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shoal.node.resp.writer import encode_command
from tests.differential.executor import RealServer
from tests.differential.grammar import Command, Part, any_case, drawn, pick, several, words
from tests.peers import REDIS7_SERVER, REDIS8_SERVER, needs
from tests.unit.server.client import World

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER, REDIS8_SERVER)]

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

ANYWHERE: list[Part] = [
    words("DEL", KEYS),
    words("RENAME", KEYS, KEYS),
    words("RENAMENX", KEYS, KEYS),
    words("COPY", KEYS, KEYS, "REPLACE"),
    words("COPY", KEYS, KEYS, "DB", "1"),
    words("MOVE", KEYS, "1"),
    words("PEXPIREAT", KEYS, "1"),
    words("SWAPDB", "0", "1"),
    words(any_case("FLUSHDB", "FLUSHALL"), "ASYNC"),
]
"""What may happen to a key of any type. Redis 8.0 lets the client of a plain FLUSHALL wait."""


def script(text: str) -> Part:
    return words("EVAL", text, "1", KEYS)


LIST_WAITS = [
    words(any_case("BLPOP", "BRPOP"), KEYS, "0"),
    words("BLMOVE", KEYS, KEYS, SIDES, SIDES, "0"),
    words("BRPOPLPUSH", KEYS, KEYS, "0"),
    words("BLMPOP", "0", "1", KEYS, SIDES, COUNT),
]
PUSH = words(any_case("LPUSH", "RPUSH"), KEYS, several(VALUES, 4, 1))
LIST_WRITES = [
    *(PUSH, PUSH, PUSH),
    words("RPUSHX", KEYS, VALUES),
    words("LINSERT", KEYS, "BEFORE", VALUES, "9"),
    words("LMOVE", KEYS, KEYS, SIDES, SIDES),
    words("LMPOP", "2", KEYS, KEYS, SIDES),
    words("LPOP", KEYS),
    script("redis.call('RPUSH', KEYS[1], '1', '2') return redis.call('LPOP', KEYS[1])"),
    script("redis.call('RPUSH', KEYS[1], '1') redis.call('DEL', KEYS[1])"),
    *ANYWHERE,
]
SORTED_SET_WAITS = [
    words(any_case("BZPOPMIN", "BZPOPMAX"), KEYS, "0"),
    words("BZMPOP", "0", "1", KEYS, ENDS, COUNT),
]
ADD = words("ZADD", KEYS, several(words(VALUES, VALUES), 3, 1))
SORTED_SET_WRITES = [
    *(ADD, ADD, ADD),
    words("ZINCRBY", KEYS, "1", VALUES),
    words("GEOADD", KEYS, "13", "38", VALUES),
    words("ZRANGESTORE", KEYS, KEYS, "0", "-1"),
    words("ZMPOP", "1", KEYS, ENDS),
    words("ZPOPMIN", KEYS),
    script("redis.call('ZADD', KEYS[1], 1, 'a', 2, 'b') return redis.call('ZPOPMIN', KEYS[1])"),
    *ANYWHERE,
]
GROUPS = pick("g", "h")
CONSUMERS = pick("c", "d")
STREAM_WAITS = [
    words("XREAD", "BLOCK", "0", "STREAMS", KEYS, pick("$", "0", "1-1", "3-1")),
    words("XREADGROUP", "GROUP", GROUPS, CONSUMERS, "BLOCK", "0", "STREAMS", KEYS, ">"),
    words("XREADGROUP", "GROUP", GROUPS, CONSUMERS, "BLOCK", "0", "STREAMS", KEYS, pick("0", "1-1")),
    words("XREADGROUP", "GROUP", "g", CONSUMERS, "COUNT", "1", "BLOCK", "0", "NOACK", "STREAMS", KEYS, ">"),
]
TWO = words("STREAMS", KEYS, KEYS)
STREAMS_WAITS = [
    *STREAM_WAITS,
    words("XREAD", "COUNT", "1", "BLOCK", "0", TWO, pick("$", "0", "2-1"), pick("$", "0")),
    words("XREADGROUP", "GROUP", "g", CONSUMERS, "COUNT", "1", "BLOCK", "0", "NOACK", TWO, ">", ">"),
]
ENTRY = words("XADD", KEYS, pick("1-1", "2-1", "3-1", "4-1", "5-1", "6-1", "7-1"), "f", VALUES)
CREATE = words("XGROUP", "CREATE", KEYS, GROUPS, pick("0", "$"), "MKSTREAM")
STREAM_WRITES = [
    *(ENTRY, ENTRY, ENTRY, CREATE, CREATE),
    words("XADD", KEYS, "MAXLEN", "1", pick("4-1", "6-1", "8-1"), "f", VALUES),
    words("XGROUP", "DESTROY", KEYS, GROUPS),
    words("XGROUP", "SETID", KEYS, GROUPS, pick("0", "$", "2-1")),
    script("redis.call('XADD', KEYS[1], '8-1', 'f', 'v') redis.call('DEL', KEYS[1])"),
    *ANYWHERE,
]

Step = tuple[int, Sequence[Command]]
"""Which connection sends which commands at once."""


def transaction(commands: list[Command]) -> Sequence[Command]:
    return ((b"MULTI",), *commands, (b"EXEC",))


def alone(command: Command) -> Sequence[Command]:
    return (command,)


def steps(waits: Sequence[Part], writes: Sequence[Part]) -> st.SearchStrategy[Step]:
    waiter, writer = st.integers(0, WAITERS - 1), st.just(WRITER)
    return st.one_of(
        st.tuples(waiter, drawn(*waits).map(alone)),
        st.tuples(waiter, st.tuples(drawn(*waits), drawn(*waits))),
        st.tuples(writer, drawn(*writes).map(alone)),
        st.tuples(writer, st.lists(drawn(*writes), min_size=2, max_size=4)),
        st.tuples(writer, st.lists(drawn(*writes, *waits), min_size=1, max_size=4).map(transaction)),
    )


SEVERAL_KEYS = {
    "keys of any type": st.one_of(steps(WAITS, WRITES), st.tuples(st.just(WRITER), st.sampled_from(STORES))),
    "streams": steps(STREAMS_WAITS, STREAM_WRITES),
}
ONE_KEY = {
    "lists": steps(LIST_WAITS, LIST_WRITES),
    "sorted sets": steps(SORTED_SET_WAITS, SORTED_SET_WRITES),
    "streams": steps(STREAM_WAITS, STREAM_WRITES),
}


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


WHY_IT_ENDED = re.compile(rb"-(NOGROUP|WRONGTYPE|UNBLOCKED) [^\r]*")
"""What a consumer hears whose group went away: Redis 7.0 says why the wait ends, 8.0 why it is refused."""


def same_ends(data: bytes) -> bytes:
    return WHY_IT_ENDED.sub(b"-", data)


def check(server: RealServer, done: list[Step], alike: Callable[[bytes], bytes] = bytes) -> None:
    """Run the steps on a server of ours and the real one."""
    with connected(server) as theirs:
        ours = Ours()
        looks = [
            (WRITER, alone((command, key, *rest)))
            for key in (b"a", b"b", b"c")
            for command, *rest in (
                (b"LRANGE", b"0", b"-1"),
                (b"ZRANGE", b"0", b"-1"),
                (b"XRANGE", b"-", b"+"),
            )
        ]
        for place, (number, commands) in enumerate([*done, *looks]):
            data = b"".join(encode_command(list(command)) for command in commands)
            ours.send(number, data)
            theirs.send(number, data)
            mine, real = ours.received(), theirs.received()
            if mine != real:
                history = "\n".join(map(repr, done[: place + 1]))
                assert list(map(alike, mine)) == list(map(alike, real)), f"after\n{history}"


@pytest.mark.parametrize("kind", SEVERAL_KEYS)
@settings(max_examples=100, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_everybody_is_served_as_by_redis(redis7: RealServer, kind: str, data: st.DataObject) -> None:
    check(redis7, data.draw(st.lists(SEVERAL_KEYS[kind], min_size=3, max_size=20)))


@pytest.mark.parametrize("kind", ONE_KEY)
@settings(max_examples=60, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_who_waits_for_one_key_is_served_as_by_redis_8(
    redis8: RealServer, kind: str, data: st.DataObject
) -> None:
    check(redis8, data.draw(st.lists(ONE_KEY[kind], min_size=3, max_size=20)), same_ends)


def test_what_came_in_two_reads_while_a_client_waited_is_run_in_one_go(redis7: RealServer) -> None:
    check(
        redis7,
        [
            (WRITER, [(b"RPUSH", b"b", b"3", b"4", b"2")]),
            (0, [(b"BLPOP", b"a", b"0"), (b"BLPOP", b"b", b"0")]),
            (0, [(b"BRPOP", b"b", b"0")]),
            (1, [(b"BLPOP", b"a", b"0"), (b"BRPOP", b"b", b"0")]),
            (WRITER, [(b"RPUSH", b"a", b"1", b"2")]),
        ],
    )
