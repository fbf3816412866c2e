-- The way in: a script or function is run, and what it returns or ends with comes out.

local shared, errors, replies, begin, is_killed = ...

local concat, rawget, select, tostring = table.concat, rawget, select, tostring
local type, unpack, xpcall = type, unpack, xpcall
local describe_error, take_apart = errors.describe_error, replies.take_apart

local RESULTS_MAX = 1000

-- A single value comes back as it is. Parts come as marks and the values they stand for, as a table if there
-- are many; an error as "!" with all that is known of it.
local function finished(ok, value)
    if ok and is_killed() then -- and caught the error
        ok, value = false, errors.error_table(is_killed())
    end
    if ok then
        if type(value) ~= "table" then
            return value
        end
        local status = rawget(value, "ok")
        if type(status) == "string" and type(rawget(value, "err")) ~= "string" then
            return "+", false, status -- as `take_apart` has it, at a tenth of the cost
        end
        local marks, values = {}, {}
        take_apart(value, marks, values, 0)
        if #values > RESULTS_MAX then
            return concat(marks), true, values
        end
        return concat(marks), false, unpack(values)
    end
    local err = value
    if type(err) ~= "table" then
        return "!", false, "ERR Error running script, " .. tostring(err), false, false, false
    end
    local text, source, line = rawget(err, "err"), rawget(err, "source"), rawget(err, "line")
    return "!",
        false,
        (type(text) == "string" or type(text) == "number") and tostring(text) or "ERR unknown error",
        (type(source) == "string" or type(source) == "number") and tostring(source),
        (type(line) == "string" or type(line) == "number") and tostring(line),
        rawget(err, "ignore_error_stats_update") == true
end

-- The words of a call as keys and arguments. There may be too many to be passed one by one: then as `many`.
local function split(key_count, many, ...)
    if key_count == 0 then
        return {}, many or { ... }
    elseif key_count == 1 and not many then
        local key = ...
        return { key }, { select(2, ...) }
    end
    local keys, arguments = many or { ... }, {}
    for position = key_count + 1, #keys do
        arguments[position - key_count] = keys[position]
        keys[position] = nil
    end
    return keys, arguments
end

-- What runs a script, to be called with its words.
local function script_runner(script)
    return function(...)
        begin()
        shared.KEYS, shared.ARGV = split(...)
        return finished(xpcall(script, describe_error))
    end
end

-- What runs a function of a library.
local function function_runner(callback)
    return function(...)
        begin()
        local keys, arguments = split(...)
        return finished(xpcall(function() return callback(keys, arguments) end, describe_error))
    end
end

return { script_runner = script_runner, function_runner = function_runner }
