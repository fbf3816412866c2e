"""What replicas and the append-only file get leads them to the same data, whenever they execute it."""

from __future__ import annotations

import re
from pathlib import Path

import hiredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.differential.comparison import Command, dump
from tests.differential.executor import LocalServer, real_redis
from tests.differential.grammar import KEYS, Part, any_case, drawn, integers, several, words
from tests.differential.test_keys import KEY_COMMANDS
from tests.differential.test_strings import STRING_COMMANDS
from tests.peers import REDIS7_SERVER, needs

NOW = 1_700_000_000_000

SHORT_LIVES: list[Part] = [
    words("SET", KEYS, "x", any_case("EX", "PX"), integers(1, 5), several(any_case("NX", "XX", "GET"))),
    words(any_case("SETEX", "PSETEX"), KEYS, integers(1, 5), "1"),
    words("GETEX", KEYS, any_case("EX", "PX", "EXAT", "PXAT"), integers(1, 5)),
    words("EXPIRE", KEYS, integers(-2, 5), several(any_case("NX", "XX", "GT", "LT"), 1)),
    words("SET", KEYS, "1.5", "KEEPTTL"),
]


def a_primary() -> tuple[LocalServer, LocalServer]:
    """A server at a fixed time, and its replica."""
    replica = LocalServer().follow()
    primary = LocalServer(replica)
    primary.frozen_ms = replica.frozen_ms = NOW
    return primary, replica


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 0, 0, 1, 1000, 4000]), drawn(*STRING_COMMANDS, *KEY_COMMANDS, *SHORT_LIVES)
        ),
        max_size=25,
    )
)
def test_a_replica_ends_with_the_primarys_data(steps: list[tuple[int, Command]]) -> None:
    primary, replica = a_primary()
    for passed_ms, command in steps:
        assert primary.frozen_ms is not None
        primary.frozen_ms += passed_ms
        primary.run(*command)
    primary.run("SELECT", 0)
    held = dump(primary)
    replica.run("SELECT", 0)
    assert dump(replica) == held


LARGEST_ID = "18446744073709551615-18446744073709551615"
GROUP = ["XADD s 5-1 a 1", "XADD s 6-1 a 1", "XGROUP CREATE s g 0"]
READ = [*GROUP, "XREADGROUP GROUP g c STREAMS s >"]

