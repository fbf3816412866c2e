"""Sequences of stream commands give on our handlers what they give on Redis 7, and leave the same streams.

Nodes hold three entries here, so that a short sequence fills, trims and drops some. Ids made from the clock
are left to other tests, and times of delivery are masked, for the two servers look at two clocks.
"""

from __future__ import annotations

from collections.abc import Iterator

import hiredis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoal.node.resp.writer import encode
from tests.differential.comparison import Command
from tests.differential.executor import LocalServer, RealServer, to_words
from tests.differential.strategies import INTEGERS, any_case, several, words
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

NODE_ENTRIES = 3
LONG_AGO_MS = 1_000_000_000_000
TIMES = frozenset({b"idle", b"seen-time"})

KEYS = st.sampled_from(["a", "b", "{t}1"])
GROUPS = st.sampled_from(["g", "h"])
CONSUMERS = st.sampled_from(["alice", "bob", "carol"])
LARGEST = (1 << 64) - 1
SMALL_IDS = st.tuples(st.integers(0, 9), st.integers(0, 2)).map(lambda pair: f"{pair[0]}-{pair[1]}")
EDGE_IDS = st.sampled_from(
    [
        0,
        3,
        7,
        "5-*",
        "300-0",
        "70000-1",
        f"5-{LARGEST}",
        f"{LARGEST}-{LARGEST}",
        f"{LARGEST}-*",
        f"{1 << 63}-1",
    ]
)
WRONG_IDS = st.sampled_from(
    ["-", "+", "", "x", "1-", "-1", "1-2-3", "01-02", " 1-1", "+1-1", "1--5", f"{1 << 64}-0"]
)
IDS = st.one_of(SMALL_IDS, SMALL_IDS, SMALL_IDS, SMALL_IDS, EDGE_IDS, WRONG_IDS)
ENDS = st.one_of(SMALL_IDS, st.sampled_from(["-", "+"]), SMALL_IDS.map("({}".format), EDGE_IDS, WRONG_IDS)
TEXTS = st.sampled_from(
    ["", "x", "0", "12", "-5", "127", "128", "-4097", "70000", 1 << 40, "012", "a" * 70, "b" * 5000]
)
FIELDS = st.one_of(
    words("f", TEXTS), words("f", TEXTS), words("f", TEXTS, "g", TEXTS), words(TEXTS, TEXTS), st.just(("f",))
)
COUNT = several(words(any_case("COUNT"), INTEGERS), 1)
OPERATOR = several(st.sampled_from(["=", "~"]), 1)
TRIM = st.one_of(
    words(any_case("MAXLEN"), OPERATOR, st.integers(0, 9)),
    words(any_case("MINID"), OPERATOR, IDS),
    words(any_case("MAXLEN", "MINID"), OPERATOR, INTEGERS, several(words("LIMIT", INTEGERS), 1)),
)

