"""Which scripts end by themselves, and so need no stack on which they can be suspended."""

# ruff: noqa: E501 (a script is a line)

from __future__ import annotations

import pytest

from shoal.node.scripting.brevity import INSTRUCTIONS_MAX
from tests.unit.server.client import World
from tests.unit.server.test_script_sandbox import BOMBS

BRIEF = (
    "return 1",
    "return {KEYS[1], ARGV[1], 2.5, true, nil}",
    "local old = redis.call('GET', KEYS[1])\nredis.call('SET', KEYS[1], ARGV[1])\nreturn old",
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end",
    "local n = tonumber(redis.call('incr', KEYS[1])) if n == 1 then redis.call('expire', KEYS[1], 60) end return n",
    "local r = redis.pcall('incr', KEYS[1]) if type(r) == 'table' and r.err then return redis.error_reply(r.err) end",
    "return (tonumber(ARGV[1]) or 0) % 7 .. 'x' .. #ARGV",
    "error('no')",
)

LONG = (
    *BOMBS,
    "while false do end",
    "repeat until redis.call('get', 'x')",
    "for i = 1, 2 do end",
    "for i, key in ipairs(KEYS) do end",
    "local function f() return 1 end return f()",
    "return pcall(redis.call, 'get', 'x')",
    "return ARGV[1]:rep(10)",
    "return ARGV[1].rep(ARGV[1], 10)",
    "return ARGV[1][ARGV[2]](ARGV[1], ARGV[3])",
    "local find = 'find' return ARGV[1][find](ARGV[1], ARGV[2])",
    "return redis[ARGV[1]]('x')",
    "return redis.log(redis.LOG_WARNING, 'x')",
    "return string.rep('x', 10)",
    "return loadstring(ARGV[1])()",
    "return cjson.encode(ARGV)",
    "return _G.redis.call('get', 'x')",
    "x = 1",
    "redis.call('get', 'x') " * INSTRUCTIONS_MAX,
    "local t = {" + ", ".join(f"'{n}'" for n in range(600)) + "} return t",
)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.mark.parametrize("script", BRIEF)
def test_a_script_of_single_steps_ends_by_itself(script: str, world: World) -> None:
    assert world.server.scripts.load(script.encode()).is_brief


@pytest.mark.parametrize("script", LONG)
def test_what_may_take_long_is_not_taken_for_brief(script: str, world: World) -> None:
    assert not world.server.scripts.load(script.encode()).is_brief


def test_a_brief_script_does_what_it_does_on_any_stack(world: World) -> None:
    client = world.client()
    assert client("EVAL", BRIEF[2], 1, "k", "v") is None
    assert client("EVAL", BRIEF[3], 1, "k", "v") == 1
    assert client("EVAL", BRIEF[5], 1, "k") is None
    assert client("EVAL", "return redis.call('nosuch')", 0).startswith("ERR Unknown Redis command")
    assert client("EVAL", "return {1, 'a'}", 0) == [1, "a"]
    assert world.server.scripts.running is None
