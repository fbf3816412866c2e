"""Hashes whose fields expire, compared with Redis 8: replies, data, DUMP payloads, what replicas hold."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shoal.node.dataset.hashes import ExpiringHash
from tests.differential.comparison import ask, compare
from tests.differential.executor import LocalServer, RealServer
from tests.differential.grammar import (
    INTEGERS,
    LIFETIMES,
    ODD_NUMBERS,
    TEXTS,
    Command,
    Part,
    any_case,
    drawn,
    one_of,
    pick,
    several,
    words,
)
from tests.differential.twin import Twin, run_any
from tests.peers import REDIS8_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS8_SERVER)]

LATER = 5_000_000_000_000
EVEN_LATER = 6_000_000_000_000
LATEST = (1 << 46) - 1


def told(line: str) -> Command:
    return tuple(line.encode().split())


REPLIES = """
    HSET h a 1 b 2 c 3
    HEXPIRE h 100 FIELDS 2 a zz
    HEXPIRE h 100 NX FIELDS 2 a b
    HEXPIRE h 200 GT FIELDS 3 a b c
    HEXPIRE h 50 LT FIELDS 3 a b c
    HEXPIRE h 50 XX FIELDS 2 a d
    HEXPIRE h 50 nx fields 1 a
    HEXPIRE none 50 FIELDS 2 a b
    HEXPIRE h x FIELDS 1 a
    HEXPIRE h -1 FIELDS 1 a
    HEXPIRE h 99999999999999999 FIELDS 1 a
    HPEXPIRE h 9223372036854775807 FIELDS 1 a
    HPEXPIREAT h 70368744177663 FIELDS 1 a
    HPEXPIREAT h 70368744177664 FIELDS 1 a
    HEXPIREAT h 70368744177 FIELDS 1 a
    HEXPIREAT h 70368744178 FIELDS 1 a
    HEXPIRE h 50 FIELDS 0 a
    HEXPIRE h 50 FIELDS x a
    HEXPIRE h 50 FIELDS 2 a
    HEXPIRE h 50 FIELDS 1 a b
    HEXPIRE h 50 FELDS 1 a
    HEXPIRE h 50 NX XX FIELDS 1 a
    HEXPIRE h 50 FIELDS 1 a NX
    HEXPIRE h 50 NOPE FIELDS 1 a
    HEXPIRE h 50 NX NX FIELDS 1 a
    HEXPIRE h 50 FIELDS
    HTTL h FIELDS 4 a b c zz
    HEXPIRE h 0 FIELDS 1 b
    HEXPIREAT h 1 FIELDS 1 zz
    HEXPIREAT h 1 GT FIELDS 1 a
    HEXPIRE h 50 FIELDS 2 c c
    HTTL h FIELDS 3 a b zz
    HTTL none FIELDS 2 a b
    HTTL h FIELDS 0 a
    HTTL h FIELDS 2 a
    HTTL h FIELDS 1 a b
    HTTL h FELDS 1 a
    HTTL h 1 a b
    HPERSIST h FIELDS 4 a b c zz
    HPERSIST h FIELDS 2 a c
    HPERSIST none FIELDS 1 a
    HPERSIST h FIELDS 0 a
    HPERSIST h FIELDS 5 a
    HPERSIST h FELDS 1 a
    HPERSIST h FIELDS x a
    HPEXPIREAT h 5000000000000 FIELDS 1 a
    HEXPIRETIME h FIELDS 2 a c
    HPEXPIRETIME h FIELDS 3 a c zz
    HPEXPIREAT h 5000000000001 FIELDS 1 a
    HEXPIRETIME h FIELDS 1 a
    HSET h a 2
    HPEXPIRETIME h FIELDS 1 a
    HPEXPIREAT h 5000000000000 FIELDS 2 a c
    HINCRBY h a 5
    HINCRBYFLOAT h c 1.5
    HPEXPIRETIME h FIELDS 2 a c
    HSETNX h a 1
    HDEL h a
    HSET h a 1
    HPEXPIRETIME h FIELDS 2 a c
    OBJECT ENCODING h
    HPEXPIREAT h 1 FIELDS 2 a c
    EXISTS h
    SET s 1
    HEXPIRE s x FIELDS 1 a
    HEXPIRE s 1 FIELDS 2 a
    HTTL s FIELDS 3 a
    HPERSIST s FIELDS 3 a
    HGETEX s FIELDS 3 a
    HGETDEL s FIELDS 3 a
    HSETEX s FIELDS 3 a 1
    HSETEX s FIELDS 1 a 1
    HEXPIRE none x FIELDS 1 a
    HEXPIRE none 1 FIELDS 3 a
    HPERSIST none FIELDS 3 a
    HTTL none FIELDS 3 a
    HSET h a 1 b 2 c 3
    HGETEX h FIELDS 2 a zz
    HGETEX h EX 100 FIELDS 2 a zz
    HTTL h FIELDS 3 a b zz
    HGETEX h PERSIST FIELDS 2 a b
    HTTL h FIELDS 3 a b zz
    HGETEX none EX 10 FIELDS 2 a b
    HGETEX h EX 0 FIELDS 1 a
    HGETEX h EX -1 FIELDS 1 a
    HGETEX h EX x FIELDS 1 a
    HGETEX h EX FIELDS 1 a
    HGETEX h EX 10 PX 10 FIELDS 1 a
    HGETEX h EX 10 PERSIST FIELDS 1 a
    HGETEX h FIELDS 1 a EX 10
    HGETEX h EX 10 FIELDS 0 a
    HGETEX h EX 10 FIELDS x a
    HGETEX h EX 10 FIELDS 2 a
    HGETEX h EX 10 FIELDS 1 a b
    HGETEX h NOPE FIELDS 1 a
    HGETEX h EX 10 NOPE 1 a
    HGETEX h PX 70368744177664 FIELDS 1 a
    HGETEX h PXAT 1 FIELDS 1 a
    HGETALL h
    HGETEX h EXAT 1 FIELDS 5 b c d e c
    EXISTS h
    HSETEX h FIELDS 2 a 1 b 2
    HSETEX h FNX FIELDS 2 a 1 c 2
    HSETEX h FXX FIELDS 2 a 9 c 2
    HSETEX h FXX EX 100 FIELDS 2 a 9 b 2
    HTTL h FIELDS 2 a b
    HSETEX h KEEPTTL FIELDS 1 a 10
    HTTL h FIELDS 2 a b
    HSETEX h FIELDS 1 a 10
    HTTL h FIELDS 2 a b
    HSETEX none FXX FIELDS 1 a 1
    EXISTS none
    HSETEX h EX 0 FIELDS 1 b 5
    HSETEX h PXAT 1 FIELDS 2 b 5 q 1
    HGETALL h
    HSETEX h2 PXAT 1 FIELDS 2 b 5 q 1
    EXISTS h2
    HSETEX h EX 10 KEEPTTL FIELDS 1 b 5
    HSETEX h FNX FXX FIELDS 1 b 5
    HSETEX h FIELDS 2 b 5
    HSETEX h FIELDS 1 b 5 EX 10
    HSETEX h FIELDS 1 b 5 c
    HSETEX h FIELDS 0 b 5
    HSETEX h FIELDS x b 5
    HSETEX h NOPE FIELDS 1 b 5
    HSETEX h EX FIELDS 1 b 5
    HSETEX h FIELDS 1 b 5 FIELDS 1 b 6
    HSETEX h EX 10 FNX FIELDS 1 zz 6
    HSETEX h EX 99999999999999 FIELDS 1 a 1
    HSETEX h PX 70368744177664 FIELDS 1 a 1
    HGETDEL h FIELDS 2 a zz
    HGETDEL h FIELDS 0 a
    HGETDEL h FIELDS x a
    HGETDEL h FIELDS 2 a
    HGETDEL h FIELDS 1 a b
    HGETDEL h FELDS 1 a
    HGETDEL none FIELDS 2 a b
    HSET h a 1 b 2
    HGETDEL h FIELDS 4 a b a zz
    EXISTS h
