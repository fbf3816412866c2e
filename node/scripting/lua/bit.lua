-- Bitwise operations on 32-bit numbers: the functions and results of Lua BitOp.

local host = ...

local error, floor, format, frexp = error, math.floor, string.format, math.frexp
local select, sub = select, string.sub
local tonumber, type = host.tonumber, type

local WORD = 4294967296
-- Added to a number it leaves the low 32 bits of its nearest integer in the low bits of the sum's mantissa. Sums
-- that are no integers of 53 bits come from numbers too great for that; there, too, the mantissa's bits count.
local ROUNDING = 6755399441055744
local LEAST, GREATEST = 2 ^ 52, 2 ^ 53

local function word(value, position, name)
    local number = tonumber(value)
    if not number then
        local given = value == nil and "no value" or type(value)
        error("bad argument #" .. position .. " to '" .. name .. "' (number expected, got " .. given .. ")")
    end
    number = number + ROUNDING
    if not (number >= LEAST and number < GREATEST) then
        if number - number ~= 0 then
            return 0
        end
        number = frexp(number < 0 and -number or number) * GREATEST
    end
    return number % WORD
end

local function signed(number)
    return number >= 2147483648 and number - WORD or number
end

local function folding(name, operation)
    return function(...)
        local result = word((...), 1, name)
        for position = 2, select("#", ...) do
            result = operation(result, word((select(position, ...)), position, name))
        end
        return signed(result)
    end
end

local function left(number, count)
    return number * 2 ^ count % WORD
end

local function right(number, count)
    return floor(number / 2 ^ count)
end

local function shifting(name, operation)
    return function(value, count)
        return signed(operation(word(value, 1, name), word(count, 2, name) % 32))
    end
end

local function tohex(value, digits)
    local number = word(value, 1, "tohex")
    local count = digits == nil and 8 or signed(word(digits, 2, "tohex"))
    local shape = "%08x"
    if count < 0 then
        count, shape = -count, "%08X"
    end
    return sub(format(shape, number), -(count < 8 and count or 8), count == 0 and -10 or -1)
end

return {
    tobit = function(value)
        return signed(word(value, 1, "tobit"))
    end,
    bnot = function(value)
        return signed(WORD - 1 - word(value, 1, "bnot"))
    end,
    band = folding("band", host.bit_and),
    bor = folding("bor", host.bit_or),
    bxor = folding("bxor", host.bit_xor),
    lshift = shifting("lshift", left),
    rshift = shifting("rshift", right),
    arshift = shifting("arshift", function(number, count)
        return floor(signed(number) / 2 ^ count) % WORD
    end),
    rol = shifting("rol", function(number, count)
        return left(number, count) + right(number, 32 - count) % WORD
    end),
    ror = shifting("ror", function(number, count)
        return (right(number, count) + left(number, 32 - count)) % WORD
    end),
    bswap = function(value)
        local number = word(value, 1, "bswap")
        local swapped = 0
        for _ = 1, 4 do
            swapped = swapped * 256 + number % 256
            number = floor(number / 256)
        end
        return signed(swapped)
    end,
    tohex = tohex,
}
