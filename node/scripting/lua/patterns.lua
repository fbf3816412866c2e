-- Pattern matching in Lua, for patterns that may take very long.
--
-- Lua's own matcher is C code that tries every way to divide a string among the repetitions of a pattern, and
-- nothing interrupts it: `find` with four of them may hold a node for hours. So where the count of steps could
-- become great, the match is made here: slower, but counted and interrupted as any other code of a script.
--
-- A pattern becomes a list of items: a set of bytes with its repetition, or one of the others below. Results
-- and errors are those of the C functions.

local byte, char, find, gsub = string.byte, string.char, string.find, string.gsub
local match, sub, concat = string.match, string.sub, table.concat
local error, select, tostring, type, unpack = error, select, tostring, type, unpack

local CAPTURES_MAX = 32
local UNFINISHED, POSITION = -1, -2

-- The bytes that a class such as `%a`, `[^x-z]` or `.` stands for; `sets` are those made so far.
local function set_of(class, sets)
    local set = sets[class]
    if not set then
        set = {}
        for code = 0, 255 do
            if find(char(code), class) then
                set[code] = true
            end
        end
        sets[class] = set
    end
    return set
end

-- Where a class that begins here ends.
local function class_end(pattern, at)
    local first = sub(pattern, at, at)
    at = at + 1
    if first == "%" then
        if at > #pattern then
            error("malformed pattern (ends with '%')")
        end
        return at + 1
    elseif first == "[" then
        if sub(pattern, at, at) == "^" then
            at = at + 1
        end
        repeat
            if at > #pattern then
                error("malformed pattern (missing ']')")
            end
            at = at + (sub(pattern, at, at) == "%" and at < #pattern and 2 or 1)
        until sub(pattern, at, at) == "]"
        return at + 1
    end
    return at
end

-- The item that begins here, and where the next one does.
local function next_item(pattern, at, sets)
    local first, two = sub(pattern, at, at), sub(pattern, at, at + 1)
    if first == "(" then
        local is_position = two == "()"
        return { kind = "open", is_position = is_position }, at + (is_position and 2 or 1)
    elseif first == ")" then
        return { kind = "close" }, at + 1
    elseif first == "$" and at == #pattern then
        return { kind = "end" }, at + 1
    elseif two == "%b" then
        if at + 3 > #pattern then
            error("unbalanced pattern")
        end
        return { kind = "balance", from = byte(pattern, at + 2), to = byte(pattern, at + 3) }, at + 4
    elseif two == "%f" then
        if sub(pattern, at + 2, at + 2) ~= "[" then
            error("missing '[' after '%f' in pattern")
        end
        local stop = class_end(pattern, at + 2)
        return { kind = "frontier", set = set_of(sub(pattern, at + 2, stop - 1), sets) }, stop
    elseif find(two, "^%%%d") then
        return { kind = "back", number = byte(two, 2) - 48 }, at + 2
    end
    local stop = class_end(pattern, at)
    local class, how = sub(pattern, at, stop - 1), match(pattern, "^[*+?-]", stop)
    if first ~= "%" and first ~= "[" and first ~= "." then
        class = "%" .. class
    end
    if find(class, "^%%%w") and first ~= "%" then
        class = first
    end
    return { kind = "set", set = set_of(class, sets), how = how }, stop + (how and 1 or 0)
end

local function compile(pattern, has_anchors)
    pattern = match(pattern, "^[^%z]*")
    local items, at, sets = {}, 1, {}
    if has_anchors and sub(pattern, 1, 1) == "^" then
        items.is_anchored, at = true, 2
    end
    while at <= #pattern do
        items[#items + 1], at = next_item(pattern, at, sets)
    end
    return items
end

-- A match in progress: the items, the string, and the captures so far, each with its start and length.
local try

local function repeated(state, index, at, item)
    local text, set = state.text, item.set
    local size = #text
    if item.how == "-" then
        while true do
            local stop = try(state, index + 1, at)
            if stop or at > size or not set[byte(text, at)] then
                return stop
            end
            at = at + 1
        end
    end
    local last = at
    while last <= size and set[byte(text, last)] do
        last = last + 1
        if item.how == "?" then
            break
        end
    end
    for position = last, item.how == "+" and at + 1 or at, -1 do
        local stop = try(state, index + 1, position)
        if stop then
            return stop
        end
    end
end

local function balanced(text, at, item)
    if byte(text, at) ~= item.from then
        return nil
    end
    local depth = 1
    for position = at + 1, #text do
        local code = byte(text, position)
        if code == item.to then
            depth = depth - 1
            if depth == 0 then
                return position + 1
            end
        elseif code == item.from then
            depth = depth + 1
        end
    end
end

local function opened(state, index, at, item)
    local level = state.level + 1
    if level > CAPTURES_MAX then
        error("too many captures")
    end
    state.level = level
    state.starts[level], state.sizes[level] = at, item.is_position and POSITION or UNFINISHED
    local stop = try(state, index + 1, at)
    if not stop then
        state.level = level - 1
    end
    return stop
end

local function closed(state, index, at)
    local level = state.level
    while level > 0 and state.sizes[level] ~= UNFINISHED do
        level = level - 1
    end
    if level == 0 then
        error("invalid pattern capture")
    end
    state.sizes[level] = at - state.starts[level]
    local stop = try(state, index + 1, at)
    if not stop then
        state.sizes[level] = UNFINISHED
    end
    return stop
end

local function referred(state, at, item)
    local number = item.number
    if number == 0 or number > state.level or state.sizes[number] == UNFINISHED then
        error("invalid capture index")
    end
    local start, size = state.starts[number], state.sizes[number]
    if sub(state.text, start, start + size - 1) == sub(state.text, at, at + size - 1) then
        return at + size
    end
end

-- Where a match of the items from `index` on ends that begins here; nil if there is none.
function try(state, index, at)
    local items, text = state.items, state.text
    while true do
        local item = items[index]
        if not item then
            return at
        end
        local kind = item.kind
        if kind == "set" then
            if item.how then
                return repeated(state, index, at, item)
            end
            at = item.set[byte(text, at) or -1] and at + 1
        elseif kind == "open" then
            return opened(state, index, at, item)
        elseif kind == "close" then
            return closed(state, index, at)
        elseif kind == "end" then
            return at == #text + 1 and at or nil
        elseif kind == "balance" then
            at = balanced(text, at, item)
        elseif kind == "frontier" then
            local before = at == 1 and 0 or byte(text, at - 1)
            at = not item.set[before] and item.set[byte(text, at) or 0] and at
        else
            at = referred(state, at, item)
        end
        if not at then
            return nil
        end
        index = index + 1
    end
end

local function captured(state, number, start, stop)
    if number > state.level then
        if number ~= 1 then
            error("invalid capture index")
        end
        return sub(state.text, start, stop - 1)
    end
    local size = state.sizes[number]
    if size == UNFINISHED then
        error("unfinished capture")
    elseif size == POSITION then
        return state.starts[number]
    end
    return sub(state.text, state.starts[number], state.starts[number] + size - 1)
end

-- The captures of a match, or the whole of it if there are none and `or_whole`.
local function captures(state, start, stop, or_whole)
    local found, count = {}, state.level
    if count == 0 and or_whole then
        count = 1
    end
    for number = 1, count do
        found[number] = captured(state, number, start, stop)
    end
    return unpack(found, 1, count)
end

local function new_state(text, pattern, has_anchors)
    return { text = text, items = compile(pattern, has_anchors), level = 0, starts = {}, sizes = {} }
end

-- The first match at or behind `at`: where it starts and ends.
local function search(state, at)
    repeat
        state.level = 0
        local stop = try(state, 1, at)
        if stop then
            return at, stop
        end
        at = at + 1
    until at > #state.text + 1 or state.items.is_anchored
end

local function first_position(text, init)
    if init < 0 then
        init = #text + init + 1
    end
    return init < 1 and 1 or init > #text + 1 and #text + 1 or init
end

local functions = {}

function functions.find(text, pattern, init)
    local state = new_state(text, pattern, true)
    local start, stop = search(state, first_position(text, init))
    if start then
        return start, stop - 1, captures(state, start, stop, false)
    end
    return nil
end

function functions.match(text, pattern, init)
    local state = new_state(text, pattern, true)
    local start, stop = search(state, first_position(text, init))
    if start then
        return captures(state, start, stop, true)
    end
    return nil
end

function functions.gmatch(text, pattern)
    local state, at = new_state(text, pattern, false), 1
    return function()
        if at > #text + 1 then
            return nil
        end
        local start, stop = search(state, at)
        if not start then
            at = #text + 2
            return nil
        end
        at = stop == start and stop + 1 or stop
        return captures(state, start, stop, true)
    end
end

-- What a match is replaced by.
local function replacement(state, start, stop, with)
    local value
    if type(with) == "string" then
        return (gsub(with, "%%(.?)", function(mark)
            if mark == "0" then
                return sub(state.text, start, stop - 1)
            elseif find(mark, "^%d") then
                return tostring(captured(state, byte(mark) - 48, start, stop))
            end
            return mark == "" and "\0" or mark
        end))
    elseif type(with) == "table" then
        value = with[captured(state, 1, start, stop)]
    else
        value = with(captures(state, start, stop, true))
    end
    if not value then
        return sub(state.text, start, stop - 1)
    elseif type(value) ~= "string" and type(value) ~= "number" then
        error("invalid replacement value (a " .. type(value) .. ")")
    end
    return tostring(value)
end

function functions.gsub(text, pattern, with, most)
    local state = new_state(text, pattern, true)
    local parts, at, count = {}, 1, 0
    while count < most do
        state.level = 0
        local stop = try(state, 1, at)
        if stop then
            count = count + 1
            parts[#parts + 1] = replacement(state, at, stop, with)
        end
        if stop and stop > at then
            at = stop
        elseif at <= #text then
            parts[#parts + 1] = sub(text, at, at)
            at = at + 1
        else
            break
        end
        if state.items.is_anchored then
            break
        end
    end
    parts[#parts + 1] = sub(text, at)
    return concat(parts), count
end

return functions
