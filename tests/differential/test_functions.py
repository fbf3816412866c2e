"""FUNCTION and FCALL to us and to Redis 7.0.15: the same bytes back, whatever is right or wrong with them."""

from __future__ import annotations

import pytest

from tests.differential.executor import RealServer
from tests.differential.test_scripts import Both
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

LIBRARY = """#!lua name=mine
redis.register_function('fails', function() error('x') end)
redis.register_function('calls', function() return redis.call('nosuch') end)
redis.register_function('echoes', function(keys, args) return {keys, args} end)
redis.register_function('sets', function() foo = 1 end)
redis.register_function('gets', function() return foo end)
redis.register_function('keys', function() return KEYS end)
redis.register_function('registers', function() redis.register_function('q', function() end) end)
redis.register_function('all', function() return _G end)
redis.register_function{function_name='reads', callback=function() return redis.call('get', 'a') end,
    flags={'no-writes', 'allow-stale'}, description='reads'}
redis.register_function{function_name='writes', callback=function() return redis.call('set', 'a', 'b') end,
    flags={'no-writes'}}
"""

HEADERS = (
    "x",
    "#!lua",
    "#!lua\nx",
    "#!foo name=a\nx",
    "#!lua name=a\nx y",
    "#!lua name=a b=c\nx",
    "#!lua name=a name=b\nx",
    "#!lua name=a-b\nx",
    '#!lua name="a\nx',
)

CODES = (
    "return 1",
    "redis.call('x')",
    "return string.rep('x', 2)",
    "foo = 1",
    "return foo",
    "math.random()",
    "local a = nil + 1",
    "redis.foo = 1",
    "redis.register_function()",
    "redis.register_function('a')",
    "redis.register_function('a', 'b')",
    "redis.register_function('a b', function() end)",
    "redis.register_function('a', function() end, 1)",
    "redis.register_function({}, function() end)",
    "redis.register_function('a', function() end) redis.register_function('a', function() end)",
    "redis.register_function('ECHOES', function() end)",
    "redis.register_function{}",
    "redis.register_function{function_name='a'}",
    "redis.register_function{function_name='a', callback=1}",
    "redis.register_function{function_name={}, callback=function() end}",
    "redis.register_function{function_name='a', callback=function() end, flags=1}",
    "redis.register_function{function_name='a', callback=function() end, flags={'x'}}",
    "redis.register_function{function_name='a', callback=function() end, flags={1}}",
    "redis.register_function{function_name='a', callback=function() end, nosuch=1}",
)

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("FUNCTION", "LOAD", LIBRARY),
    ("FUNCTION", "LOAD", LIBRARY),
    ("FUNCTION", "LOAD", "REPLACE", LIBRARY),
    ("FUNCTION", "LOAD", "nosuch", LIBRARY),
    *(("FUNCTION", "LOAD", header) for header in HEADERS),
    *(("FUNCTION", "LOAD", f"#!lua name=other\n{code}") for code in CODES),
    *(
        ("FCALL", name, "0")
        for name in [
            "fails",
            "calls",
            "sets",
            "gets",
            "keys",
            "registers",
            "all",
            "reads",
            "writes",
            "READS",
            "nosuch",
        ]
    ),
    ("FCALL", "echoes", "1", "a", "b", "c"),
    ("FCALL", "echoes", "x"),
    ("FCALL", "echoes", "-1"),
    ("FCALL", "echoes", "5", "a"),
    ("FCALL_RO", "reads", "0"),
    ("FCALL_RO", "echoes", "0"),
    ("FUNCTION", "STATS"),
    ("FUNCTION", "LIST", "nosuch"),
    ("FUNCTION", "LIST", "LIBRARYNAME"),
    ("FUNCTION", "LIST", "WITHCODE", "WITHCODE"),
    ("FUNCTION", "DELETE", "nosuch"),
    ("FUNCTION", "KILL"),
    ("FUNCTION", "RESTORE", "x"),
    ("FUNCTION", "RESTORE", "x", "nosuch"),
    ("FUNCTION", "FLUSH", "nosuch"),
    ("FUNCTION", "DELETE", "mine"),
    ("FUNCTION", "LOAD", "#!lua name=one\nredis.register_function('one', function() return 1 end)"),
    ("FUNCTION", "LIST", "LIBRARYNAME", "o*", "WITHCODE"),
    ("FCALL", "one", "0"),
    ("FUNCTION", "FLUSH", "SYNC"),
    ("FUNCTION", "DUMP"),
)


@pytest.mark.parametrize("resp", [2, 3])
def test_functions_answer_as_in_redis(resp: int, redis7: RealServer) -> None:
    both = Both(redis7, resp)
    both.ask("FUNCTION", "FLUSH")
    different = {words: answers for words in COMMANDS if len(set(answers := both.ask(*words))) > 1}
    both.ask("HELLO", "2")
    assert different == {}
