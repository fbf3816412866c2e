"""Sequences of stream commands give on our server what they give on Redis 7, and leave the same streams.

Nodes hold three entries here, so that a short sequence fills, trims and drops some. Ids made from the clock
are left to other tests, and times of delivery are not compared, for the two servers look at two clocks.
"""

from __future__ import annotations

import pytest

from tests.differential.executor import RealServer
from tests.differential.grammar import (
    INTEGERS,
    Command,
    Part,
    any_case,
    formatted,
    integers,
    joined,
    one_of,
    pick,
    several,
    words,
)
from tests.differential.twin import Twin, run_any
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

NODE_ENTRIES = 3
LONG_AGO_MS = 1_000_000_000_000

KEYS = pick("a", "b", "{t}1")
GROUPS = pick("g", "h")
CONSUMERS = pick("alice", "bob", "carol")
LARGEST = (1 << 64) - 1
SMALL_IDS = joined(integers(0, 9), pick("-"), integers(0, 2))
EDGE_IDS = pick(
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
)
WRONG_IDS = pick("-", "+", "", "x", "1-", "-1", "1-2-3", "01-02", " 1-1", "+1-1", "1--5", f"{1 << 64}-0")
IDS = one_of(SMALL_IDS, SMALL_IDS, SMALL_IDS, SMALL_IDS, EDGE_IDS, WRONG_IDS)
ENDS = one_of(SMALL_IDS, pick("-", "+"), formatted("({}", SMALL_IDS), EDGE_IDS, WRONG_IDS)
TEXTS = pick("", "x", "0", "12", "-5", "127", "128", "-4097", "70000", 1 << 40, "012", "a" * 70, "b" * 5000)
FIELDS = one_of(
    words("f", TEXTS), words("f", TEXTS), words("f", TEXTS, "g", TEXTS), words(TEXTS, TEXTS), pick("f")
)
COUNT = several(words(any_case("COUNT"), INTEGERS), 1)
OPERATOR = several(pick("=", "~"), 1)
TRIM = one_of(
    words(any_case("MAXLEN"), OPERATOR, integers(0, 9)),
    words(any_case("MINID"), OPERATOR, IDS),
    words(any_case("MAXLEN", "MINID"), OPERATOR, INTEGERS, several(words("LIMIT", INTEGERS), 1)),
)

