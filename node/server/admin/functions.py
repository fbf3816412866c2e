"""FCALL and FUNCTION."""

from __future__ import annotations

from shoal.node.commands.help import help_command
from shoal.node.commands.registry import command, container
from shoal.node.commands.spec import Arg, Flag, KeyUse, counted_keys, key_arg, one_of, token
from shoal.node.dataset.glob import glob_match
from shoal.node.dataset.numbers import parse_integer
from shoal.node.persistence.functions_payload import dump_functions, restore_functions
from shoal.node.resp.replies import OK, CommandError, Pairs, Reply, SetReply, Status
from shoal.node.server.scripting.functions import Library
from shoal.node.server.session import Session

_FCALL = Flag.NOSCRIPT | Flag.SKIP_MONITOR | Flag.NO_MANDATORY_KEYS | Flag.STALE
_CHANGES = Flag.NOSCRIPT | Flag.WRITE
_ADDS = _CHANGES | Flag.DENYOOM
_EVERYWHERE = ("request_policy:all_shards", "response_policy:all_succeeded")
_ARGUMENTS = (
    Arg("function"),
    Arg("numkeys", "integer"),
    key_arg(multiple=True, optional=True),
    Arg("arg", multiple=True, optional=True),
)


@command(
    "FCALL",
    arity=-3,
    flags=_FCALL | Flag.MAY_REPLICATE,
    group="scripting",
    since="7.0.0",
    complexity="Depends on the function that is executed.",
    keys=(counted_keys(KeyUse.RW | KeyUse.ACCESS | KeyUse.UPDATE, count_at=2),),
    arguments=_ARGUMENTS,
    summary="Runs a function of a library.",
)
def fcall(session: Session, name: bytes, key_count: bytes, *words: bytes) -> Reply:
    return _call(session, name, key_count, words, False)


@command(
    "FCALL_RO",
    arity=-3,
    flags=_FCALL | Flag.READONLY,
    group="scripting",
    since="7.0.0",
    complexity="Depends on the function that is executed.",
    keys=(counted_keys(KeyUse.RO | KeyUse.ACCESS, count_at=2),),
    arguments=_ARGUMENTS,
    summary="Runs a function of a library that must change nothing.",
)
def fcall_ro(session: Session, name: bytes, key_count: bytes, *words: bytes) -> Reply:
    return _call(session, name, key_count, words, True)


def _call(
    session: Session, name: bytes, key_count: bytes, words: tuple[bytes, ...], read_only: bool
) -> Reply:
    scripts = session.server.scripts
    function = scripts.functions.find(name)
    if function is None:
        raise CommandError("ERR Function not found")
    keys = parse_integer(key_count)
    if keys is None:
        raise CommandError("ERR Bad number of keys provided")
    if keys > len(words):
        raise CommandError("ERR Number of keys can't be greater than number of args")
    if keys < 0:
        raise CommandError("ERR Number of keys can't be negative")
    return scripts.run(session, function, keys, words, read_only)


container("FUNCTION", group="scripting", since="7.0.0", summary="The libraries of functions.")
help_command("FUNCTION", since="7.0.0")


@command(
    "FUNCTION|LOAD",
    arity=-3,
    flags=_ADDS,
    group="scripting",
    since="7.0.0",
    complexity="O(1) (considering compilation time is redundant)",
    tips=_EVERYWHERE,
    arguments=(token("REPLACE", optional=True), Arg("function-code")),
    summary="Adds a library, or replaces it.",
)
def function_load(session: Session, *words: bytes) -> Reply:
    *options, code = words
    for option in options:
        if option.lower() != b"replace":
            raise CommandError(b"ERR Unknown option given: " + option)
    return session.server.scripts.functions.load(code, replace=bool(options))


@command(
    "FUNCTION|DELETE",
    arity=3,
    flags=_CHANGES,
    group="scripting",
    since="7.0.0",
    complexity="O(1)",
    tips=_EVERYWHERE,
    arguments=(Arg("library-name"),),
    summary="Removes a library.",
)
def function_delete(session: Session, name: bytes) -> Reply:
    session.server.scripts.functions.delete(name)
    return OK


