"""Scripts whose replies are compared with Redis's: one for each function, conversion and way to fail."""

# ruff: noqa: E501 (a script is a line)

from __future__ import annotations

BASICS = """
return 1
return 1.9
return -1.9
return 1e300
return 0/0
return 1/0
return -1/0
return 'text'
return ''
return 'a\\0b'
return nil
return
return true
return false
return {}
return {1, 2, {3, 'four', {5}}}
return {1, nil, 3}
return {1, false, true, 3}
return {1.5, -2.5, 'x'}
return {[1] = 'a', [3] = 'c', x = 1}
return function() end
return coroutine.create(function() end) and {1}
return {ok = 'fine'}
return {ok = 'fine', err = 'ERR not'}
return {ok = 5}
return {err = 'MY error'}
return {err = 'single'}
return {err = 'a\\r\\nb'}
return {ok = 'a\\r\\nb'}
return {err = 5}
return {double = 3.5}
return {double = 10}
return {double = 'x'}
return {double = 1/0}
return {big_number = '123456789012345678901234567890'}
return {big_number = '12\\r\\n3'}
return {verbatim_string = {format = 'txt', string = 'some text'}}
return {verbatim_string = {format = 'markdown', string = 'some text'}}
return {verbatim_string = {string = 'some text'}}
return {map = {a = 1}}
return {map = {a = {1, 2}}}
return {set = {a = true}}
return {map = 5, 1, 2}
redis.setresp(3) return true
redis.setresp(3) return false
redis.setresp(3) return nil
redis.setresp(3) return {true, false}
redis.setresp(3) return {double = 0.5}
redis.setresp(3) return {map = {a = true}}
redis.setresp(3) redis.setresp(2) return {true, false}
return KEYS
return ARGV
return {KEYS[1], ARGV[1], #KEYS, #ARGV, KEYS[9]}
return tostring(KEYS[9])
return _VERSION
return type(redis) .. type(string) .. type(_G) .. type(redis.call)
return redis.LOG_DEBUG + redis.LOG_VERBOSE * 10 + redis.LOG_NOTICE * 100 + redis.LOG_WARNING * 1000
return redis.REPL_NONE + redis.REPL_AOF * 10 + redis.REPL_REPLICA * 100 + redis.REPL_ALL * 1000
return redis.sha1hex('')
return redis.sha1hex('abc')
return redis.sha1hex(1)
return redis.sha1hex({})
return redis.sha1hex()
return redis.sha1hex('a', 'b')
return redis.status_reply('GOOD')
return redis.status_reply('a\\r\\nb')
return redis.status_reply()
return redis.status_reply(1)
return redis.error_reply('MY error')
return redis.error_reply('-MY error')
return redis.error_reply('single')
return redis.error_reply('a\\r\\nb')
return redis.error_reply('MY trailing\\r\\n')
return redis.error_reply(1)
return redis.error_reply()
return redis.error_reply({})
return redis.log(1)
return redis.log('x', 'y')
return redis.log(9, 'x')
return redis.log(-1, 'x')
return redis.log(redis.LOG_DEBUG, 'x')
return tostring(redis.replicate_commands())
return tostring(redis.breakpoint())
return redis.debug('x')
return redis.setresp()
return redis.setresp(4)
return redis.setresp('x')
return redis.set_repl()
return redis.set_repl(9)
return redis.set_repl(redis.REPL_ALL)
return redis.acl_check_cmd()
return redis.acl_check_cmd('nosuch')
return redis.acl_check_cmd('get', 'x')
return redis.acl_check_cmd('set', 'x')
return redis.acl_check_cmd({})
return redis.nosuch
math.randomseed(1) return {tostring(math.random()), math.random(10), math.random(5, 9), math.random(-3, 3)}
math.randomseed(7) return {tostring(math.random()), tostring(math.random()), math.random(1000000)}
math.randomseed(-1) return tostring(math.random())
return math.random(0)
return math.random(3, 1)
return math.random(1, 2, 3)
return math.random('x')
"""
"""Values, conversions, and the functions of the `redis` table that need no data."""