ENTRIES: list[Part] = [
    words("XADD", KEYS, SMALL_IDS, FIELDS),
    words("XADD", KEYS, SMALL_IDS, FIELDS),
    words("XADD", KEYS, formatted("{}-*", integers(0, 9)), FIELDS),
    words("XADD", KEYS, several(any_case("NOMKSTREAM"), 1), several(TRIM, 1), IDS, FIELDS),
    words("XADD", KEYS, several(TRIM, 2), IDS, FIELDS),
    words("XDEL", KEYS, several(SMALL_IDS, 4, 1)),
    words("XDEL", KEYS, IDS),
    words("XTRIM", KEYS, TRIM),
    words("XTRIM", KEYS, several(one_of(TRIM, any_case("MAXLEN", "NOMKSTREAM", "LIMIT")), 2, 1)),
    words("XSETID", KEYS, IDS),
    words(
        "XSETID",
        KEYS,
        IDS,
        several(one_of(words("ENTRIESADDED", INTEGERS), words("MAXDELETEDID", IDS)), 2),
    ),
]
READS: list[Part] = [
    words("XLEN", KEYS),
    words(any_case("XRANGE", "XREVRANGE"), KEYS, ENDS, ENDS, COUNT),
    words("XRANGE", KEYS, "-", "+"),
    words("XREVRANGE", KEYS, "+", "-"),
    words("XREAD", COUNT, "STREAMS", KEYS, IDS),
    words("XREAD", "STREAMS", KEYS, KEYS, IDS, pick("$", "0", ">")),
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
    one_of(
        any_case("FORCE", "JUSTID"),
        words("IDLE", integers(-5, 5)),
        words("TIME", one_of(INTEGERS, pick(LONG_AGO_MS))),
        words("RETRYCOUNT", integers(-2, 9)),
        words("LASTID", IDS),
        any_case("BOGUS", "TIME"),
    ),
    3,
)
SETID_OPTIONS = several(words("ENTRIESREAD", INTEGERS), 1)
PENDING_RANGE = words(several(words("IDLE", pick(0, -1, 1 << 40, "x")), 1), ENDS, ENDS, INTEGERS)
AUTOCLAIM_OPTIONS = several(one_of(COUNT, any_case("JUSTID", "COUNT")), 2)
MIN_IDLE = pick(0, 0, 0, -1, 1 << 40, "x")
READ_FOR_GROUP = words(
    pick("XREADGROUP"),
    pick("GROUP"),
    GROUPS,
    CONSUMERS,
    COUNT,
    several(any_case("NOACK"), 1),
    pick("STREAMS"),
)
GROUP_COMMANDS: list[Part] = [
    words("XADD", KEYS, SMALL_IDS, FIELDS),
    words("XADD", KEYS, SMALL_IDS, FIELDS),
    words("XADD", KEYS, formatted("{}-*", integers(0, 9)), FIELDS),
    words("XDEL", KEYS, several(SMALL_IDS, 4, 1)),
    words("XTRIM", KEYS, TRIM),
    words("XSETID", KEYS, IDS),
    words("XGROUP", "CREATE", KEYS, GROUPS, one_of(IDS, pick("$")), any_case("MKSTREAM")),
    words("XGROUP", "CREATE", KEYS, GROUPS, "0", "MKSTREAM", "ENTRIESREAD", INTEGERS),
    words("XGROUP", "SETID", KEYS, GROUPS, one_of(IDS, pick("$")), SETID_OPTIONS),
    words("XGROUP", pick("CREATECONSUMER", "DELCONSUMER"), KEYS, GROUPS, CONSUMERS),
    words("XGROUP", pick("DESTROY", "CREATE"), KEYS, GROUPS),
    words(READ_FOR_GROUP, KEYS, ">"),
    words(READ_FOR_GROUP, KEYS, ">"),
    words(READ_FOR_GROUP, KEYS, KEYS, ">", one_of(IDS, pick("$", ">"))),
    words("XACK", KEYS, GROUPS, several(SMALL_IDS, 4, 1)),
    words("XACK", KEYS, GROUPS, IDS),
    words("XPENDING", KEYS, GROUPS, several(PENDING_RANGE, 1)),
    words("XPENDING", KEYS, GROUPS, "-", "+", "10", several(CONSUMERS, 2)),
    words("XCLAIM", KEYS, GROUPS, CONSUMERS, MIN_IDLE, several(SMALL_IDS, 3, 1), CLAIM_OPTIONS),
    words("XAUTOCLAIM", KEYS, GROUPS, CONSUMERS, MIN_IDLE, ENDS, AUTOCLAIM_OPTIONS),
    words("XINFO", pick("GROUPS", "STREAM"), KEYS),
    words("XINFO", "CONSUMERS", KEYS, GROUPS),
    words("XINFO", "STREAM", KEYS, "FULL", COUNT),
    words("COPY", KEYS, KEYS, "REPLACE"),
    words("DEL", KEYS),
]
A_GROUP: list[Command] = [
    (b"XADD", b"a", b"1-0", b"f", b"x"),
    (b"XADD", b"a", b"3-0", b"f", b"y"),
    (b"XGROUP", b"CREATE", b"a", b"g", b"0"),
    (b"XGROUP", b"CREATE", b"b", b"g", b"$", b"MKSTREAM"),
]
LOOKS: list[Command] = [(b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0") for key in (b"a", b"b", b"{t}1")]


def test_stream_commands_answer_and_store_what_redis_does(redis7: RealServer) -> None:
    redis7.run("CONFIG", "SET", "stream-node-max-entries", NODE_ENTRIES)
    try:
        twin = Twin(redis7, LOOKS, stream_node_max_entries=NODE_ENTRIES)
        run_any(twin, [*ENTRIES, *READS, *GROUP_COMMANDS], A_GROUP)
    finally:
        redis7.run("CONFIG", "SET", "stream-node-max-entries", 100)
