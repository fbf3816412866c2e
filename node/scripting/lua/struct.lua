-- Binary structures: struct.pack, unpack and size, as the C library of that name on a 64-bit machine.

local host = ...

local byte, char, sub, find, rep, reverse = string.byte, string.char, string.sub, string.find, string.rep, string.reverse
local floor, concat, type, error, unpack = math.floor, table.concat, type, error, unpack
local match, tonumber, tostring = string.match, tonumber, tostring

local ALIGNMENT_MAX = 8
local INTEGER_BYTES_MAX = 32
local INTEGER_LIMIT = 2147483647

local function bad_argument(position, name, expected, value)
    error(
        "bad argument #" .. position .. " to '" .. name .. "' (" .. expected .. " expected, got "
            .. host.type_name(value) .. ")"
    )
end

-- The bits two numbers below 256 have in common.
local function common_bits(a, b)
    local common, place = 0, 1
    while a > 0 and b > 0 do
        if a % 2 == 1 and b % 2 == 1 then
            common = common + place
        end
        a, b, place = floor(a / 2), floor(b / 2), place * 2
    end
    return common
end

-- Reads a format item by item: kind, size, and what `pack` and `unpack` have to know besides. What changes
-- the order of bytes or the alignment is, like a space, an item of no size.
local function reader(format, refuse)
    local at = 1
    local state = { little = true, align = 1 }

    local function count(default)
        local digits = match(format, "^%d+", at)
        if not digits then
            return default
        end
        at = at + #digits
        local number = tonumber(digits)
        if number > INTEGER_LIMIT then
            error("integral size overflow")
        end
        return number
    end

    local fixed = { b = 1, B = 1, h = 2, H = 2, l = 8, L = 8, T = 8, f = 4, d = 8, x = 1 }

    local function next_item()
        while at <= #format do
            local kind = sub(format, at, at)
            at = at + 1
            local size = fixed[kind]
            if kind == "c" then
                size = count(1)
            elseif kind == "i" or kind == "I" then
                size = count(4)
                if size > INTEGER_BYTES_MAX then
                    error("integral size " .. size .. " is larger than limit of " .. INTEGER_BYTES_MAX)
                end
            elseif kind == "s" or kind == " " then
                size = 0
            end
            if size then
                return kind, size
            elseif kind == ">" or kind == "<" then
                state.little = kind == "<"
                return " ", 0
            elseif kind == "!" then
                local align = count(ALIGNMENT_MAX)
                if align == 0 or (align ~= 1 and align ~= 2 and align ~= 4 and align ~= 8 and align ~= 16
                    and align ~= 32 and align ~= 64 and align ~= 128) then
                    error("alignment " .. align .. " is not a power of 2")
                end
                state.align = align
                return " ", 0
            else
                refuse(kind)
            end
        end
    end

    -- How many bytes of padding come before an item of this size at this offset.
    local function padding(kind, size, offset)
        if size == 0 or kind == "c" then
            return 0
        end
        local align = size > state.align and state.align or size
        return common_bits(align - common_bits(offset % 256, align - 1), align - 1)
    end

    return next_item, padding, state
end

-- The two's complement of a whole number, the least significant byte first. What is wider than 64 bits
-- is filled with zeros, as a C shift leaves it.
local function integer_bytes(number, size)
    number = number < 0 and -floor(-number) or floor(number)
    local low = number % 4294967296
    local high = floor(number / 4294967296) % 4294967296
    local bytes = {}
    for place = 1, size do
        if place <= 4 then
            bytes[place] = low % 256
            low = floor(low / 256)
        elseif place <= 8 then
            bytes[place] = high % 256
            high = floor(high / 256)
        else
            bytes[place] = 0
        end
    end
    return char(unpack(bytes))
end

local function ordered(bytes, little)
    return little and bytes or reverse(bytes)
end

