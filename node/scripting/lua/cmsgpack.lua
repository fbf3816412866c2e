-- MessagePack: cmsgpack.pack and unpack, byte for byte as the C library of that name.

local host = ...

local byte, char, sub = string.byte, string.char, string.sub
local floor, concat, type, select, error = math.floor, table.concat, type, select, error
local next, pairs, unpack, tostring = next, pairs, unpack, tostring
local pack_double, unpack_double = host.pack_double, host.unpack_double
local pack_float, unpack_float = host.pack_float, host.unpack_float

-- Deeper tables become nil, so that one that holds itself comes to an end.
local DEPTH_MAX = 16

-- An unsigned integer below 2^(8 * size), the most significant byte first.
local function big_endian(number, size)
    local bytes = {}
    for place = size, 1, -1 do
        bytes[place] = number % 256
        number = floor(number / 256)
    end
    return char(unpack(bytes))
end

local function head(size, fixed, fixed_max, marks)
    if fixed and size <= fixed_max then
        return char(fixed + size)
    elseif marks[1] and size < 256 then
        return char(marks[1], size)
    elseif size < 65536 then
        return char(marks[2]) .. big_endian(size, 2)
    end
    return char(marks[3]) .. big_endian(size, 4)
end

local function pack_integer(number)
    if number >= 0 then
        if number <= 127 then
            return char(number)
        elseif number <= 255 then
            return char(204, number)
        elseif number <= 65535 then
            return "\205" .. big_endian(number, 2)
        elseif number <= 4294967295 then
            return "\206" .. big_endian(number, 4)
        end
        return "\207" .. big_endian(number, 8)
    elseif number >= -32 then
        return char(256 + number)
    elseif number >= -128 then
        return char(208, 256 + number)
    elseif number >= -32768 then
        return "\209" .. big_endian(65536 + number, 2)
    elseif number >= -2147483648 then
        return "\210" .. big_endian(4294967296 + number, 4)
    end
    -- two's complement in two halves, for a double holds 53 bits only
    local low = number % 4294967296
    return "\211" .. big_endian((number - low) / 4294967296 % 4294967296, 4) .. big_endian(low, 4)
end

local function pack_number(number)
    if floor(number) == number and number >= -9223372036854775808 and number < 9223372036854775808 then
        return pack_integer(number)
    end
    local short = pack_float(number)
    if unpack_float(short) == number then
        return "\202" .. short
    end
    return "\203" .. pack_double(number)
end

-- A table is an array if its keys are the numbers from 1 on, without a gap.
local function array_length(value)
    local count, greatest = 0, 0
    for key in next, value do
        if type(key) ~= "number" or key <= 0 or floor(key) ~= key then
            return nil
        end
        count = count + 1
        if key > greatest then
            greatest = key
        end
    end
    return greatest == count and count or nil
end

local pack_value

