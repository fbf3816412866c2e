-- What a script sees, and the way in and out of it.
--
-- The environment is made from an allow-list, never by removing what is known to be dangerous. Tables that
-- all scripts share are shown through empty stand-ins that refuse every change: Lua 5.1 knows no read-only
-- tables, and a script that could alter `string.format` would reach into every later script.
--
-- Errors of this file begin with "lib:"; `locate` puts the place in the script there instead, as if the
-- function were built in.

local host, bit, cjson, cmsgpack, struct = ...

local error, pcall, xpcall, type, tostring, tonumber = error, pcall, xpcall, type, tostring, tonumber
local select, unpack, setfenv, setmetatable, getmetatable = select, unpack, setfenv, setmetatable, getmetatable
local rawget, rawset, next, pairs, ipairs, loadstring, load = rawget, rawset, next, pairs, ipairs, loadstring, load
local byte, find, gsub, match, sub = string.byte, string.find, string.gsub, string.match, string.sub
local floor, concat = math.floor, table.concat
local create, wrap = coroutine.create, coroutine.wrap
local getinfo, sethook = debug.getinfo, debug.sethook
local collectgarbage = collectgarbage

local call, keep_frames = host.call, host.keep_frames
local dump = string.dump

local INSTRUCTIONS_BETWEEN_LOOKS = 100000
local REPLY_DEPTH_MAX = 150
local WORDS_MAX = 1000
local RESULTS_MAX = 1000000
local NESTED_COROUTINES_MAX = 150
local SHIFTED_ELEMENTS_MAX = 10000000
local REPETITIONS_MAX = 200

-- --- errors -----------------------------------------------------------------------------------------------

-- An error as a table: the code first, then the text. `message` may bring its code, behind a "-".
local function error_table(message)
    local code, text = "ERR", message
    if sub(message, 1, 1) == "-" then
        local space = find(message, " ", 1, true)
        if space then
            code, text = sub(message, 2, space - 1), sub(message, space + 1)
        else
            text = sub(message, 2)
        end
    end
    return { err = code .. " " .. gsub(gsub(text, "^[\r\n]+", ""), "[\r\n]+$", "") }
end

local function is_ours(info)
    return info.source == "=lib"
end

-- The first level of the script's own code at or above this one, as getinfo counts for the function that asks.
local function script_level(level)
    level = level + 1
    local info = getinfo(level, "S")
    while info and (info.what == "C" or info.what == "tail" or is_ours(info)) do
        level = level + 1
        info = getinfo(level, "S")
    end
    return info and level - 1
end

-- A message of ours as a built-in function would have put it: with the caller's place and name for it.
-- To be called by an error handler.
local function locate(message)
    local text = match(message, "^lib:%d+: (.*)$")
    if not text then
        return message
    end
    local level, ours = 3, nil
    local info = getinfo(level, "S")
    if info and info.what == "C" then
        level = level + 1
        info = getinfo(level, "S")
    end
    while info and (info.what == "tail" or is_ours(info)) do
        if is_ours(info) then
            ours = level
        end
        level = level + 1
        info = getinfo(level, "S")
    end
    local is_called_by_script = info and info.what ~= "C"
    local position, rest = match(text, "^bad argument #(%d+) to '[^']*'(.*)$")
    if position then
        local called = is_called_by_script and ours and getinfo(ours, "n") or {}
        local name = called.name or "?"
        if called.namewhat == "method" then
            position = position - 1
        end
        if position == 0 then
            text = "calling '" .. name .. "' on bad self"
        else
            text = "bad argument #" .. position .. " to '" .. name .. "'" .. rest
        end
    end
    info = is_called_by_script and getinfo(level, "Sl")
    if info and info.currentline > 0 then
        return info.short_src .. ":" .. info.currentline .. ": " .. text
    end
    return text
end

