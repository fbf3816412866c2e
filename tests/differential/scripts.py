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
local a = {} for i = 1, 7990 do a[i] = i end return redis.call('rpush', 'longer', unpack(a))
local a = {} for i = 1, 9000 do a[i] = i end return redis.call('rpush', 'longer', unpack(a))
local a = {} for i = 1, 2000 do a[i] = i end a[1500] = {} return redis.call('rpush', 'longer', unpack(a))
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
return {pcall(error, 'x')}
return {pcall(string.rep, {}, 1)}
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


LIBRARIES = r"""
return {bit.band(5, 3), bit.bor(5, 3), bit.bxor(5, 3), bit.bnot(0), bit.bnot(5)}
return {bit.lshift(1, 31), bit.lshift(1, 32), bit.rshift(-1, 28), bit.arshift(-256, 4), bit.rol(0x12345678, 12)}
return {bit.ror(0x12345678, 12), bit.bswap(0x12345678), bit.tohex(255), bit.tohex(255, 4), bit.tohex(-1, -2)}
return {bit.tobit(0xffffffff), bit.tobit(2^40 + 5), bit.tobit(1.5), bit.tobit(2.5), bit.tobit(-1.5), bit.tobit(-0.4)}
return {bit.rol(1, 0), bit.ror(1, 0), bit.rol(-2, 31), bit.band(1, 3, 5, 7), bit.bor(1), bit.tohex(1, 0), bit.tohex(1, 20)}
return bit.band()
return bit.band('x')
return bit.band('7', 3)
return bit.lshift(1)
return bit.tohex('x')
return cjson.encode({1, 2, 3})
return cjson.encode({})
return cjson.encode({a = 1})
return cjson.encode({[1] = 1, [2] = 2, x = 3}) ~= nil
return cjson.encode('a"b\\c/d\b\f\n\r\t\0\1\127\200')
return cjson.encode(1.5)
return cjson.encode(1e15)
return cjson.encode(123456789012345678)
return cjson.encode(0.1)
return cjson.encode(-0)
return cjson.encode(1e300)
return cjson.encode(1/0)
return cjson.encode(0/0)
return cjson.encode(true)
return cjson.encode(nil)
return cjson.encode(cjson.null)
return cjson.encode(print)
return cjson.encode(tostring)
return cjson.encode({tostring})
return cjson.encode({[true] = 1})
return cjson.encode({[1.5] = 1})
return cjson.encode({[3] = 'x'})
return cjson.encode({[1000] = 'x'})
return cjson.encode({[-1] = 'x'})
return cjson.encode({1, nil, 3})
return cjson.encode({{}, {{}}, {a = {}}})
return cjson.encode()
return cjson.encode(1, 2)
local t = {} for i = 1, 1001 do t = {t} end return cjson.encode(t)
local t = {} for i = 1, 999 do t = {t} end return #cjson.encode(t)
local t = {} t[1] = t return cjson.encode(t)
return cjson.encode(redis) ~= nil
return cjson.decode('[1,2,3]')
return cjson.decode('{"a":1}').a
return cjson.decode('{"a":{"b":[true,false,null]}}').a.b
return type(cjson.decode('null'))
return cjson.decode('null') == cjson.null
return tostring(cjson.decode('NaN')) .. tostring(cjson.decode('-nan'))
return cjson.decode('[null]')[1] == cjson.null
return tostring(cjson.decode('1.5'))
return tostring(cjson.decode('-1e3'))
return tostring(cjson.decode('01'))
return tostring(cjson.decode('1.'))
return tostring(cjson.decode('0x1F'))
return tostring(cjson.decode('+5'))
return tostring(cjson.decode('Infinity'))
return tostring(cjson.decode('-inf'))
return tostring(cjson.decode('1e400'))
return cjson.decode('-')
return cjson.decode('1e')
return cjson.decode('.5')
return cjson.decode('"a\\"b\\\\c\\/d\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\ude00"')
return cjson.decode('"\\ud83d"')
return cjson.decode('"\\ude00"')
return cjson.decode('"\\ud83d\\u0041"')
return cjson.decode('"\\uZZZZ"')
return cjson.decode('"\\x"')
return cjson.decode('"abc')
return cjson.decode('"abc\\')
return cjson.decode('"a\nb"')
return cjson.decode('')
return cjson.decode('   ')
return cjson.decode('nul')
return cjson.decode('tru')
return cjson.decode('truex')
return cjson.decode('xyz')
return cjson.decode('nan') ~= nil
return cjson.decode('{')
return cjson.decode('}')
return cjson.decode('[')
return cjson.decode(']')
return cjson.decode('[1,')
return cjson.decode('[1 2]')
return cjson.decode('[1,]')
return cjson.decode('{"a"}')
return cjson.decode('{"a":}')
return cjson.decode('{"a":1,}')
return cjson.decode('{a:1}')
return cjson.decode('{"a":1 "b":2}')
return cjson.decode('{1:2}')
return cjson.decode('1 2')
return cjson.decode(',')
return cjson.decode(':')
return cjson.decode('[1}')
return cjson.decode(' [ 1 , 2 ] ')
return cjson.decode('[[],{}]')
return cjson.decode('\0a')
return cjson.decode('1\0 2')
return cjson.decode('[1]\0x')
return cjson.decode(5)
return cjson.decode({})
return cjson.decode()
return cjson.decode(nil)
return cjson.decode('1', 2)
return cjson.decode(('['):rep(1001))
return cjson.decode(('['):rep(1000) .. (']'):rep(1000)) ~= nil
return {pcall(cjson.decode, '{')}
return {pcall(function() return cjson.decode('{') end)}
return cjson.encode(cjson.decode('{"a":[1,2,{"b":null}],"c":"\\u00e9"}').a)
return cjson.encode(cjson.decode('[]'))
return {cjson.encode_max_depth(), cjson.decode_max_depth(), cjson.encode_number_precision()}
return {cjson.encode_sparse_array()}
return {tostring(cjson.encode_invalid_numbers()), tostring(cjson.decode_invalid_numbers()), tostring(cjson.encode_keep_buffer())}
return cjson.encode_max_depth(0)
return cjson.encode_number_precision(15)
return cjson.encode_number_precision('x')
local c = cjson.new() c.encode_number_precision(3) return c.encode(1.23456)
local c = cjson.new() c.encode_invalid_numbers('null') return c.encode(1/0)
local c = cjson.new() c.encode_sparse_array(true) return c.encode({[1000] = 'x'})
local c = cjson.new() c.encode_max_depth(1) return c.encode({{}})
local c = cjson.new() c.decode_invalid_numbers(false) return c.decode('0x1')
return cjson._NAME .. cjson._VERSION
cjson.x = 1
return cmsgpack.pack(1)
return cmsgpack.pack(1, 2, 'x')
return cmsgpack.pack(127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 2^53, 2^62)
return cmsgpack.pack(-1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, -2^53, -2^63, -2^40 - 7)
return cmsgpack.pack(1.5, 0.1, 1e300, -1e-300, 1/0, -1/0, 2^63, 2^64)
return cmsgpack.pack(nil, true, false)
return cmsgpack.pack('')
return cmsgpack.pack(('x'):rep(31), ('x'):rep(32))
return cmsgpack.pack(('x'):rep(255)) .. cmsgpack.pack(('x'):rep(256))
return redis.sha1hex(cmsgpack.pack(('x'):rep(65535)) .. cmsgpack.pack(('x'):rep(65536)))
return cmsgpack.pack({})
return cmsgpack.pack({1, 2, 3})
return cmsgpack.pack({a = 1})
return cmsgpack.pack({1, nil, 3})
return cmsgpack.pack({[0] = 1})
return cmsgpack.pack({[1.5] = 1})
local t = {} for i = 1, 20 do t[i] = i end return cmsgpack.pack(t)
local t = {} for i = 1, 70000 do t[i] = 1 end return redis.sha1hex(cmsgpack.pack(t))
local t = {} for i = 1, 20 do t = {t} end return cmsgpack.pack(t)
local t = {} t[1] = t return cmsgpack.pack(t)
return cmsgpack.pack(tostring)
return cmsgpack.pack(cjson.null)
return cmsgpack.pack()
return {cmsgpack.unpack(cmsgpack.pack(1, -1, 'x', true, {1, {2}}))}
return {cmsgpack.unpack(cmsgpack.pack(1.5, 2^40, -2^40, -5, -200, -40000, 3e9))}
return tostring(cmsgpack.unpack(cmsgpack.pack(0.1)))
return tostring(cmsgpack.unpack(cmsgpack.pack(-2^63)))
return cmsgpack.unpack(cmsgpack.pack({a = 'b'})).a
return tostring(cmsgpack.unpack(cmsgpack.pack(nil)))
return cmsgpack.unpack('\xda')
return cmsgpack.unpack('\217\5abc')
return cmsgpack.unpack('\147\1\2')
return cmsgpack.unpack('\193')
return cmsgpack.unpack('')
return cmsgpack.unpack()
return cmsgpack.unpack({})
return cmsgpack.unpack('\196\3abc')
return cmsgpack.unpack('\199\3abc')
return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3))}
return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), 1)}
return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), 2)}
return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 2)}
return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 2, 1)}
return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 0, 1)}
return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), -1)}
return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), -1)}
return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), 9)}
return {cmsgpack.unpack_limit(cmsgpack.pack(1), 'x')}
return cmsgpack._NAME .. cmsgpack._VERSION .. cmsgpack._COPYRIGHT .. cmsgpack._DESCRIPTION
return struct.pack('>I2', 1)
return struct.pack('<I2', 1)
return struct.pack('bBhHlLiI', -1, 255, -2, 65535, -3, 4, -5, 6)
return struct.pack('>bBhHlLiI', -1, 255, -2, 65535, -3, 4, -5, 6)
return struct.pack('!bh', 1, 2) .. struct.pack('!4bl', 1, 2) .. struct.pack('!2bi', 1, 2)
return struct.pack('f', 1.5) .. struct.pack('>f', 0.1) .. struct.pack('d', 1.5) .. struct.pack('>d', -0.1)
return struct.pack('f', 1e300) .. struct.pack('d', 1/0) .. struct.pack('d', -0)
return struct.pack('s', 'hello')
return struct.pack('c3', 'hello') .. struct.pack('c', 'hello') .. struct.pack('c0', 'hello')
return struct.pack('c9', 'hello')
return struct.pack('I1I3I5I8', 1, 2, 3, 4)
return struct.pack('I16', 1)
return struct.pack('i16', -1)
return struct.pack('xI1x', 5)
return struct.pack(' I1 I1 ', 5, 6)
return struct.pack('T', 5)
return struct.pack('I1', 300) .. struct.pack('i1', -300) .. struct.pack('I1', 1.9) .. struct.pack('i1', -1.9)
return struct.pack('I33', 1)
return struct.pack('I99999999999', 1)
return struct.pack('y', 1)
return struct.pack('!3', 1)
return struct.pack('!0b', 1)
return struct.pack('I')
return struct.pack('I', 'x')
return struct.pack('I', '5')
return struct.pack('s')
return struct.pack('s', {})
return struct.pack()
return struct.pack('')
return {struct.unpack('>I2', '\1\2')}
return {struct.unpack('bBhH', '\255\255\254\255\255\255')}
return {struct.unpack('lL', struct.pack('lL', -3, 4))}
return {struct.unpack('iI', struct.pack('iI', -5, 6))}
return {struct.unpack('>i3', '\255\255\254')}
return {tostring(struct.unpack('d', struct.pack('d', 0.1))), tostring(struct.unpack('>f', struct.pack('>f', 0.5)))}
return {struct.unpack('s', 'hello\0rest')}
return {struct.unpack('s', 'hello')}
return {struct.unpack('c3', 'hello')}
return {struct.unpack('bc0', '\3abcdef')}
return {struct.unpack('c0', 'abc')}
return {struct.unpack('bc0', '\9abc')}
return {struct.unpack('I2', 'a')}
return {struct.unpack('I1', 'abc', 2)}
return {struct.unpack('I1', 'abc', 4)}
return {struct.unpack('I1', 'abc', 0)}
return {struct.unpack('I1', 'abc', -1)}
return {struct.unpack('!4bi', struct.pack('!4bi', 1, 2))}
return {struct.unpack('xI1', 'ab')}
return {struct.unpack('', 'ab')}
return {struct.unpack('I', {})}
return {struct.unpack()}
return {struct.unpack('I2I2', '\1\0\2')}
return struct.unpack('I8', '\255\255\255\255\255\255\255\255') > 0
return {struct.size('bBhHlLiI'), struct.size('!8bd'), struct.size('c5x'), struct.size('')}
return struct.size('s')
return struct.size('c0')
return struct.size('y')
return struct.size()
"""
"""bit, cjson, cmsgpack and struct."""
