"""BITFIELD: integers of any width at any bit of a string."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shoal.node.commands.bitmaps import require_bit_offset
from shoal.node.commands.call import Call
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, block, key_arg, one_key, one_of, token
from shoal.node.commands.string_ranges import grow, to_mutable
from shoal.node.dataset.bits import get_bits, set_bits
from shoal.node.dataset.numbers import INT64_MAX, parse_integer, require_integer
from shoal.node.resp.replies import CommandError, Reply

BAD_TYPE = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
UINT64_MASK = (1 << 64) - 1
ENCODING = Arg("encoding")
OFFSET = Arg("offset", "integer")
GET_BLOCK = block("encoding_offset", ENCODING, OFFSET, token="GET")


@dataclass(frozen=True, slots=True)
class Field:
    """An integer type, such as i16 or u8, at a bit offset."""

    signed: bool
    width: int
    offset: int

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest number that fits."""
        if self.signed:
            return -(1 << (self.width - 1)), (1 << (self.width - 1)) - 1
        return 0, (1 << self.width) - 1

    @property
    def end_byte(self) -> int:
        return (self.offset + self.width + 7) >> 3

    def read(self, value: bytes | bytearray) -> int:
        return self.wrap(get_bits(value, self.offset, self.width))

    def wrap(self, number: int) -> int:
        """The number that has the same lowest bits and fits."""
        number &= (1 << self.width) - 1
        return number - (1 << self.width) if self.signed and number >> (self.width - 1) else number

    def fit(self, number: int, overflow: bytes) -> int | None:
        """What is stored for a number, after WRAP, SAT or FAIL (None)."""
        least, greatest = self.limits
        if least <= number <= greatest:
            return number
        if overflow == b"WRAP":
            return self.wrap(number)
        if overflow == b"SAT":
            return least if number < least else greatest
        return None


@dataclass(frozen=True, slots=True)
class Operation:
    """GET, SET or INCRBY of a field, with its number and what to do if that does not fit."""

    name: bytes
    field: Field
    number: int = 0
    overflow: bytes = b"WRAP"

    def result(self, old: int) -> int | None:
        """The field's number afterwards; None if the operation fails."""
        if self.name == b"INCRBY":
            return self.field.fit(old + self.number, self.overflow)
        number = self.number if self.field.signed else self.number & UINT64_MASK
        least, greatest = self.field.limits
        if self.overflow == b"SAT" and number < least and greatest - number > INT64_MAX:
            # So far below that the distance overflows: Redis and Valkey take it for too great. Replicas of
            # either kind have to store the same for a command, so it is too great here as well.
            return greatest
        return self.field.fit(number, self.overflow)


def _use_by_bitfield(argv: Sequence[bytes]) -> KeyUse:
    """BITFIELD without SET and INCRBY only reads."""
    writes, position = False, 2
    while position < len(argv) and not writes:
        words = _WORDS_OF_READERS.get(argv[position].lower(), len(argv))
        writes = position + words > len(argv)
        position += words
    return KeyUse.RW | KeyUse.ACCESS | KeyUse.UPDATE if writes else KeyUse.RO | KeyUse.ACCESS


_WORDS_OF_READERS = {b"get": 3, b"overflow": 2}
"""How many words the operations have that write nothing."""