@command(
    "FUNCTION|FLUSH",
    arity=-2,
    flags=_CHANGES,
    group="scripting",
    since="7.0.0",
    complexity="O(N) where N is the number of functions deleted",
    tips=_EVERYWHERE,
    arguments=(one_of("async", token("ASYNC"), token("SYNC"), optional=True),),
    summary="Removes every library.",
)
def function_flush(session: Session, *mode: bytes) -> Reply:
    if len(mode) > 1:
        raise CommandError(
            "ERR unknown subcommand or wrong number of arguments for 'flush'. Try FUNCTION HELP."
        )
    if mode and mode[0].lower() not in (b"async", b"sync"):
        raise CommandError("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
    session.server.scripts.functions.flush()
    return OK


@command(
    "FUNCTION|LIST",
    arity=-2,
    flags=Flag.NOSCRIPT,
    group="scripting",
    since="7.0.0",
    complexity="O(N) where N is the number of functions",
    tips=("nondeterministic_output_order",),
    arguments=(
        Arg("library-name-pattern", token="LIBRARYNAME", optional=True),
        token("WITHCODE", optional=True),
    ),
    summary="The libraries and what is in them.",
)
def function_list(session: Session, *options: bytes) -> Reply:
    pattern: bytes | None = None
    with_code = False
    words = iter(options)
    for word in words:
        if word.lower() == b"withcode" and not with_code:
            with_code = True
        elif word.lower() == b"libraryname" and pattern is None:
            pattern = next(words, None)
            if pattern is None:
                raise CommandError("ERR library name argument was not given")
        else:
            raise CommandError(b"ERR Unknown argument " + word)
    return [
        _describe(library, with_code=with_code)
        for library in session.server.scripts.functions.libraries.values()
        if pattern is None or glob_match(pattern.lower(), library.name.lower())
    ]


def _describe(library: Library, *, with_code: bool) -> Reply:
    functions: list[Reply] = [
        {
            b"name": function.name,
            b"description": function.description,
            b"flags": SetReply([Status(name) for name in function.flag_names]),
        }
        for function in library.functions.values()
    ]
    told: dict[bytes, Reply] = {b"library_name": library.name, b"engine": b"LUA", b"functions": functions}
    if with_code:
        told[b"library_code"] = library.code
    return told


@command(
    "FUNCTION|STATS",
    arity=2,
    flags=Flag.NOSCRIPT | Flag.ALLOW_BUSY,
    group="scripting",
    since="7.0.0",
    complexity="O(1)",
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
    summary="What runs at the moment, and how many libraries and functions there are.",
)
def function_stats(session: Session) -> Reply:
    server = session.server
    libraries = server.scripts.functions.libraries
    run = server.scripts.busy
    running: Reply = None
    if run is not None:
        elapsed_ns = server.stopwatch.clock_ns() - run.started_ns
        running = {
            b"name": run.script.name,
            b"command": list(server.scripts.suspension.command),
            b"duration_ms": elapsed_ns // 1_000_000,
        }
    count = sum(len(library.functions) for library in libraries.values())
    engine: Reply = {b"libraries_count": len(libraries), b"functions_count": count}
    return {b"running_script": running, b"engines": Pairs([(b"LUA", engine)])}


@command(
    "FUNCTION|KILL",
    arity=2,
    flags=Flag.NOSCRIPT | Flag.ALLOW_BUSY,
    group="scripting",
    since="7.0.0",
    complexity="O(1)",
    tips=("request_policy:all_shards", "response_policy:one_succeeded"),
    summary="Ends the function that is running, unless it has changed something.",
)
def function_kill(session: Session) -> Reply:
    session.server.scripts.kill(function=True)
    return OK


@command(
    "FUNCTION|DUMP",
    arity=2,
    flags=Flag.NOSCRIPT,
    group="scripting",
    since="7.0.0",
    complexity="O(N) where N is the number of functions",
    summary="All libraries as a payload for FUNCTION RESTORE.",
)
def function_dump(session: Session) -> Reply:
    return dump_functions(session.keyspace.functions)


@command(
    "FUNCTION|RESTORE",
    arity=-3,
    flags=_ADDS,
    group="scripting",
    since="7.0.0",
    complexity="O(N) where N is the number of functions on the payload",
    tips=_EVERYWHERE,
    arguments=(
        Arg("serialized-value"),
        one_of("policy", token("FLUSH"), token("APPEND"), token("REPLACE"), optional=True),
    ),
    summary="Adds the libraries of a payload.",
)
def function_restore(session: Session, payload: bytes, *policy: bytes) -> Reply:
    if len(policy) > 1:
        raise CommandError(
            "ERR unknown subcommand or wrong number of arguments for 'restore'. Try FUNCTION HELP."
        )
    how = policy[0].lower() if policy else b"append"
    if how not in (b"flush", b"append", b"replace"):
        raise CommandError("ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.")
    session.server.scripts.functions.restore(
        restore_functions(payload), flush=how == b"flush", replace=how == b"replace"
    )
    return OK