ENTRIES: list[st.SearchStrategy[Command]] = [
    words("XADD", KEYS, SMALL_IDS, FIELDS),
    words("XADD", KEYS, SMALL_IDS, FIELDS),
    words("XADD", KEYS, st.integers(0, 9).map("{}-*".format), FIELDS),
    words("XADD", KEYS, several(any_case("NOMKSTREAM"), 1), several(TRIM, 1), IDS, FIELDS),
    words("XADD", KEYS, several(TRIM, 2), IDS, FIELDS),
    words("XDEL", KEYS, several(SMALL_IDS, 4, 1)),
    words("XDEL", KEYS, IDS),
    words("XTRIM", KEYS, TRIM),
    words("XTRIM", KEYS, several(st.one_of(TRIM, any_case("MAXLEN", "NOMKSTREAM", "LIMIT")), 2, 1)),
    words("XSETID", KEYS, IDS),
    words(
        "XSETID",
        KEYS,
        IDS,
        several(st.one_of(words("ENTRIESADDED", INTEGERS), words("MAXDELETEDID", IDS)), 2),
    ),
]
READS: list[st.SearchStrategy[Command]] = [
    words("XLEN", KEYS),
    words(any_case("XRANGE", "XREVRANGE"), KEYS, ENDS, ENDS, COUNT),
    words("XRANGE", KEYS, "-", "+"),
    words("XREVRANGE", KEYS, "+", "-"),
    words("XREAD", COUNT, "STREAMS", KEYS, IDS),
    words("XREAD", "STREAMS", KEYS, KEYS, IDS, st.sampled_from(["$", "0", ">"])),
    words("XREAD", several(any_case("NOACK", "COUNT", "STREAMS", "BOGUS"), 3, 2)),
    words("XINFO", "STREAM", KEYS),
    words("XINFO", "STREAM", KEYS, any_case("FULL"), COUNT),
    words("TYPE", KEYS),
    words("OBJECT", "ENCODING", KEYS),
    words("SET", KEYS, "text"),
    words("COPY", KEYS, KEYS, "REPLACE"),
    words("RENAME", KEYS, KEYS),
    words("DEL", KEYS),
]
CLAIM_OPTIONS = several(
    st.one_of(
        any_case("FORCE", "JUSTID"),
        words("IDLE", st.integers(-5, 5)),
        words("TIME", st.one_of(INTEGERS, st.just(LONG_AGO_MS))),
        words("RETRYCOUNT", st.integers(-2, 9)),
        words("LASTID", IDS),
        any_case("BOGUS", "TIME"),
    ),
    3,
)
SETID_OPTIONS = several(words("ENTRIESREAD", INTEGERS), 1)
PENDING_RANGE = words(several(words("IDLE", st.sampled_from([0, -1, 1 << 40, "x"])), 1), ENDS, ENDS, INTEGERS)
AUTOCLAIM_OPTIONS = several(st.one_of(COUNT, any_case("JUSTID", "COUNT")), 2)
MIN_IDLE = st.sampled_from([0, 0, 0, -1, 1 << 40, "x"])
READ_FOR_GROUP = st.tuples(
    st.just("XREADGROUP"),
    st.just("GROUP"),
    GROUPS,
    CONSUMERS,
    COUNT,
    several(any_case("NOACK"), 1),
    st.just("STREAMS"),
)
GROUP_COMMANDS: list[st.SearchStrategy[Command]] = [
    words("XADD", KEYS, SMALL_IDS, FIELDS),
    words("XADD", KEYS, SMALL_IDS, FIELDS),
    words("XADD", KEYS, st.integers(0, 9).map("{}-*".format), FIELDS),
    words("XDEL", KEYS, several(SMALL_IDS, 4, 1)),
    words("XTRIM", KEYS, TRIM),
    words("XSETID", KEYS, IDS),
    words("XGROUP", "CREATE", KEYS, GROUPS, st.one_of(IDS, st.just("$")), any_case("MKSTREAM")),
    words("XGROUP", "CREATE", KEYS, GROUPS, "0", "MKSTREAM", "ENTRIESREAD", INTEGERS),
    words("XGROUP", "SETID", KEYS, GROUPS, st.one_of(IDS, st.just("$")), SETID_OPTIONS),
    words("XGROUP", st.sampled_from(["CREATECONSUMER", "DELCONSUMER"]), KEYS, GROUPS, CONSUMERS),
    words("XGROUP", st.sampled_from(["DESTROY", "CREATE"]), KEYS, GROUPS),
    words(READ_FOR_GROUP, KEYS, ">"),
    words(READ_FOR_GROUP, KEYS, ">"),
    words(READ_FOR_GROUP, KEYS, KEYS, ">", st.one_of(IDS, st.sampled_from(["$", ">"]))),
    words("XACK", KEYS, GROUPS, several(SMALL_IDS, 4, 1)),
    words("XACK", KEYS, GROUPS, IDS),
    words("XPENDING", KEYS, GROUPS, several(PENDING_RANGE, 1)),
    words("XPENDING", KEYS, GROUPS, "-", "+", "10", several(CONSUMERS, 2)),
    words("XCLAIM", KEYS, GROUPS, CONSUMERS, MIN_IDLE, several(SMALL_IDS, 3, 1), CLAIM_OPTIONS),
    words("XAUTOCLAIM", KEYS, GROUPS, CONSUMERS, MIN_IDLE, ENDS, AUTOCLAIM_OPTIONS),
    words("XINFO", st.sampled_from(["GROUPS", "STREAM"]), KEYS),
    words("XINFO", "CONSUMERS", KEYS, GROUPS),
    words("XINFO", "STREAM", KEYS, "FULL", COUNT),
    words("COPY", KEYS, KEYS, "REPLACE"),
    words("DEL", KEYS),
]