local function pack_table(value, depth, out)
    local length = array_length(value)
    if length then
        out[#out + 1] = head(length, 144, 15, { nil, 220, 221 })
        for position = 1, length do
            pack_value(value[position], depth + 1, out)
        end
        return
    end
    local count = 0
    for _ in next, value do
        count = count + 1
    end
    out[#out + 1] = head(count, 128, 15, { nil, 222, 223 })
    for key, item in next, value do
        pack_value(key, depth + 1, out)
        pack_value(item, depth + 1, out)
    end
end

function pack_value(value, depth, out)
    local kind = type(value)
    if kind == "table" and depth == DEPTH_MAX then
        kind = "nil"
    end
    if kind == "string" then
        out[#out + 1] = head(#value, 160, 31, { 217, 218, 219 }) .. value
    elseif kind == "boolean" then
        out[#out + 1] = value and "\195" or "\194"
    elseif kind == "number" then
        out[#out + 1] = pack_number(value)
    elseif kind == "table" then
        pack_table(host.contents[value] or value, depth, out)
    else
        out[#out + 1] = "\192"
    end
end

local function pack(...)
    local count = select("#", ...)
    if count == 0 then
        error("bad argument #0 to 'pack' (MessagePack pack needs input.)")
    end
    local out = {}
    for position = 1, count do
        pack_value((select(position, ...)), 0, out)
    end
    return concat(out)
end

-- --- unpacking -------------------------------------------------------------------------------------------

local TOO_SHORT, BAD_FORMAT = "Missing bytes in input.", "Bad data format in input."

local function need(data, position, size)
    if position + size - 1 > #data then
        error(TOO_SHORT)
    end
end

local function unsigned(data, position, size)
    need(data, position, size)
    local number = 0
    for place = position, position + size - 1 do
        number = number * 256 + byte(data, place)
    end
    return number
end

local function signed(data, position, size)
    local number = unsigned(data, position, size)
    if size == 8 then
        local high = unsigned(data, position, 4)
        if high >= 2147483648 then
            return (high - 4294967296) * 4294967296 + unsigned(data, position + 4, 4)
        end
        return number
    end
    local limit = 2 ^ (8 * size)
    return number >= limit / 2 and number - limit or number
end

local unpack_value

local function unpack_text(data, position, size)
    need(data, position, size)
    return sub(data, position, position + size - 1), position + size
end

local function unpack_array(data, position, length)
    local list = {}
    for place = 1, length do
        list[place], position = unpack_value(data, position)
    end
    return list, position
end

local function unpack_map(data, position, length)
    local map = {}
    for _ = 1, length do
        local key, value
        key, position = unpack_value(data, position)
        value, position = unpack_value(data, position)
        map[key] = value
    end
    return map, position
end

local SIZES = { [204] = 1, [205] = 2, [206] = 4, [207] = 8 }
local SIGNED_SIZES = { [208] = 1, [209] = 2, [210] = 4, [211] = 8 }
local TEXT_SIZES = { [217] = 1, [218] = 2, [219] = 4 }

function unpack_value(data, position)
    need(data, position, 1)
    local mark = byte(data, position)
    position = position + 1
    if mark <= 127 then
        return mark, position
    elseif mark >= 224 then
        return mark - 256, position
    elseif mark <= 143 then
        return unpack_map(data, position, mark - 128)
    elseif mark <= 159 then
        return unpack_array(data, position, mark - 144)
    elseif mark <= 191 then
        return unpack_text(data, position, mark - 160)
    elseif mark == 192 then
        return nil, position
    elseif mark == 194 or mark == 195 then
        return mark == 195, position
    elseif SIZES[mark] then
        return unsigned(data, position, SIZES[mark]), position + SIZES[mark]
    elseif SIGNED_SIZES[mark] then
        return signed(data, position, SIGNED_SIZES[mark]), position + SIGNED_SIZES[mark]
    elseif mark == 202 then
        need(data, position, 4)
        return unpack_float(sub(data, position, position + 3)), position + 4
    elseif mark == 203 then
        need(data, position, 8)
        return unpack_double(sub(data, position, position + 7)), position + 8
    elseif TEXT_SIZES[mark] then
        local size = TEXT_SIZES[mark]
        return unpack_text(data, position + size, unsigned(data, position, size))
    elseif mark == 220 or mark == 221 then
        local size = mark == 220 and 2 or 4
        return unpack_array(data, position + size, unsigned(data, position, size))
    elseif mark == 222 or mark == 223 then
        local size = mark == 222 and 2 or 4
        return unpack_map(data, position + size, unsigned(data, position, size))
    end
    error(BAD_FORMAT)
end

local function text_argument(value, name)
    local kind = type(value)
    if kind == "number" then
        return tostring(value)
    elseif kind ~= "string" then
        error("bad argument #1 to '" .. name .. "' (string expected, got " .. host.type_name(value) .. ")")
    end
    return value
end

-- Up to `limit` values from an offset on; with a limit, where the next begins comes first, -1 at the end.
local function unpack_many(data, limit, offset)
    if limit < 0 or offset < 0 then
        error("Invalid request to unpack with offset of " .. offset .. " and limit of " .. #data .. ".")
    elseif offset > #data then
        error("Start offset " .. offset .. " greater than input length " .. #data .. ".")
    end
    local all = limit == 0 and offset == 0
    local found, count, position = {}, 0, offset + 1
    while position <= #data and (all or count < limit) do
        count = count + 1
        found[count], position = unpack_value(data, position)
    end
    if all then
        return unpack(found, 1, count)
    end
    return position > #data and -1 or position - 1, unpack(found, 1, count)
end

local function number_argument(value, position, name)
    local number = host.tonumber(value)
    if not number then
        error("bad argument #" .. position .. " to '" .. name .. "' (number expected, got " .. host.type_name(value) .. ")")
    end
    return number < 0 and -floor(-number) or floor(number)
end

return {
    pack = pack,
    unpack = function(data)
        return unpack_many(text_argument(data, "unpack"), 0, 0)
    end,
    unpack_one = function(data, offset)
        data = text_argument(data, "unpack_one")
        return unpack_many(data, 1, offset == nil and 0 or number_argument(offset, 2, "unpack_one"))
    end,
    unpack_limit = function(data, limit, offset)
        data = text_argument(data, "unpack_limit")
        limit = number_argument(limit, 2, "unpack_limit")
        return unpack_many(data, limit, offset == nil and 0 or number_argument(offset, 3, "unpack_limit"))
    end,
    _NAME = "cmsgpack",
    _VERSION = "lua-cmsgpack 0.4.0",
    _COPYRIGHT = "Copyright (C) 2012, Salvatore Sanfilippo",
    _DESCRIPTION = "MessagePack C implementation for Lua",
}
