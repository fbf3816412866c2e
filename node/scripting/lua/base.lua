-- The functions of Lua that belong to no library, as far as they are not harmless as they are.

local errors, tables, compiling, string_library, is_killed = ...

local error, type, tonumber, select, pairs, next = error, type, tonumber, select, pairs, next
local unpack, rawset, rawget, xpcall = unpack, rawset, rawget, xpcall
local setmetatable, getmetatable, loadstring, load = setmetatable, getmetatable, loadstring, load
local collectgarbage = collectgarbage

local contents, readonly, refuse_if_readonly = tables.contents, tables.readonly, tables.refuse_if_readonly
local is_bytecode, in_environment = compiling.is_bytecode, compiling.in_environment
local without_finalizers = tables.without_finalizers
local locate, plain_error = errors.locate, errors.plain_error

local RESULTS_MAX = 1000000

local functions = {}

-- The count of results overflows in C where the ends are far apart.
function functions.unpack(...)
    local list, first, last = ...
    first, last = tonumber(first) or 1, tonumber(last) or (type(list) == "table" and #list) or 0
    if last - first >= RESULTS_MAX then
        error("too many results to unpack")
    end
    return unpack(...)
end

function functions.rawset(...)
    local fields, name = ...
    refuse_if_readonly(fields)
    if name == "__gc" and without_finalizers[fields] then
        return fields
    end
    return rawset(...)
end

function functions.rawget(...)
    local shown = contents[(...)]
    if shown then
        return rawget(shown, select(2, ...))
    end
    return rawget(...)
end

function functions.next(...)
    local shown = contents[(...)]
    if shown then
        return next(shown, select(2, ...))
    end
    return next(...)
end

function functions.pairs(...)
    local shown = contents[(...)]
    if shown then
        return pairs(shown)
    end
    return pairs(...)
end

function functions.setmetatable(...)
    refuse_if_readonly((...))
    return setmetatable(...)
end

local string_metatable = getmetatable("")

function functions.getmetatable(...)
    local found = getmetatable(...)
    if found and contents[(...)] then
        found = getmetatable(contents[(...)])
    end
    if found == string_metatable or (found and contents[(...)]) then
        return readonly(found == string_metatable and { __index = string_library } or found)
    end
    return found
end

function functions.loadstring(...)
    if is_bytecode((...)) then
        return nil, "bad code in precompiled chunk"
    end
    return in_environment(loadstring(...))
end

function functions.load(reader, name)
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
function functions.collectgarbage(option, ...)
    if option == nil or option == "collect" or option == "count" or option == "step" then
        return collectgarbage(option or "collect", ...)
    end
    if option == "stop" or option == "restart" or option == "setpause" or option == "setstepmul" then
        return 0
    end
    return collectgarbage(option, ...)
end

function functions.pcall(f, ...)
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

-- A killed script's handler is not called: it would run within the hook, where nothing interrupts it.
function functions.xpcall(...)
    local f, handler = ...
    return xpcall(f, function(err)
        if is_killed() then
            return err
        end
        if type(err) == "string" then
            err = locate(err)
        end
        return handler(err)
    end)
end

return functions
