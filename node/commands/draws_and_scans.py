"""Members drawn at random from a set, hash or sorted set, and members scanned by a cursor."""

from __future__ import annotations

from shoal.node.commands.call import Call
from shoal.node.commands.counts import parse_random_count, require_signed_count
from shoal.node.commands.options import SCAN_ARGS, SYNTAX_ERROR, ScanOptions, parse_cursor, parse_scan_options
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, block, key_arg, one_key, token
from shoal.node.dataset.glob import compile_glob
from shoal.node.dataset.hashes import HashValue
from shoal.node.dataset.numbers import format_float
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.table import Table
from shoal.node.dataset.values import SetValue
from shoal.node.resp.replies import CommandError, PairList, Reply

_READ = one_key(KeyUse.RO | KeyUse.ACCESS)
_UNPREDICTABLE = ("nondeterministic_output",)
_SCAN_COMPLEXITY = "O(1) for one call that returns a few; O(N) for all the calls that return N members."


def _count_with(pairs_token: str) -> Arg:
    return block("options", Arg("count", "integer"), token(pairs_token, optional=True), optional=True)


# --- drawing ---------------------------------------------------------------------------------------


@command(
    "SRANDMEMBER",
    arity=-2,
    flags=Flag.READONLY,
    group="set",
    since="1.0.0",
    complexity="O(N) for N members returned.",
    summary="Returns members drawn at random; a negative count may draw the same one again.",
    keys=_READ,
    arguments=(key_arg(), Arg("count", "integer", optional=True, since="2.6.0")),
    tips=_UNPREDICTABLE,
    history=(("2.6.0", "Takes a `count`."),),
)
def srandmember(call: Call, key: bytes, *count: bytes) -> Reply:
    if len(count) > 1:
        raise CommandError(SYNTAX_ERROR)
    wanted = require_signed_count(count[0]) if count else None
    value = call.db.read_as(key, SetValue)
    if wanted is None:
        return None if value is None else value.random_key(call.rng)
    return [] if value is None else list(_draw(call, value, wanted))


@command(
    "HRANDFIELD",
    arity=-2,
    flags=Flag.READONLY,
    group="hash",
    since="6.2.0",
    complexity="O(N) for N fields returned.",
    summary="Returns fields drawn at random; a negative count may draw the same one again.",
    keys=_READ,
    arguments=(key_arg(), _count_with("WITHVALUES")),
    tips=_UNPREDICTABLE,
)
def hrandfield(call: Call, key: bytes, *options: bytes) -> Reply:
    if not options:
        value = call.db.read_hash(key)
        return None if value is None else value.random_key(call.rng)
    count, with_values = parse_random_count(options, b"WITHVALUES")
    value = call.db.read_hash(key)
    if value is None:
        return []
    fields = _draw(call, value, count)
    if with_values:
        return PairList([*fields], [value[field] for field in fields])
    return list(fields)


@command(
    "ZRANDMEMBER",
    arity=-2,
    flags=Flag.READONLY,
    group="sorted-set",
    since="6.2.0",
    complexity="O(N) for N members returned.",
    summary="Returns members drawn at random; a negative count may draw the same one again.",
    keys=_READ,
    arguments=(key_arg(), _count_with("WITHSCORES")),
    tips=_UNPREDICTABLE,
)
def zrandmember(call: Call, key: bytes, *options: bytes) -> Reply:
    if not options:
        value = call.db.read_as(key, SortedSet)
        return None if value is None else value.scores.random_key(call.rng)
    count, with_scores = parse_random_count(options, b"WITHSCORES")
    value = call.db.read_as(key, SortedSet)
    if value is None:
        return []
    members = _draw(call, value.scores, count)
    if with_scores:
        return PairList([*members], [value.scores[member] for member in members])
    return list(members)


def _draw(call: Call, table: Table[float] | HashValue | SetValue, count: int) -> list[bytes]:
    """Keys of a table at random; none for a client that is not to be sent so many, and is hung up on."""
    return table.random_picks(call.rng, count) if call.may_answer_with(-count) else []


# --- scanning: a missing key answers even to bad options, as in Redis ------------------------------


@command(
    "SSCAN",
    arity=-3,
    flags=Flag.READONLY,
    group="set",
    since="2.8.0",
    complexity=_SCAN_COMPLEXITY,
    summary="Returns some members of a set, and the cursor to go on from.",
    keys=_READ,
    arguments=(key_arg(), *SCAN_ARGS),
    tips=_UNPREDICTABLE,
)
def sscan(call: Call, key: bytes, cursor: bytes, *words: bytes) -> Reply:
    place = parse_cursor(cursor)
    value = call.db.read_as(key, SetValue)
    if value is None:
        return [b"0", []]
    place, members = _scan(value, place, parse_scan_options(words))
    return [b"%d" % place, list(members)]


@command(
    "HSCAN",
    arity=-3,
    flags=Flag.READONLY,
    group="hash",
    since="2.8.0",
    complexity=_SCAN_COMPLEXITY,
    summary="Returns some fields of a hash with their values, and the cursor to go on from.",
    keys=_READ,
    arguments=(key_arg(), *SCAN_ARGS, token("NOVALUES", optional=True)),
    tips=_UNPREDICTABLE,
)
def hscan(call: Call, key: bytes, cursor: bytes, *words: bytes) -> Reply:
    place = parse_cursor(cursor)
    value = call.db.read_hash(key)
    if value is None:
        return [b"0", []]
    options = parse_scan_options(words, of_hash=True)
    place, fields = _scan(value, place, options)
    found = [word for field in fields for word in (field, value[field])] if options.with_values else fields
    return [b"%d" % place, found]


@command(
    "ZSCAN",
    arity=-3,
    flags=Flag.READONLY,
    group="sorted-set",
    since="2.8.0",
    complexity=_SCAN_COMPLEXITY,
    summary="Returns some members of a sorted set with their scores, and the cursor to go on from.",
    keys=_READ,
    arguments=(key_arg(), *SCAN_ARGS),
    tips=_UNPREDICTABLE,
)
def zscan(call: Call, key: bytes, cursor: bytes, *words: bytes) -> Reply:
    place = parse_cursor(cursor)
    value = call.db.read_as(key, SortedSet)
    if value is None:
        return [b"0", []]
    scores = value.scores
    place, members = _scan(scores, place, parse_scan_options(words))
    return [b"%d" % place, [word for member in members for word in (member, format_float(scores[member]))]]


def _scan(
    table: Table[float] | HashValue | SetValue, place: int, options: ScanOptions
) -> tuple[int, list[bytes]]:
    """One step from the cursor: where to go on, and the keys that the options let through."""
    place, keys = table.scan(place, options.count)
    if options.pattern is not None:
        keys = list(filter(compile_glob(options.pattern), keys))
    return place, keys