COMMANDS = """
return redis.call('set', KEYS[1], 'v')
return redis.call('get', KEYS[1])
return redis.call('get', 'missing')
return redis.call('GET', KEYS[1])
return redis.call('del', KEYS[1], 'k2')
return redis.call('set', KEYS[1], 3)
return redis.call('set', KEYS[1], 3.0) and redis.call('get', KEYS[1])
return redis.call('set', KEYS[1], 0.1) and redis.call('get', KEYS[1])
return redis.call('set', KEYS[1], 1e15) and redis.call('get', KEYS[1])
return redis.call('set', KEYS[1], 1e17) and redis.call('get', KEYS[1])
return redis.call('set', KEYS[1], 2^53) and redis.call('get', KEYS[1])
return redis.call('set', KEYS[1], 1e100) and redis.call('get', KEYS[1])
return redis.call('set', KEYS[1], -1.5) and redis.call('get', KEYS[1])
return redis.call('set', KEYS[1], 'text')
return redis.call('incr', KEYS[1])
return redis.pcall('incr', KEYS[1])
return redis.pcall('incr', KEYS[1]).err
return {redis.pcall('incr', KEYS[1]), 1}
return redis.call('lpush', KEYS[1], 'x')
local ok, err = pcall(redis.call, 'incr', KEYS[1]) return {tostring(ok), type(err), err}
local ok, err = pcall(function() return redis.call('incr', KEYS[1]) end) return {tostring(ok), type(err), err}
local r = redis.pcall('incr', KEYS[1]) return {type(r), tostring(r.ignore_error_stats_update), r.err}
local e = redis.pcall('incr', KEYS[1]) error(e)
return redis.call()
return redis.pcall()
return redis.call({})
return redis.call('get', nil)
return redis.call('get', true)
return redis.pcall('set', 'x', {})
return redis.call('nosuch')
return redis.pcall('nosuch')
return redis.call('get')
return redis.pcall('get')
return redis.call('get', 'a', 'b')
return redis.call('')
return redis.call('config')
return redis.call('config', 'nosuch')
return redis.call('config', 'get', 'maxmemory')
return redis.call('object', 'nosuch', 'x')
return redis.call('multi')
return redis.call('exec')
return redis.call('eval', 'return 1', 0)
return redis.call('script', 'load', 'return 1')
return redis.call('auth', 'x')
return redis.call('watch', 'x')
return redis.call('ping')
return redis.call('ping', 'hello')
return redis.call('echo', 'hello')
return redis.call('select', 5)
return redis.call('select', 500)
redis.call('select', 5) redis.call('set', 'in5', 1) return redis.call('dbsize')
return redis.call('exists', 'in5')
redis.call('rpush', 'l', 1, 2, 3) return redis.call('lrange', 'l', 0, -1)
redis.setresp(3) return redis.call('lrange', 'l', 0, -1)
return redis.call('lrange', 'missing', 0, -1)
redis.call('hset', 'h', 'f', 'v') return redis.call('hgetall', 'h')
redis.setresp(3) return redis.call('hgetall', 'h')
redis.setresp(3) return redis.call('hgetall', 'h').map.f
return redis.call('hgetall', 'h').map
return redis.call('hmget', 'h', 'f', 'g')
redis.setresp(3) return redis.call('hmget', 'h', 'f', 'g')
redis.setresp(3) return tostring(redis.call('hmget', 'h', 'f', 'g')[2])
return tostring(redis.call('hmget', 'h', 'f', 'g')[2])
redis.call('sadd', 's', 'm') return redis.call('smembers', 's')
redis.setresp(3) return redis.call('smembers', 's')
redis.setresp(3) return tostring(redis.call('smembers', 's').set.m)
redis.call('zadd', 'z', 1.5, 'm', 2, 'n') return redis.call('zrange', 'z', 0, -1, 'withscores')
redis.setresp(3) return redis.call('zrange', 'z', 0, -1, 'withscores')
redis.setresp(3) return redis.call('zscore', 'z', 'm')
redis.setresp(3) return tostring(redis.call('zscore', 'z', 'm').double)
return redis.call('zscore', 'z', 'm')
redis.setresp(3) return redis.call('get', 'missing')
redis.setresp(3) return tostring(redis.call('get', 'missing'))
return tostring(redis.call('get', 'missing'))
return type(redis.call('set', 'k', 'v'))
return redis.call('set', 'k', 'v').ok
return redis.call('set', 'k', 'v', 'nx')
return redis.call('type', 'k')
return redis.call('type', 'k').ok
return redis.call('strlen', 'k') + 1
return redis.call('incrbyfloat', 'f', 1.5)
redis.call('set', 'k', 'v', 'px', 100000) return redis.call('ttl', 'k')
return redis.call('expire', 'k', 100)
return redis.call('mset', 'a', 1, 'b', 2)
return redis.call('mget', 'a', 'b', 'c')
return redis.call('time')[1] == redis.call('time')[1]
return redis.call('client', 'id')
return redis.call('info', 'nosuch')
local t = {} for i = 1, 300 do t[i] = 'k' .. i end return redis.call('del', unpack(t))
local t = {} for i = 1, 3000 do t[i] = i end redis.call('rpush', 'long', unpack(t)) return redis.call('llen', 'long')
local l = redis.call('lrange', 'long', 0, -1) return {#l, l[1], l[3000]}
return redis.call('lrange', 'long', 0, 20)
local co = coroutine.wrap(function() return redis.call('get', 'a') end) return co()
redis.set_repl(redis.REPL_NONE) return redis.call('set', 'k', 'unreplicated')
"""
"""Running commands. Later lines see what earlier ones did; `KEYS[1]` is `k1` and `ARGV[1]` is `a1`."""

