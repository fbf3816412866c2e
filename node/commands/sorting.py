"""SORT and SORT_RO: the elements of a list, set or sorted set in another order, or others in their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from shoal.node.commands.call import Call
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command
from shoal.node.commands.spec import (
    NOWHERE_FIXED,
    Arg,
    Flag,
    KeySpec,
    KeyUse,
    block,
    key_arg,
    key_at,
    one_of,
    token,
)
from shoal.node.dataset.database import WRONG_TYPE
from shoal.node.dataset.hashes import HashValue
from shoal.node.dataset.lists import ListValue
from shoal.node.dataset.numbers import parse_float, require_integer
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.values import SetValue
from shoal.node.resp.replies import CommandError, Reply

NOT_A_SCORE = "ERR One or more scores can't be converted into double"
THE_ELEMENT = b"#"

_COMPLEXITY = (
    "O(N+M*log(M)) for N elements to sort and M returned; O(N) where nothing is to be sorted, as with a "
    "BY that names no element."
)
_ACL = {"set", "sortedset", "list", "dangerous"}
_SOURCE = key_at(1, KeyUse.RO | KeyUse.ACCESS)
_PATTERNS = KeySpec(KeyUse.RO | KeyUse.ACCESS, NOWHERE_FIXED)
"""The keys that BY and GET read are named by the elements."""
_ARGUMENTS = (
    key_arg(),
    Arg("pattern", "pattern", token="BY", optional=True, key_spec=1),
    block("offset_count", Arg("offset", "integer"), Arg("count", "integer"), token="LIMIT", optional=True),
    Arg("pattern", "pattern", token="GET", optional=True, multiple=True, multiple_token=True, key_spec=1),
    one_of("order", token("ASC"), token("DESC"), optional=True),
    Arg("sorting", "pure-token", token="ALPHA", optional=True),
)


def _store_position(argv: Sequence[bytes]) -> list[int]:
    """Where the key after STORE stands: after the last one, if there are several."""
    found: list[int] = []
    position = 2
    while position < len(argv):
        word = argv[position].upper()
        if word == b"STORE" and position + 1 < len(argv):
            found = [position + 1]
        position += 1 + _WORDS_AFTER.get(word, 0)
    return found


_WORDS_AFTER = {b"LIMIT": 2, b"GET": 1, b"BY": 1}
_DESTINATION = KeySpec(KeyUse.OW | KeyUse.UPDATE, NOWHERE_FIXED, search=_store_position)


@command(
    "SORT",
    arity=-2,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="generic",
    since="1.0.0",
    complexity=_COMPLEXITY,
    summary="Sorts the elements of a list, set or sorted set, and answers with them or stores them.",
    keys=(_SOURCE, _PATTERNS, _DESTINATION),
    arguments=(*_ARGUMENTS, Arg("destination", "key", token="STORE", optional=True, key_spec=2)),
    acl=_ACL,
)
def sort(call: Call, key: bytes, *options: bytes) -> Reply:
    wanted = _parse(call, (b"SORT", key, *options), may_store=True)
    found = _sorted(call, key, wanted)
    if wanted.destination is None:
        return found
    return _store(call, wanted.destination, found)


@command(
    "SORT_RO",
    arity=-2,
    flags=Flag.READONLY,
    group="generic",
    since="7.0.0",
    complexity=_COMPLEXITY,
    summary="Sorts the elements of a list, set or sorted set and answers with them.",
    keys=(_SOURCE, _PATTERNS),
    arguments=_ARGUMENTS,
    acl=_ACL,
)
def sort_ro(call: Call, key: bytes, *options: bytes) -> Reply:
    return _sorted(call, key, _parse(call, (b"SORT_RO", key, *options), may_store=False))


@dataclass(slots=True)
class _Wanted:
    """What SORT was asked for."""

    by: bytes | None = None
    keep_order: bool = False
    """BY names no element, so that there is nothing to sort by."""
    get: list[bytes] = field(default_factory=list)
    offset: int = 0
    count: int = -1
    descending: bool = False
    alpha: bool = False
    destination: bytes | None = None


def _parse(call: Call, words: tuple[bytes, ...], *, may_store: bool) -> _Wanted:
    """Read the options of a command line; CommandError for an unknown, unfinished or forbidden one."""
    wanted = _Wanted()
    rest = list(reversed(words[2:]))
    while rest:
        word = rest.pop().upper()
        if word in (b"ASC", b"DESC"):
            wanted.descending = word == b"DESC"
        elif word == b"ALPHA":
            wanted.alpha = True
        elif word == b"LIMIT" and len(rest) >= 2:
            wanted.offset, wanted.count = require_integer(rest.pop()), require_integer(rest.pop())
        elif word == b"STORE" and rest and may_store:
            wanted.destination = rest.pop()
        elif word == b"BY" and rest:
            wanted.by = rest.pop()
            if b"*" not in wanted.by:
                wanted.keep_order = True
            else:
                _check_may_follow("BY", call, words)
        elif word == b"GET" and rest:
            _check_may_follow("GET", call, words)
            wanted.get.append(rest.pop())
        else:
            raise CommandError(SYNTAX_ERROR)
    return wanted


def _check_may_follow(option: str, call: Call, words: tuple[bytes, ...]) -> None:
    """Raise where keys that elements name may be elsewhere, or not for this client to read."""
    if call.is_clustered:
        raise CommandError(f"ERR {option} option of SORT denied in Cluster mode.")
    if not call.may_read_every_key(*words):
        raise CommandError(f"ERR {option} option of SORT denied due to insufficient ACL permissions.")


def _sorted(call: Call, key: bytes, wanted: _Wanted) -> list[bytes | None]:
    """The elements asked for in the order asked for, or what GET names in their place."""
    value = call.db.read(key)
    elements: list[bytes]
    match value:
        case None:
            elements = []
        case ListValue() | SetValue():
            elements = list(value)
        case SortedSet():
            elements = [member for _, member in value]
        case _:
            raise CommandError(WRONG_TYPE)
    if wanted.keep_order and isinstance(value, SetValue):
        # A set has no order to keep. The one it is walked in may differ on a replica.
        elements.sort(reverse=wanted.descending)
    elif wanted.keep_order:
        if wanted.descending:
            elements.reverse()
    else:
        _sort(call, elements, wanted)
    first = max(wanted.offset, 0)
    chosen = elements[first:] if wanted.count < 0 else elements[first : first + wanted.count]
    if not wanted.get:
        return list(chosen)
    return [_look_up(call, pattern, element) for element in chosen for pattern in wanted.get]


def _sort(call: Call, elements: list[bytes], wanted: _Wanted) -> None:
    """By bytes or by number, of the elements or of what BY names; equal numbers by the elements' bytes."""
    weigh = partial(_look_up, call, wanted.by) if wanted.by is not None else None
    if weigh is None and wanted.alpha:
        elements.sort(reverse=wanted.descending)
    elif weigh is None:
        elements.sort(key=lambda element: (_number(element), element), reverse=wanted.descending)
    elif wanted.alpha:
        weights = {element: weigh(element) for element in elements}
        elements.sort(key=lambda element: _none_first(weights[element]), reverse=wanted.descending)
    else:
        numbers = {element: _number(weigh(element)) for element in elements}
        elements.sort(key=lambda element: (numbers[element], element), reverse=wanted.descending)


