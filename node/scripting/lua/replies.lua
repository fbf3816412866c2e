-- Replies: what Redis says becomes Lua values, and what a script returns becomes a reply.

local errors, tables = ...

local next, rawget, type, sub = next, rawget, type, string.sub
local error_table, contents = errors.error_table, tables.contents

local REPLY_DEPTH_MAX = 150

-- A reply with parts comes as a string of marks, one per value in Redis's own order, and the values themselves.
local function build(marks, values)
    local mark_at, value_at = 0, 0
    local function one()
        mark_at = mark_at + 1
        local mark = sub(marks, mark_at, mark_at)
        if mark == "v" then
            value_at = value_at + 1
            return values[value_at]
        elseif mark == "[" then
            local list, n = {}, 0
            while sub(marks, mark_at + 1, mark_at + 1) ~= "]" do
                n = n + 1
                list[n] = one()
            end
            mark_at = mark_at + 1
            return list
        elseif mark == "{" then
            local map = {}
            while sub(marks, mark_at + 1, mark_at + 1) ~= "}" do
                local key = one()
                map[key] = one()
            end
            mark_at = mark_at + 1
            return { map = map }
        elseif mark == "<" then
            local set = {}
            while sub(marks, mark_at + 1, mark_at + 1) ~= ">" do
                set[one()] = true
            end
            mark_at = mark_at + 1
            return { set = set }
        elseif mark == "n" then
            return nil
        end
        value_at = value_at + 1
        local value = values[value_at]
        if mark == "+" then
            return { ok = value }
        elseif mark == "-" then
            local failure = error_table("-" .. value)
            failure.ignore_error_stats_update = true
            return failure
        elseif mark == "d" then
            return { double = value }
        elseif mark == "b" then
            return { big_number = value }
        end
        value_at = value_at + 1
        return { verbatim_string = { format = value, string = values[value_at] } }
    end
    return one()
end

-- The other way: what a script returned as marks and values.
local function take_apart(value, marks, values, depth)
    local kind = type(value)
    if kind == "string" then
        marks[#marks + 1] = "s"
        values[#values + 1] = value
        return
    elseif kind == "number" then
        marks[#marks + 1] = "i"
        values[#values + 1] = value
        return
    elseif kind == "boolean" then
        marks[#marks + 1] = value and "t" or "f"
        return
    elseif kind ~= "table" then
        marks[#marks + 1] = "n"
        return
    end
    if depth > REPLY_DEPTH_MAX then
        marks[#marks + 1] = "-"
        values[#values + 1] = "ERR reached lua stack limit"
        values[#values + 1] = false
        return
    end
    local field = rawget(value, "err")
    if type(field) == "string" then
        marks[#marks + 1] = "-"
        values[#values + 1] = field
        values[#values + 1] = rawget(value, "ignore_error_stats_update") == true
        return
    end
    field = rawget(value, "ok")
    if type(field) == "string" then
        marks[#marks + 1] = "+"
        values[#values + 1] = field
        return
    end
    field = rawget(value, "double")
    if type(field) == "number" then
        marks[#marks + 1] = "d"
        values[#values + 1] = field
        return
    end
    field = rawget(value, "big_number")
    if type(field) == "string" then
        marks[#marks + 1] = "b"
        values[#values + 1] = field
        return
    end
    field = rawget(value, "verbatim_string")
    if type(field) == "table" and type(rawget(field, "format")) == "string" and type(rawget(field, "string")) == "string" then
        marks[#marks + 1] = "v"
        values[#values + 1] = rawget(field, "format")
        values[#values + 1] = rawget(field, "string")
        return
    end
    field = rawget(value, "map")
    if type(field) == "table" then
        marks[#marks + 1] = "{"
        for key, item in next, contents[field] or field do
            take_apart(key, marks, values, depth + 1)
            take_apart(item, marks, values, depth + 1)
        end
        marks[#marks + 1] = "}"
        return
    end
    field = rawget(value, "set")
    if type(field) == "table" then
        marks[#marks + 1] = "<"
        for key in next, contents[field] or field do
            take_apart(key, marks, values, depth + 1)
        end
        marks[#marks + 1] = ">"
        return
    end
    marks[#marks + 1] = "["
    local n = 1
    local item = rawget(value, 1)
    while item ~= nil do
        take_apart(item, marks, values, depth + 1)
        n = n + 1
        item = rawget(value, n)
    end
    marks[#marks + 1] = "]"
end

-- The commonest reply of a write, OK, comes as true, which stands for nothing else; any other without parts as it is.
local function received(reply, has_parts, values)
    if not has_parts then
        return reply == true and { ok = "OK" } or reply
    elseif reply == "+" then
        return { ok = values }
    elseif reply == "*" then
        return values
    end
    return build(reply, values)
end

return { received = received, take_apart = take_apart }
