-- The table by which a script asks for commands and speaks to the server.

local host, errors, replies = ...

local concat, error, floor, select = table.concat, error, math.floor, select
local sub, tonumber, tostring, type = string.sub, tonumber, tostring, type
local call, error_table, received = host.call, errors.error_table, replies.received

local WORDS_MAX = 1000

local redis = {
    REDIS_VERSION = host.version,
    REDIS_VERSION_NUM = host.version_number,
    LOG_DEBUG = 0,
    LOG_VERBOSE = 1,
    LOG_NOTICE = 2,
    LOG_WARNING = 3,
    REPL_NONE = 0,
    REPL_AOF = 1,
    REPL_SLAVE = 2,
    REPL_REPLICA = 2,
    REPL_ALL = 3,
}

local NO_WORDS = "Please specify at least one argument for this redis lib call"

function redis.pcall(...)
    local count = select("#", ...)
    if count == 0 then
        return error_table(NO_WORDS)
    elseif count > WORDS_MAX then
        return received(host.call_many(count, { ... }))
    end
    return received(call(...))
end

function redis.call(...)
    local count = select("#", ...)
    if count == 0 then
        error(error_table(NO_WORDS), 0)
    end
    local reply, has_parts, values
    if count > WORDS_MAX then
        reply, has_parts, values = host.call_many(count, { ... })
    else
        reply, has_parts, values = call(...)
    end
    if has_parts then
        reply = received(reply, has_parts, values)
        if type(reply) == "table" and reply.err then
            error(reply, 0)
        end
    elseif reply == true then
        return { ok = "OK" }
    end
    return reply
end

function redis.error_reply(...)
    local text = ...
    if select("#", ...) ~= 1 or type(text) ~= "string" then
        return error_table("wrong number or type of arguments")
    end
    return error_table(sub(text, 1, 1) == "-" and text or "-" .. text)
end

function redis.status_reply(...)
    local text = ...
    if select("#", ...) ~= 1 or type(text) ~= "string" then
        return error_table("wrong number or type of arguments")
    end
    return { ok = text }
end

function redis.sha1hex(...)
    if select("#", ...) ~= 1 then
        error(error_table("wrong number of arguments"), 0)
    end
    local text = ...
    local kind = type(text)
    return host.sha1hex((kind == "string" or kind == "number") and tostring(text) or "")
end

function redis.log(...)
    local level = tonumber((...))
    if select("#", ...) < 2 then
        error(error_table("redis.log() requires two arguments or more."), 0)
    elseif not level then
        error(error_table("First argument must be a number (log level)."), 0)
    elseif level < 0 or level >= 4 then
        error(error_table("Invalid debug level."), 0)
    end
    local words = {}
    for position = 2, select("#", ...) do
        local word = select(position, ...)
        if type(word) == "string" or type(word) == "number" then
            words[#words + 1] = tostring(word)
        end
    end
    host.log(floor(level), concat(words, " "))
end

function redis.setresp(...)
    if select("#", ...) ~= 1 then
        error(error_table("redis.setresp() requires one argument."), 0)
    end
    local version = tonumber((...))
    if version ~= 2 and version ~= 3 then
        error(error_table("RESP version must be 2 or 3."), 0)
    end
    host.set_resp(version)
end

function redis.set_repl(...)
    if select("#", ...) ~= 1 then
        error(error_table("redis.set_repl() requires two arguments."), 0)
    end
    local targets = floor(tonumber((...)) or 0)
    if targets < 0 or targets > 3 then
        error(
            error_table("Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."),
            0
        )
    end
    host.set_repl(targets)
end

function redis.acl_check_cmd(...)
    if select("#", ...) == 0 then
        error(error_table("Please specify at least one argument for this redis lib call"), 0)
    end
    local answer = host.may_run(...)
    if type(answer) == "string" then
        error(error_table(answer), 0)
    end
    return answer
end

function redis.replicate_commands()
    return true
end

return redis
