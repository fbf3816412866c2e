"""The collections' commands raise the keyspace events that Redis 7 raises, in its order.

Left out is LTRIM, whose event Redis raises even when nothing was trimmed.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import hiredis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoal.node.resp.writer import encode_command
from tests.differential.executor import LocalServer, RealServer
from tests.differential.grammar import KEYS, Part, any_case, drawn, integers, pick, several, words
from tests.differential.test_lists import SIDES
from tests.differential.test_sorted_sets import AGGREGATE, PAIRS, TWO_KEYS
from tests.differential.test_streams import ENTRIES, GROUP_COMMANDS
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

Event = tuple[bytes, bytes]
"""The event's name and the key."""

MEMBERS = pick("a", "b", "c")
SMALL = integers(-2, 2)
EVENT_COMMANDS: list[Part] = [
    words(any_case("LPUSH", "RPUSH", "LPUSHX", "RPUSHX"), KEYS, several(MEMBERS, 3, 1)),
    words(any_case("LPOP", "RPOP"), KEYS, several(integers(0, 3), 1)),
    words("LMPOP", TWO_KEYS, SIDES, "COUNT", "2"),
    words("LMOVE", KEYS, KEYS, SIDES, SIDES),
    words("RPOPLPUSH", KEYS, KEYS),
    words("LSET", KEYS, SMALL, MEMBERS),
    words("LINSERT", KEYS, any_case("BEFORE", "AFTER"), MEMBERS, MEMBERS),
    words("LREM", KEYS, SMALL, MEMBERS),
    words(any_case("SADD", "SREM"), KEYS, several(MEMBERS, 3, 1)),
    words("SMOVE", KEYS, KEYS, MEMBERS),
    words("SPOP", KEYS, pick(0, 9)),
    words(any_case("SUNIONSTORE", "SINTERSTORE", "SDIFFSTORE"), KEYS, several(KEYS, 3, 1)),
    words(any_case("HSET", "HMSET"), KEYS, several(words(MEMBERS, "1"), 2, 1)),
    words("HSETNX", KEYS, MEMBERS, "1"),
    words("HDEL", KEYS, several(MEMBERS, 3, 1)),
    words(any_case("HINCRBY", "HINCRBYFLOAT"), KEYS, MEMBERS, "1"),
    words("ZADD", KEYS, PAIRS),
    words("ZADD", KEYS, any_case("NX", "XX", "GT", "LT", "INCR"), "1", MEMBERS),
    words("ZINCRBY", KEYS, SMALL, MEMBERS),
    words("ZREM", KEYS, several(MEMBERS, 3, 1)),
    words(any_case("ZPOPMIN", "ZPOPMAX"), KEYS, several(integers(0, 3), 1)),
    words("ZMPOP", TWO_KEYS, any_case("MIN", "MAX"), "COUNT", "2"),
    words(any_case("ZREMRANGEBYRANK", "ZREMRANGEBYSCORE"), KEYS, SMALL, SMALL),
    words("ZREMRANGEBYLEX", KEYS, "[a", "[b"),
    words("ZRANGESTORE", KEYS, KEYS, SMALL, SMALL),
    words(any_case("ZUNIONSTORE", "ZINTERSTORE"), KEYS, TWO_KEYS, several(AGGREGATE, 1)),
    words("ZDIFFSTORE", KEYS, TWO_KEYS),
]


class Listener:
    """A second connection to a real server that hears its keyspace events."""

    def __init__(self, server: RealServer) -> None:
        self.server = server
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(server.socket.getpeername())
        self.parser = hiredis.Reader()
        self.socket.sendall(encode_command([b"PSUBSCRIBE", b"__keyevent@0__:*"]))
        self.socket.sendall(encode_command([b"SUBSCRIBE", b"end"]))
        assert [self._next()[0], self._next()[0]] == [b"psubscribe", b"subscribe"]

    def events(self) -> list[Event]:
        """The events since the last call; a message of our own marks where they end."""
        self.server.run("PUBLISH", "end", "")
        found: list[Event] = []
        while (message := self._next())[0] == b"pmessage":
            _, _, channel, key = message
            found.append((channel.partition(b":")[2], key))
        return found

    def _next(self) -> list[bytes]:
        while (message := self.parser.gets()) is False:
            self.parser.feed(self.socket.recv(1 << 16))
        assert isinstance(message, list)
        return message


@pytest.fixture(scope="module")
def listener(redis7: RealServer) -> Iterator[Listener]:
    redis7.run("CONFIG", "SET", "notify-keyspace-events", "EA")
    listener = Listener(redis7)
    yield listener
    listener.socket.close()
    redis7.run("CONFIG", "SET", "notify-keyspace-events", "")


FAMILIES = {"collections": EVENT_COMMANDS, "streams": ENTRIES + GROUP_COMMANDS}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_events_are_those_of_redis(listener: Listener, family: list[Part], data: st.DataObject) -> None:
    commands = data.draw(st.lists(drawn(*family), min_size=1, max_size=25))
    ours, mine = LocalServer(), list[Event]()
    ours.keyspace.tell_events(lambda _, event, key: mine.append((event.encode(), key)))
    listener.server.run("FLUSHALL")
    listener.events()
    for command in commands:
        mine.clear()
        ours.run(*command)
        listener.server.run(*command)
        assert mine == listener.events(), command
