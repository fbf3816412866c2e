"""Several clients of ours and of a real Redis, told the same, are sent the same bytes in RESP2 and RESP3.

Where Redis leaves an order to chance (which of two matching patterns comes first, in which order a client
leaves all its channels) no test has two of them. What a transaction publishes to its own client is left out
too: Redis 7.0 sends such messages in the middle of EXEC's array, later ones and we do not.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.differential.executor import RealServer
from tests.differential.several_clients import Line, check_same, parse
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

SCRIPTS = {
    "basics": """
        a SUBSCRIBE x y
        b PUBLISH x hello
        b PUBLISH y world
        b PUBLISH z nobody
        b publish x again
        a UNSUBSCRIBE x
        b PUBLISH x lost
        b PUBLISH y kept
        a UNSUBSCRIBE y never
        a PING
    """,
    "the same twice": """
        a SUBSCRIBE x x
        a SUBSCRIBE x
        a PSUBSCRIBE x x
        b PUBLISH x once-each
        a UNSUBSCRIBE x x
    """,
    "patterns": """
        a PSUBSCRIBE h?llo n[ab]* \\*
        b SUBSCRIBE hello
        c PUBLISH hello 1
        c PUBLISH nax 2
        c PUBLISH * 3
        c PUBLISH other 4
        a PUNSUBSCRIBE h?llo
        a PUNSUBSCRIBE
        c PUBLISH hello 5
        c PUBSUB NUMPAT
    """,
    "counts": """
        a SUBSCRIBE x
        a PSUBSCRIBE x*
        a SSUBSCRIBE x
        a SSUBSCRIBE y
        a SUNSUBSCRIBE x
        a UNSUBSCRIBE x
        a PUNSUBSCRIBE
        a SUNSUBSCRIBE
        a SUNSUBSCRIBE
        a UNSUBSCRIBE
        a PUNSUBSCRIBE
        a GET k
    """,
    "only so much while subscribed": """
        a SUBSCRIBE x
        a GET k
        a CONFIG GET maxmemory
        a NOSUCH
        a GET
        a MULTI
        a PUBLISH x self
        a PING
        a PING text
        a PING too many
        a SPUBLISH x self
        a RESET
        a GET k
        b PUBLISH x nobody
    """,
    "quit": """
        a SUBSCRIBE x
        b SUBSCRIBE x
        a QUIT
        c PUBLISH y nobody
    """,
    "shard channels": """
        a SSUBSCRIBE x {x}y
        a SUBSCRIBE x
        b PSUBSCRIBE *
        c SPUBLISH x sharded
        c PUBLISH x global
        c PUBSUB SHARDCHANNELS {*
        c PUBSUB SHARDNUMSUB x y
        c PUBSUB SHARDNUMSUB
        a GET k
        a SUNSUBSCRIBE x {x}y
        c SPUBLISH x lost
        c PUBSUB SHARDCHANNELS
    """,
    "who listens": """
        a SUBSCRIBE x
        b SUBSCRIBE x
        b PSUBSCRIBE p*
        a PSUBSCRIBE p*
        c PUBSUB CHANNELS
        c PUBSUB CHANNELS [x]
        c PUBSUB CHANNELS y*
        c PUBSUB NUMSUB
        c PUBSUB NUMSUB x y x
        c PUBSUB NUMPAT
        c PUBSUB NUMPAT more
        c PUBSUB CHANNELS too many
        c PUBSUB NOSUCH
        c PUBSUB
    """,
    "in a transaction": """
        a MULTI
        a SUBSCRIBE x
        a SET k 1
        a SSUBSCRIBE y
        a EXEC
        b MULTI
        b PUBLISH x m
        b PUBLISH y m
        b SPUBLISH y m
        b EXEC
        a UNSUBSCRIBE
        b MULTI
        b SUBSCRIBE x
        b UNSUBSCRIBE x
        b PSUBSCRIBE x
        b PING
        b EXEC
    """,
    "answers switched off": """
        a CLIENT REPLY OFF
        a SUBSCRIBE x
        a PING
        b PUBLISH x m
        a UNSUBSCRIBE x
        a CLIENT REPLY ON
        a CLIENT REPLY SKIP
        a PSUBSCRIBE x
        a PING
        b PUBLISH x m
    """,
    "odd words": """
        a SUBSCRIBE
        a PSUBSCRIBE
        a SSUBSCRIBE
        b PUBLISH x
        b PUBLISH x y z
        a SSUBSCRIBE x y
        b SPUBLISH x
    """,
}

KEYSPACE_SCRIPTS = {
    "both channels": ("KEA", "SET k v", "LPUSH l 1", "SADD s 1", "HSET h f 1", "ZADD z 1 m", "DEL k l s h z"),
    "names as keys": ("EA", "SET k v", "RPUSH l 1"),
    "masked": ("KEl", "SET k v", "LPUSH l 1", "DEL k"),
    "neither channel": ("A", "SET k v"),
    "no class": ("KE", "SET k v", "GET none"),
    "generic": ("KEg", "SET k v", "EXPIRE k 100", "PERSIST k", "RENAME k j", "COPY j k", "MOVE j 1", "DEL k"),
    "strings": ("E$", "SET k 1", "INCR k", "APPEND k 1", "SETRANGE k 0 1", "SETBIT k 1 1", "INCRBYFLOAT k 1"),
    "lists": (
        "El",
        "RPUSH l 1 2 3",
        "LSET l 0 x",
        "LINSERT l BEFORE x y",
        "LREM l 0 x",
        "LPOP l",
        "LTRIM l 0 0",
    ),
    "sets": ("Es", "SADD s a b", "SREM s a", "SUNIONSTORE t s", "SPOP s 1", "SDIFFSTORE t s u"),
    "hashes": ("Eh", "HSET h f 1", "HINCRBY h f 1", "HINCRBYFLOAT h f 1", "HDEL h f"),
    "sorted sets": (
        "Ez",
        "ZADD z 1 a 2 b 3 c 4 d",
        "ZINCRBY z 1 a",
        "ZREM z a",
        "ZPOPMIN z",
        "ZRANGESTORE y z 0 -1",
        "ZUNIONSTORE x 1 z",
        "ZREMRANGEBYRANK x 0 -1",
    ),
    "new keys": (
        "En",
        "SET k v",
        "SET k w",
        "LPUSH l 1",
        "LPUSH l 2",
        "RENAME k j",
        "SET k v",
        "RENAME k j",
        "COPY j k",
        "COPY j k REPLACE",
        "SUNIONSTORE s none",
        "SADD s 1",
        "SUNIONSTORE t s",
        "SUNIONSTORE t s",
        "GETSET g 1",
        "SETNX g 1",
        "LMOVE l m LEFT LEFT",
        "INCR c",
        "SETBIT b 1 1",
        "MOVE g 1",
    ),
    "misses": (
        "Em",
        "GET none",
        "SET k v",
        "GET k",
        "HGET none f",
        "LRANGE none 0 -1",
        "MGET none k",
        "DEL none",
    ),
    "all but the classes of A": ("KEnm", "SET k v", "GET none"),
    "expiry on access": (
        "Exmg",
        "DEBUG SET-ACTIVE-EXPIRE 0",
        "SET k v PX 1",
        "wait",
        "GET k",
        "TTL k",
        "EXISTS k",
        "TYPE k",
    ),
    "a past time to live": ("EA", "SET k v", "PEXPIREAT k 1", "SET k v", "GETEX k PXAT 1"),
}


@pytest.fixture
def address(redis7: RealServer) -> str:
    return str(redis7.socket.getpeername())


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_clients_are_sent_what_redis_sends(address: str, script: str, resp: int) -> None:
    check_same(address, parse(script), resp)


@pytest.mark.parametrize("script", KEYSPACE_SCRIPTS.values(), ids=KEYSPACE_SCRIPTS)
def test_keyspace_notifications_are_those_of_redis(address: str, script: tuple[str, ...]) -> None:
    classes, *commands = script
    lines: list[Line] = [
        ("a", ["CONFIG", "SET", "notify-keyspace-events", classes]),
        ("a", ["CONFIG", "GET", "notify-keyspace-events"]),
        ("b", ["PSUBSCRIBE", "__key*"]),
    ]
    check_same(address, lines + [("wait", []) if c == "wait" else ("a", c.split()) for c in commands], 2)


def test_a_client_that_speaks_resp3_hears_of_its_own_doings(address: str) -> None:
    lines = """
        a CONFIG SET notify-keyspace-events KEA
        a PSUBSCRIBE __keyspace*
        a SUBSCRIBE x
        a SET k v
        a PUBLISH x self
        a GET k
        a HELLO 2
        a GET k
        a UNSUBSCRIBE x
        a PUNSUBSCRIBE
        a GET k
    """
    mine, *others = parse(lines)
    check_same(address, [mine, *[line for line in others if line[1][0] != "HELLO"]], 3)


NAMES = st.sampled_from(["x", "xy", "y", "{x}z"])
PATTERNS = st.sampled_from(["x*", "[yz]", "{*"])
"""Every name matches one of them at most."""
SOME_NAMES = st.lists(NAMES, min_size=1, max_size=3)
COMMANDS: st.SearchStrategy[list[str]] = st.one_of(
    SOME_NAMES.map(lambda names: ["SUBSCRIBE", *names]),
    SOME_NAMES.map(lambda names: ["UNSUBSCRIBE", *names]),
    SOME_NAMES.map(lambda names: ["SSUBSCRIBE", *names]),
    SOME_NAMES.map(lambda names: ["SUNSUBSCRIBE", *names]),
    st.lists(PATTERNS, min_size=1, max_size=2).map(lambda patterns: ["PSUBSCRIBE", *patterns]),
    st.lists(PATTERNS, max_size=2).map(lambda patterns: ["PUNSUBSCRIBE", *patterns]),
    NAMES.map(lambda name: ["PUBLISH", name, "m"]),
    NAMES.map(lambda name: ["SPUBLISH", name, "m"]),
    st.sampled_from(
        [["PING"], ["RESET"], ["GET", "k"], ["PUBSUB", "NUMPAT"], ["PUBSUB", "NUMSUB", "x", "y"]]
    ),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from("abc"), COMMANDS), min_size=5, max_size=25), st.sampled_from([2, 3])
)
def test_any_sequence_is_answered_as_redis_answers(address: str, lines: list[Line], resp: int) -> None:
    check_same(address, lines, resp)
