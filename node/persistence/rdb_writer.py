"""Writing RDB data: one entry after the other, in the plain object types that every version loads.

Source: RDB version 10 as Redis 7.0 writes it. A key is an optional expiry, a type byte, the key and the
value, every string and count after a length: 6 bits in one byte, 14 bits in two (the upper first), or a
marker and 32 or 64 bits big-endian.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from struct import pack

from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.values import HashValue, ListValue, SetValue, Value
from shoal.node.persistence import rdb_format as rdb
from shoal.node.persistence.crc64 import crc64

_ONE_BYTE = [bytes((size,)) for size in range(64)]


class RdbWriter:
    """Turns keys into RDB data, which collects inside until it is taken.

    The order of calls: `header`, any number of `function` and `add`, `end`; `take` at any time. Without
    a checksum the data ends in zeros, which every reader takes as "not computed": right for a stream whose
    transport checks itself.
    """

    def __init__(self, *, checksum: bool = True) -> None:
        self._with_checksum = checksum
        self._checksum = 0
        self._parts: list[bytes] = []
        self._database = -1

    def header(self, auxiliary: Mapping[bytes, bytes]) -> None:
        """The signature and facts about the file, such as redis-ver, ctime or repl-offset."""
        self._parts.append(b"REDIS%04d" % rdb.RDB_VERSION)
        for name, value in auxiliary.items():
            self._parts += (_AUX, encode_string(name), encode_string(value))

    def function(self, code: bytes) -> None:
        """One function library's source."""
        self._parts += (_FUNCTION, encode_string(code))

    def add(self, database: int, key: bytes, value: Value, expiry_ms: int | None) -> int:
        """Write a key; returns its size in bytes. The value may change as soon as this returns."""
        kind, body = encode_value(value)
        size = len(key)
        prefix = _ONE_BYTE[size] if size < 64 else encode_length(size)
        entry = kind + prefix + key + body
        if expiry_ms is not None:
            entry = _EXPIRY + expiry_ms.to_bytes(8, "little", signed=True) + entry
        if database != self._database:
            self._database = database
            entry = _SELECT + encode_length(database) + entry
        self._parts.append(entry)
        return len(entry)

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


def encode_value(value: Value) -> tuple[bytes, bytes]:
    """The object type's byte and the value's RDB form."""
    if isinstance(value, bytes | bytearray):
        return _STRING, encode_string(value)
    count = encode_length(len(value))
    if isinstance(value, ListValue):
        return _LIST, count + _strings(value)
    if isinstance(value, SetValue):
        return _SET, count + _strings(value)
    if isinstance(value, HashValue):
        return _HASH, count + _strings(chain.from_iterable(value.items()))
    return _SORTED_SET, count + _scored_members(value)


def encode_string(text: bytes | bytearray) -> bytes:
    """A string as it is, after its length."""
    size = len(text)
    return (_ONE_BYTE[size] if size < 64 else encode_length(size)) + text


def encode_length(number: int) -> bytes:
    """An unsigned number below 2^64."""
    if number < 1 << 6:
        return _ONE_BYTE[number]
    if number < 1 << 14:
        return (number | 1 << 14).to_bytes(2, "big")
    if number < 1 << 32:
        return b"\x80" + number.to_bytes(4, "big")
    return b"\x81" + number.to_bytes(8, "big")


def _strings(elements: Iterable[bytes]) -> bytes:
    return b"".join([encode_string(element) for element in elements])


def _scored_members(value: SortedSet) -> bytes:
    """From the greatest score down, as Redis writes and, building its skip list from the tail, expects."""
    return b"".join([encode_string(member) + pack("<d", score) for score, member in reversed(value.order)])


_STRING, _LIST, _SET, _HASH, _SORTED_SET = (
    bytes((kind,)) for kind in (rdb.STRING, rdb.LIST, rdb.SET, rdb.HASH, rdb.SORTED_SET)
)
_AUX, _FUNCTION, _EXPIRY, _SELECT, _END = (
    bytes((opcode,)) for opcode in (rdb.AUX, rdb.FUNCTION2, rdb.EXPIRY_MS, rdb.SELECT_DATABASE, rdb.END)
)
