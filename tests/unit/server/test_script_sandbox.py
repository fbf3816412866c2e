"""What a script can reach, and that there is no way out of it: after each attempt the node goes on."""

# ruff: noqa: E501 (a script is a line)

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shoal.node.resp.writer import encode_command
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
    "error(setmetatable({}, {__tostring = function() while true do end end}))",
    "return xpcall(error, error)",
    "return collectgarbage('nosuch')",
    "return string.format('%s%s', 'x')",
    "return string.format(('%s'):rep(300), unpack({}, 1, 200))",
    "return ('%s'):format(setmetatable({}, {__tostring = function() return 1 end}))",
    "return string.format('%c', {})",
    "return string.format('%.999f', 1)",
    "return string.format('%q')",
    "return ('x'):rep(-1).y.z",
    "return ('x'):rep(5e6):rep(1e3)",
    "return ('x'):nosuch()",
    "('').rep = nil",
    "string.gmatch.x = 1",
    "return getmetatable('').__index.dump(redis.call)",
    "return string.dump(pcall)",
    "return string.dump(cjson.encode)()",
    "return loadstring('return ...', '\27Lua')('\27Lua')()",
    "return load(function() error('in reader') end)()",
    "return load(function() return {} end)()",
    "return setmetatable({}, {__metatable = 1}) + 1",
    "getmetatable(getmetatable('')).__newindex = nil",
    "rawset(getmetatable(_G), '__newindex', nil)",
    "setmetatable(getmetatable(_G), {})",
    "getmetatable(redis).__index.call = 1",
    "next(_G)()",
    "for k, v in pairs(_G) do _G[k] = nil end",
    "table.foreach(redis, function(k) redis[k] = nil end) error('x')",
    "table.sort(redis, function() return true end) error('x')",
    "table.remove(redis).x = 1",
    "table.setn(redis, 5)",
    "return coroutine.wrap(function() return nosuch end)()",
    "return coroutine.wrap(function() getfenv(0) end)()",
    "coroutine.wrap(coroutine.yield)() coroutine.yield(redis.call)",
    "local c c = coroutine.wrap(function() return c() end) return c()",
    "local c = coroutine.create(function() coroutine.yield() end) return coroutine.resume(c, unpack({}, 1, 9000)).x",
    "for i = 1, 1e6 do coroutine.create(function() end) end error('x')",
    "return newproxy()",
    "getmetatable(cjson.null).__gc = function() end",
    "setmetatable({}, {__gc = function() redis.call('flushall') end}) collectgarbage() error('x')",
    "return cjson.null.__class__",
    "return redis.call.__init__.__globals__",
    "return (redis.call).__self__",
    "return #redis.call",
    "return redis.call .. 'x'",
    "return redis.call < redis.pcall",
    "return pairs(redis.call)",
    "return rawget(redis.call, 'x')",
    "return redis.sha1hex(redis.call, 1)",
    "redis.log(redis.LOG_WARNING, redis) redis.log({}, 'x')",
    "return redis.call(setmetatable({}, {__tostring = function() return 'get' end}), 'x')",
    "return redis.call(unpack({}, 1, 5000))",
    "return redis.call(('x'):rep(1e6))",
    "return redis.call('set', 'x')",
    "return redis.call('config', 'set', 'dir', '/')",
    "return redis.call('debug', 'segfault')",
    "return redis.call('shutdown')",
    "return redis.call('replicaof', 'no', 'one')",
    "return redis.call('multi')",
    "return redis.call('subscribe', 'x')",
    "return redis.setresp(setmetatable({}, {}))",
    "return redis.error_reply(redis.call)",
    "return {err = ('x'):rep(3e7)}, ('x'):rep(1e9)",
    "error(coroutine.create(function() end))",
    "return cjson.encode(redis.call)",
    "return cjson.encode({[{}] = 1})",
    "return cjson.encode_max_depth(1e300)",
    "return cjson.decode(('{\"a\":'):rep(2e4))",
    "return cmsgpack.unpack(('\220'):rep(1e5))",
    "return cmsgpack.unpack('\221\255\255')",
    "return cmsgpack.unpack('\221\255\255\255\255')",
    "return struct.pack('c2147483648', 'x')",
    "return struct.pack(('i'):rep(1e4), 1)",
    "return struct.unpack('c0', 'x')",
    "return struct.unpack('>I8', 'x', 2^40)",
    "return bit.lshift({}, 1)",
    "math.randomseed(0/0, 1) error('x')",
    "return math.random(2^60, 1)",
    "return select(-1e9, 1)",
    "return tonumber('z', 1e9)",
    "return unpack(setmetatable({}, {__index = function() error('in index') end}), 1, 2)",
    "return xpcall(function() error('a') end, function() error('b') end) and nosuch",
    "return loadstring('return ' .. ('{'):rep(300))()",
    "return loadstring(('local a = 1 '):rep(300))()",
    "return loadstring('goto x')()",
    "return ('a'):rep(50):gsub(('(a)'):rep(40), '')",
    "return ('a'):find('%f')",
    "return ('a'):find('%b')",
    "return ('a'):gsub('a', '%2')",
    "return ('a'):rep(20):find(('a*'):rep(10) .. '(')",
)

