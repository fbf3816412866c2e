-- The library of that name, without what would take the C stack or the processor for good.

local pick, patterns, is_ours = ...

local error, floor, select, tonumber, tostring, type = error, math.floor, select, tonumber, tostring, type
local byte, getinfo, getmetatable, gsub, huge = string.byte, debug.getinfo, getmetatable, string.gsub, math.huge

local CARET = byte("^")

-- What Lua's own matcher may take at most: seconds. And how many repetitions may be in a pattern, for each
-- takes of the C stack while what follows it is matched.
local STEPS_MAX, REPETITIONS_MAX = 1e9, 200
local SHORT = 16

local functions = pick(string, "byte char format len lower rep reverse sub upper")

-- Whether matching could take longer than that: every repetition multiplies the ways to divide the string.
local function is_costly(text, pattern)
    if #text <= SHORT and #pattern <= SHORT then
        return false
    end
    local repetitions, options = select(2, gsub(pattern, "[*+-]", "")), select(2, gsub(pattern, "%?", ""))
    local exponent = repetitions + (byte(pattern) == CARET and 0 or 1)
    return (#text) ^ exponent * 2 ^ options > STEPS_MAX or repetitions + options > REPETITIONS_MAX
end

-- A function of the library that is done by `patterns` where that is wiser and its arguments are sound; the
-- third of them and the fourth are made what the other expects.
local function guarded(name, arranged)
    local f, careful = string[name], patterns[name]
    return function(...)
        local text, pattern, third, fourth = ...
        if (type(text) == "string" or type(text) == "number") and type(pattern) == "string" then
            text = tostring(text)
            if is_costly(text, pattern) then
                local is_sound, a, b = arranged(third, fourth)
                if is_sound then
                    return careful(text, pattern, a, b)
                end
            end
        end
        return f(...)
    end
end

local function from_place(init, plain)
    local place = init == nil and 1 or tonumber(init)
    return place and not plain, place and floor(place)
end

functions.find = guarded("find", from_place)
functions.match = guarded("match", from_place)
functions.gmatch = guarded("gmatch", function()
    return true
end)
functions.gfind = functions.gmatch
functions.gsub = guarded("gsub", function(with, most)
    local kind, count = type(with), most == nil and huge or tonumber(most)
    if kind == "number" then
        with, kind = tostring(with), "string"
    end
    return count and (kind == "string" or kind == "table" or kind == "function"), with, count
end)

local dump = string.dump

function functions.dump(...)
    if type((...)) == "function" and is_ours(getinfo((...), "S")) then
        error("unable to dump given function")
    end
    return dump(...)
end

local rep = string.rep

function functions.rep(...)
    if (...) == "" then
        local count = tonumber((select(2, ...)))
        return rep("", count and 0 or (select(2, ...))) -- nothing, however often
    end
    return rep(...)
end

-- Strings keep the library itself behind their methods: it is not to be seen, and quicker than a stand-in.
getmetatable("").__index = functions

return functions
