-- From source to a function in a script's environment. Bytecode could be made to break the interpreter; only
-- source is taken.

local host, environment = ...

local byte, dump, loadstring, setfenv, type = string.byte, string.dump, loadstring, setfenv, type
local prepare = host.prepare

local function is_bytecode(chunk)
    return type(chunk) == "string" and byte(chunk) == 27
end

local function in_environment(chunk, message)
    if chunk then
        return setfenv(chunk, environment)
    end
    return chunk, message
end

-- A script; the host looks at its instructions and may change some.
local function compile(source, name)
    if is_bytecode(source) then
        return nil, "bad code in precompiled chunk"
    end
    local chunk, message = loadstring(source, name)
    if chunk then
        chunk = loadstring(prepare(dump(chunk)), name)
    end
    return in_environment(chunk, message)
end

-- What a script finds under a global name.
local function global(name)
    return environment[name]
end

return { is_bytecode = is_bytecode, in_environment = in_environment, compile = compile, global = global }
