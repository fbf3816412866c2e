-- Looking up from a long computation: whether others want the node, or somebody wants the script to end.

local host, errors = ...

local error, getinfo, sethook = error, debug.getinfo, debug.sethook
local error_table, is_ours = errors.error_table, errors.is_ours

local INSTRUCTIONS_BETWEEN_LOOKS = 20000

local killed, hook

local function look_up()
    killed = killed or host.look_up()
    if killed then
        sethook(hook, "l")
        error(error_table(killed), 0)
    end
end

-- Called after so many instructions. Once a script is killed, which `killed` says with what words, it is
-- called at each line, so that no pcall in the script can go on regardless.
function hook()
    if is_ours(getinfo(2, "S")) and killed then
        return
    end
    look_up()
end

local function watch(thread)
    if thread then
        sethook(thread, hook, "", INSTRUCTIONS_BETWEEN_LOOKS)
    else
        sethook(hook, "", INSTRUCTIONS_BETWEEN_LOOKS)
    end
end

-- A run begins: nobody has killed it.
local function begin()
    if killed then
        watch() -- first, for the hook of a killed run must not find another one
        killed = nil
    end
end

local function is_killed()
    return killed
end

return { watch = watch, unwatch = sethook, look_up = look_up, begin = begin, is_killed = is_killed }