@command(
    "BITFIELD",
    arity=-2,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="bitmap",
    since="3.2.0",
    complexity="O(1) for each operation.",
    summary="Reads, sets and increments integers inside a string.",
    keys=one_key(KeyUse.RW | KeyUse.ACCESS | KeyUse.UPDATE | KeyUse.VARIABLE_FLAGS, used_as=_use_by_bitfield),
    arguments=(
        key_arg(),
        Arg(
            "operation",
            "oneof",
            optional=True,
            multiple=True,
            arguments=(
                GET_BLOCK,
                block(
                    "write",
                    Arg(
                        "wrap_sat_fail",
                        "oneof",
                        token="OVERFLOW",
                        optional=True,
                        arguments=(token("WRAP"), token("SAT"), token("FAIL")),
                    ),
                    one_of(
                        "write_operation",
                        block(
                            "encoding_offset_value", ENCODING, OFFSET, Arg("value", "integer"), token="SET"
                        ),
                        block(
                            "encoding_offset_increment",
                            ENCODING,
                            OFFSET,
                            Arg("increment", "integer"),
                            token="INCRBY",
                        ),
                    ),
                ),
            ),
        ),
    ),
)
def bitfield(call: Call, key: bytes, *words: bytes) -> Reply:
    operations = list(_parse(words))
    writes = [operation for operation in operations if operation.name != b"GET"]
    if not writes:
        return _read_all(call, key, operations)
    old_value = call.db.change_string(key)
    old_size = -1 if old_value is None else len(old_value)
    value = to_mutable(call, key, old_value or b"")
    grow(value, max(operation.field.end_byte for operation in writes))
    has_changed = len(value) != old_size
    replies: list[Reply] = []
    for operation in operations:
        field, old = operation.field, operation.field.read(value)
        if operation.name == b"GET":
            replies.append(old)
            continue
        new = operation.result(old)
        if new is not None and new != old:
            set_bits(value, field.offset, field.width, new & ((1 << field.width) - 1))
            has_changed = True
        replies.append(new if operation.name == b"INCRBY" or new is None else old)
    if has_changed:
        call.db.changed(key, "setbit")
    return replies


@command(
    "BITFIELD_RO",
    arity=-2,
    flags=Flag.READONLY | Flag.FAST,
    group="bitmap",
    since="6.0.0",
    complexity="O(1) for each operation.",
    summary="Reads integers inside a string.",
    keys=one_key(KeyUse.RO | KeyUse.ACCESS),
    arguments=(
        key_arg(),
        Arg(
            "encoding_offset",
            "block",
            token="GET",
            optional=True,
            multiple=True,
            multiple_token=True,
            arguments=(ENCODING, OFFSET),
        ),
    ),
)
def bitfield_ro(call: Call, key: bytes, *words: bytes) -> Reply:
    operations = list(_parse(words))
    if any(operation.name != b"GET" for operation in operations):
        raise CommandError("ERR BITFIELD_RO only supports the GET subcommand")
    return _read_all(call, key, operations)


def _read_all(call: Call, key: bytes, operations: list[Operation]) -> Reply:
    value = call.db.view_string(key) or b""
    return [operation.field.read(value) for operation in operations]


def _parse(words: tuple[bytes, ...]) -> Iterator[Operation]:
    overflow = b"WRAP"
    rest = iter(words)
    for word in rest:
        name = word.upper()
        if name == b"OVERFLOW" and (mode := next(rest, None)) is not None:
            overflow = mode.upper()
            if overflow not in (b"WRAP", b"SAT", b"FAIL"):
                raise CommandError("ERR Invalid OVERFLOW type specified")
            continue
        count = {b"GET": 2, b"SET": 3, b"INCRBY": 3}.get(name)
        given = [part for _, part in zip(range(count or 0), rest, strict=False)]
        if count is None or len(given) < count:
            raise CommandError(SYNTAX_ERROR)
        field = _parse_field(given[0], given[1])
        yield Operation(name, field, require_integer(given[2]) if count == 3 else 0, overflow)


def _parse_field(encoding: bytes, offset: bytes) -> Field:
    signed = encoding[:1] == b"i"
    width = parse_integer(encoding[1:])
    if encoding[:1] not in (b"i", b"u") or width is None or not 1 <= width <= (64 if signed else 63):
        raise CommandError(BAD_TYPE)
    counts_fields = offset.startswith(b"#")
    return Field(signed, width, require_bit_offset(offset.removeprefix(b"#"), width if counts_fields else 1))
