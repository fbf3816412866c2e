-- What Lua 5.1 offers and later versions took away, for `lua-enable-deprecated-api`. Only what belongs to scripts
-- can be looked at and changed by it.

local errors, tables, environment = ...

local error, getfenv, getinfo, getmetatable = error, getfenv, debug.getinfo, getmetatable
local newproxy, rawset, setfenv, setmetatable, type = newproxy, rawset, setfenv, setmetatable, type

local functions = {}

-- A script's own function, given as such or as a level of the stack; nil for any other.
local function own_function(given)
    local info
    if type(given) == "number" then
        info = given > 0 and getinfo(given + 2, "fS")
    elseif type(given) == "function" then
        info = getinfo(given, "fS")
    end
    return info and info.what ~= "C" and not errors.is_ours(info) and info.func
end

function functions.getfenv(given)
    local found = own_function(given == nil and 1 or given)
    return found and getfenv(found) or environment
end

function functions.setfenv(given, fields)
    local found = own_function(given)
    if type(fields) ~= "table" then
        error("bad argument #2 to 'setfenv' (table expected, got " .. type(fields) .. ")")
    elseif not found then
        error("'setfenv' cannot change environment of given object")
    end
    return setfenv(found, fields)
end

-- A finalizer would run in the midst of whatever allocates memory, and no look interrupts it: none is kept.
local without_finalizer = {
    __metatable = false,
    __newindex = function(metatable, name, value)
        if name ~= "__gc" then
            rawset(metatable, name, value)
        end
    end,
}

function functions.newproxy(given)
    if given ~= true then
        return newproxy(given)
    end
    local proxy = newproxy(true)
    tables.without_finalizers[setmetatable(getmetatable(proxy), without_finalizer)] = true
    return proxy
end

return functions