ERRORS = """
x y
return (
error('x')
error('x', 0)
error('x', 2)
error({err = 'MY thing'})
error({err = 'MY thing', more = 1})
error()
error(nil)
error(true)
error(5)
local a = nil + 1
local a = {} + 1
return nosuch
nosuch = 1
local t = nil return t.x
return ('x').y.z
nosuch()
redis.nosuch()
return #nil
return 'a' < 1
return {} .. 'x'
for i = 1, 'x' do end
string.rep()
string.rep({}, 1)
return ('x'):rep({})
return ('x'):rep()
local rep = string.rep rep(1)
return string.format('%d', 'x')
return string.format('%q', {})
return string.format('%y', 1)
return string.format('%999d', 1)
return ('x'):find({})
return ('x'):find('[')
return ('x'):gsub('x', '%9')
return ('x'):match('(')
table.insert(nil, 1)
table.insert({}, 1, 2, 3)
table.insert({})
table.remove()
table.concat({{}})
table.concat({1, {}, 3})
table.sort({3, 'x', 1})
table.sort({3, 2, 1}, 5)
setmetatable(1, {})
setmetatable({})
getmetatable()
rawset(1)
rawget()
rawset({}, nil, 1)
next()
next({}, 'missing')
pairs()
pairs(nil)
ipairs()
select()
select(0)
tonumber()
tonumber('x', 99)
tostring()
unpack()
assert(false)
assert(nil, 'because')
assert(false, {err = 'MY assertion'})
math.floor('x')
math.floor()
coroutine.create(1)
coroutine.resume(1)
return coroutine.resume(coroutine.create(function() error('inside') end))
coroutine.wrap(function() error('inside') end)()
coroutine.yield(1)
collectgarbage('nosuch')
string.nosuch = 1
string.format = 1
redis.call = 1
_G.nosuch = 1
_G.redis = nil
_G = 1
KEYS = 1
ARGV = 1
rawset(_G, 'x', 1)
rawset(redis, 'x', 1)
rawset(string, 'x', 1)
table.insert(redis, 1)
table.insert(_G, 1)
table.remove(redis)
table.sort(redis)
table.setn(redis, 1)
setmetatable(_G, {})
setmetatable(redis, {})
setmetatable(string, nil)
getmetatable('').__index = 1
getmetatable('').x = 1
getmetatable(_G).__index = 1
rawset(getmetatable(''), 'x', 1)
math.nosuch = 1
coroutine.wrap = nil
table.foreach = nil
return loadstring('x y')
return loadstring('return 5')()
return loadstring('return nosuch')()
return loadstring(string.dump(function() return 1 end))
return load(function() return nil end)
local done return load(function() if done then return nil end done = true return 'return 6' end)()
return tostring(dofile)
return tostring(require)
return tostring(print)
return os.time()
return io.write('x')
return debug.getinfo(1)
return package.path
return getfenv()
return setfenv(1, {})
return newproxy()
return python
local function f() return f() + 1 end f()
local function f(n) if n > 0 then return f(n - 1) end return 'tail' end return f(100000)
return pcall(error, 'x')
return {pcall(error, {err = 'MY thing'})}
return {pcall(error, {1})}
return {pcall(function() error('deep') end)}
return {pcall(function() local a = nil + 1 end)}
return {pcall(function() nosuch = 1 end)}
return {pcall(function() return nosuch end)}
return {pcall(string.rep)}
return {pcall(function() return string.rep() end)}
return {pcall(function(...) return ... end, 1, nil, 3)}
return {pcall(function() end)}
return {xpcall(function() error('x') end, function(e) return 'handled ' .. e end)}
return {xpcall(function() nosuch = 1 end, function(e) return 'handled ' .. e end)}
return {xpcall(function() redis.call('nosuch') end, function(e) return type(e) end)}
"""
"""Failing: each with the text, the place and the line Redis gives."""

