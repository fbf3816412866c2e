-- Libraries of functions.

local host, errors, tables, compiling, shared, redis, begin, nonexistent = ...

local concat, error, ipairs, next, pairs, select = table.concat, error, ipairs, next, pairs, select
local setfenv, setmetatable, sub, tostring, type, xpcall = setfenv, setmetatable, string.sub, tostring, type, xpcall
local error_table, describe_error = errors.error_table, errors.describe_error

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
function_contents.redis = tables.readonly(api)
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

local loading_contents = setmetatable({ redis = tables.readonly(loading_api, nonexistent) }, { __index = nonexistent })
local function_access = { __index = function_contents, __newindex = tables.refuse_change }
local function_environment = setmetatable({}, function_access)
tables.contents[function_environment] = function_contents
function_contents._G = function_environment

-- Runs a library's code; the functions it registers, in order, or "!" and what went wrong.
local function load_library(source, name)
    local chunk, message = compiling.compile(source, name)
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

return load_library
