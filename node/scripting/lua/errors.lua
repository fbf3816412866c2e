-- Errors: how they look, and the place in the script that they name.
--
-- Errors of the sandbox's own files begin with "lib:"; `locate` puts the place in the script there instead, as
-- if the function were built in.

local tostring, type = tostring, type
local find, gsub, match, reverse, sub = string.find, string.gsub, string.match, string.reverse, string.sub
local getinfo = debug.getinfo

-- A text without the line breaks that it begins with.
local function without_first_breaks(text)
    return (gsub(text, "^[\r\n]+", ""))
end

-- An error as a table: the code first, then the text. `message` may bring its code, behind a "-".
local function error_table(message)
    local code, text = "ERR", message
    if sub(message, 1, 1) == "-" then
        local space = find(message, " ", 1, true)
        if space then
            code, text = sub(message, 2, space - 1), sub(message, space + 1)
        else
            text = sub(message, 2)
        end
    end
    -- The last ones are the first of the text read backwards: a pattern that ends with them would be tried at
    -- each line break of the text, and for each of these at all that follow.
    return { err = code .. " " .. reverse(without_first_breaks(reverse(without_first_breaks(text)))) }
end

local function is_ours(info)
    return info.source == "=lib"
end

-- The first level of the script's own code at or above this one, as getinfo counts for the function that asks.
local function script_level(level)
    level = level + 1
    local info = getinfo(level, "S")
    while info and (info.what == "C" or info.what == "tail" or is_ours(info)) do
        level = level + 1
        info = getinfo(level, "S")
    end
    return info and level - 1
end

-- A message of ours as a built-in function would have put it: with the caller's place and name for it.
-- To be called by an error handler.
local function locate(message)
    local text = match(message, "^lib:%d+: (.*)$")
    if not text then
        return message
    end
    local level, ours = 3, nil
    local info = getinfo(level, "S")
    if info and info.what == "C" then
        level = level + 1
        info = getinfo(level, "S")
    end
    while info and (info.what == "tail" or is_ours(info)) do
        if is_ours(info) then
            ours = level
        end
        level = level + 1
        info = getinfo(level, "S")
    end
    local is_called_by_script = info and info.what ~= "C"
    local position, rest = match(text, "^bad argument #(%d+) to '[^']*'(.*)$")
    if position then
        local called = is_called_by_script and ours and getinfo(ours, "n") or {}
        local name = called.name or "?"
        if called.namewhat == "method" then
            position = position - 1
        end
        if position == 0 then
            text = "calling '" .. name .. "' on bad self"
        else
            text = "bad argument #" .. position .. " to '" .. name .. "'" .. rest
        end
    end
    info = is_called_by_script and getinfo(level, "Sl")
    if info and info.currentline > 0 then
        return info.short_src .. ":" .. info.currentline .. ": " .. text
    end
    return text
end

-- What a script ended with, as a table that knows where.
local function describe_error(err)
    if type(err) == "string" then
        err = locate(err)
    end
    if type(err) ~= "table" then
        err = { err = "ERR " .. tostring(err) }
    end
    local level = script_level(2)
    if level then
        local info = getinfo(level, "Sl")
        err.source, err.line = info.source, info.currentline
    end
    return err
end

-- An error that is a table arrives as its text, as it did before errors were tables.
local function plain_error(err)
    if type(err) == "string" then
        return locate(err)
    end
    if type(err) == "table" then
        local text = err.err
        if type(text) == "string" or type(text) == "number" then
            return text
        end
    end
    return err
end

return {
    error_table = error_table,
    is_ours = is_ours,
    locate = locate,
    describe_error = describe_error,
    plain_error = plain_error,
}
