"""Commands on parts of a string: a range read or overwritten, an end appended, what two have in common.

A string that was altered in place is kept as a `bytearray`, so that many small appends cost no more
than the bytes they bring; what is read of it is copied, and only what is asked for.
"""

from __future__ import annotations

from shoal.node.commands.call import Call
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, key_arg, key_at, one_key, token
from shoal.node.dataset.common_subsequence import Match, longest_common_subsequence
from shoal.node.dataset.numbers import require_integer
from shoal.node.resp.limits import MAX_BULK_BYTES
from shoal.node.resp.replies import CommandError, Reply

TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
RANGE = (key_arg(), Arg("start", "integer"), Arg("end", "integer"))
READ = one_key(KeyUse.RO | KeyUse.ACCESS)


@command(
    "GETRANGE",
    arity=4,
    flags=Flag.READONLY,
    group="string",
    since="2.4.0",
    complexity="O(N) for N bytes returned.",
    summary="Returns the bytes of a string between two positions, both included.",
    keys=READ,
    arguments=RANGE,
)
def getrange(call: Call, key: bytes, start: bytes, end: bytes) -> Reply:
    first, last = require_integer(start), require_integer(end)
    value = call.db.view_string(key)
    if value is None or (first < 0 and last < 0 and first > last):
        return b""
    size = len(value)
    first = max(first + size, 0) if first < 0 else first
    last = max(last + size, 0) if last < 0 else last
    return bytes(value[first : last + 1])


@command(
    "SUBSTR",
    arity=4,
    flags=Flag.READONLY,
    group="string",
    since="1.0.0",
    complexity="O(N) for N bytes returned.",
    summary="Returns a part of a string.",
    keys=READ,
    arguments=RANGE,
    deprecated_since="2.0.0",
    replaced_by="`GETRANGE`",
)
def substr(call: Call, key: bytes, start: bytes, end: bytes) -> Reply:
    return getrange(call, key, start, end)


@command(
    "APPEND",
    arity=3,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="string",
    since="2.0.0",
    complexity="O(N) for N bytes appended, amortised.",
    summary="Appends bytes to a string, or creates it; returns its new length.",
    keys=one_key(KeyUse.RW | KeyUse.INSERT),
    arguments=(key_arg(), Arg("value")),
)
def append(call: Call, key: bytes, suffix: bytes) -> Reply:
    value = call.db.change_string(key)
    if value is None:
        call.db.set(key, suffix)
        call.db.changed(key, "append")
        return len(suffix)
    require_length(len(value) + len(suffix))
    value = to_mutable(call, key, value)
    value += suffix
    call.db.changed(key, "append")
    return len(value)


@command(
    "SETRANGE",
    arity=4,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="string",
    since="2.2.0",
    complexity="O(N) for N bytes written, the zeros before them included.",
    summary="Overwrites a string from a position on, padding it with zero bytes; returns its new length.",
    keys=one_key(KeyUse.RW | KeyUse.UPDATE),
    arguments=(key_arg(), Arg("offset", "integer"), Arg("value")),
)
def setrange(call: Call, key: bytes, offset: bytes, patch: bytes) -> Reply:
    start = require_integer(offset)
    if start < 0:
        raise CommandError("ERR offset is out of range")
    value = call.db.change_string(key)
    if not patch:
        return len(value or b"")
    end = start + len(patch)
    require_length(end)
    value = to_mutable(call, key, value or b"")
    grow(value, end)
    value[start:end] = patch
    call.db.changed(key, "setrange")
    return len(value)


@command(
    "LCS",
    arity=-3,
    flags=Flag.READONLY,
    group="string",
    since="7.0.0",
    complexity="O(N*M) for strings of N and M bytes.",
    summary="Returns the longest subsequence two strings have in common, its length, or where it lies.",
    keys=(key_at(1, KeyUse.RO | KeyUse.ACCESS, last=1),),
    arguments=(
        key_arg("key1"),
        key_arg("key2"),
        token("LEN", optional=True),
        token("IDX", optional=True),
        Arg("len", "integer", token="MINMATCHLEN", optional=True),
        token("WITHMATCHLEN", optional=True),
    ),
)
def lcs(call: Call, key1: bytes, key2: bytes, *options: bytes) -> Reply:
    try:
        first, second = call.db.read_string(key1) or b"", call.db.read_string(key2) or b""
    except CommandError:
        raise CommandError("ERR The specified keys must contain string values") from None
    words, least = _parse_lcs_options(options)
    if words >= {b"LEN", b"IDX"}:
        raise CommandError("ERR If you want both the length and indexes, please just use IDX.")
    if (len(first) + 1) * (len(second) + 1) * 4 > MAX_BULK_BYTES:
        raise CommandError("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
    matches = longest_common_subsequence(first, second)
    size = sum(match.length for match in matches)
    if b"IDX" in words:
        shown: list[Reply] = [
            _show(match, b"WITHMATCHLEN" in words) for match in matches if match.length >= least
        ]
        return {b"matches": shown, b"len": size}
    if b"LEN" in words:
        return size
    return b"".join([first[match.first : match.first + match.length] for match in reversed(matches)])


def _parse_lcs_options(options: tuple[bytes, ...]) -> tuple[set[bytes], int]:
    words: set[bytes] = set()
    least = 0
    rest = iter(options)
    for option in rest:
        word = option.upper()
        if word == b"MINMATCHLEN":
            amount = next(rest, None)
            if amount is None:
                raise CommandError(SYNTAX_ERROR)
            least = require_integer(amount)
        elif word in (b"LEN", b"IDX", b"WITHMATCHLEN"):
            words.add(word)
        else:
            raise CommandError(SYNTAX_ERROR)
    return words, least


def _show(match: Match, with_length: bool) -> Reply:
    last = match.length - 1
    shown: list[Reply] = [[match.first, match.first + last], [match.second, match.second + last]]
    return [*shown, match.length] if with_length else shown


# --- strings altered in place, for the bit commands too ------------------------------------------------


def require_length(size: int) -> None:
    """CommandError if a string would become longer than a client could ever send or receive."""
    if size > MAX_BULK_BYTES:
        raise CommandError(TOO_LONG)


def to_mutable(call: Call, key: bytes, value: bytes | bytearray) -> bytearray:
    """The key's string as a `bytearray` to alter in place: stored as one if it was not yet."""
    if type(value) is bytearray:
        return value
    mutable = bytearray(value)
    call.db.set(key, mutable, keep_expiry=True)
    return mutable


def grow(value: bytearray, size: int) -> None:
    """Pad with zero bytes up to a size."""
    if len(value) < size:
        value.extend(bytes(size - len(value)))
