-- JSON: the functions, results and error texts of lua-cjson 2.1.

local host = ...

local byte, char, find, format, gsub, match, sub =
    string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local lower, floor, concat = string.lower, math.floor, table.concat
local error, next, select, tonumber, tostring, type = error, next, select, tonumber, tostring, type

local INTEGER_MAX = 2147483647

-- JSON's null, which a table can hold.
local null = host.null

-- --- encoding ------------------------------------------------------------------------------------------------

local ESCAPES = {
    ['"'] = '\\"', ["\\"] = "\\\\", ["/"] = "\\/", ["\b"] = "\\b", ["\f"] = "\\f",
    ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\127"] = "\\u007f",
}
for code = 0, 31 do
    local character = char(code)
    ESCAPES[character] = ESCAPES[character] or format("\\u%04x", code)
end

local function quoted(text)
    return '"' .. gsub(text, '[%z\1-\31"\\/\127]', ESCAPES) .. '"'
end

local function cannot(value, why)
    error("Cannot serialise " .. type(value) .. ": " .. why)
end

local function encode_number(number, settings)
    if number - number ~= 0 then
        if settings.encode_invalid == "null" then
            return "null"
        elseif not settings.encode_invalid then
            cannot(number, "must not be NaN or Inf")
        end
        return number ~= number and "nan" or number > 0 and "inf" or "-inf"
    end
    return format("%." .. settings.precision .. "g", number)
end

-- The length of an array; nil for what becomes an object.
local function array_length(value, settings)
    local greatest, count = 0, 0
    for key in next, value do
        if type(key) ~= "number" or key < 1 or floor(key) ~= key then
            return nil
        end
        count = count + 1
        if key > greatest then
            greatest = key
        end
    end
    if settings.ratio > 0 and greatest > count * settings.ratio and greatest > settings.safe then
        if not settings.convert then
            cannot(value, "excessively sparse array")
        end
        return nil
    end
    return greatest > 0 and greatest or nil
end

local encode_value

