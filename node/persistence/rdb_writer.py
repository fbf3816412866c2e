"""Writing RDB data: one entry after the other, in the plain object types that every version loads.

Source: RDB version 10 as Redis 7.0 writes it. A key is an optional expiry, a type byte, the key and the
value, every string and count after a length: 6 bits in one byte, 14 bits in two (the upper first), or a
marker and 32 or 64 bits big-endian.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from struct import pack
from typing import cast

from shoal.node.dataset.hashes import ExpiringHash, HashValue
from shoal.node.dataset.keyspace import Keyspace
from shoal.node.dataset.lists import ListValue
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.streams import Stream
from shoal.node.dataset.usage import UNKNOWN, Usage
from shoal.node.dataset.values import SetValue, Value
from shoal.node.persistence import rdb_format as rdb
from shoal.node.persistence.crc64 import crc64
from shoal.node.persistence.lzf import CAN_COMPRESS
from shoal.node.persistence.rdb_primitives import (
    LEAST_COMPRESSED_BYTES,
    StringEncoder,
    encode_compressed,
    encode_length,
    encode_string,
)
from shoal.node.persistence.rdb_streams import encode_stream

_PIECE_ELEMENTS = 1000
_PIECE_NODES = 20


class RdbWriter:
    """Turns keys into RDB data, which collects inside until it is taken.

    The order of calls: `header`, any number of `function` and `add`, `end`; `take` at any time. Without
    a checksum the data ends in zeros, which every reader takes as "not computed": right for a stream whose
    transport checks itself. With `compress`, values are written in fewer bytes where `lzf.py` can do that.
    """

    def __init__(self, *, checksum: bool = True, compress: bool = False) -> None:
        self._with_checksum = checksum
        compress = compress and CAN_COMPRESS
        self._string: StringEncoder = encode_compressed if compress else encode_string
        self._written_in_place = LEAST_COMPRESSED_BYTES if compress else 64
        """Values below this size are written as they are, their length in one byte."""
        self._short_lengths = _SHORT_LENGTHS[: self._written_in_place]
        self._checksum = 0
        self._parts: list[bytes] = []
        self._waiting: list[bytes] | None = None
        """What was added while a key is written in pieces, to come after it."""
        self._database = -1

    def header(self, auxiliary: Mapping[bytes, bytes], version: int = rdb.RDB_VERSION) -> None:
        """The signature and facts about the file, such as redis-ver, ctime or repl-offset."""
        self._parts.append(b"REDIS%04d" % version)
        for name, value in auxiliary.items():
            self._parts += (_AUX, encode_string(name), encode_string(value))

    def function(self, code: bytes) -> None:
        """One function library's source."""
        self._parts += (_FUNCTION, encode_string(code))

    def add_short_strings(
        self, database: int, keys: Mapping[bytes, Value], expires: Mapping[bytes, int]
    ) -> int:
        """Write all of these keys, if they are short strings and do not expire; returns their size.

        Otherwise nothing is written: 0. In most datasets hardly anything else is found, and calling `add` for
        each would take twice as long. So would looking at each beforehand: that one is no string, or is too
        long, shows when putting it together fails.
        """
        if not keys or database != self._database or self._waiting is not None:
            return 0  # the first key of a database is written with its number
        if expires and not expires.keys().isdisjoint(keys):
            return 0
        heads, lengths, strings = _STRING_HEADS, self._short_lengths, cast("Mapping[bytes, bytes]", keys)
        try:
            entries = [heads[len(key)] + key + lengths[len(value)] + value for key, value in strings.items()]
        except (IndexError, TypeError):
            return 0
        written = b"".join(entries)
        self._parts.append(written)
        return len(written)

    def add(
        self, database: int, key: bytes, value: Value, expiry_ms: int | None, usage: Usage = UNKNOWN
    ) -> int:
        """Write a key; returns its size in bytes. The value may change as soon as this returns.

        A string that was compressed counts in full, for the size says how much work it was. Most keys hold
        a short string and nothing is known of them beside it: these are put together in place.
        """
        if (
            type(value) is bytes
            and len(value) < self._written_in_place
            and len(key) < 64
            and database == self._database
            and expiry_ms is None
            and usage is UNKNOWN
        ):
            entry = _STRING_HEADS[len(key)] + key + _SHORT_LENGTHS[len(value)] + value
        else:
            kind, body = encode_value(value, self._string)
            entry = self._head(database, key, kind, expiry_ms, usage) + body
        (self._parts if self._waiting is None else self._waiting).append(entry)
        return max(len(entry), len(value)) if type(value) is bytes else len(entry)

    def add_in_pieces(
        self, database: int, key: bytes, value: Value, expiry_ms: int | None, usage: Usage = UNKNOWN
    ) -> Iterator[int]:
        """Write a key with a large container, a piece at each step, which gives the piece's size.

        The value must not change before the last step; keys added meanwhile come after it.
        """
        assert self._waiting is None, "one key at a time is written in pieces"
        kind, elements = _encoded_elements(value, self._string)
        elements_at_once = _PIECE_NODES if isinstance(value, Stream) else _PIECE_ELEMENTS
        head = self._head(database, key, kind, expiry_ms, usage)
        self._parts.append(head)
        self._waiting = []
        yield len(head)
        while piece := b"".join(islice(elements, elements_at_once)):
            self._parts.append(piece)
            yield len(piece)
        self._parts += self._waiting
        self._waiting = None

    def _head(self, database: int, key: bytes, kind: bytes, expiry_ms: int | None, usage: Usage) -> bytes:
        """All of an entry that stands before the value."""
        head = kind + encode_string(key)
        if usage.frequency is not None:
            head = _FREQUENCY + bytes((usage.frequency,)) + head
        elif usage.idle_seconds is not None:
            head = _IDLE + encode_length(usage.idle_seconds) + head
        if expiry_ms is not None:
            head = _EXPIRY + expiry_ms.to_bytes(8, "little", signed=True) + head
        if database != self._database:
            self._database = database
            head = _SELECT + encode_length(database) + head
        return head

    def end(self) -> None:
        """The end mark and the checksum."""
        self._parts.append(_END)
        covered = self.take()
        self._parts = [covered, self._checksum.to_bytes(8, "little")]
        self._with_checksum = False

    def take(self) -> bytes:
        """What was written since the last time."""
        data = b"".join(self._parts)
        self._parts = []
        if self._with_checksum:
            self._checksum = crc64(data, self._checksum)
        return data