def _none_first(weight: bytes | None) -> tuple[bool, bytes]:
    return (weight is not None, weight or b"")


def _number(text: bytes | None) -> float:
    """A weight as a number, as leniently as C reads one; what is missing or empty weighs nothing."""
    text = text.partition(b"\0")[0] if text is not None else b""
    if not text:
        return 0.0
    number = parse_float(text.lstrip(b" \t\n\v\f\r"))
    if number is None:
        raise CommandError(NOT_A_SCORE)
    return number


def _look_up(call: Call, pattern: bytes, element: bytes) -> bytes | None:
    """What a pattern names for an element: the string or the hash's field (`key->field`), or the element.

    The first `*` stands for the element; the field follows the first `->` behind it, if it is not empty.
    """
    if pattern == THE_ELEMENT:
        return element
    before, star, after = pattern.partition(b"*")
    if not star:
        return None
    behind, _, name = after.partition(b"->")
    if not name:
        value = call.db.read(before + element + after)
        return bytes(value) if isinstance(value, bytes | bytearray) else None
    fields = call.db.read(before + element + behind)
    return fields.get(name) if isinstance(fields, HashValue) else None


def _store(call: Call, destination: bytes, found: list[bytes | None]) -> int:
    """Make the result a list; without one, the destination goes. What GET did not find becomes empty."""
    if found:
        call.db.set(destination, ListValue(element or b"" for element in found))
        call.db.changed(destination, "sortstore")
    elif call.db.delete(destination):
        call.db.changed(destination, "del")
    return len(found)
