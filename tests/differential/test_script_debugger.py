"""The debugger of scripts tells what Redis's tells, word for word."""

from __future__ import annotations

import socket

import pytest

from shoal.node.resp.writer import encode_command
from tests.differential.executor import RealServer
from tests.peers import REDIS7_SERVER, needs
from tests.unit.server.client import World

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

SCRIPT = """local list = {1, 'x', {b = 2, 7}, 1.5, true}
redis.call('set', KEYS[1], ARGV[1])
local function double(n)
  local text = 'a"b\\n'
  redis.debug(n, list, nil, text)
  return n * 2
end
local result = double(3)
redis.breakpoint()
redis.pcall('nothing', 'at', 'all')
for i = 1, 3 do
  result = result + i
end
return redis.call('get', KEYS[1])
"""

SESSIONS = {
    "to the end": "c",
    "steps": "s n step next s s s s s s s s s s s s s s s s s s",
    "variables": "p|s|p|p list|p KEYS|p ARGV|p nothing|b 5|c|p|p n|p list|p text|p KEYS|s|p|c|c",
    "breakpoints": "b|b 5|b 12 6|b|b -5|b -5|b x|b 0|b 99|b 6|c|t|b 0|c|t|c",
    "listing": "l|l 9|l 9 1|l 0 2|w|b 3|l|s|l 1 1|c|c",
    "code": "e 1+1|e return 7|e x = 1|e x y|e redis.call('get','k')|e error('no')|e {1,{2}}|e KEYS|c|c",
    "commands": "r get k|r set k 1|r lpush k a|r nothing|r get|r lrange l 0 1|r mget k l|r|redis ping|c|c",
    "lengths": "m|m 10|r set k " + "v" * 100 + "|r get k|m 0|r get k|m 70|r get k|c|c",
    "nonsense": "x|print a b|continue 1|c",
    "aborted": "s|a",
}


class Ours:
    """A client of a server without sockets."""

    def __init__(self) -> None:
        self.world = World()
        self.client = self.world.client()

    def say(self, *words: str) -> bytes:
        """What is sent for an answer, once the server has nothing more to do."""
        self.client.send(encode_command([word.encode() for word in words]))
        while self.world.server.wants_turn:
            self.world.pass_time(0)
        out = self.client.session.out
        data = b"".join(out)
        out.clear()
        return data

    @property
    def is_over(self) -> bool:
        return self.client.session.closing


class Theirs:
    """A client of the real server."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(address)
        self.socket.settimeout(10)

    def say(self, *words: str, length: int) -> bytes:
        """So many bytes of what is sent for an answer, or all there is before the end."""
        self.socket.sendall(encode_command([word.encode() for word in words]))
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                break
            data += part
        return data

    def rest(self) -> bytes:
        """Whatever more there is, up to the end."""
        data = b""
        while part := self.socket.recv(4096):
            data += part
        return data


@pytest.mark.parametrize("session", SESSIONS.values(), ids=SESSIONS)
def test_a_session_is_told_what_redis_tells(redis7: RealServer, session: str) -> None:
    redis7.run("FLUSHALL")
    ours, theirs = Ours(), Theirs(str(redis7.socket.getpeername()))
    commands = session.split("|") if "|" in session else session.split()
    lines = [
        ["SCRIPT", "DEBUG", "SYNC"],
        ["EVAL", SCRIPT, "1", "k", "value"],
        *[one.split() for one in commands],
    ]
    try:
        for words in lines:
            mine = ours.say(*words)
            assert theirs.say(*words, length=len(mine)) == mine, words
            if ours.is_over:
                break
        else:
            ours.say("a"), theirs.say("a", length=0)
            return
        assert theirs.rest() == b""
    finally:
        theirs.socket.close()


def test_a_script_that_does_not_compile_is_no_session(redis7: RealServer) -> None:
    ours, theirs = Ours(), Theirs(str(redis7.socket.getpeername()))
    for words in (["SCRIPT", "DEBUG", "sync"], ["EVAL", "return (", "0"]):
        mine = ours.say(*words)
        assert theirs.say(*words, length=len(mine)) == mine, words
    assert ours.is_over and theirs.rest() == b""
    theirs.socket.close()
