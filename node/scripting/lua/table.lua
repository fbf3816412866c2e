-- The library of that name. One of its functions would move elements without end.

local pick, tables = ...

local error, select, type = error, select, type
local refuse_if_readonly = tables.refuse_if_readonly

local SHIFTED_ELEMENTS_MAX = 10000000

local functions = pick(table, "concat foreach foreachi getn maxn remove setn sort")

local insert = table.insert

function functions.insert(...)
    local list, position = ...
    refuse_if_readonly(list)
    if select("#", ...) > 2 and type(position) == "number" and position < -SHIFTED_ELEMENTS_MAX then
        error("bad argument #2 to 'insert' (position out of bounds)")
    end
    return insert(...)
end

return functions
