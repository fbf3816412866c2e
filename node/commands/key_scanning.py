"""Commands that walk over all keys of a database."""

from __future__ import annotations

from shoal.node.commands.call import Call
from shoal.node.commands.options import SCAN_ARGS, ScanOptions, parse_cursor, parse_scan_options
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag
from shoal.node.dataset.database import Database
from shoal.node.dataset.expiry_mode import ExpiryMode
from shoal.node.dataset.glob import compile_glob
from shoal.node.dataset.values import type_name
from shoal.node.resp.replies import Reply

RANDOM_KEY_ATTEMPTS = 100


@command(
    "SCAN",
    arity=-2,
    flags=Flag.READONLY,
    group="generic",
    since="2.8.0",
    complexity="O(1) per call; O(N) for a whole walk over N keys.",
    summary="Returns some keys, and the cursor to go on from.",
    arguments=(*SCAN_ARGS, Arg("type", token="TYPE", optional=True, since="6.0.0")),
    tips=("nondeterministic_output", "request_policy:special"),
    history=(("6.0.0", "The option `TYPE`."),),
)
def scan(call: Call, cursor: bytes, *words: bytes) -> Reply:
    start = parse_cursor(cursor)
    options = parse_scan_options(words, with_type=True)
    following, keys = call.db.scan(start, options.count)
    return [b"%d" % following, [*_chosen(call.db, keys, options)]]


def _chosen(db: Database, keys: list[bytes], options: ScanOptions) -> list[bytes]:
    """The keys that match, are of the type asked for and have not expired."""
    if options.pattern is not None:
        keys = list(filter(compile_glob(options.pattern), keys))
    chosen = []
    for key in keys:
        value = db.peek(key)
        if value is not None and options.type in (None, type_name(value)):
            chosen.append(key)
    return chosen


@command(
    "KEYS",
    arity=2,
    flags=Flag.READONLY,
    group="generic",
    since="1.0.0",
    complexity="O(N) for N keys in the database.",
    summary="Returns every key whose name matches a pattern.",
    arguments=(Arg("pattern", "pattern"),),
    acl={"dangerous"},
    tips=("request_policy:all_shards", "nondeterministic_output_order"),
)
def keys(call: Call, pattern: bytes) -> Reply:
    every = call.db.keys()
    found = list(every if pattern == b"*" else filter(compile_glob(pattern), every))
    return [key for key in found if call.db.peek(key) is not None]


@command(
    "RANDOMKEY",
    arity=1,
    flags=Flag.READONLY,
    group="generic",
    since="1.0.0",
    complexity="O(1)",
    summary="Returns a key drawn at random.",
    tips=("request_policy:all_shards", "nondeterministic_output"),
)
def randomkey(call: Call) -> Reply:
    """A primary deletes the expired keys it draws. A replica hides them, so its tries are bounded."""
    db, attempts = call.db, 0
    key = db.random_key(call.rng)
    while key is not None and db.peek(key) is None and attempts < RANDOM_KEY_ATTEMPTS:
        attempts += call.keyspace.expiry_mode is ExpiryMode.HIDE
        key = db.random_key(call.rng)
    return key


@command(
    "DBSIZE",
    arity=1,
    flags=Flag.READONLY | Flag.FAST,
    group="server",
    since="1.0.0",
    complexity="O(1)",
    summary="Returns the number of keys in the database.",
    acl={"keyspace"},
    tips=("request_policy:all_shards", "response_policy:agg_sum"),
)
def dbsize(call: Call) -> Reply:
    return len(call.db)
