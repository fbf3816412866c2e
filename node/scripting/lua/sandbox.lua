-- What a script sees, and the way in and out of it.
--
-- The environment is made from an allow-list, never by removing what is known to be dangerous: each file of this
-- folder makes a library of it, or a tool that the others share.

local host, files = ...

local error, ipairs, newproxy, next, pairs = error, ipairs, newproxy, next, pairs
local tonumber, tostring, type = tonumber, tostring, type

local errors = files.errors()
local tables = files.readonly(errors)
local watch = files.watch(host, errors)

local function nonexistent(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'")
end

-- What all scripts share, and the stand-in by which they see it.
local shared = {}
local environment = tables.readonly(shared, nonexistent)
shared._G = environment

-- The functions of a library of Lua's that are named, no others.
local function pick(library, names)
    local picked = {}
    for name in names:gmatch("%S+") do
        picked[name] = library[name]
    end
    return picked
end

-- What the libraries share. A double's sign would be lost on a zero that crosses the border.
local tools = {
    tonumber = tonumber,
    contents = tables.contents,
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

local replies = files.replies(errors, tables)
local compiling = files.compiling(host, environment)
local coroutines = files.coroutine(watch)
local redis = files.redis(host, errors, replies)
local set_debugging = files.debugger(host, errors, watch, compiling, redis)

local libraries = {
    bit = files.bit(tools),
    cjson = files.cjson(tools),
    cmsgpack = files.cmsgpack(tools),
    coroutine = coroutines.functions,
    math = files.math(pick, host),
    redis = redis,
    string = files.string(pick, files.patterns(), errors.is_ours),
    struct = files.struct(tools),
    table = files.table(pick, tables),
}
for name, library in next, libraries do
    shared[name] = tables.readonly(library)
end
for name in ("assert error gcinfo ipairs rawequal select tonumber tostring type _VERSION"):gmatch("%S+") do
    shared[name] = _G[name]
end
for name, value in next, files.base(errors, tables, compiling, shared.string, watch.is_killed) do
    shared[name] = value
end
if host.deprecated_api then
    for name, value in next, files.deprecated(errors, tables, environment) do
        shared[name] = value
    end
end

local function begin()
    coroutines.begin()
    watch.begin()
end

local running = files.running(shared, errors, replies, begin, watch.is_killed)
local load_library = files.functions(host, errors, tables, compiling, shared, redis, begin, nonexistent)

-- A script, ready to run; nil and why if it is none.
local function compile(source, name)
    local script, message = compiling.compile(source, name)
    if script then
        return running.script_runner(script)
    end
    return nil, message
end

-- The functions a library registers, ready to run; "!" and what went wrong.
local function load_functions(source, name)
    local callbacks, message = load_library(source, name)
    if callbacks == "!" then
        return callbacks, message
    end
    for position, callback in ipairs(callbacks) do
        callbacks[position] = running.function_runner(callback)
    end
    return callbacks
end

local outside = _G
for name in pairs(outside) do
    outside[name] = nil
end

watch.watch()
return compile, load_functions, set_debugging
