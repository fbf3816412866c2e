"""The same scripts to us and to Redis 7.0.15: the same bytes back, in RESP2 and in RESP3."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from shoal.node.resp.writer import encode_command
from tests.differential import scripts
from tests.differential.executor import RealServer
from tests.peers import REDIS7_SERVER, needs
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


@pytest.mark.parametrize("table", TABLES)
def test_scripts_answer_as_in_redis(table: str, both: Both) -> None:
    different = {}
    for script in TABLES[table]:
        mine, real = both.ask("EVAL", script, "1", "k1", "a1")
        if _without_addresses(mine) != _without_addresses(real):
            different[script] = (mine, real)
    assert different == {}


def _without_addresses(reply: bytes) -> bytes:
    return re.sub(rb"0x[0-9a-f]+", b"0x", reply)
