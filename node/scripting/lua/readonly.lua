-- Tables that all scripts share are shown through empty stand-ins that refuse every change: Lua 5.1 knows no
-- read-only tables, and a script that could alter `string.format` would reach into every later script.

local errors = ...

local error, setmetatable = error, setmetatable
local error_table = errors.error_table

-- What a stand-in shows.
local contents = setmetatable({}, { __mode = "k" })

local function refuse_change()
    error("Attempt to modify a readonly table")
end

local function readonly(shown, fallback)
    local stand_in = {}
    contents[stand_in] = shown
    if fallback then
        setmetatable(shown, { __index = fallback })
    end
    return setmetatable(stand_in, { __index = shown, __newindex = refuse_change })
end

local function refuse_if_readonly(value)
    if contents[value] then
        error(error_table("Attempt to modify a readonly table"), 0)
    end
end

return {
    contents = contents,
    refuse_change = refuse_change,
    readonly = readonly,
    refuse_if_readonly = refuse_if_readonly,
    -- Metatables of userdata, which must not come by a finalizer.
    without_finalizers = setmetatable({}, { __mode = "k" }),
}
