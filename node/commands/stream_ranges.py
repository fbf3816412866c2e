"""Commands that read a stream's entries by their ids, forwards and backwards."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from shoal.node.commands.call import Call
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, key_arg, one_key
from shoal.node.dataset.numbers import require_integer
from shoal.node.dataset.stream_ids import format_id, parse_range_end, parse_range_start
from shoal.node.dataset.streams import Entry, Stream
from shoal.node.resp.replies import NULL_ARRAY, CommandError, Reply

_COUNT = Arg("count", "integer", token="COUNT", optional=True)
_HISTORY = (("6.2.0", "Ranges may leave out their ends: `(id`."),)


@command(
    "XRANGE",
    arity=-4,
    flags=Flag.READONLY,
    group="stream",
    since="5.0.0",
    complexity="O(log(N)+M) for M entries returned, from a stream of N.",
    summary="Returns the entries of a range of ids.",
    keys=one_key(KeyUse.RO | KeyUse.ACCESS),
    arguments=(key_arg(), Arg("start"), Arg("end"), _COUNT),
    history=_HISTORY,
)
def xrange(call: Call, key: bytes, start: bytes, end: bytes, *words: bytes) -> Reply:
    return _range(call, key, start, end, words, backwards=False)


@command(
    "XREVRANGE",
    arity=-4,
    flags=Flag.READONLY,
    group="stream",
    since="5.0.0",
    complexity="O(log(N)+M) for M entries returned, from a stream of N.",
    summary="Returns the entries of a range of ids, the greatest id first.",
    keys=one_key(KeyUse.RO | KeyUse.ACCESS),
    arguments=(key_arg(), Arg("end"), Arg("start"), _COUNT),
    history=_HISTORY,
)
def xrevrange(call: Call, key: bytes, end: bytes, start: bytes, *words: bytes) -> Reply:
    return _range(call, key, start, end, words, backwards=True)


def _range(
    call: Call, key: bytes, start: bytes, end: bytes, words: tuple[bytes, ...], *, backwards: bool
) -> Reply:
    first, last = parse_range_start(start), parse_range_end(end)
    count: int | None = None
    rest = iter(words)
    for word in rest:
        value = next(rest, None)
        if word.upper() != b"COUNT" or value is None:
            raise CommandError(SYNTAX_ERROR)
        count = max(require_integer(value), 0)
    stream = call.db.read_as(key, Stream)
    if stream is None:
        return []
    if count == 0:
        return NULL_ARRAY
    found = stream.entries_backwards(first, last) if backwards else stream.entries(first, last)
    return shown(found, count)


def shown(entries: Iterable[Entry], count: int | None = None) -> list[Reply]:
    """Entries as clients get them, as many as `count` says."""
    return [[format_id(entry_id), pairs] for entry_id, pairs in islice(entries, count)]
