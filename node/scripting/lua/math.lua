-- The library of that name; the random numbers are the server's.

local pick, host = ...

local error, floor, select, tonumber, type = error, math.floor, select, tonumber, type

local functions = pick(
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
function functions.random(...)
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

function functions.randomseed(seed)
    host.seed(whole(seed, 1))
end

return functions
