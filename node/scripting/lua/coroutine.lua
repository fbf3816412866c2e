-- The library of that name. Each coroutine that runs within another takes of the C stack, of which Lua keeps no
-- account; so we do.

local watch = (...).watch

local error, create, resume = error, coroutine.create, coroutine.resume

local NESTED_COROUTINES_MAX = 150

local nested = 0

local function new_coroutine(f)
    local thread = create(f)
    watch(thread)
    return thread
end

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

local functions = {
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

-- A run begins, and nothing is nested.
local function begin()
    nested = 0
end

return { functions = functions, begin = begin }