CASES = [
    ([], "SET k v", ["SET k v"]),
    ([], "SET k v EX 10", [f"SET k v PXAT {NOW + 10_000}"]),
    ([], "SET k v GET NX PX 10", [f"SET k v PXAT {NOW + 10}"]),
    (["SET k w"], "SET k v GET", ["SET k v"]),
    (["SET k w"], "SET k v KEEPTTL", ["SET k v KEEPTTL"]),
    (["SET k w"], "SET k v NX", []),
    ([], "SETEX k 10 v", [f"SET k v PXAT {NOW + 10_000}"]),
    ([], "PSETEX k 10 v", [f"SET k v PXAT {NOW + 10}"]),
    (["SET k w"], "SETNX k v", []),
    (["SET k w"], "GETSET k v", ["SET k v"]),
    (["SET k w"], "GETDEL k", ["DEL k"]),
    ([], "GETDEL k", []),
    (["SET k w"], "GETEX k", []),
    (["SET k w"], "GETEX k EX 10", [f"PEXPIREAT k {NOW + 10_000}"]),
    (["SET k w"], "GETEX k PXAT 5", ["DEL k"]),
    (["SET k w"], "GETEX k PERSIST", []),
    (["SET k w EX 10"], "GETEX k PERSIST", ["PERSIST k"]),
    (["SET k 1.5 EX 10"], "INCRBYFLOAT k 0.25", ["SET k 1.75 KEEPTTL"]),
    (["SET k 1"], "INCR k", ["INCR k"]),
    (["SET k w"], "EXPIRE k 10", [f"PEXPIREAT k {NOW + 10_000}"]),
    (["SET k w"], "EXPIRE k 10 XX", []),
    (["SET k w"], "EXPIRE k 0", ["DEL k"]),
    ([], "EXPIRE k 10", []),
    (["SET k w"], "PERSIST k", []),
    (["SET k w"], "DEL k j", ["DEL k j"]),
    ([], "DEL k", []),
    (["SET k w"], "MSETNX j 1 k 2", []),
    (["SET k w"], "RENAME k j", ["RENAME k j"]),
    (["SET k w"], "RENAME k k", []),
    (["SET k w"], "SETRANGE k 5 v", ["SETRANGE k 5 v"]),
    (["SET k w"], "APPEND k v", ["APPEND k v"]),
    ([], "FLUSHALL", ["FLUSHALL"]),
    ([], "FLUSHDB ASYNC", ["FLUSHDB ASYNC"]),
    ([], "SWAPDB 0 1", ["SWAPDB 0 1"]),
    (["SET k v"], "COPY k j", ["COPY k j"]),
    (["SET k v"], "SETBIT k 1 1", []),
    (["SET k v"], "SETBIT k 1 0", ["SETBIT k 1 0"]),
    (["SET k v"], "BITFIELD k SET u4 0 7", []),
    (["SET k v"], "BITOP NOT j none", []),
    ([], "XADD s 5-1 a 1", ["XADD s 5-1 a 1"]),
    ([], "XADD s 5-* a 1", ["XADD s 5-0 a 1"]),
    ([], "XADD s NOMKSTREAM 5-1 a 1", []),
    (["XADD s 5-1 a 1"], "XADD s MAXLEN ~ 0 LIMIT 1 6-* a 1", ["XADD s MAXLEN = 2 LIMIT 1 6-0 a 1"]),
    (["XADD s 5-1 a 1"], "XADD s NOMKSTREAM MINID ~ 6 7-7 a 1", ["XADD s NOMKSTREAM MINID = 5-1 7-7 a 1"]),
    (["XADD s 5-1 a 1"], "XADD s MAXLEN 1 7-7 a 1", ["XADD s MAXLEN 1 7-7 a 1"]),
    (["XADD s 5-1 a 1"], "XTRIM s MAXLEN ~ 0", ["XTRIM s MAXLEN = 0"]),
    (["XADD s 5-1 a 1"], "XTRIM s MINID ~ 9", [f"XTRIM s MINID = {LARGEST_ID}"]),
    (["XADD s 5-1 a 1"], "XTRIM s MINID 4", []),
    (["XADD s 5-1 a 1"], "XDEL s 5-1 5-2", ["XDEL s 5-1 5-2"]),
    (["XADD s 5-1 a 1"], "XDEL s 5-2", []),
    (["XADD s 5-1 a 1"], "XSETID s 9-9", ["XSETID s 9-9"]),
    ([], "XGROUP CREATE s g $ MKSTREAM", ["XGROUP CREATE s g $ MKSTREAM"]),
    (GROUP, "XGROUP CREATECONSUMER s g c", ["XGROUP CREATECONSUMER s g c"]),
    (GROUP, "XGROUP DELCONSUMER s g c", []),
    (GROUP, "XGROUP DESTROY s g", ["XGROUP DESTROY s g"]),
    (GROUP, "XGROUP DESTROY s h", []),
    (
        GROUP,
        "XREADGROUP GROUP g c STREAMS s >",
        [
            f"XCLAIM s g c 0 5-1 TIME {NOW} RETRYCOUNT 1 FORCE JUSTID LASTID 5-1",
            f"XCLAIM s g c 0 6-1 TIME {NOW} RETRYCOUNT 1 FORCE JUSTID LASTID 6-1",
        ],
    ),
    (
        GROUP,
        "XREADGROUP GROUP g c NOACK STREAMS s >",
        ["XGROUP CREATECONSUMER s g c", "XGROUP SETID s g 6-1 ENTRIESREAD 2"],
    ),
    (GROUP, "XREADGROUP GROUP g c STREAMS s 0", []),
    (READ, "XREADGROUP GROUP g c STREAMS s >", []),
    (READ, "XREADGROUP GROUP g c STREAMS s 0", []),
    (READ, "XACK s g 5-1 7-7", ["XACK s g 5-1 7-7"]),
    (READ, "XACK s g 7-7", []),
    (
        READ,
        "XCLAIM s g d 0 5-1",
        [f"XCLAIM s g d 0 5-1 TIME {NOW} RETRYCOUNT 2 FORCE JUSTID LASTID 6-1"],
    ),
    (
        READ,
        "XCLAIM s g d 0 5-1 7-7 LASTID 8-8 RETRYCOUNT 7",
        [f"XCLAIM s g d 0 5-1 TIME {NOW} RETRYCOUNT 7 FORCE JUSTID LASTID 8-8"],
    ),
    (READ, "XCLAIM s g d 0 7-7 LASTID 8-8", ["XGROUP SETID s g 8-8 ENTRIESREAD 2"]),
    (
        [*READ, "XDEL s 5-1"],
        "XAUTOCLAIM s g d 0 0 JUSTID",
        [
            f"XCLAIM s g c 0 5-1 TIME {NOW} RETRYCOUNT 1 FORCE JUSTID LASTID 6-1",
            f"XCLAIM s g d 0 6-1 TIME {NOW} RETRYCOUNT 1 FORCE JUSTID LASTID 6-1",
        ],
    ),
]


@pytest.mark.parametrize(("before", "command", "expected"), CASES)
def test_what_is_sent(before: list[str], command: str, expected: list[str]) -> None:
    primary, _ = a_primary()
    for line in before:
        primary.run(*line.split())
    primary.run(*command.split())
    assert [b" ".join(line).decode() for line in primary.propagated] == expected


def test_restore_sends_the_moment_it_expires() -> None:
    primary, replica = a_primary()
    primary.run("SET", "k", "v")
    payload = primary.run("DUMP", "k").value
    assert isinstance(payload, bytes)
    primary.run("RESTORE", "j", 10, payload, "IDLETIME", 3)
    expected = [b"RESTORE", b"j", b"%d" % (NOW + 10), payload, b"IDLETIME", b"3", b"ABSTTL"]
    assert primary.propagated == [expected]
    assert dump(replica) == dump(primary)


@pytest.mark.peers
@needs(REDIS7_SERVER)
def test_redis_sends_the_same(tmp_path: Path) -> None:
    options = ("--appendonly", "yes", "--appendfsync", "always", "--dir", str(tmp_path))
    with real_redis(REDIS7_SERVER, *options) as redis:
        for before, command, expected in CASES:
            redis.run("FLUSHALL")
            (log,) = tmp_path.glob("appendonlydir/*.incr.aof")
            for line in before:
                redis.run(*line.split())
            size = log.stat().st_size
            redis.run(*command.split())
            parser = hiredis.Reader()
            parser.feed(log.read_bytes()[size:])
            sent = [b" ".join(line).decode() for line in iter(parser.gets, False)]
            sent = [line for line in sent if line not in ("MULTI", "EXEC")]
            assert [without_time(line) for line in sent] == [without_time(line) for line in expected], command


def without_time(line: str) -> str:
    """A command with every present or near moment replaced, which no two servers share."""
    return re.sub(r"\b1\d{12}\b", "<time>", line)
