-- The library of that name. Each coroutine that runs within another takes of the C stack, of which Lua keeps no
-- account; so we do. Each counts its instructions by itself, anew each time it is resumed, so after so many of
-- these somebody looks up as well. It is watched only while it runs: Lua keeps what watches one that is gone.

local watch = ...

local error, create, resume, status, type = error, coroutine.create, coroutine.resume, coroutine.status, type

local NESTED_COROUTINES_MAX = 150
local RESUMED_BETWEEN_LOOKS = 50

local nested, resumed_since_look = 0, 0

local function leave(thread, ...)
    watch.unwatch(thread)
    nested = nested - 1
    return ...
end

local function enter(...)
    local thread = ...
    if type(thread) ~= "thread" or status(thread) ~= "suspended" then
        return resume(...) -- which says what is wrong
    elseif nested >= NESTED_COROUTINES_MAX then
        return false, "C stack overflow"
    end
    resumed_since_look = resumed_since_look + 1
    if resumed_since_look == RESUMED_BETWEEN_LOOKS then
        resumed_since_look = 0
        watch.look_up()
    end
    nested = nested + 1
    watch.watch(thread)
    return leave(thread, resume(...))
end

local function resumed(ok, ...)
    if not ok then
        error((...), 3) -- at the place of whoever called the coroutine
    end
    return ...
end

local functions = {
    create = create,
    resume = enter,
    running = coroutine.running,
    status = status,
    yield = coroutine.yield,
    wrap = function(f)
        local thread = create(f)
        return function(...)
            return resumed(enter(thread, ...))
        end
    end,
}

-- A run begins, and nothing is nested.
local function begin()
    nested = 0
end

return { functions = functions, begin = begin }
