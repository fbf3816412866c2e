-- The debugger's eyes: it stops a script at its lines, and shows what is there.
--
-- What the person at the other end wants is understood by the host. Here is only what takes a look into the stack.

local host, errors, watch, compiling, redis = ...

local concat, error, getinfo, getlocal = table.concat, error, debug.getinfo, debug.getlocal
local create, resume = coroutine.create, coroutine.resume
local format, gsub, next, select = string.format, string.gsub, next, select
local sethook, tostring, type, xpcall = debug.sethook, tostring, type, xpcall
local compile, error_table, plain_error = compiling.compile, errors.error_table, errors.plain_error

local SCRIPT, SNIPPET = "@user_script", "@ldb_eval"
local DEPTH_MAX = 10
local LINES_BETWEEN_LOOKS = 2000

local show

-- A table as a list if it is one, otherwise as pairs.
local function show_table(value, depth)
    local list, pairs, expected, is_list = {}, {}, 1, true
    for key, element in next, value do
        is_list = is_list and key == expected
        local shown = show(element, depth)
        list[expected], pairs[expected] = shown, "[" .. show(key, depth) .. "]=" .. shown
        expected = expected + 1
    end
    return "{" .. concat(is_list and list or pairs, "; ") .. "}"
end

-- A value as a person reads it.
function show(value, depth)
    if depth == DEPTH_MAX then
        return "<max recursion level reached! Nested table?>"
    end
    local kind = type(value)
    if kind == "string" then
        return host.quoted(value)
    elseif kind == "number" then
        return format("%g", value)
    elseif kind == "table" then
        return show_table(value, depth + 1)
    elseif kind == "nil" or kind == "boolean" then
        return tostring(value)
    end
    return '"' .. gsub(tostring(value), ": ", "@", 1) .. '"'
end

-- The levels of the script's own functions, as getinfo counts for the hook's helpers.
local function is_script(level)
    local info = getinfo(level + 1, "S")
    return info and info.source == SCRIPT
end

-- The value of a local variable of the innermost function that has one of this name.
local function print_variable(name)
    local level = 3
    while getinfo(level, "S") do
        local position, found, value = 1, nil, nil
        if is_script(level) then
            found, value = getlocal(level, position)
        end
        while found do
            if found == name then
                return host.debug_note("<value> " .. show(value, 0))
            end
            position = position + 1
            found, value = getlocal(level, position)
        end
        level = level + 1
    end
    if name == "ARGV" or name == "KEYS" then
        return host.debug_note("<value> " .. show(compiling.global(name), 0))
    end
    host.debug_note("No such variable.")
end

-- All local variables of the function that was stopped.
local function print_variables()
    local position, count = 1, 0
    local name, value = getlocal(3, position)
    while name do
        if name ~= "(*temporary)" then
            host.debug_note("<value> " .. name .. " = " .. show(value, 0))
            count = count + 1
        end
        position = position + 1
        name, value = getlocal(3, position)
    end
    if count == 0 then
        host.debug_note("No local variables in the current context.")
    end
end

-- Who called whom, the innermost first.
local function trace()
    local level = 3
    local info = getinfo(level, "Snl")
    while info do
        if info.source == SCRIPT then
            host.debug_frame(level == 3, info.name or "top level", info.currentline)
        end
        level = level + 1
        info = getinfo(level, "Snl")
    end
end

-- Run a piece of code, an expression or a statement, apart from the script. It gets a thread of its own, for Lua
-- calls no hook within a hook, and a piece that never ends could not be ended.
local function evaluate(code)
    local chunk = compile("return " .. code, SNIPPET)
    local message
    if not chunk then
        chunk, message = compile(code, SNIPPET)
    end
    if not chunk then
        return host.debug_note("<error> " .. tostring(message))
    end
    local thread = create(function()
        return xpcall(chunk, plain_error)
    end)
    watch.watch(thread)
    local _, ok, value = resume(thread)
    watch.unwatch(thread)
    host.debug_note(ok and "<retval> " .. show(value, 0) or "<error> " .. tostring(value))
end

local lines_left = LINES_BETWEEN_LOOKS

-- Called at each line, and looks up for those who wait after so many. A hook that counts instructions would
-- count its own as well, and be due when it cannot be called.
local function hook(_, line)
    lines_left = lines_left - 1
    if lines_left == 0 then
        lines_left = LINES_BETWEEN_LOOKS
        local killed = host.look_up()
        if killed then
            error(error_table(killed), 0)
        end
    end
    if getinfo(2, "S").source ~= SCRIPT or not host.debug_stops(line) then
        return
    end
    local request, argument = host.debug_next()
    while request do
        if request == "variable" then
            print_variable(argument)
        elseif request == "variables" then
            print_variables()
        elseif request == "trace" then
            trace()
        elseif request == "eval" then
            evaluate(argument)
        else
            error(error_table(argument), 0)
        end
        request, argument = host.debug_next()
    end
end

function redis.breakpoint()
    return host.debug_break()
end

function redis.debug(...)
    if not host.is_debugged() then
        return
    end
    local shown = {}
    for position = 1, select("#", ...) do
        shown[position] = show((select(position, ...)), 0)
    end
    host.debug_say(concat(shown, ", "))
end

-- From now on the next script is debugged, or no script is.
return function(on)
    if on then
        sethook(hook, "l")
    else
        watch.watch()
    end
end