local function pack(...)
    local format = ...
    if type(format) ~= "string" and type(format) ~= "number" then
        bad_argument(1, "pack", "string", format)
    end
    local argument = 1
    local arguments = { ... }
    local next_item, padding, state = reader(tostring(format), function(kind)
        error("bad argument #1 to 'pack' (invalid format option '" .. kind .. "')")
    end)
    local out, total = {}, 0

    local function add(bytes)
        out[#out + 1] = bytes
        total = total + #bytes
    end

    local function argument_of(expected, convert)
        argument = argument + 1
        local value = arguments[argument]
        local converted = convert(value)
        if converted == nil then
            error(
                "bad argument #" .. argument .. " to 'pack' (" .. expected .. " expected, got " .. type(value) .. ")"
            )
        end
        return converted
    end

    local function number()
        return argument_of("number", host.tonumber)
    end

    local function text(value)
        local kind = type(value)
        if kind == "string" or kind == "number" then
            return tostring(value)
        end
    end

    for kind, size in next_item do
        add(rep("\0", padding(kind, size, total)))
        if kind == "f" then
            add(ordered(reverse(host.pack_float(number())), state.little))
        elseif kind == "d" then
            add(ordered(reverse(host.pack_double(number())), state.little))
        elseif kind == "s" then
            add(argument_of("string", text) .. "\0")
        elseif kind == "c" then
            local value = argument_of("string", text)
            if size == 0 then
                size = #value
            elseif #value < size then
                error("bad argument #" .. argument + 1 .. " to 'pack' (string too short)")
            end
            add(sub(value, 1, size))
        elseif kind == "x" then
            add("\0")
        elseif kind ~= " " then
            add(ordered(integer_bytes(number(), size), state.little))
        end
    end
    return concat(out)
end

local function read_integer(bytes, is_signed)
    local low, high, size = 0, 0, #bytes
    for place = size < 8 and size or 8, 5, -1 do
        high = high * 256 + byte(bytes, place)
    end
    for place = size < 4 and size or 4, 1, -1 do
        low = low * 256 + byte(bytes, place)
    end
    if is_signed and size <= 8 and byte(bytes, size) >= 128 then
        if size > 4 then
            high = high - 256 ^ (size - 4)
        else
            low = low - 256 ^ size
        end
    end
    return high * 4294967296 + low -- rounded once, as C does
end

local function unpack_struct(format, data, start)
    if type(format) ~= "string" and type(format) ~= "number" then
        bad_argument(1, "unpack", "string", format)
    elseif type(data) ~= "string" and type(data) ~= "number" then
        bad_argument(2, "unpack", "string", data)
    end
    format, data = tostring(format), tostring(data)
    local offset = 0
    if start ~= nil then
        local number = host.tonumber(start)
        if not number then
            bad_argument(3, "unpack", "number", start)
        end
        offset = floor(number) - 1
    end
    if offset < -1 then
        offset = #data + 1 -- unsigned, it is far behind the end
    elseif offset < 0 then
        error("bad argument #3 to 'unpack' (offset must be 1 or greater)")
    end
    local next_item, padding, state = reader(format, function(kind)
        error("bad argument #1 to 'unpack' (invalid format option '" .. kind .. "')")
    end)
    local found, count = {}, 0

    local function need(size)
        if offset + size > #data then
            error("bad argument #2 to 'unpack' (data string too short)")
        end
    end

    local function found_one(value)
        count = count + 1
        found[count] = value
    end

    for kind, size in next_item do
        offset = offset + padding(kind, size, offset)
        need(size)
        local bytes = sub(data, offset + 1, offset + size)
        if kind == "f" then
            found_one(host.unpack_float(reverse(ordered(bytes, state.little))))
        elseif kind == "d" then
            found_one(host.unpack_double(reverse(ordered(bytes, state.little))))
        elseif kind == "s" then
            local finish = find(data, "\0", offset + 1, true)
            if not finish then
                error("unfinished string in data")
            end
            found_one(sub(data, offset + 1, finish - 1))
            size = finish - offset
        elseif kind == "c" then
            if size == 0 then
                if count == 0 or type(found[count]) ~= "number" then
                    error("format 'c0' needs a previous size")
                end
                size = found[count]
                found[count] = nil
                count = count - 1
                if size < 0 then
                    size = size % 18446744073709551616
                end
                need(size)
            end
            found_one(sub(data, offset + 1, offset + size))
        elseif kind ~= "x" and kind ~= " " then
            local is_signed = kind == "b" or kind == "h" or kind == "l" or kind == "i"
            found_one(read_integer(ordered(bytes, state.little), is_signed))
        end
        offset = offset + size
    end
    found_one(offset + 1)
    return unpack(found, 1, count)
end

local function size_of(format)
    if type(format) ~= "string" and type(format) ~= "number" then
        bad_argument(1, "size", "string", format)
    end
    local next_item, padding = reader(tostring(format), function(kind)
        if find(kind, "%W") then -- letters are passed over
            error("bad argument #1 to 'size' (invalid format option '" .. kind .. "')")
        end
    end)
    local total = 0
    for kind, size in next_item do
        total = total + padding(kind, size, total)
        if kind == "s" then
            error("bad argument #1 to 'size' (option 's' has no fixed size)")
        elseif kind == "c" and size == 0 then
            error("bad argument #1 to 'size' (option 'c0' has no fixed size)")
        end
        total = total + size
    end
    return total
end

return { pack = pack, unpack = unpack_struct, size = size_of }
