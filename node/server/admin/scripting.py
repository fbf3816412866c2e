"""EVAL, EVALSHA and SCRIPT."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from shoal.node.commands.help import help_command
from shoal.node.commands.registry import command, container
from shoal.node.commands.spec import Arg, Flag, KeyUse, counted_keys, key_arg, one_of, token
from shoal.node.dataset.numbers import require_integer
from shoal.node.resp.replies import OK, CommandError, Reply
from shoal.node.server.session import Session

_FLAGS = Flag.NOSCRIPT | Flag.SKIP_MONITOR | Flag.MAY_REPLICATE | Flag.NO_MANDATORY_KEYS | Flag.STALE
_FLAGS_RO = Flag.NOSCRIPT | Flag.SKIP_MONITOR | Flag.NO_MANDATORY_KEYS | Flag.STALE | Flag.READONLY
_KEYS = (counted_keys(KeyUse.RW | KeyUse.ACCESS | KeyUse.UPDATE, count_at=2),)
_KEYS_RO = (counted_keys(KeyUse.RO | KeyUse.ACCESS, count_at=2),)
_REST = (
    Arg("numkeys", "integer"),
    key_arg(multiple=True, optional=True),
    Arg("arg", multiple=True, optional=True),
)
_COMPLEXITY = "Depends on the script that is executed."
_DIGEST_LENGTH = 40
_SMALL_COUNTS = {b"%d" % count: count for count in range(64)}
_NO_SCRIPT = "NOSCRIPT No matching script. Please use EVAL."


@command(
    "EVAL",
    arity=-3,
    flags=_FLAGS,
    group="scripting",
    since="2.6.0",
    complexity=_COMPLEXITY,
    keys=_KEYS,
    arguments=(Arg("script"), *_REST),
    summary="Runs a Lua script.",
)
def eval_script(session: Session, body: bytes, key_count: bytes, *words: bytes) -> Reply:
    return _evaluate(session, body, key_count, words, False)


@command(
    "EVAL_RO",
    arity=-3,
    flags=_FLAGS_RO,
    group="scripting",
    since="7.0.0",
    complexity=_COMPLEXITY,
    keys=_KEYS_RO,
    arguments=(Arg("script"), *_REST),
    summary="Runs a Lua script that must change nothing.",
)
def eval_script_ro(session: Session, body: bytes, key_count: bytes, *words: bytes) -> Reply:
    return _evaluate(session, body, key_count, words, True)


def _evaluate(
    session: Session, body: bytes, key_count: bytes, words: Sequence[bytes], read_only: bool
) -> Reply:
    scripts = session.server.scripts
    if session.debugs_scripts and not session.in_exec:
        return scripts.debug(
            session, body, partial(_load_and_run, session, body, key_count, words, read_only)
        )
    return _load_and_run(session, body, key_count, words, read_only)


def _load_and_run(
    session: Session, body: bytes, key_count: bytes, words: Sequence[bytes], read_only: bool
) -> Reply:
    scripts = session.server.scripts
    keys = _count_keys(key_count, words)
    script = scripts.load(body)
    scripts.cache.use(script)
    return scripts.run(session, script, keys, words, read_only)


@command(
    "EVALSHA",
    arity=-3,
    flags=_FLAGS,
    group="scripting",
    since="2.6.0",
    complexity=_COMPLEXITY,
    keys=_KEYS,
    arguments=(Arg("sha1"), *_REST),
    summary="Runs a cached Lua script by its digest.",
)
def evalsha(session: Session, digest: bytes, key_count: bytes, *words: bytes) -> Reply:
    return _evaluate_cached(session, digest, key_count, words, False)


@command(
    "EVALSHA_RO",
    arity=-3,
    flags=_FLAGS_RO,
    group="scripting",
    since="7.0.0",
    complexity=_COMPLEXITY,
    keys=_KEYS_RO,
    arguments=(Arg("sha1"), *_REST),
    summary="Runs a cached Lua script by its digest; it must change nothing.",
)
def evalsha_ro(session: Session, digest: bytes, key_count: bytes, *words: bytes) -> Reply:
    return _evaluate_cached(session, digest, key_count, words, True)


def _evaluate_cached(
    session: Session, digest: bytes, key_count: bytes, words: Sequence[bytes], read_only: bool
) -> Reply:
    scripts = session.server.scripts
    script = scripts.cache.of_digest(digest)
    if script is None:
        if len(digest) == _DIGEST_LENGTH:
            _count_keys(key_count, words)
        raise CommandError(_NO_SCRIPT)
    keys = _count_keys(key_count, words)
    scripts.cache.use(script)
    return scripts.run(session, script, keys, words, read_only)


def _count_keys(key_count: bytes, words: Sequence[bytes]) -> int:
    """How many of these words are said to be keys."""
    count = _SMALL_COUNTS.get(key_count)
    if count is None:
        count = require_integer(key_count)
    if count > len(words):
        raise CommandError("ERR Number of keys can't be greater than number of args")
    if count < 0:
        raise CommandError("ERR Number of keys can't be negative")
    return count


container("SCRIPT", group="scripting", since="2.6.0", summary="The cache of Lua scripts.")
help_command("SCRIPT", since="5.0.0")


@command(
    "SCRIPT|LOAD",
    arity=3,
    flags=Flag.NOSCRIPT | Flag.STALE,
    group="scripting",
    since="2.6.0",
    complexity="O(N) with N being the length in bytes of the script body.",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
    arguments=(Arg("script"),),
    summary="Compiles a script and keeps it; its digest.",
)
def script_load(session: Session, body: bytes) -> Reply:
    scripts = session.server.scripts
    script = scripts.load(body)
    scripts.cache.keep(script)
    return script.name


@command(
    "SCRIPT|EXISTS",
    arity=-3,
    flags=Flag.NOSCRIPT,
    group="scripting",
    since="2.6.0",
    complexity="O(N) with N being the number of scripts to check.",
    tips=("request_policy:all_shards", "response_policy:agg_logical_and"),
    arguments=(Arg("sha1", multiple=True),),
    summary="Whether scripts with these digests are kept.",
)
def script_exists(session: Session, *digests: bytes) -> Reply:
    cache = session.server.scripts.cache
    return [int(cache.of_digest(digest) is not None) for digest in digests]


@command(
    "SCRIPT|SHOW",
    arity=3,
    flags=Flag.NOSCRIPT,
    group="scripting",
    since="8.0.0",
    complexity="O(1)",
    arguments=(Arg("sha1"),),
    summary="Returns a script that is kept, as it was sent. Valkey's.",
)
def script_show(session: Session, digest: bytes) -> Reply:
    script = session.server.scripts.cache.of_digest(digest)
    if script is None:
        raise CommandError("NOSCRIPT No matching script.")
    return script.body


@command(
    "SCRIPT|FLUSH",
    arity=-2,
    flags=Flag.NOSCRIPT,
    group="scripting",
    since="2.6.0",
    complexity="O(N) with N being the number of scripts in cache",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
    history=(("6.2.0", "Added the `ASYNC` and `SYNC` flushing mode modifiers."),),
    arguments=(one_of("async", token("ASYNC"), token("SYNC"), optional=True, since="6.2.0"),),
    summary="Forgets every script.",
)
def script_flush(session: Session, *mode: bytes) -> Reply:
    if len(mode) > 1 or (mode and mode[0].lower() not in (b"async", b"sync")):
        raise CommandError("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
    session.server.scripts.flush()
    return OK


@command(
    "SCRIPT|KILL",
    arity=2,
    flags=Flag.NOSCRIPT | Flag.ALLOW_BUSY,
    group="scripting",
    since="2.6.0",
    complexity="O(1)",
    tips=("request_policy:all_shards", "response_policy:one_succeeded"),
    summary="Ends the script that is running, unless it has changed something.",
)
def script_kill(session: Session) -> Reply:
    session.server.scripts.kill(function=False)
    return OK


@command(
    "SCRIPT|DEBUG",
    arity=3,
    flags=Flag.NOSCRIPT,
    group="scripting",
    since="3.2.0",
    complexity="O(1)",
    arguments=(one_of("mode", token("YES"), token("SYNC"), token("NO")),),
    summary="Whether this client's next script runs in the debugger.",
)
def script_debug(session: Session, mode: bytes) -> Reply:
    if session.out:
        raise CommandError("ERR SCRIPT DEBUG must be called outside a pipeline")
    word = mode.lower()
    if word == b"yes":
        raise CommandError("ERR Nothing here forks, so changes cannot be taken back. Use SCRIPT DEBUG SYNC")
    if word not in (b"sync", b"no"):
        raise CommandError("ERR Use SCRIPT DEBUG YES/SYNC/NO")
    session.debugs_scripts = word == b"sync"
    return OK