BOMBS = (
    "local function f(...) return f(1, ...) end return f()",
    "return ('a'):rep(28):find(('a?'):rep(28) .. ('a'):rep(28) .. 'b')",
    "return ('x'):rep(1e5):find('.-.-.-.-b')",
    "return ('x'):rep(1e5):match('^(.*)(.*)(.*)b$')",
    "return ('x'):rep(1e5):gsub('x*x*x*b', '')",
    "for part in ('x'):rep(1e5):gmatch('.-.-.-b') do end",
    "return (('x'):rep(1e5)):find(('x*'):rep(150) .. 'b')",
    "local t = {} for i = 1, 1e5 do t[i] = i % 7 end while true do table.sort(t, function(a, b) return a < b end) end",
    "while true do pcall(error) end",
    "while true do pcall(string.rep) end",
    "while true do coroutine.wrap(function() end)() end",
    "local c = coroutine.wrap(function() while true do coroutine.yield() end end) while true do c() end",
    "local c c = coroutine.create(function() coroutine.resume(c) while true do end end) coroutine.resume(c)",
    "coroutine.wrap(function() coroutine.wrap(function() end)() while true do end end)()",
    "coroutine.wrap(function() while true do end end)()",
    "xpcall(function() while true do end end, function() while true do end end)",
    "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) while true do pcall(function() return t[1] end) end",
    "repeat local ok = pcall(redis.call, 'ping') until false",
    "return loadstring('while true do end')()",
    "for i = 1, math.huge do end",
    "while true do cjson.decode(cjson.encode({1, 2, {3}})) end",
    "return ('x'):gsub('x', function() while true do end end)",
    "table.sort({3, 1, 2}, function() while true do end end)",
    "return setmetatable({}, {__index = function() while true do end end}).x",
)
"""What would not end by itself."""


ATTEMPTS = 10

MEMORY_BYTES = 24 * 1024 * 1024
LEFT_BYTES_MAX = 1024 * 1024
"""What an attempt may leave in the Lua state: the compiled script, and what is not collected yet."""

PROBE = "for i = 1, 200000 do local x = i end collectgarbage() return 'well'"
PAUSES_MAX = 2000
"""More would be forty million instructions, which no attempt needs."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter, "MEMORY_MAX_BYTES", MEMORY_BYTES)
        yield World(busy_reply_threshold=1)


@pytest.fixture(scope="module")
def client(world: World) -> Client:
    return world.client()


def looks_up(world: World, script: str = PROBE) -> int:
    """How often a script of a known length lets the server look up from it.

    More often, and what watches an attempt goes on watching when it is over, at the cost of every later script.
    """
    world.stopwatch.step_us = 1
    began_ns = world.stopwatch.now_ns
    assert world.client()("EVAL", script, 0) == "well"
    world.stopwatch.step_us = 0
    return (world.stopwatch.now_ns - began_ns) // 1000


def attempt(world: World, script: str) -> object:
    """What a script comes to that lets others have their turn whenever it can; each time they are answered."""
    client, other = world.client(), world.client()
    world.stopwatch.step_us = 1000
    client.send(encode_command([b"EVAL", script.encode("utf-8", "surrogateescape"), b"0"]))
    for _ in range(PAUSES_MAX):
        if world.server.scripts.busy is None:
            break
        assert other("PING").startswith("BUSY")
        world.pass_time(1)
    world.stopwatch.step_us = 0
    (reply,) = client.received()
    assert other("PING") == "PONG"
    return reply


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
def test_no_way_leads_out_and_the_node_goes_on(script: str, world: World, client: Client) -> None:
    looks, memory_bytes = looks_up(world), world.server.scripts.memory_bytes
    reply = attempt(world, script)
    told = reply[-1] if isinstance(reply, list) and script.startswith("return xpcall") else reply
    assert told is None or is_error(told) or (isinstance(told, list) and "stack limit" in str(told)), reply
    assert client("EVAL", "return ('%d'):format(41 + 1) .. string.rep('x', 2)", 0) == "42xx"
    assert abs(looks_up(world) - looks) <= 1
    assert world.server.scripts.memory_bytes - memory_bytes < LEFT_BYTES_MAX


@pytest.mark.parametrize("script", BOMBS)
def test_whatever_does_not_end_can_be_ended(script: str) -> None:
    world = World(busy_reply_threshold=1)
    client, other = world.client(), world.client()
    looks = looks_up(world)
    world.stopwatch.step_us = 1000
    client.send(encode_command([b"EVAL", script.encode(), b"0"]))
    for _ in range(ATTEMPTS):
        if world.server.scripts.busy is None:
            break
        assert other("GET", "k").startswith("BUSY")
        assert other("SCRIPT", "KILL") == "OK"
        world.pass_time(1)
    (reply,) = client.received()
    assert "killed by user" in reply
    world.stopwatch.step_us = 0
    assert abs(looks_up(world) - looks) <= 1


def test_instructions_in_coroutines_count_however_they_are_divided(world: World) -> None:
    resumed = (
        "local c = coroutine.wrap(function() while true do for i = 1, 5000 do end coroutine.yield() end end)"
    )
    anew = "local c = function() coroutine.wrap(function() for i = 1, 5000 do end end)() end"
    for script in (resumed, anew):
        assert looks_up(world, script + " for i = 1, 1000 do c() end return 'well'") >= 20


def test_line_breaks_in_an_error_take_no_longer_than_other_bytes(client: Client) -> None:
    breaks = "\r\n" * 200_000  # minutes, if each were tried with all that follow
    reply = client(
        "EVAL",
        "return redis.error_reply(ARGV[1])",
        0,
        f"{breaks}a{breaks}b{breaks}",
    )
    assert reply.startswith("ERR a") and reply.endswith("b")


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
