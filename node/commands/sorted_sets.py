"""Commands on sorted sets: adding, removing, scores and ranks."""

from __future__ import annotations

import math
from collections.abc import Collection

from shoal.node.commands.call import Call
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, block, key_arg, one_key, one_of, token
from shoal.node.dataset.numbers import parse_float, require_float
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.resp.replies import NULL_ARRAY, CommandError, Reply

_READ = KeyUse.RO | KeyUse.ACCESS
_WITH_SCORE = token("WITHSCORE", optional=True)
_KNOWS_WITH_SCORE = (("7.2.0", "Knows `WITHSCORE`."),)
NOT_A_NUMBER = "ERR resulting score is not a number (NaN)"
_ADD_OPTIONS = frozenset({b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"})


# --- adding and removing ---------------------------------------------------------------------------


@command(
    "ZADD",
    arity=-4,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="sorted-set",
    since="1.2.0",
    complexity="O(log(N)) for each member named, in a sorted set of N.",
    summary="Adds members or changes their scores, under conditions if given.",
    keys=one_key(KeyUse.RW | KeyUse.UPDATE),
    arguments=(
        key_arg(),
        one_of("condition", token("NX"), token("XX"), optional=True, since="3.0.2"),
        one_of("comparison", token("GT"), token("LT"), optional=True, since="6.2.0"),
        Arg("change", "pure-token", token="CH", optional=True, since="3.0.2"),
        Arg("increment", "pure-token", token="INCR", optional=True, since="3.0.2"),
        block("score_member", Arg("score", "double"), Arg("member"), multiple=True),
    ),
    history=(
        ("2.4.0", "Takes more than one member."),
        ("3.0.2", "Knows `XX`, `NX`, `CH` and `INCR`."),
        ("6.2.0", "Knows `GT` and `LT`."),
    ),
)
def zadd(call: Call, key: bytes, first: bytes, second: bytes, *more: bytes) -> Reply:
    """Nearly every one adds one member without options, which takes half of what the others do."""
    if more or (score := parse_float(first)) is None:
        return _add_as_asked(call, key, (first, second, *more))
    db = call.db
    value = db.change_as(key, SortedSet)
    if value is None:
        value = SortedSet()
        db.set(key, value)
    is_new = value.add(second, score)
    if is_new is None:
        return 0
    keyspace = db.keyspace
    keyspace.changes += 1  # `changed`, on the spot
    if keyspace.is_heard or db.watchers:
        db.announce(key, "zadd")
    return 1 if is_new else 0


def _add_as_asked(call: Call, key: bytes, words: tuple[bytes, ...]) -> Reply:
    """ZADD of any number of members, with any options."""
    options: list[bytes] = []
    for word in words:
        if (option := word.upper()) not in _ADD_OPTIONS:
            break
        options.append(option)
    pairs = words[len(options) :]
    _check_add_options(options, len(pairs))
    additions = [(require_float(pairs[i]), pairs[i + 1]) for i in range(0, len(pairs), 2)]
    added, updated, score = _add(call, key, options, additions)
    if not options:
        return added
    if b"INCR" in options:
        return score
    return added + updated if b"CH" in options else added


def _check_add_options(options: Collection[bytes], words_left: int) -> None:
    if not words_left or words_left % 2:
        raise CommandError(SYNTAX_ERROR)
    if not options:
        return
    if b"NX" in options and b"XX" in options:
        raise CommandError("ERR XX and NX options at the same time are not compatible")
    if sum(option in options for option in (b"NX", b"GT", b"LT")) > 1:
        raise CommandError("ERR GT, LT, and/or NX options at the same time are not compatible")
    if b"INCR" in options and words_left > 2:
        raise CommandError("ERR INCR option supports a single increment-element pair")


def _add(
    call: Call, key: bytes, options: Collection[bytes], additions: list[tuple[float, bytes]]
) -> tuple[int, int, float | None]:
    """How many members were added and how many updated, and the last score that the options let through."""
    value = call.db.change_as(key, SortedSet)
    added = updated = 0
    accepted: float | None = None
    for score, member in additions:
        old = None if value is None else value.scores.get(member)
        new = _score_allowed(old, score, options) if options else score
        if new is None:
            continue
        accepted = new
        if value is None:
            value = SortedSet()
            call.db.set(key, value)
        is_new = value.add(member, new)
        if is_new:
            added += 1
        elif is_new is not None:
            updated += 1
    if added or updated:
        call.db.changed(key, "zincr" if b"INCR" in options else "zadd")
    return added, updated, accepted


def _score_allowed(old: float | None, score: float, options: Collection[bytes]) -> float | None:
    """The score a member with the score `old` (None: a new member) gets; None if the options refuse."""
    if old is None:
        return None if b"XX" in options else score
    if b"NX" in options:
        return None
    if b"INCR" in options:
        score += old
        if math.isnan(score):
            raise CommandError(NOT_A_NUMBER)
    if (b"GT" in options and score <= old) or (b"LT" in options and score >= old):
        return None
    return score


@command(
    "ZINCRBY",
    arity=4,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="sorted-set",
    since="1.2.0",
    complexity="O(log(N)) in a sorted set of N members.",
    summary="Adds to the score of a member, which counts as 0 if it does not exist.",
    keys=one_key(KeyUse.RW | KeyUse.ACCESS | KeyUse.UPDATE),
    arguments=(key_arg(), Arg("increment", "integer"), Arg("member")),
)
def zincrby(call: Call, key: bytes, increment: bytes, member: bytes) -> Reply:
    """What `ZADD key INCR increment member` does, in three quarters of the time."""
    score = require_float(increment)
    db = call.db
    value = db.change_as(key, SortedSet)
    if value is None:
        value = SortedSet()
        db.set(key, value)
    old = value.scores.get(member)
    if old is not None:
        score += old
        if math.isnan(score):
            raise CommandError(NOT_A_NUMBER)
    if value.add(member, score) is not None:
        db.changed(key, "zincr")
    return score


@command(
    "ZREM",
    arity=-3,
    flags=Flag.WRITE | Flag.FAST,
    group="sorted-set",
    since="1.2.0",
    complexity="O(M*log(N)) for M members named, in a sorted set of N.",
    summary="Removes members and returns how many there were.",
    keys=one_key(KeyUse.RW | KeyUse.DELETE),
    arguments=(key_arg(), Arg("member", multiple=True)),
    history=(("2.4.0", "Takes more than one member."),),
)
def zrem(call: Call, key: bytes, *members: bytes) -> Reply:
    value = call.db.change_as(key, SortedSet)
    if value is None:
        return 0
    removed = sum(value.discard(member) for member in members)
    if removed:
        call.db.changed(key, "zrem")
        call.db.delete_if_empty(key, value)
    return removed


# --- scores and ranks ------------------------------------------------------------------------------


@command(
    "ZCARD",
    arity=2,
    flags=Flag.READONLY | Flag.FAST,
    group="sorted-set",
    since="1.2.0",
    complexity="O(1)",
    summary="Returns how many members a sorted set has.",
    keys=one_key(KeyUse.RO),
    arguments=(key_arg(),),
)
def zcard(call: Call, key: bytes) -> Reply:
    value = call.db.read_as(key, SortedSet)
    return 0 if value is None else len(value)


@command(
    "ZSCORE",
    arity=3,
    flags=Flag.READONLY | Flag.FAST,
    group="sorted-set",
    since="1.2.0",
    complexity="O(1)",
    summary="Returns the score of a member.",
    keys=one_key(_READ),
    arguments=(key_arg(), Arg("member")),
)
def zscore(call: Call, key: bytes, member: bytes) -> Reply:
    value = call.db.read_as(key, SortedSet)
    return None if value is None else value.scores.get(member)


@command(
    "ZMSCORE",
    arity=-3,
    flags=Flag.READONLY | Flag.FAST,
    group="sorted-set",
    since="6.2.0",
    complexity="O(N) for N members named.",
    summary="Returns the scores of several members.",
    keys=one_key(_READ),
    arguments=(key_arg(), Arg("member", multiple=True)),
)
def zmscore(call: Call, key: bytes, *members: bytes) -> Reply:
    value = call.db.read_as(key, SortedSet)
    if value is None:
        return [None] * len(members)
    return [value.scores.get(member) for member in members]


@command(
    "ZRANK",
    arity=-3,
    flags=Flag.READONLY | Flag.FAST,
    group="sorted-set",
    since="2.0.0",
    complexity="O(log(N)) in a sorted set of N members.",
    summary="Returns the place of a member, counted from the lowest score.",
    keys=one_key(_READ),
    arguments=(key_arg(), Arg("member"), _WITH_SCORE),
    history=_KNOWS_WITH_SCORE,
)
def zrank(call: Call, key: bytes, member: bytes, *options: bytes) -> Reply:
    return _place(call, "zrank", key, member, options, from_top=False)


@command(
    "ZREVRANK",
    arity=-3,
    flags=Flag.READONLY | Flag.FAST,
    group="sorted-set",
    since="2.0.0",
    complexity="O(log(N)) in a sorted set of N members.",
    summary="Returns the place of a member, counted from the highest score.",
    keys=one_key(_READ),
    arguments=(key_arg(), Arg("member"), _WITH_SCORE),
    history=_KNOWS_WITH_SCORE,
)
def zrevrank(call: Call, key: bytes, member: bytes, *options: bytes) -> Reply:
    return _place(call, "zrevrank", key, member, options, from_top=True)


def _place(
    call: Call, name: str, key: bytes, member: bytes, options: tuple[bytes, ...], *, from_top: bool
) -> Reply:
    if len(options) > 1:
        raise CommandError(f"ERR wrong number of arguments for '{name}' command")
    if options and options[0].upper() != b"WITHSCORE":
        raise CommandError(SYNTAX_ERROR)
    value = call.db.read_as(key, SortedSet)
    rank = None if value is None else value.rank(member)
    if value is None or rank is None:
        return NULL_ARRAY if options else None
    place = len(value) - 1 - rank if from_top else rank
    return [place, value.scores[member]] if options else place
