"""A script in the debugger: others are served meanwhile, and whatever its user does, the node goes on."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.node.resp.writer import encode_command
from tests.unit.server.client import Client, World

SPINS = "local n = 0\nwhile true do\n  n = n + 1\nend"
WRITES = "redis.call('set', 'k', 1)\nreturn 'done'"


class Debugging:
    """A client whose script stands at its first line."""

    def __init__(self, script: str, **directives: object) -> None:
        self.world = World(**directives)
        self.client = self.world.client()
        assert self.client("SCRIPT", "DEBUG", "SYNC") == "OK"
        assert self("EVAL", script, "0")[0][0] == "* Stopped at 1, stop reason = step over"

    def __call__(self, *words: str) -> list[Any]:
        """Say something; everything that is told until the script waits again, or is over."""
        self.client.send(encode_command([word.encode() for word in words]))
        self.settle()
        return self.client.received()

    def settle(self) -> None:
        while self.world.server.wants_turn:
            self.world.pass_time(0)

    @property
    def is_over(self) -> bool:
        return not self.world.server.scripts.suspension.is_suspended


def test_others_are_told_that_the_node_is_busy_and_nothing_turns_meanwhile() -> None:
    debugging = Debugging(WRITES)
    other = debugging.world.client()
    assert other("GET", "k").startswith("BUSY")
    assert not debugging.world.server.wants_turn
    assert debugging("c") == [["<endsession>"], "done"]
    assert other("GET", "k") == "1"
    assert debugging.client.session.closing


def test_a_script_whose_user_is_gone_runs_to_its_end() -> None:
    debugging = Debugging(WRITES)
    debugging.world.server.disconnect(debugging.client.session)
    debugging.settle()
    assert debugging.is_over
    assert debugging.world.client()("GET", "k") == "1"


def test_another_client_may_kill_it() -> None:
    debugging = Debugging(WRITES)
    assert debugging.world.client()("SCRIPT", "KILL") == "OK"
    debugging.settle()
    assert debugging.is_over
    [end, error] = debugging.client.received()
    assert end == ["<endsession>"] and "killed by user" in error


def test_breaking_the_protocol_is_the_same_as_leaving() -> None:
    debugging = Debugging(WRITES)
    debugging.client.send(b"*1\r\n:x\r\n")
    debugging.settle()
    assert debugging.is_over


def test_an_unfinished_command_may_not_grow_for_ever() -> None:
    debugging = Debugging(WRITES)
    debugging.client.send(b"*1\r\n$2000000\r\n" + b"x" * 1_100_000)
    debugging.settle()
    assert debugging.is_over
    assert "max client buffer reached" in debugging.client.received()[-1]


@pytest.mark.parametrize("command", [("c",), ("eval", "while true do end")])
def test_what_never_ends_lets_others_in_and_may_be_killed(command: tuple[str, ...]) -> None:
    debugging = Debugging(SPINS, busy_reply_threshold=1)
    world = debugging.world
    world.stopwatch.step_us = 1000
    debugging.client.send(encode_command([word.encode() for word in command]))
    world.pass_time(0)
    assert world.client()("PING").startswith("BUSY")
    assert world.client()("SCRIPT", "KILL") == "OK"
    debugging.settle()
    assert debugging.is_over
    assert world.client()("PING") == "PONG"


def test_a_script_in_the_debugger_has_the_rights_of_its_user() -> None:
    world = World()
    world.client()("ACL", "SETUSER", "ann", "on", "nopass", "+script", "+eval", "+get", "~a")
    client: Client = world.client()
    client("AUTH", "ann", "x")
    client("SCRIPT", "DEBUG", "SYNC")
    client.send(encode_command([b"EVAL", b"return 1", b"0"]))
    world.pass_time(0)
    client.received()
    for words in ([b"r", b"set", b"a", b"1"], [b"e", b"redis.call('set','a',1)"]):
        client.send(encode_command(words))
        world.pass_time(0)
        assert "The user executing the script can't run this command" in str(client.received())


def test_a_client_without_the_debugger_is_unchanged() -> None:
    client = World().client()
    assert client("EVAL", "redis.debug('x') return redis.breakpoint()", 0) is None
    assert client("SCRIPT", "DEBUG", "YES").startswith("ERR Nothing here forks")
    assert client("SCRIPT", "DEBUG", "maybe") == "ERR Use SCRIPT DEBUG YES/SYNC/NO"
    client("SCRIPT", "DEBUG", "SYNC")
    assert client("SCRIPT", "DEBUG", "NO") == "OK"
    assert client("EVAL", "return 1", 0) == 1
