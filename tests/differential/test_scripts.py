"""The same scripts to us and to Redis 7.0.15: the same bytes back, in RESP2 and in RESP3."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from shoal.node.resp.writer import encode_command
from tests.differential import scripts
from tests.differential.executor import RealServer, real_redis
from tests.peers import REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER, needs
from tests.unit.server.client import Client, World

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

TABLES = {
    name: scripts.lines(getattr(scripts, name))
    for name in ("BASICS", "COMMANDS", "ERRORS", "LIBRARY", "LIBRARIES")
}


class Both:
    """A client of each server; what it asks is asked of both."""

    def __init__(self, real: RealServer, resp: int) -> None:
        self.real = real
        self.mine = World().client()
        for words in (("FLUSHALL",), ("HELLO", str(resp))):
            self.ask(*words)

    def ask(self, *words: str) -> tuple[bytes, bytes]:
        """Our bytes and theirs."""
        return self.ask_bytes(*[word.encode() for word in words])

    def ask_bytes(self, *words: bytes) -> tuple[bytes, bytes]:
        """The same, of words that need not be text."""
        command = encode_command(list(words))
        return _raw(self.mine, command), _real_raw(self.real, command)


def _raw(client: Client, command: bytes) -> bytes:
    client.send(command)
    data = b"".join(client.session.out)
    client.session.out.clear()
    client.session.out_bytes = 0
    return data


def _real_raw(real: RealServer, command: bytes) -> bytes:
    """What came for a command: all of it, as the answer to a PING behind it shows."""
    mark = b"$13\r\nend-of-answer\r\n"
    real.socket.sendall(command + encode_command([b"PING", b"end-of-answer"]))
    data = b""
    while not data.endswith(mark):
        data += real.socket.recv(1 << 20)
    return data.removesuffix(mark)


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def both(request: pytest.FixtureRequest, redis7: RealServer) -> Iterator[Both]:
    yield Both(redis7, request.param)
    _real_raw(redis7, encode_command([b"HELLO", b"2"]))


@needs(VALKEY8_SERVER)
def test_a_script_is_found_and_shown_as_valkey_does() -> None:
    digest = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
    with real_redis(VALKEY8_SERVER) as real:
        both = Both(real, 3)
        for words in (
            ("SCRIPT", "LOAD", "return 1"),
            ("SCRIPT", "SHOW", digest),
            ("SCRIPT", "SHOW", digest.upper()),
            ("SCRIPT", "SHOW", "f" * 40),
            ("SCRIPT", "SHOW", ""),
            ("SCRIPT", "SHOW"),
            ("SCRIPT", "EXISTS", digest, digest.upper(), "none"),
            ("EVALSHA", digest.upper(), "0"),
        ):
            mine, theirs = both.ask(*words)
            assert mine == theirs, words


@pytest.mark.parametrize("table", TABLES)
def test_scripts_answer_as_in_redis(table: str, both: Both) -> None:
    different = {}
    for script in TABLES[table]:
        mine, real = both.ask("EVAL", script, "1", "k1", "a1")
        if _without_addresses(mine) != _without_addresses(real):
            different[script] = (mine, real)
    assert different == {}


CHANGED_IN_REDIS8 = frozenset(
    {
        "return redis.log(9, 'x')",
        "return redis.log(-1, 'x')",
        "return redis.set_repl()",
        "return redis.acl_check_cmd('set', 'x')",
        "return redis.call('set', KEYS[1], 0.1) and redis.call('get', KEYS[1])",
        "return redis.call('set', KEYS[1], 1e17) and redis.call('get', KEYS[1])",
        "return os.time()",
    }
)
"""What Redis 8.0 answers otherwise than 7.0: four texts, the arity of a check, how numbers become arguments,
and `os.clock`, which it has."""


@needs(REDIS8_SERVER)
@pytest.mark.parametrize("resp", [2, 3])
def test_scripts_answer_as_in_redis_8_but_for_what_it_changed(resp: int) -> None:
    with real_redis(REDIS8_SERVER) as real:
        both = Both(real, resp)
        different = set()
        for script in (script for table in TABLES.values() for script in table):
            mine, theirs = both.ask("EVAL", script, "1", "k1", "a1")
            if _without_addresses(mine) != _without_addresses(theirs):
                different.add(script)
    assert different == CHANGED_IN_REDIS8


MONITORED = (
    ("EVAL", "redis.call('set', KEYS[1], 'a b') return redis.pcall('incr', KEYS[1])", "1", "k"),
    ("EVAL", "redis.call('select', 3) return redis.call('get', 'x')", "0"),
    ("EVAL", "return redis.pcall('nosuch')", "0"),
    ("EVAL", "return redis.call('GeT', 'k')", "0"),
    (
        "FUNCTION",
        "LOAD",
        "#!lua name=m\nredis.register_function('m', function() return redis.call('ping') end)",
    ),
    ("FCALL", "m", "0"),
    ("FUNCTION", "FLUSH"),
)


def test_monitor_shows_what_a_script_calls_as_redis_does(redis7: RealServer) -> None:
    both = Both(redis7, 2)
    watcher = both.mine.server.connect("127.0.0.1:1", "127.0.0.1:2")
    mine = Client.__new__(Client)
    mine.server, mine.session = both.mine.server, watcher
    real = RealServer(redis7.socket.getpeername())
    _raw(mine, encode_command([b"MONITOR"]))
    real.run("MONITOR")
    for words in MONITORED:
        both.ask(*words)
    both.ask("ECHO", "the end")
    data = b""
    while b"the end" not in data:
        data += real.socket.recv(1 << 16)
    real.close()
    shown = [_monitored(text) for text in (_raw(mine, b""), data)]
    assert shown[0] == shown[1] and any(" lua]" in line for line in shown[0])


def _monitored(data: bytes) -> list[str]:
    """The lines without times and addresses, and without what the test itself asks in between."""
    lines = re.sub(r"^\+[\d.]+ \[(\d+) (?!lua)[^\]]*\]", r"[\1 client]", data.decode(), flags=re.MULTILINE)
    lines = re.sub(r"^\+[\d.]+ ", "", lines, flags=re.MULTILINE)
    return [line for line in lines.split("\r\n") if line and "end-of-answer" not in line]


def _without_addresses(reply: bytes) -> bytes:
    return re.sub(rb"0x[0-9a-f]+", b"0x", reply)
