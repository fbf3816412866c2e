"""Commands that treat a string as an array of bits."""

from __future__ import annotations

from functools import reduce
from operator import and_, or_, xor

from shoal.node.commands.call import Call
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, block, key_arg, key_at, one_key, one_of, token
from shoal.node.commands.string_ranges import grow, to_mutable
from shoal.node.dataset.bits import count_bits, find_bit, get_bits, set_bits
from shoal.node.dataset.numbers import parse_integer, require_integer
from shoal.node.resp.limits import MAX_BULK_BYTES
from shoal.node.resp.replies import CommandError, Reply

BAD_OFFSET = "ERR bit offset is not an integer or out of range"
BAD_BIT = "ERR bit is not an integer or out of range"
READ = one_key(KeyUse.RO | KeyUse.ACCESS)
START = Arg("start", "integer")
END = Arg("end", "integer")
UNIT = one_of("index_unit", token("BYTE"), token("BIT"), optional=True, since="7.0.0")
UNIT_HISTORY = (("7.0.0", "The option `BYTE|BIT`."),)


def require_bit_offset(text: bytes, scale: int = 1) -> int:
    """A bit's position inside the longest possible string; CommandError otherwise."""
    number = parse_integer(text)
    if number is None or not 0 <= number * scale < MAX_BULK_BYTES * 8:
        raise CommandError(BAD_OFFSET)
    return number * scale


@command(
    "SETBIT",
    arity=4,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="bitmap",
    since="2.2.0",
    complexity="O(1), and the zeros before a bit beyond the end.",
    summary="Sets or clears a bit and returns what it was.",
    keys=one_key(KeyUse.RW | KeyUse.ACCESS | KeyUse.UPDATE),
    arguments=(key_arg(), Arg("offset", "integer"), Arg("value", "integer")),
)
def setbit(call: Call, key: bytes, offset: bytes, bit: bytes) -> Reply:
    position = require_bit_offset(offset)
    if bit not in (b"0", b"1"):
        raise CommandError(BAD_BIT)
    old_value = call.db.change_string(key)
    old_size = -1 if old_value is None else len(old_value)
    value = to_mutable(call, key, old_value or b"")
    grow(value, (position >> 3) + 1)
    old = get_bits(value, position, 1)
    if len(value) != old_size or old != int(bit):
        set_bits(value, position, 1, int(bit))
        call.db.changed(key, "setbit")
    return old


@command(
    "GETBIT",
    arity=3,
    flags=Flag.READONLY | Flag.FAST,
    group="bitmap",
    since="2.2.0",
    complexity="O(1)",
    summary="Returns a bit of a string, 0 beyond its end.",
    keys=READ,
    arguments=(key_arg(), Arg("offset", "integer")),
)
def getbit(call: Call, key: bytes, offset: bytes) -> Reply:
    position = require_bit_offset(offset)
    return get_bits(call.db.view_string(key) or b"", position, 1)


@command(
    "BITCOUNT",
    arity=-2,
    flags=Flag.READONLY,
    group="bitmap",
    since="2.6.0",
    complexity="O(N) for N bytes.",
    summary="Returns how many bits of a string, or of a range of it, are one.",
    keys=READ,
    arguments=(key_arg(), block("index", START, END, UNIT, optional=True)),
    history=UNIT_HISTORY,
)
def bitcount(call: Call, key: bytes, *words: bytes) -> Reply:
    value = call.db.view_string(key)
    if value is None:
        return 0
    if len(words) not in (0, 2, 3):
        raise CommandError(SYNTAX_ERROR)
    start, end = (require_integer(words[0]), require_integer(words[1])) if words else (0, -1)
    if end < start < 0:
        return 0  # whatever the unit may be
    span = _bit_range(len(value), start, end, _unit(words[2:]))
    return count_bits(value, *span) if span else 0


@command(
    "BITPOS",
    arity=-3,
    flags=Flag.READONLY,
    group="bitmap",
    since="2.8.7",
    complexity="O(N) for N bytes.",
    summary="Returns the position of the first bit that is one, or that is zero.",
    keys=READ,
    arguments=(
        key_arg(),
        Arg("bit", "integer"),
        block("index", START, block("end_index", END, UNIT, optional=True), optional=True),
    ),
    history=UNIT_HISTORY,
)
def bitpos(call: Call, key: bytes, bit: bytes, *words: bytes) -> Reply:
    """Without an end, a string of ones is thought to go on with zeros; with one, nothing lies beyond."""
    wanted = require_integer(bit)
    if wanted not in (0, 1):
        raise CommandError("ERR The bit argument must be 1 or 0.")
    value = call.db.view_string(key)
    if value is None:
        return -1 if wanted else 0
    if len(words) > 3:
        raise CommandError(SYNTAX_ERROR)
    start = require_integer(words[0]) if words else 0
    unit = _unit(words[2:])
    end = require_integer(words[1]) if len(words) > 1 else -1
    span = _bit_range(len(value), start, end, unit)
    if span is None:
        return -1
    found = find_bit(value, wanted, *span)
    if found is None:
        return -1 if wanted or len(words) > 1 else len(value) * 8
    return found


def _unit(words: tuple[bytes, ...]) -> int:
    """How many bits an index counts by: 8, or 1 after BIT."""
    match [word.upper() for word in words]:
        case [] | [b"BYTE"]:
            return 8
        case [b"BIT"]:
            return 1
        case _:
            raise CommandError(SYNTAX_ERROR)


def _bit_range(size: int, start: int, end: int, unit: int) -> tuple[int, int] | None:
    """First bit and the bit after the last of a range whose ends may count from the end; None if empty."""
    indexes = size * 8 // unit
    start = max(start + indexes, 0) if start < 0 else start
    end = max(end + indexes, 0) if end < 0 else min(end, indexes - 1)
    return None if start > end or not size else (start * unit, (end + 1) * unit)


@command(
    "BITOP",
    arity=-4,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="bitmap",
    since="2.6.0",
    complexity="O(N) for N bytes in all strings.",
    summary="Combines strings bit by bit, shorter ones filled with zeros, and stores the result.",
    keys=(key_at(2, KeyUse.OW | KeyUse.UPDATE), key_at(3, KeyUse.RO | KeyUse.ACCESS, last=-1)),
    arguments=(Arg("operation"), key_arg("destkey"), key_arg(spec=1, multiple=True)),
)
def bitop(call: Call, operation: bytes, destination: bytes, *keys: bytes) -> Reply:
    name = operation.upper()
    if name not in (b"AND", b"OR", b"XOR", b"NOT"):
        raise CommandError(SYNTAX_ERROR)
    if name == b"NOT" and len(keys) != 1:
        raise CommandError("ERR BITOP NOT must be called with a single source key.")
    sources = [call.db.view_string(key) or b"" for key in keys]
    size = max(map(len, sources))
    if not size:
        if call.db.delete(destination):
            call.db.changed(destination, "del")
        return 0
    numbers = [int.from_bytes(source) << (size - len(source)) * 8 for source in sources]
    if name == b"NOT":
        combined = numbers[0] ^ ((1 << size * 8) - 1)
    else:
        combined = reduce({b"AND": and_, b"OR": or_, b"XOR": xor}[name], numbers)
    call.db.set(destination, bytearray(combined.to_bytes(size)))
    call.db.changed(destination, "set")
    return size