-- What a script ended with, as a table that knows where.
local function describe_error(err)
    if type(err) == "string" then
        err = locate(err)
    end
    if type(err) ~= "table" then
        err = { err = "ERR " .. tostring(err) }
    end
    local level = script_level(2)
    if level then
        local info = getinfo(level, "Sl")
        err.source, err.line = info.source, info.currentline
    end
    return err
end

local function refuse_change()
    error("Attempt to modify a readonly table")
end

-- --- read-only tables ----------------------------------------------------------------------------------------

local contents = setmetatable({}, { __mode = "k" })

local function readonly(shown, fallback)
    local stand_in = {}
    contents[stand_in] = shown
    if fallback then
        setmetatable(shown, { __index = fallback })
    end
    return setmetatable(stand_in, { __index = shown, __newindex = refuse_change })
end

local function refuse_if_readonly(value)
    if contents[value] then
        error(error_table("Attempt to modify a readonly table"), 0)
    end
end

-- --- the standard library -------------------------------------------------------------------------------------

local shared = {}

for name in ("assert error gcinfo ipairs rawequal select tonumber tostring type _VERSION"):gmatch("%S+") do
    shared[name] = _G[name]
end

-- The count of results overflows in C where the ends are far apart.
function shared.unpack(...)
    local list, first, last = ...
    first, last = tonumber(first) or 1, tonumber(last) or (type(list) == "table" and #list) or 0
    if last - first >= RESULTS_MAX then
        error("too many results to unpack")
    end
    return unpack(...)
end

function shared.rawset(...)
    refuse_if_readonly((...))
    return rawset(...)
end

function shared.rawget(...)
    local shown = contents[(...)]
    if shown then
        return rawget(shown, select(2, ...))
    end
    return rawget(...)
end

function shared.next(...)
    local shown = contents[(...)]
    if shown then
        return next(shown, select(2, ...))
    end
    return next(...)
end

function shared.pairs(...)
    local shown = contents[(...)]
    if shown then
        return pairs(shown)
    end
    return pairs(...)
end

function shared.setmetatable(...)
    refuse_if_readonly((...))
    return setmetatable(...)
end

local string_metatable = getmetatable("")

function shared.getmetatable(...)
    local found = getmetatable(...)
    if found and contents[(...)] then
        found = getmetatable(contents[(...)])
    end
    if found == string_metatable or (found and contents[(...)]) then
        return readonly(found == string_metatable and { __index = shared.string } or found)
    end
    return found
end

-- Bytecode could be made to break the interpreter; only source is taken.
local function is_bytecode(chunk)
    return type(chunk) == "string" and byte(chunk) == 27
end

local environment

local function in_environment(chunk, message)
    if chunk then
        return setfenv(chunk, environment)
    end
    return chunk, message
end

function shared.loadstring(...)
    if is_bytecode((...)) then
        return nil, "bad code in precompiled chunk"
    end
    return in_environment(loadstring(...))
end

function shared.load(reader, name)
    local is_first = true
    local function source_only()
        local piece = reader()
        if is_first and piece ~= "" then
            is_first = false
            if is_bytecode(piece) then
                error("bad code in precompiled chunk", 0)
            end
        end
        return piece
    end
    if type(reader) ~= "function" then
        source_only = reader
    end
    return in_environment(load(source_only, name or "=(load)"))
end

-- Collecting is harmless; switching the collector off or down is not.
function shared.collectgarbage(option, ...)
    if option == nil or option == "collect" or option == "count" or option == "step" then
        return collectgarbage(option or "collect", ...)
    end
    if option == "stop" or option == "restart" or option == "setpause" or option == "setstepmul" then
        return 0
    end
    return collectgarbage(option, ...)
end

-- An error that is a table arrives as its text, as it did before errors were tables.
local function plain_error(err)
    if type(err) == "string" then
        return locate(err)
    end
    if type(err) == "table" then
        local text = err.err
        if type(text) == "string" or type(text) == "number" then
            return text
        end
    end
    return err
end

function shared.pcall(f, ...)
    local count = select("#", ...)
    if count == 0 then
        return xpcall(f, plain_error)
    end
    if count == 1 then
        local a = ...
        return xpcall(function() return f(a) end, plain_error)
    end
    local arguments = { ... }
    return xpcall(function() return f(unpack(arguments, 1, count)) end, plain_error)
end

function shared.xpcall(...)
    local f, handler = ...
    return xpcall(f, function(err)
        if type(err) == "string" then
            err = locate(err)
        end
        return handler(err)
    end)
end

-- --- looking up from a long computation -----------------------------------------------------------------------

local killed

-- Called after so many instructions. Once a script is killed, which `killed` says with what words, it is
-- called at each line, so that no pcall in the script can go on regardless.
local function look_up()
    if is_ours(getinfo(2, "S")) and killed then
        return
    end
    killed = killed or host.look_up()
    if killed then
        sethook(look_up, "l")
        error(error_table(killed), 0)
    end
end

local function watch(thread)
    if thread then
        sethook(thread, look_up, "", INSTRUCTIONS_BETWEEN_LOOKS)
    else
        sethook(look_up, "", INSTRUCTIONS_BETWEEN_LOOKS)
    end
end

local function new_coroutine(f)
    local thread = create(f)
    watch(thread)
    return thread
end

-- Each coroutine that runs within another takes of the C stack, of which Lua keeps no account.
local resume, nested = coroutine.resume, 0

local function leave(...)
    nested = nested - 1
    return ...
end

local function enter(...)
    if nested >= NESTED_COROUTINES_MAX then
        return false, "C stack overflow"
    end
    nested = nested + 1
    return leave(resume(...))
end

local function resumed(ok, ...)
    if not ok then
        error((...), 3) -- at the place of whoever called the coroutine
    end
    return ...
end

shared.coroutine = {
    create = new_coroutine,
    resume = enter,
    running = coroutine.running,
    status = coroutine.status,
    yield = coroutine.yield,
    wrap = function(f)
        local thread = new_coroutine(f)
        return function(...)
            return resumed(enter(thread, ...))
        end
    end,
}

-- --- tables, strings, numbers -----------------------------------------------------------------------------------

local function pick(library, names)
    local picked = {}
    for name in names:gmatch("%S+") do
        picked[name] = library[name]
    end
    return picked
end

shared.table = pick(table, "concat foreach foreachi getn maxn remove setn sort")

local insert = table.insert

function shared.table.insert(...)
    local list, position = ...
    refuse_if_readonly(list)
    if select("#", ...) > 2 and type(position) == "number" and position < -SHIFTED_ELEMENTS_MAX then
        error("bad argument #2 to 'insert' (position out of bounds)")
    end
    return insert(...)
end

shared.string = pick(string, "byte char dump format len lower rep reverse sub upper")

-- Each repetition of a pattern takes of the C stack while what follows it is matched.
for name in ("find gfind gmatch gsub match"):gmatch("%S+") do
    local f = string[name]
    shared.string[name] = function(...)
        local _, pattern = ...
        if type(pattern) == "string" and #pattern > REPETITIONS_MAX then
            if select(2, gsub(pattern, "[*+?-]", "")) > REPETITIONS_MAX then
                error("pattern too complex")
            end
        end
        return f(...)
    end
end

local rep = string.rep

function shared.string.rep(...)
    if (...) == "" then
        local count = tonumber((select(2, ...)))
        return rep("", count and 0 or (select(2, ...))) -- nothing, however often
    end
    return rep(...)
end

getmetatable("").__index = shared.string

shared.math = pick(
    math,
    "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min mod modf"
        .. " pi pow rad sin sinh sqrt tan tanh"
)

local function whole(value, position)
    local number = tonumber(value)
    if not number then
        error("bad argument #" .. position .. " to 'random' (number expected, got " .. type(value) .. ")")
    end
    return number < 0 and -floor(-number) or floor(number)
end

-- The same sequence for the same seed on every machine.
function shared.math.random(...)
    local count, low, high = select("#", ...), ...
    local drawn = host.random() % 2147483647 / 2147483647
    if count == 0 then
        return drawn
    elseif count == 1 then
        low, high = 1, whole(low, 1)
    elseif count == 2 then
        low, high = whole(low, 1), whole(high, 2)
    else
        error("wrong number of arguments")
    end
    if low > high then
        error("bad argument #" .. count .. " to 'random' (interval is empty)")
    end
    return floor(drawn * (high - low + 1)) + low
end

function shared.math.randomseed(seed)
    host.seed(whole(seed, 1))
end

-- --- replies ---------------------------------------------------------------------------------------------------

-- A reply with parts comes as a string of marks, one per value in Redis's own order, and the values themselves.
local function build(marks, values)
    local mark_at, value_at = 0, 0
    local function one()
        mark_at = mark_at + 1
        local mark = sub(marks, mark_at, mark_at)
        if mark == "v" then
            value_at = value_at + 1
            return values[value_at]
        elseif mark == "[" then
            local list, n = {}, 0
            while sub(marks, mark_at + 1, mark_at + 1) ~= "]" do
                n = n + 1
                list[n] = one()
            end
            mark_at = mark_at + 1
            return list
        elseif mark == "{" then
            local map = {}
            while sub(marks, mark_at + 1, mark_at + 1) ~= "}" do
                local key = one()
                map[key] = one()
            end
            mark_at = mark_at + 1
            return { map = map }
        elseif mark == "<" then
            local set = {}
            while sub(marks, mark_at + 1, mark_at + 1) ~= ">" do
                set[one()] = true
            end
            mark_at = mark_at + 1
            return { set = set }
        elseif mark == "n" then
            return nil
        end
        value_at = value_at + 1
        local value = values[value_at]
        if mark == "+" then
            return { ok = value }
        elseif mark == "-" then
            local failure = error_table("-" .. value)
            failure.ignore_error_stats_update = true
            return failure
        elseif mark == "d" then
            return { double = value }
        elseif mark == "b" then
            return { big_number = value }
        end
        value_at = value_at + 1
        return { verbatim_string = { format = value, string = values[value_at] } }
    end
    return one()
end

-- The other way: what a script returned as marks and values.
local TOO_DEEP = {}

local function take_apart(value, marks, values, depth)
    local kind = type(value)
    if kind == "string" then
        marks[#marks + 1] = "s"
        values[#values + 1] = value
        return
    elseif kind == "number" then
        marks[#marks + 1] = "i"
        values[#values + 1] = value
        return
    elseif kind == "boolean" then
        marks[#marks + 1] = value and "t" or "f"
        return
    elseif kind ~= "table" then
        marks[#marks + 1] = "n"
        return
    end
    if depth > REPLY_DEPTH_MAX then
        marks[#marks + 1] = "-"
        values[#values + 1] = "ERR reached lua stack limit"
        values[#values + 1] = false
        return
    end
    local field = rawget(value, "err")
    if type(field) == "string" then
        marks[#marks + 1] = "-"
        values[#values + 1] = field
        values[#values + 1] = rawget(value, "ignore_error_stats_update") == true
        return
    end
    field = rawget(value, "ok")
    if type(field) == "string" then
        marks[#marks + 1] = "+"
        values[#values + 1] = field
        return
    end
    field = rawget(value, "double")
    if type(field) == "number" then
        marks[#marks + 1] = "d"
        values[#values + 1] = field
        return
    end
    field = rawget(value, "big_number")
    if type(field) == "string" then
        marks[#marks + 1] = "b"
        values[#values + 1] = field
        return
    end
    field = rawget(value, "verbatim_string")
    if type(field) == "table" and type(rawget(field, "format")) == "string" and type(rawget(field, "string")) == "string" then
        marks[#marks + 1] = "v"
        values[#values + 1] = rawget(field, "format")
        values[#values + 1] = rawget(field, "string")
        return
    end
    field = rawget(value, "map")
    if type(field) == "table" then
        marks[#marks + 1] = "{"
        for key, item in next, contents[field] or field do
            take_apart(key, marks, values, depth + 1)
            take_apart(item, marks, values, depth + 1)
        end
        marks[#marks + 1] = "}"
        return
    end
    field = rawget(value, "set")
    if type(field) == "table" then
        marks[#marks + 1] = "<"
        for key in next, contents[field] or field do
            take_apart(key, marks, values, depth + 1)
        end
        marks[#marks + 1] = ">"
        return
    end
    marks[#marks + 1] = "["
    local n = 1
    local item = rawget(value, 1)
    while item ~= nil do
        take_apart(item, marks, values, depth + 1)
        n = n + 1
        item = rawget(value, n)
    end
    marks[#marks + 1] = "]"
end

-- --- the redis table -------------------------------------------------------------------------------------------

local function received(reply, has_parts, values)
    if not has_parts then
        return reply
    elseif reply == "+" then
        return { ok = values }
    elseif reply == "*" then
        return values
    end
    return build(reply, values)
end

local redis = {
    REDIS_VERSION = host.version,
    REDIS_VERSION_NUM = host.version_number,
    LOG_DEBUG = 0,
    LOG_VERBOSE = 1,
    LOG_NOTICE = 2,
    LOG_WARNING = 3,
    REPL_NONE = 0,
    REPL_AOF = 1,
    REPL_SLAVE = 2,
    REPL_REPLICA = 2,
    REPL_ALL = 3,
}

local function ask(...)
    local count = select("#", ...)
    if count > WORDS_MAX then
        return received(host.call_many(count, { ... }))
    end
    return received(call(...))
end

function redis.pcall(...)
    if select("#", ...) == 0 then
        return error_table("Please specify at least one argument for this redis lib call")
    end
    return ask(...)
end

function redis.call(...)
    if select("#", ...) == 0 then
        error(error_table("Please specify at least one argument for this redis lib call"), 0)
    end
    local reply = ask(...)
    if type(reply) == "table" and reply.err then
        error(reply, 0)
    end
    return reply
end

function redis.error_reply(...)
    local text = ...
    if select("#", ...) ~= 1 or type(text) ~= "string" then
        return error_table("wrong number or type of arguments")
    end
    return error_table(sub(text, 1, 1) == "-" and text or "-" .. text)
end

function redis.status_reply(...)
    local text = ...
    if select("#", ...) ~= 1 or type(text) ~= "string" then
        return error_table("wrong number or type of arguments")
    end
    return { ok = text }
end

function redis.sha1hex(...)
    if select("#", ...) ~= 1 then
        error(error_table("wrong number of arguments"), 0)
    end
    local text = ...
    local kind = type(text)
    return host.sha1hex((kind == "string" or kind == "number") and tostring(text) or "")
end

function redis.log(...)
    local level = tonumber((...))
    if select("#", ...) < 2 then
        error(error_table("redis.log() requires two arguments or more."), 0)
    elseif not level then
        error(error_table("First argument must be a number (log level)."), 0)
    elseif level < 0 or level >= 4 then
        error(error_table("Invalid debug level."), 0)
    end
    local words = {}
    for position = 2, select("#", ...) do
        local word = select(position, ...)
        if type(word) == "string" or type(word) == "number" then
            words[#words + 1] = tostring(word)
        end
    end
    host.log(floor(level), concat(words, " "))
end

function redis.setresp(...)
    if select("#", ...) ~= 1 then
        error(error_table("redis.setresp() requires one argument."), 0)
    end
    local version = tonumber((...))
    if version ~= 2 and version ~= 3 then
        error(error_table("RESP version must be 2 or 3."), 0)
    end
    host.set_resp(version)
end

function redis.set_repl(...)
    if select("#", ...) ~= 1 then
        error(error_table("redis.set_repl() requires two arguments."), 0)
    end
    local targets = floor(tonumber((...)) or 0)
    if targets < 0 or targets > 3 then
        error(
            error_table("Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."),
            0
        )
    end
    host.set_repl(targets)
end

function redis.acl_check_cmd(...)
    if select("#", ...) == 0 then
        error(error_table("Please specify at least one argument for this redis lib call"), 0)
    end
    local answer = host.may_run(...)
    if type(answer) == "string" then
        error(error_table(answer), 0)
    end
    return answer
end

function redis.replicate_commands()
    return true
end

function redis.breakpoint()
    return false
end

function redis.debug() end

-- --- the environment -------------------------------------------------------------------------------------------

-- What the libraries share. A double's sign would be lost on a zero that crosses the border.
local tools = {
    tonumber = tonumber,
    contents = contents,
    null = newproxy(false),
    bit_and = host.bit_and,
    bit_or = host.bit_or,
    bit_xor = host.bit_xor,
    unpack_double = host.unpack_double,
    unpack_float = host.unpack_float,
}

function tools.type_name(value)
    return value == nil and "no value" or type(value)
end

function tools.pack_double(number)
    return number == 0 and 1 / number < 0 and "\128\0\0\0\0\0\0\0" or host.pack_double(number)
end

function tools.pack_float(number)
    return number == 0 and 1 / number < 0 and "\128\0\0\0" or host.pack_float(number)
end

for name, library in pairs({ bit = bit, cjson = cjson, cmsgpack = cmsgpack, struct = struct }) do
    shared[name] = library(tools)
end
shared.redis = redis

for name, value in pairs(shared) do
    if type(value) == "table" then
        shared[name] = readonly(value)
    end
end

-- Strings keep the library itself behind their methods: it is not to be seen, and quicker.
local function nonexistent(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'")
end

environment = readonly(shared, nonexistent)
shared._G = environment

local outside = _G
for name in pairs(outside) do
    outside[name] = nil
end

-- --- the way in ------------------------------------------------------------------------------------------------

local function compile(source, name)
    if is_bytecode(source) then
        return nil, "bad code in precompiled chunk"
    end
    local chunk, message = loadstring(source, name)
    if chunk then
        chunk = loadstring(keep_frames(dump(chunk)), name)
    end
    return in_environment(chunk, message)
end

-- One value comes back as it is; parts come as marks and values, an error as "!" with all that is known of it.
local function finished(ok, value)
    if ok then
        local kind = type(value)
        if kind ~= "table" then
            return kind == "number" and "i" or "s", value
        end
        local marks, values = {}, {}
        take_apart(value, marks, values, 0)
        return concat(marks), values
    end
    local err = value
    if type(err) ~= "table" then
        return "!", "ERR Error running script, " .. tostring(err), nil, nil, false
    end
    local text, source, line = rawget(err, "err"), rawget(err, "source"), rawget(err, "line")
    return "!",
        (type(text) == "string" or type(text) == "number") and tostring(text) or "ERR unknown error",
        (type(source) == "string" or type(source) == "number") and tostring(source) or nil,
        (type(line) == "string" or type(line) == "number") and tostring(line) or nil,
        rawget(err, "ignore_error_stats_update") == true
end

-- The words of a call as keys and arguments. There may be too many to be passed one by one: then as `many`.
local function split(key_count, many, ...)
    local keys, arguments = {}, many or { ... }
    if key_count > 0 then
        keys, arguments = arguments, {}
        for position = key_count + 1, #keys do
            arguments[position - key_count] = keys[position]
            keys[position] = nil
        end
    end
    return keys, arguments
end

local function begin()
    nested = 0
    if killed then
        killed = nil
        watch()
    end
end

local function run(script, key_count, ...)
    local keys, arguments = split(key_count, ...)
    begin()
    shared.KEYS, shared.ARGV = keys, arguments
    return finished(xpcall(script, describe_error))
end

local function run_function(callback, key_count, ...)
    local keys, arguments = split(key_count, ...)
    begin()
    return finished(xpcall(function() return callback(keys, arguments) end, describe_error))
end

-- --- libraries of functions ------------------------------------------------------------------------------------

-- While a library is loaded it sees the `redis` table below and nothing else; what it defines then sees
-- all that scripts see. Both are the contents of one and the same environment.
local function_contents = {}
for name, value in pairs(shared) do
    function_contents[name] = value
end

local api = {}
for name, value in pairs(redis) do
    if name ~= "breakpoint" and name ~= "debug" and name ~= "replicate_commands" then
        api[name] = value
    end
end
function_contents.redis = readonly(api)
setmetatable(function_contents, { __index = nonexistent })

local registered

local function fail(text)
    error(error_table(text), 0)
end

local function named_arguments(given)
    if type(given) ~= "table" then
        fail(
            "calling redis.register_function with a single argument is only applicable to Lua table"
                .. " (representing named arguments)."
        )
    end
    local name, callback, description
    local flags = {}
    for key, value in next, given do
        if key == "function_name" then
            name = value
            if type(name) ~= "string" and type(name) ~= "number" then
                fail("function_name argument given to redis.register_function must be a string")
            end
        elseif key == "description" then
            description = value
            if type(description) ~= "string" and type(description) ~= "number" then
                fail("description argument given to redis.register_function must be a string")
            end
        elseif key == "callback" then
            callback = value
            if type(callback) ~= "function" then
                fail("callback argument given to redis.register_function must be a function")
            end
        elseif key == "flags" then
            flags = value
            if type(flags) ~= "table" then
                fail(
                    "flags argument to redis.register_function must be a table representing function flags"
                )
            end
        else
            fail("unknown argument given to redis.register_function")
        end
    end
    if not name then
        fail("redis.register_function must get a function name argument")
    elseif not callback then
        fail("redis.register_function must get a callback argument")
    end
    return name, callback, flags, description
end

local function register_function(...)
    local count = select("#", ...)
    if count < 1 or count > 2 then
        fail("wrong number of arguments to redis.register_function")
    end
    if not registered then
        fail("redis.register_function can only be called on FUNCTION LOAD command")
    end
    local name, callback, flags, description = ...
    if count == 1 then
        name, callback, flags, description = named_arguments(name)
    else
        if type(name) ~= "string" and type(name) ~= "number" then
            fail("first argument to redis.register_function must be a string")
        elseif type(callback) ~= "function" then
            fail("second argument to redis.register_function must be a function")
        end
        flags, description = {}, nil
    end
    local names = {}
    for position, flag in ipairs(flags) do
        names[position] = type(flag) == "string" and flag or "?"
    end
    local refused = host.register(
        tostring(name),
        concat(names, ","),
        description and tostring(description) or false,
        #registered + 1
    )
    if refused then
        fail(refused)
    end
    registered[#registered + 1] = callback
end

local loading_api = { register_function = register_function, log = redis.log }
for name, value in pairs(redis) do
    if type(value) ~= "function" and sub(name, 1, 4) ~= "REPL" then
        loading_api[name] = value
    end
end

local loading_contents = setmetatable({ redis = readonly(loading_api, nonexistent) }, { __index = nonexistent })
local function_access = { __index = function_contents, __newindex = refuse_change }
local function_environment = setmetatable({}, function_access)
contents[function_environment] = function_contents
function_contents._G = function_environment

-- Runs a library's code; the functions it registers, in order, or "!" and what went wrong.
local function load_library(source, name)
    local chunk, message = compile(source, name)
    if not chunk then
        return "!", "compiling function: " .. message
    end
    setfenv(chunk, function_environment)
    begin()
    registered = {}
    function_access.__index = loading_contents
    local ok, err = xpcall(chunk, describe_error)
    function_access.__index = function_contents
    local found = registered
    registered = nil
    if ok then
        return found
    end
    return "!", "registering functions: " .. (type(err) == "table" and err.err or tostring(err))
end

watch()
return compile, run, load_library, run_function