def lowest_version(keyspace: Keyspace) -> int:
    """The RDB version that a reader must know for what there is now; so who does not refuses it at once."""
    for database in keyspace.databases:
        for key in database.expiring_hashes:  # or was, and what has become of it has to be looked at
            value = database.stored(key)
            if isinstance(value, ExpiringHash) and value.deadlines.at:
                return rdb.RDB_VERSION_OF_EXPIRING_FIELDS
    return rdb.RDB_VERSION


def encode_value(value: Value, string: StringEncoder = encode_string) -> tuple[bytes, bytes]:
    """The object type's byte and the value's RDB form."""
    if isinstance(value, bytes | bytearray):
        return _STRING, string(value)
    kind, elements = _encoded_elements(value, string)
    return kind, b"".join(elements)


def _encoded_elements(value: Value, string: StringEncoder) -> tuple[bytes, Iterator[bytes]]:
    """A container's object type, and its RDB form in small parts.

    Sorted sets go from the greatest score down, an order in which Redis inserts each at its list's head.
    """
    kind: bytes
    elements: Iterator[bytes]
    match value:
        case Stream():
            return _STREAM, encode_stream(value, string)
        case ListValue():
            kind, elements = _LIST, map(string, value)
        case SetValue():
            kind, elements = _SET, map(string, value)
        case ExpiringHash() if value.deadlines.at:
            return _EXPIRING_HASH, _expiring_hash(value, string)
        case HashValue():
            kind, elements = _HASH, map(string, chain.from_iterable(value.pairs()))
        case SortedSet():
            kind = _SORTED_SET
            elements = (string(member) + pack("<d", score) for score, member in reversed(value.order))
        case bytes() | bytearray():
            raise TypeError("a string has no elements")
    return kind, chain((encode_length(len(value)),), elements)


def _expiring_hash(value: ExpiringHash, string: StringEncoder) -> Iterator[bytes]:
    """The earliest deadline, the size, then each field's deadline as 1 + what it is later (0: none)."""
    at = value.deadlines.at
    earliest = min(at.values(), default=0)
    yield earliest.to_bytes(8, "little") + encode_length(len(value))
    for field, content in value.items():
        deadline = encode_length(at[field] - earliest + 1 if field in at else 0)
        yield deadline + string(field) + string(content)


_EXPIRING_HASH = bytes((rdb.EXPIRING_HASH,))
_STRING, _LIST, _SET, _HASH, _SORTED_SET, _STREAM = (
    bytes((kind,)) for kind in (rdb.STRING, rdb.LIST, rdb.SET, rdb.HASH, rdb.SORTED_SET, rdb.STREAM_2)
)
_SHORT_LENGTHS = tuple(bytes((length,)) for length in range(64))
_STRING_HEADS = tuple(_STRING + length for length in _SHORT_LENGTHS)
_AUX, _FUNCTION, _EXPIRY, _IDLE, _FREQUENCY, _SELECT, _END = (
    bytes((opcode,))
    for opcode in (
        rdb.AUX,
        rdb.FUNCTION2,
        rdb.EXPIRY_MS,
        rdb.IDLE,
        rdb.FREQUENCY,
        rdb.SELECT_DATABASE,
        rdb.END,
    )
)