"""


def test_replies_and_errors_are_those_of_redis(redis8: RealServer) -> None:
    compare(LocalServer(), redis8, [told(line) for line in REPLIES.strip().splitlines()])


def test_times_to_live_stay_with_a_hash_that_is_copied_renamed_or_moved(redis8: RealServer) -> None:
    lines = """
        HSET h a 1 b 2
        HPEXPIREAT h 5000000000000 FIELDS 1 a
        COPY h copy
        RENAME h renamed
        MOVE renamed 1
        HPEXPIRETIME copy FIELDS 2 a b
        SELECT 1
        HPEXPIRETIME renamed FIELDS 2 a b
        SELECT 0
        HSET other a 1
        RENAME other copy
        HPEXPIRETIME copy FIELDS 1 a
    """
    redis8.run("FLUSHALL")
    compare(LocalServer(), redis8, [told(line) for line in lines.strip().splitlines()])


KEY = pick("h", "i", b"\x00\xff\r\n")
FIELD = pick("a", "b", "c", "d", "", b"\xff\x00")
NUMBER = pick(1, 1, 2, 3, 0, *ODD_NUMBERS)
FIELDS = one_of(
    words("FIELDS", 1, FIELD),
    words("FIELDS", 2, FIELD, FIELD),
    words("FIELDS", 3, FIELD, FIELD, FIELD),
    words(any_case("FIELDS", "FELDS"), NUMBER, several(FIELD, 3)),
)
PAIRS = one_of(
    words("FIELDS", 1, FIELD, TEXTS),
    words("FIELDS", 2, FIELD, TEXTS, FIELD, TEXTS),
    words(any_case("FIELDS", "FELDS"), NUMBER, several(words(FIELD, TEXTS), 3)),
)
MOMENT = pick(1, LATER, LATER, EVEN_LATER, LATEST, LATEST + 1)
MOMENTS = one_of(
    words(any_case("PXAT"), MOMENT),
    words("EXAT", pick(1, 5_000_000_000, LATEST // 1000, LATEST // 1000 + 1)),
    words(any_case("EX", "PX", "EXAT", "PXAT"), LIFETIMES),
)
CONDITION = several(any_case("NX", "XX", "GT", "LT", "BOGUS"), 1)
FIELD_EXPIRY: list[Part] = [
    words("HPEXPIREAT", KEY, MOMENT, CONDITION, FIELDS),
    words("HEXPIREAT", KEY, pick(1, 5_000_000_000, LATEST // 1000 + 1), CONDITION, FIELDS),
    words(any_case("HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT"), KEY, LIFETIMES, CONDITION, FIELDS),
    words("HPERSIST", KEY, FIELDS),
    words(any_case("HPEXPIRETIME", "HEXPIRETIME", "HPTTL", "HTTL"), KEY, FIELDS),
    words("HGETEX", KEY, several(one_of(any_case("PERSIST", "KEEPTTL"), MOMENTS), 1), FIELDS),
    words("HGETEX", KEY, several(one_of(any_case("PERSIST", "KEEPTTL"), MOMENTS), 2), FIELDS),
    words("HGETDEL", KEY, FIELDS),
    words(
        "HSETEX",
        KEY,
        several(any_case("FNX", "FXX"), 1),
        several(one_of(any_case("KEEPTTL", "PERSIST"), MOMENTS), 1),
        PAIRS,
    ),
    words("HSETEX", KEY, several(one_of(any_case("FNX", "FXX", "KEEPTTL"), MOMENTS), 3), PAIRS),
    words("HSET", KEY, FIELD, TEXTS),
    words("HSET", KEY, several(words(FIELD, TEXTS), 4, 1)),
    words("HSETNX", KEY, FIELD, TEXTS),
    words("HINCRBY", KEY, FIELD, INTEGERS),
    words("HINCRBYFLOAT", KEY, FIELD, TEXTS),
    words("HDEL", KEY, several(FIELD, 3, 1)),
    words(any_case("HGET", "HEXISTS", "HSTRLEN"), KEY, FIELD),
    words(any_case("HGETALL", "HKEYS", "HVALS", "HLEN"), KEY),
    words("HMGET", KEY, several(FIELD, 3, 1)),
    words(any_case("COPY", "RENAME", "RENAMENX"), KEY, KEY),
    words("COPY", KEY, KEY, "REPLACE"),
    words("OBJECT", "ENCODING", KEY),
    words("SET", KEY, "text"),
    words("DEL", KEY),
]
LOOKS: list[Command] = [
    (b"HPEXPIRETIME", key, b"FIELDS", b"6", b"a", b"b", b"c", b"d", b"", b"\xff\x00")
    for key in (b"h", b"i", b"\x00\xff\r\n")
]


def test_any_commands_answer_and_store_what_redis_does(redis8: RealServer) -> None:
    run_any(Twin(redis8, LOOKS), FIELD_EXPIRY)


@settings(max_examples=80)
@example(
    [(b"HSETEX", b"h", b"EX", b"9000", b"FIELDS", b"1", b"a", b"1"), (b"HINCRBYFLOAT", b"h", b"a", b"1")]
)
@given(st.lists(drawn(*FIELD_EXPIRY), min_size=5, max_size=30))
def test_replicas_hold_the_same(commands: list[Command]) -> None:
    replica = LocalServer().follow()
    ours = LocalServer(replica)
    for command in commands:
        ours.run(*command)
    for question in LOOKS:
        assert ask(replica, question) == ask(ours, question)


def test_dumps_are_restored_by_each_other(redis8: RealServer) -> None:
    ours = LocalServer()
    for entries in (4, 512):  # a table, a listpack
        redis8.run("CONFIG", "SET", "hash-max-listpack-entries", entries)
        for server in (ours, redis8):
            server.run("FLUSHALL")
            for number in range(10):
                server.run("HSET", "h", f"field{number}", "v" * number)
            server.run("HPEXPIREAT", "h", LATER, "FIELDS", 1, "field1")
            server.run("HPEXPIREAT", "h", EVEN_LATER, "FIELDS", 2, "field2", "field3")
        mine, real = ours.run("DUMP", "h").value, redis8.run("DUMP", "h").value
        assert isinstance(mine, bytes) and isinstance(real, bytes)
        for server, payload in ((ours, real), (redis8, mine)):
            assert server.run("RESTORE", "copy", 0, payload).value == b"OK"
            for key in ("h", "copy"):
                names = [f"field{number}" for number in range(5)]
                times = server.run("HPEXPIRETIME", key, "FIELDS", 5, *names).value
                assert times == [-1, LATER, EVEN_LATER, EVEN_LATER, -1]
            assert ask(server, ("HGETALL", "copy")) == ask(server, ("HGETALL", "h"))


def test_a_hash_none_of_whose_fields_expires_is_dumped_as_ever() -> None:
    ours = LocalServer()
    ours.run("HSET", "h", "a", 1)
    plain = ours.run("DUMP", "h").value
    ours.run("HPEXPIREAT", "h", LATER, "FIELDS", 1, "a")
    assert ours.run("DUMP", "h").value != plain
    ours.run("HPERSIST", "h", "FIELDS", 1, "a")
    assert ours.run("DUMP", "h").value == plain


def test_fields_whose_time_has_come_are_gone_for_every_command(redis8: RealServer) -> None:
    """But for HEXPIRE, with which in Redis a field comes back whose time is over but which is still there."""
    looks = [
        "HGET h a",
        "HMGET h a b",
        "HGETALL h",
        "HKEYS h",
        "HVALS h",
        "HEXISTS h a",
        "HSTRLEN h a",
        "HSETNX h a 9",
        "HINCRBY h a 1",
        "HTTL h FIELDS 2 a b",
        "HPERSIST h FIELDS 1 a",
        "HGETEX h EX 10 FIELDS 1 a",
        "HGETDEL h FIELDS 1 a",
        "HSETEX h FXX FIELDS 1 a 9",
        "HSETEX h FNX FIELDS 1 a 9",
    ]
    ours = LocalServer()
    for server in (ours, redis8):
        server.run("FLUSHALL")
    redis8.run("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    try:
        for look in looks:
            for server in (ours, redis8):
                server.run("DEL", "h")
                server.run("HSET", "h", "a", 1, "b", 2)
                server.run("HPEXPIRE", "h", 1, "FIELDS", 1, "a")
            time.sleep(0.005)
            for line in (look, "HGET h a", "HTTL h FIELDS 1 a"):
                assert ask(ours, told(line)) == ask(redis8, told(line)), look
    finally:
        redis8.run("DEBUG", "SET-ACTIVE-EXPIRE", 1)


def test_a_hash_whose_last_field_is_over_is_gone() -> None:
    ours = LocalServer()
    ours.frozen_ms = 1_000_000
    ours.run("HSET", "h", "a", 1)
    ours.run("HPEXPIRE", "h", 10, "FIELDS", 1, "a")
    assert isinstance(ours.keyspace.databases[0].stored(b"h"), ExpiringHash)
    ours.frozen_ms += 10
    assert ours.run("HGET", "h", "a").value is None
    assert ours.run("EXISTS", "h").value == 0
