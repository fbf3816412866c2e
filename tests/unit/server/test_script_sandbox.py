"""What a script can reach, and that there is no way out of it: after each attempt the node goes on."""

# ruff: noqa: E501 (a script is a line)

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shoal.node.scripting import interpreter
from tests.unit.server.client import Client, World

WALK = """
local found, seen = {}, {}
local function walk(path, value)
    local kind = type(value)
    if kind ~= 'table' then
        found[#found + 1] = path .. ':' .. kind
        return
    end
    if seen[value] then return end
    seen[value] = true
    for key, item in pairs(value) do walk(path .. '.' .. tostring(key), item) end
    local metatable = getmetatable(value)
    if metatable then walk(path .. '<meta>', metatable) end
end
walk('', _G)
walk('str', getmetatable(''))
table.sort(found)
return found
"""

REACHABLE = {
    "": "_VERSION assert collectgarbage error gcinfo getmetatable ipairs load loadstring next pairs pcall rawequal"
    " rawget rawset select setmetatable tonumber tostring type unpack xpcall",
    "bit": "arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex",
    "cjson": "_NAME _VERSION decode decode_invalid_numbers decode_max_depth encode encode_invalid_numbers"
    " encode_keep_buffer encode_max_depth encode_number_precision encode_sparse_array new null",
    "cmsgpack": "_COPYRIGHT _DESCRIPTION _NAME _VERSION pack unpack unpack_limit unpack_one",
    "coroutine": "create resume running status wrap yield",
    "math": "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min mod modf pi"
    " pow rad random randomseed sin sinh sqrt tan tanh",
    "redis": "LOG_DEBUG LOG_NOTICE LOG_VERBOSE LOG_WARNING REDIS_VERSION REDIS_VERSION_NUM REPL_ALL REPL_AOF REPL_NONE"
    " REPL_REPLICA REPL_SLAVE acl_check_cmd breakpoint call debug error_reply log pcall replicate_commands set_repl"
    " setresp sha1hex status_reply",
    "string": "byte char dump find format gfind gmatch gsub len lower match rep reverse sub upper",
    "struct": "pack size unpack",
    "table": "concat foreach foreachi getn insert maxn remove setn sort",
}
"""Everything there is, by table. What is not here is not to be reached."""

ESCAPES = (
    "return os.execute('true')",
    "return io.open('/etc/passwd')",
    "return package.loadlib('x', 'y')",
    "return require('os')",
    "return dofile('/etc/passwd')",
    "return loadfile('/etc/passwd')",
    "return python.eval('1')",
    "return python.builtins",
    "return debug.getregistry()",
    "return debug.getmetatable('')",
    "return getfenv(0)",
    "return getfenv(redis.call)",
    "return setfenv(1, {})",
    "return newproxy(true)",
    "return module('x')",
    "return print('x')",
    "return loadstring(string.dump(function() return 1 end))()",
    "return loadstring('\\27Lua\\81')()",
    "return load(function() return '\\27Lua' end)()",
    "local parts = {'', '\\27Lua'} return load(function() return table.remove(parts, 1) end)()",
    "return loadstring('return os.time()')()",
    "string.format = 1",
    "string.rep = nil",
    "rawset(string, 'format', 1)",
    "rawset(_G, 'redis', 1)",
    "rawset(redis, 'call', 1)",
    "getmetatable('').__index = {}",
    "rawset(getmetatable(''), '__index', {})",
    "getmetatable(_G).__index = {}",
    "setmetatable(_G, {})",
    "setmetatable(string, {})",
    "table.insert(redis, 1)",
    "_G.call = 1",
    "redis.call = 1",
    "redis.call.x = 1",
    "return redis.call.__class__",
    "return redis.call.__globals__",
    "return redis.call('eval', 'return 1', 0)",
    "return redis.call('script', 'flush')",
    "return redis.call(redis)",
    "return tostring(cjson.null.x)",
    "cjson.null.x = 1",
    "return ('x'):rep(1e10)",
    "local t = {} while true do t[#t + 1] = ('x'):rep(1e6) .. #t end",
    "local s = 'x' while true do s = s .. s end",
    "local function f() return f() + 1 end return f()",
    "local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k] end return t.x",
    "local function f() coroutine.wrap(f)() end f()",
    "local function f() pcall(f) error('deep') end f()",
    "local t = {} for i = 1, 1e5 do t = {t} end return t",
    "return string.format('%99999d', 1)",
    "return ('x'):find(('a?'):rep(1e5))",
    "return ('x'):find(('('):rep(1000))",
    "return unpack({}, 0, 2147483647)",
    "return unpack({}, -2147483648, 2147483647)",
    "table.insert({}, -2147483647, 1)",
    "return table.concat({}, 'x', 1, 2147483647)",
    "table.sort({3, 1, 2}, function() return error('in sort') end)",
    "return ('x'):gsub('x', function() return error('in gsub') end)",
    "return loadstring(('('):rep(1e5))()",
    "return cjson.decode(('['):rep(1e5))",
    "local t = {} t.t = t return cjson.encode(t)",
    "error(setmetatable({}, {__tostring = function() error('again') end}))",
    "error({err = setmetatable({}, {})})",
    "return xpcall(error, error)",
    "return collectgarbage('nosuch')",
)


MEMORY_BYTES = 24 * 1024 * 1024


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter, "MEMORY_MAX_BYTES", MEMORY_BYTES)
        yield World().client()


def test_a_script_reaches_what_is_listed_and_nothing_else(client: Client) -> None:
    reached: dict[str, set[str]] = {}
    for line in client("EVAL", WALK, 0):
        path, kind = line.rsplit(":", 1)
        assert kind != "userdata" or path == ".cjson.null", line
        table, name = path.rsplit(".", 1) if "." in path else ("", path)
        reached.setdefault(table.removeprefix("."), set()).add(name)
    # what a string's methods are is the library itself, and what is not in _G raises
    assert reached.pop("<meta>") == {"__index"}
    assert reached == {table: set(names.split()) for table, names in REACHABLE.items()}


@pytest.mark.parametrize("script", ESCAPES)
def test_no_way_leads_out_and_the_node_goes_on(script: str, client: Client) -> None:
    reply = client("EVAL", script, 0)
    told = reply[-1] if isinstance(reply, list) and script.startswith("return xpcall") else reply
    assert told is None or is_error(told) or (isinstance(told, list) and "stack limit" in str(told)), reply
    assert client("EVAL", "return ('%d'):format(41 + 1) .. string.rep('x', 2)", 0) == "42xx"
    assert client("PING") == "PONG"


def is_error(reply: object) -> bool:
    return isinstance(reply, str) and reply.split(" ", 1)[0].isupper()


def test_nothing_a_script_leaves_is_there_for_the_next(client: Client) -> None:
    client("EVAL", "pcall(function() table.insert(string, 1) end) pcall(rawset, _G, 'left', 1)", 0)
    assert "nonexistent global variable 'left'" in client("EVAL", "return left", 0)
    assert client("EVAL", "return #string", 0) == 0
    assert client("EVAL", "return #KEYS + #ARGV", 0) == 0


def test_memory_a_script_filled_is_free_again_after_it(client: Client) -> None:
    for _ in range(3):
        reply = client("EVAL", "local t = {} while true do t[#t + 1] = ('x'):rep(1e6) .. #t end", 0)
        assert "not enough memory" in reply
        assert client("EVAL", "return #(('x'):rep(5e6))", 0) == 5_000_000