LIBRARY = """
return string.format('%5.2f|%d|%s|%q|%x|%c|%e|%g|%i|%u|%%', 3.14159, 42, 'x', 'a"b\\n', 255, 65, 1.5, 1e20, 3, 4)
return ('hello world'):gsub('o', '0')
return {('hello world'):find('o w')}
return {('hello'):match('(h)(e)')}
return {('key=value'):match('(%w+)=(%w+)')}
return ('hello'):upper() .. ('HELLO'):lower() .. ('abc'):reverse() .. ('x'):rep(3)
return {('abc'):byte(1, -1)}
return string.char(72, 105)
return ('hello'):len() + #'abc'
return ('hello'):sub(2, -2)
local t = {} for w in ('one two three'):gmatch('%a+') do t[#t + 1] = w end return t
return ('abc'):gsub('%w', {a = '1', b = true})
return ('abc'):gsub('%w', function(c) return c == 'b' and 'X' or nil end)
return {('f(a(b)c)d'):match('%b()'), ('THE (quick) fox'):find('%((%a+)%)')}
return {('x'):find('', 10), ('x'):find('x', -5), ('a.b'):find('.', 1, true)}
return {('  trim  '):match('^%s*(.-)%s*$')}
return {('2024-01-02'):match('(%d+)-(%d+)-(%d+)')}
return {('abc'):find('b', 1)}
return {(''):find('')}
return {('a,b,,c'):gsub(',', ';', 2)}
return ('x'):rep(-1) .. ('x'):rep(0)
return table.concat({1, 2, 3}, ', ')
return table.concat({1, 2, 3}, ', ', 2, 3)
local t = {3, 1, 2} table.sort(t) return t
local t = {3, 1, 2} table.sort(t, function(a, b) return a > b end) return t
local t = {1, 2} table.insert(t, 3) table.insert(t, 1, 0) return t
local t = {1, 2, 3} return {table.remove(t), table.remove(t, 1), #t}
return {table.maxn({1, 2, [10] = 3}), table.getn({1, 2})}
local n = 0 table.foreach({a = 1, b = 2}, function(k, v) n = n + v end) return n
local n = 0 table.foreachi({1, 2}, function(k, v) n = n + v end) return n
return {math.floor(1.5), math.ceil(1.5), math.abs(-1), math.max(1, 5, 3), math.min(4, 2), math.fmod(7, 3)}
return {tostring(math.pi), tostring(math.huge), tostring(-math.huge), tostring(0/0):gsub('-', '')}
return {tostring(math.sqrt(2)), tostring(math.exp(1)), tostring(math.log(10)), tostring(math.log10(1000))}
return {tostring(1e15), tostring(1e14), tostring(0.1), tostring(123456789012345678), tostring(-0)}
return {tonumber('10', 2), tonumber('ff', 16), tonumber('0x10'), tonumber(' 5 '), tonumber('5x') or 'nil', tonumber('')}
return {math.ldexp(1, 10), math.frexp(8), math.modf(3.7), math.pow(2, 8), math.mod(7, 3)}
return {math.deg(math.pi), tostring(math.rad(180)), math.cos(0), math.sin(0), math.tan(0)}
return {select('#', 1, nil, 3), select(2, 'a', 'b', 'c')}
return {select(-1, 'a', 'b', 'c')}
return {unpack({1, 2, 3}, 2)}
return {type(1), type('x'), type(nil), type({}), type(type), type(true)}
return {tostring(nil), tostring(true), tostring(1.5)}
return rawequal('a', 'a') and 1 or 0
return rawget({a = 1}, 'a')
return rawget(redis, 'LOG_DEBUG')
return rawget(_G, 'nosuch') == nil
return next({}) == nil
local t = setmetatable({}, {__index = function(t, k) return k .. '!' end}) return {t.x, t[1]}
local t = setmetatable({}, {__call = function(self, a) return a * 2 end}) return t(21)
local t = setmetatable({}, {__tostring = function() return 'me' end}) return tostring(t)
local t = setmetatable({}, {__metatable = 'locked'}) return getmetatable(t)
local t = setmetatable({}, {__metatable = 'locked'}) return setmetatable(t, {})
return getmetatable('').__index == string
return getmetatable('').__index.len('abc')
return tostring(getmetatable(redis))
return _G == _G._G and _G.redis == redis
local n = 0 for k in pairs(redis) do n = n + 1 end return n
local n = 0 for k in pairs(string) do n = n + 1 end return n
local n = 0 for k in pairs(table) do n = n + 1 end return n
local n = 0 for k in pairs(math) do n = n + 1 end return n
local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) return b * 2 end) local _, x = coroutine.resume(co, 1) local _, y = coroutine.resume(co, 10) return {x, y, coroutine.status(co)}
local gen = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) return {gen(), gen(), gen()}
return {coroutine.resume(coroutine.create(function() error({err = 'X'}) end))} and 1
return type(collectgarbage('count'))
return collectgarbage()
return type(gcinfo())
local a, b = 7, 2 return {a % b, a ^ b, a / b, -a, a .. b}
local s = 0 for i = 10, 1, -3 do s = s + i end return s
local s = {} for i, v in ipairs({'a', 'b', nil, 'd'}) do s[i] = v end return s
local i = 0 repeat i = i + 1 until i >= 5 return i
return (function(...) return select('#', ...) end)(1, nil, nil)
return not nil and 1 or 2
return 10 == '10'
return '10' + 5
return 1 < 2 and 'a' < 'b'
return #'a\\0b'
return "\\65\\066\\n" .. [[
long]]
"""
"""Lua's own library, as far as it is there."""


def lines(text: str) -> list[str]:
    """The scripts of a table, one a line; `\\\\0` and the like are Lua's to read."""
    found: list[str] = []
    for line in text.strip("\n").split("\n"):
        if found and found[-1].endswith("[["):
            found[-1] += "\n" + line
        else:
            found.append(line)
    return found