class Peer:
    """The real server, asked in RESP2 or RESP3."""

    def __init__(self, server: RealServer) -> None:
        self.server = server

    def run(self, command: Command, protocol: int) -> object:
        self.server.run("HELLO", protocol)
        return masked(command, self.server.run(*command).value)


def run_here(server: LocalServer, command: Command, protocol: int) -> object:
    """The same of our handlers."""
    parser = hiredis.Reader()
    parser.feed(encode(server.execute(to_words(command)), protocol))
    reply = parser.gets()
    return masked(command, ("error", str(reply)) if isinstance(reply, hiredis.ReplyError) else reply)


def masked(command: Command, reply: object) -> object:
    """A reply without what depends on the clock: how long ago, or when, something was delivered."""
    name = str(command[0]).upper()
    if name == "XPENDING" and len(command) > 3 and isinstance(reply, list):
        return [[entry, consumer, deliveries] for entry, consumer, _, deliveries in reply]
    return without_times(reply) if name == "XINFO" else reply


def without_times(info: object) -> object:
    """XINFO's reply without idle times, times when consumers were seen and times of delivery."""
    if isinstance(info, dict):
        info = [part for pair in info.items() for part in pair]
    if not isinstance(info, list):
        return info
    if len(info) in (3, 4) and isinstance(info[-1], int) and isinstance(info[-2], int):
        return [*info[:-2], info[-1]]
    shown = [without_times(part) for part in info]
    hidden = [place + 1 for place, part in enumerate(shown) if isinstance(part, bytes) and part in TIMES]
    return [None if place in hidden else part for place, part in enumerate(shown)]


@pytest.fixture(scope="module")
def peer(redis7: RealServer) -> Iterator[Peer]:
    redis7.run("CONFIG", "SET", "stream-node-max-entries", NODE_ENTRIES)
    yield Peer(redis7)
    redis7.run("HELLO", 2)
    redis7.run("CONFIG", "SET", "stream-node-max-entries", 100)


def check(peer: Peer, commands: list[Command], protocol: int) -> None:
    """Run the commands on both, compare the replies, then every stream, and take each to the other server."""
    ours = LocalServer()
    ours.call.encoding_limits.stream_node_max_entries = NODE_ENTRIES
    peer.server.run("FLUSHALL")
    for place, command in enumerate(commands):
        mine, real = run_here(ours, command, protocol), peer.run(command, protocol)
        assert mine == real, f"after {commands[:place]}\n{command} gave {mine}, Redis gives {real}"
    keys = run_here(ours, ("KEYS", "*"), 2)
    assert isinstance(keys, list)
    for key in keys:
        if run_here(ours, ("TYPE", key), 2) != b"stream":
            continue
        full = run_here(ours, ("XINFO", "STREAM", key, "FULL", "COUNT", 0), 2)
        assert full == peer.run(("XINFO", "STREAM", key, "FULL", "COUNT", 0), 2), commands
        mine, real = run_here(ours, ("DUMP", key), 2), peer.run(("DUMP", key), 2)
        assert isinstance(mine, bytes)
        assert isinstance(real, bytes)
        assert run_here(ours, ("RESTORE", "copy", 0, real, "REPLACE"), 2) == b"OK", commands
        assert peer.run(("RESTORE", "copy", 0, mine, "REPLACE"), 2) == b"OK", commands
        assert run_here(ours, ("XINFO", "STREAM", "copy", "FULL", "COUNT", 0), 2) == full, commands
        assert peer.run(("XINFO", "STREAM", "copy", "FULL", "COUNT", 0), 2) == full, commands


A_GROUP: list[Command] = [
    ("XADD", "a", "1-0", "f", "x"),
    ("XADD", "a", "3-0", "f", "y"),
    ("XGROUP", "CREATE", "a", "g", "0"),
    ("XGROUP", "CREATE", "b", "g", "$", "MKSTREAM"),
]
FAMILIES = {
    "entries": ([], ENTRIES + READS),
    "groups": ([], GROUP_COMMANDS),
    "readers of a group": (A_GROUP, GROUP_COMMANDS),
}
"""What comes first, and then in any order."""


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_stream_commands_answer_and_store_what_redis_does(
    peer: Peer,
    family: tuple[list[Command], list[st.SearchStrategy[Command]]],
    protocol: int,
    data: st.DataObject,
) -> None:
    first, commands = family
    check(peer, first + data.draw(st.lists(st.one_of(commands), min_size=5, max_size=30)), protocol)
