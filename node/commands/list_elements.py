"""Commands on what is inside a list: length, ranges, and elements by index or by value."""

from __future__ import annotations

from itertools import islice, zip_longest

from shoal.node.commands.call import Call
from shoal.node.commands.counts import require_count, require_signed_count
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, key_arg, one_key, one_of, token
from shoal.node.dataset.lists import ListValue
from shoal.node.dataset.numbers import require_integer
from shoal.node.resp.replies import OK, CommandError, Reply

_READ = KeyUse.RO | KeyUse.ACCESS
_START_STOP = (key_arg(), Arg("start", "integer"), Arg("stop", "integer"))


@command(
    "LLEN",
    arity=2,
    flags=Flag.READONLY | Flag.FAST,
    group="list",
    since="1.0.0",
    complexity="O(1)",
    summary="Returns how many elements a list has.",
    keys=one_key(KeyUse.RO),
    arguments=(key_arg(),),
)
def llen(call: Call, key: bytes) -> Reply:
    value = call.db.read_as(key, ListValue)
    return 0 if value is None else len(value)


@command(
    "LRANGE",
    arity=4,
    flags=Flag.READONLY,
    group="list",
    since="1.0.0",
    complexity="O(S+N) for N elements returned, S elements away from the nearer end.",
    summary="Returns the elements of a list between two indexes.",
    keys=one_key(_READ),
    arguments=_START_STOP,
)
def lrange(call: Call, key: bytes, start: bytes, stop: bytes) -> Reply:
    first, last = require_integer(start), require_integer(stop)
    value = call.db.read_as(key, ListValue)
    if value is None:
        return []
    first, last = _within(value.size, first, last)
    return value.between(first, last) if first <= last else []


@command(
    "LTRIM",
    arity=4,
    flags=Flag.WRITE,
    group="list",
    since="1.0.0",
    complexity="O(N) for N elements removed.",
    summary="Removes the elements of a list that are not between two indexes.",
    keys=one_key(KeyUse.RW | KeyUse.DELETE),
    arguments=_START_STOP,
)
def ltrim(call: Call, key: bytes, start: bytes, stop: bytes) -> Reply:
    first, last = require_integer(start), require_integer(stop)
    value = call.db.change_as(key, ListValue)
    if value is None:
        return OK
    size = value.size
    first, last = _within(size, first, last)
    if first > last:
        first, last = size, size - 1
    value.trim(first, last)
    if value.size != size:
        call.db.changed(key, "ltrim")
        call.db.delete_if_empty(key, value)
    return OK


def _within(size: int, start: int, stop: int) -> tuple[int, int]:
    """First and last index of a range whose negative ends count from the tail; first > last if empty."""
    if start < 0:
        start = max(start + size, 0)
    if stop < 0:
        return start, stop + size
    return start, stop if stop < size else size - 1


@command(
    "LINDEX",
    arity=3,
    flags=Flag.READONLY,
    group="list",
    since="1.0.0",
    complexity="O(N) for an element N away from the nearer end.",
    summary="Returns the element at an index of a list.",
    keys=one_key(_READ),
    arguments=(key_arg(), Arg("index", "integer")),
)
def lindex(call: Call, key: bytes, index: bytes) -> Reply:
    value = call.db.read_as(key, ListValue)
    if value is None:
        return None
    place = require_integer(index)
    if place < 0:
        place += len(value)
    return value[place] if 0 <= place < len(value) else None


@command(
    "LSET",
    arity=4,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="list",
    since="1.0.0",
    complexity="O(N) for an element N away from the nearer end.",
    summary="Replaces the element at an index of a list.",
    keys=one_key(KeyUse.RW | KeyUse.UPDATE),
    arguments=(key_arg(), Arg("index", "integer"), Arg("element")),
)
def lset(call: Call, key: bytes, index: bytes, element: bytes) -> Reply:
    value = call.db.change_as(key, ListValue)
    if value is None:
        raise CommandError("ERR no such key")
    place = require_integer(index)
    if place < 0:
        place += len(value)
    if not 0 <= place < len(value):
        raise CommandError("ERR index out of range")
    value[place] = element
    call.db.changed(key, "lset")
    return OK