local function encode_table(value, settings, depth, out)
    if depth > settings.encode_depth then
        error("Cannot serialise, excessive nesting (" .. depth .. ")")
    end
    value = host.contents[value] or value
    local length = array_length(value, settings)
    if length then
        out[#out + 1] = "["
        for position = 1, length do
            if position > 1 then
                out[#out + 1] = ","
            end
            encode_value(value[position], settings, depth, out)
        end
        out[#out + 1] = "]"
        return
    end
    out[#out + 1] = "{"
    local is_first = true
    for key, item in next, value do
        if not is_first then
            out[#out + 1] = ","
        end
        is_first = false
        if type(key) == "number" then
            out[#out + 1] = '"' .. encode_number(key, settings) .. '":'
        elseif type(key) == "string" then
            out[#out + 1] = quoted(key) .. ":"
        else
            cannot(key, "table key must be a number or string")
        end
        encode_value(item, settings, depth, out)
    end
    out[#out + 1] = "}"
end

function encode_value(value, settings, depth, out)
    local kind = type(value)
    if kind == "string" then
        out[#out + 1] = quoted(value)
    elseif kind == "number" then
        out[#out + 1] = encode_number(value, settings)
    elseif kind == "boolean" then
        out[#out + 1] = value and "true" or "false"
    elseif kind == "table" then
        encode_table(value, settings, depth + 1, out)
    elseif value == nil or value == null then
        out[#out + 1] = "null"
    else
        cannot(value, "type not supported")
    end
end

-- --- decoding ------------------------------------------------------------------------------------------------

local PUNCTUATION = {
    ["{"] = "T_OBJ_BEGIN", ["}"] = "T_OBJ_END", ["["] = "T_ARR_BEGIN", ["]"] = "T_ARR_END",
    [":"] = "T_COLON", [","] = "T_COMMA", [""] = "T_END", ["\0"] = "T_END",
}
local UNESCAPED = {
    ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t",
}

local function utf8(code)
    if code < 128 then
        return char(code)
    elseif code < 2048 then
        return char(192 + floor(code / 64), 128 + code % 64)
    elseif code < 65536 then
        return char(224 + floor(code / 4096), 128 + floor(code / 64) % 64, 128 + code % 64)
    end
    return char(
        240 + floor(code / 262144), 128 + floor(code / 4096) % 64, 128 + floor(code / 64) % 64, 128 + code % 64
    )
end

local function hex4(text, at)
    local digits = match(text, "^%x%x%x%x", at)
    return digits and tonumber(digits, 16)
end

-- The character a \u escape at this place stands for and where it ends; nil for none.
local function unicode_escape(text, at)
    local code = hex4(text, at + 2)
    if not code then
        return nil
    end
    if code >= 55296 and code <= 57343 then
        local low = code < 56320 and sub(text, at + 6, at + 7) == "\\u" and hex4(text, at + 8)
        if not low or low < 56320 or low > 57343 then
            return nil
        end
        return utf8(65536 + (code - 55296) * 1024 + low - 56320), at + 12
    end
    return utf8(code), at + 6
end

-- A token is its kind, its value (an error's is its text), its place, and the place behind it.
local function string_token(text, start)
    local parts = {}
    local at = start + 1
    while true do
        local stop = find(text, '["\\%z]', at)
        if not stop then
            return "T_ERROR", "unexpected end of string", #text + 1
        end
        parts[#parts + 1] = sub(text, at, stop - 1)
        local mark = sub(text, stop, stop)
        if mark == '"' then
            return "T_STRING", concat(parts), start, stop + 1
        elseif mark == "\0" then
            return "T_ERROR", "unexpected end of string", stop
        end
        local letter = sub(text, stop + 1, stop + 1)
        if letter == "u" then
            parts[#parts + 1], at = unicode_escape(text, stop)
            if not at then
                return "T_ERROR", "invalid unicode escape code", stop
            end
        elseif UNESCAPED[letter] then
            parts[#parts + 1] = UNESCAPED[letter]
            at = stop + 2
        else
            return "T_ERROR", "invalid escape code", stop
        end
    end
end

-- The longest number at this place, as C's strtod reads it.
local function number_token(text, start)
    local sign, rest = match(text, "^([+-]?)()", start)
    local word = lower(match(text, "^%a*", rest))
    local value, stop
    if sub(word, 1, 8) == "infinity" then
        value, stop = 1 / 0, rest + 8
    elseif sub(word, 1, 3) == "inf" then
        value, stop = 1 / 0, rest + 3
    elseif sub(word, 1, 3) == "nan" then
        value, stop = -(0 / 0), rest + 3  -- 0 / 0 itself has a sign where processors are of x86
    elseif find(text, "^0[xX]%.?%x", rest) then
        local digits = match(text, "^0[xX]%x*%.?%x*", rest)
        digits = digits .. (match(text, "^[pP][+-]?%d+", rest + #digits) or "")
        value, stop = tonumber(digits), rest + #digits
    else
        local digits = match(text, "^%d+%.?%d*", rest) or match(text, "^%.%d+", rest)
        if not digits then
            return "T_ERROR", "invalid number", start
        end
        digits = digits .. (match(text, "^[eE][+-]?%d+", rest + #digits) or "")
        value, stop = tonumber(digits), rest + #digits
    end
    return "T_NUMBER", sign == "-" and -value or value, start, stop
end

local function is_invalid_number(text, at)
    if sub(text, at, at) == "+" then
        return true
    end
    local rest = match(text, "^-?()", at)
    if sub(text, rest, rest) == "0" then
        return find(text, "^0[xX%d]", rest) ~= nil
    end
    local word = lower(sub(text, rest, rest + 2))
    return word == "inf" or word == "nan"
end

local function next_token(text, at, settings)
    at = find(text, "[^ \t\r\n]", at) or #text + 1
    local first = sub(text, at, at)
    local kind = PUNCTUATION[first]
    if kind then
        return kind, nil, at, at + 1
    elseif first == '"' then
        return string_token(text, at)
    elseif find(first, "[-%d]") then
        if not settings.decode_invalid and is_invalid_number(text, at) then
            return "T_ERROR", "invalid number", at
        end
        return number_token(text, at)
    elseif sub(text, at, at + 3) == "true" then
        return "T_BOOLEAN", true, at, at + 4
    elseif sub(text, at, at + 4) == "false" then
        return "T_BOOLEAN", false, at, at + 5
    elseif sub(text, at, at + 3) == "null" then
        return "T_NULL", null, at, at + 4
    elseif settings.decode_invalid and is_invalid_number(text, at) and find(first, "[+iInN]") then
        return number_token(text, at)
    end
    return "T_ERROR", "invalid token", at
end

local function unexpected(expected, kind, value, at)
    local found = kind == "T_ERROR" and value or kind
    error("Expected " .. expected .. " but found " .. found .. " at character " .. at)
end

local decode_value

local function decode_object(text, at, settings, depth)
    local object = {}
    local kind, value, place, after = next_token(text, at, settings)
    if kind == "T_OBJ_END" then
        return object, after
    end
    while true do
        if kind ~= "T_STRING" then
            unexpected("object key string", kind, value, place)
        end
        local key = value
        kind, value, place, after = next_token(text, after, settings)
        if kind ~= "T_COLON" then
            unexpected("colon", kind, value, place)
        end
        kind, value, place, after = next_token(text, after, settings)
        object[key], after = decode_value(text, settings, depth, kind, value, place, after)
        kind, value, place, after = next_token(text, after, settings)
        if kind == "T_OBJ_END" then
            return object, after
        elseif kind ~= "T_COMMA" then
            unexpected("comma or object end", kind, value, place)
        end
        kind, value, place, after = next_token(text, after, settings)
    end
end

local function decode_array(text, at, settings, depth)
    local array, length = {}, 0
    local kind, value, place, after = next_token(text, at, settings)
    if kind == "T_ARR_END" then
        return array, after
    end
    while true do
        length = length + 1
        array[length], after = decode_value(text, settings, depth, kind, value, place, after)
        kind, value, place, after = next_token(text, after, settings)
        if kind == "T_ARR_END" then
            return array, after
        elseif kind ~= "T_COMMA" then
            unexpected("comma or array end", kind, value, place)
        end
        kind, value, place, after = next_token(text, after, settings)
    end
end

function decode_value(text, settings, depth, kind, value, place, after)
    if kind == "T_STRING" or kind == "T_NUMBER" or kind == "T_BOOLEAN" or kind == "T_NULL" then
        return value, after
    elseif kind ~= "T_OBJ_BEGIN" and kind ~= "T_ARR_BEGIN" then
        unexpected("value", kind, value, place)
    end
    depth = depth + 1
    if depth > settings.decode_depth then
        error("Found too many nested data structures (" .. depth .. ") at character " .. place)
    end
    if kind == "T_OBJ_BEGIN" then
        return decode_object(text, after, settings, depth)
    end
    return decode_array(text, after, settings, depth)
end

-- --- the module ----------------------------------------------------------------------------------------------

local function one_argument(name, ...)
    if select("#", ...) ~= 1 then
        error("bad argument #1 to '" .. name .. "' (expected 1 argument)")
    end
end

local function integer_setting(settings, name, key, value, least, greatest, position)
    if value ~= nil then
        local number = tonumber(value)
        if not number then
            error("bad argument #" .. position .. " to '" .. name .. "' (number expected, got " .. type(value) .. ")")
        elseif floor(number) < least or floor(number) > greatest then
            error(
                "bad argument #" .. position .. " to '" .. name .. "' (expected integer between "
                    .. least .. " and " .. greatest .. ")"
            )
        end
        settings[key] = floor(number)
    end
    return settings[key]
end

local function boolean_setting(settings, name, key, value, position, also_null)
    if value ~= nil then
        local is_known = value == true or value == false or value == "on" or value == "off"
        if not is_known and not (also_null and value == "null") then
            error("bad argument #" .. position .. " to '" .. name .. "' (invalid option '" .. tostring(value) .. "')")
        end
        settings[key] = value == true or value == "on" or (value == "null" and value)
    end
    return settings[key]
end

local function new()
    local settings = {
        precision = 14, encode_depth = 1000, decode_depth = 1000, keep_buffer = true,
        convert = false, ratio = 2, safe = 10, encode_invalid = false, decode_invalid = true,
    }
    local module = { null = null, new = new, _NAME = "cjson", _VERSION = "2.1.0" }

    function module.encode(...)
        one_argument("encode", ...)
        local out = {}
        encode_value((...), settings, 0, out)
        return concat(out)
    end

    function module.decode(...)
        one_argument("decode", ...)
        local text = ...
        if type(text) ~= "string" then
            if type(text) ~= "number" then
                error("bad argument #1 to 'decode' (string expected, got " .. type(text) .. ")")
            end
            text = tostring(text)
        end
        if #text >= 2 and (byte(text, 1) == 0 or byte(text, 2) == 0) then
            error("JSON parser does not support UTF-16 or UTF-32")
        end
        local kind, value, place, after = next_token(text, 1, settings)
        value, after = decode_value(text, settings, 0, kind, value, place, after)
        local rest
        kind, rest, place = next_token(text, after, settings)
        if kind ~= "T_END" then
            unexpected("the end", kind, rest, place)
        end
        return value
    end

    function module.encode_sparse_array(convert, ratio, safe)
        local name = "encode_sparse_array"
        boolean_setting(settings, name, "convert", convert, 1)
        integer_setting(settings, name, "ratio", ratio, 0, INTEGER_MAX, 2)
        integer_setting(settings, name, "safe", safe, 0, INTEGER_MAX, 3)
        return settings.convert, settings.ratio, settings.safe
    end

    function module.encode_max_depth(depth)
        local setting = integer_setting(settings, "encode_max_depth", "encode_depth", depth, 1, INTEGER_MAX, 1)
        return setting
    end

    function module.decode_max_depth(depth)
        local setting = integer_setting(settings, "decode_max_depth", "decode_depth", depth, 1, INTEGER_MAX, 1)
        return setting
    end

    function module.encode_number_precision(digits)
        local setting = integer_setting(settings, "encode_number_precision", "precision", digits, 1, 14, 1)
        return setting
    end

    function module.encode_keep_buffer(keep)
        local setting = boolean_setting(settings, "encode_keep_buffer", "keep_buffer", keep, 1)
        return setting
    end

    function module.encode_invalid_numbers(allowed)
        local setting = boolean_setting(settings, "encode_invalid_numbers", "encode_invalid", allowed, 1, true)
        return setting
    end

    function module.decode_invalid_numbers(allowed)
        local setting = boolean_setting(settings, "decode_invalid_numbers", "decode_invalid", allowed, 1)
        return setting
    end

    return module
end

return new()