@command(
    "LINSERT",
    arity=5,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="list",
    since="2.2.0",
    complexity="O(N) for N elements met before the pivot.",
    summary="Adds an element before or after the first one that equals the pivot.",
    keys=one_key(KeyUse.RW | KeyUse.INSERT),
    arguments=(key_arg(), one_of("where", token("BEFORE"), token("AFTER")), Arg("pivot"), Arg("element")),
)
def linsert(call: Call, key: bytes, where: bytes, pivot: bytes, element: bytes) -> Reply:
    side = where.upper()
    if side not in (b"BEFORE", b"AFTER"):
        raise CommandError(SYNTAX_ERROR)
    value = call.db.change_as(key, ListValue)
    if value is None:
        return 0
    place = next(value.places_of(pivot), None)
    if place is None:
        return -1
    value.insert(place if side == b"BEFORE" else place + 1, element)
    call.db.changed(key, "linsert")
    return len(value)


@command(
    "LREM",
    arity=4,
    flags=Flag.WRITE,
    group="list",
    since="1.0.0",
    complexity="O(N) for a list of N elements.",
    summary="Removes elements equal to a given one, from the head or, with a negative count, from the tail.",
    keys=one_key(KeyUse.RW | KeyUse.DELETE),
    arguments=(key_arg(), Arg("count", "integer"), Arg("element")),
)
def lrem(call: Call, key: bytes, count: bytes, element: bytes) -> Reply:
    limit = require_integer(count)
    value = call.db.change_as(key, ListValue)
    if value is None:
        return 0
    removed = value.remove_matching(element, limit)
    if removed:
        call.db.changed(key, "lrem")
        call.db.delete_if_empty(key, value)
    return removed


@command(
    "LPOS",
    arity=-3,
    flags=Flag.READONLY,
    group="list",
    since="6.0.6",
    complexity="O(N) for N elements compared, at most MAXLEN.",
    summary="Returns the index, or the indexes, of elements equal to a given one.",
    keys=one_key(_READ),
    arguments=(
        key_arg(),
        Arg("element"),
        Arg("rank", "integer", token="RANK", optional=True),
        Arg("num-matches", "integer", token="COUNT", optional=True),
        Arg("len", "integer", token="MAXLEN", optional=True),
    ),
)
def lpos(call: Call, key: bytes, element: bytes, *options: bytes) -> Reply:
    rank, count, max_length = _parse_lpos(options)
    value = call.db.read_as(key, ListValue)
    if value is None:
        return None if count is None else []
    matches = value.places_of(element, from_tail=rank < 0, most=max_length or len(value))
    wanted = 1 if count is None else (count or len(value))
    skipped = min(abs(rank) - 1, len(value))
    places = list(islice(matches, skipped, skipped + min(wanted, len(value))))
    if rank < 0:
        places = [len(value) - 1 - place for place in places]
    if count is None:
        return places[0] if places else None
    return list(places)


def _parse_lpos(options: tuple[bytes, ...]) -> tuple[int, int | None, int]:
    """RANK (1 if absent), COUNT (None if absent, 0 for all) and MAXLEN (0 for no limit)."""
    rank, count, max_length = 1, None, 0
    for name, text in zip_longest(options[::2], options[1::2]):
        match name.upper() if text is not None else b"":
            case b"RANK":
                rank = _parse_rank(text)
            case b"COUNT":
                count = require_count(text, "ERR COUNT can't be negative")
            case b"MAXLEN":
                max_length = require_count(text, "ERR MAXLEN can't be negative")
            case _:
                raise CommandError(SYNTAX_ERROR)
    return rank, count, max_length


def _parse_rank(text: bytes) -> int:
    rank = require_signed_count(text)
    if rank == 0:
        raise CommandError(
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
            "or use negative to start from the end of the list"
        )
    return rank
