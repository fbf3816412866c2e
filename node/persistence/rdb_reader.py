"""Reading RDB data as it arrives: bytes go in, events come out, and memory holds one value at a time.

The same reader serves a file, the file at the head of an AOF and a replica's synchronisation, whose
bytes come in pieces of any size and may be followed at once by the primary's stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from shoal.node.dataset.values import Value
from shoal.node.persistence import rdb_format as rdb
from shoal.node.persistence.crc64 import crc64
from shoal.node.persistence.errors import NeedMore, RdbError
from shoal.node.persistence.rdb_source import Source
from shoal.node.persistence.rdb_values import ValueReader, is_empty

_SHORT_STRING_KEY_BYTES = 1 + 2 * 64
"""The most that a key's type, the key and its value take if both lengths fit into six bits."""
_MODULE_VALUE_END = 0
_MODULE_INTEGERS = (1, 2)
_MODULE_SIZES = {3: 4, 4: 8}
_MODULE_STRING = 5


class Entry(NamedTuple):
    """A key. `expiry_ms` is unix milliseconds; `idle_seconds` or `frequency` is what eviction knew of it."""

    database: int
    key: bytes
    value: Value
    expiry_ms: int | None
    idle_seconds: int | None
    frequency: int | None


class ShortStrings(NamedTuple):
    """Many keys that hold short strings, and nothing is known of them beside."""

    database: int
    values: dict[bytes, Value]


@dataclass(frozen=True, slots=True)
class Auxiliary:
    """A fact about the file, such as redis-ver or repl-offset."""

    name: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Function:
    """The source code of one function library."""

    code: bytes


@dataclass(frozen=True, slots=True)
class ExpectedSize:
    """How many keys, and how many with a time to live, the database about to come holds."""

    database: int
    keys: int
    expires: int


@dataclass(frozen=True, slots=True)
class EmptyKey:
    """A container without elements: no server keeps one, but damaged files hold them. It is to be skipped."""

    database: int
    key: bytes


Event: TypeAlias = Entry | ShortStrings | Auxiliary | Function | ExpectedSize | EmptyKey


class RdbReader:
    """A push parser: feed it, take the events. RdbError ends it for good."""

    def __init__(self, *, verify_checksum: bool = True) -> None:
        self.version = 0
        self.finished = False
        self.surplus = b""
        """Once finished: what was fed beyond the end."""
        self.offset = 0
        """Where the last complete item ended: where something is wrong after RdbError."""
        self._verify_checksum = verify_checksum
        self._checksum = 0
        self._pieces: list[bytes] = []
        self._received = 0
        self._needed = 0
        self._events: list[Event] = []
        self._database = 0
        self._key = b""
        self._value: ValueReader | None = None
        self._in_module = False
        self._forget_attributes()

    def feed(self, data: bytes) -> list[Event]:
        """The events that are complete with these bytes. RdbError if they are not RDB data."""
        if self.finished:
            self.surplus += data
            return []
        self._pieces.append(data)
        self._received += len(data)
        if self._received < self._needed:
            return []
        source = Source(b"".join(self._pieces))
        complete = 0
        try:
            while not self.finished:
                self._read_item(source)
                complete = source.position
        except NeedMore as more:
            if self._value is not None:
                complete = source.position
            self._needed = more.size - complete
            self._add_to_checksum(source.data, complete)
        except RdbError:
            self.offset += complete
            raise
        self.offset += complete
        rest = source.data[complete:]
        if self.finished:
            self.surplus, rest = rest, b""
        self._pieces, self._received = [rest], len(rest)
        events, self._events = self._events, []
        return events

    @property
    def waiting_bytes(self) -> int:
        """How many bytes were fed and not yet understood, because their item goes on."""
        return self._received

    def _read_item(self, source: Source) -> None:
        """One opcode or key. On NeedMore it begins anew, but for a value, which goes on at the position."""
        if self._value is not None:
            self._read_value(source, self._value)
            return
        if self._in_module:
            self._read_module_item(source)
            return
        if not self.version:
            self._read_header(source.take(9))
            return
        kind = source.byte()
        if kind >= rdb.SLOT_INFO:
            self._read_opcode(kind, source)
            return
        key = source.string()
        if kind == rdb.STRING:
            self._add_entry(key, source.string())
            self._read_short_strings(source)
            return
        self._key = key
        try:
            self._value = ValueReader(kind)
        except RdbError as error:
            raise RdbError(f"cannot load the key {key!r}: {error}") from None
        self._read_value(source, self._value)

    def _read_short_strings(self, source: Source) -> None:
        """A run of keys that hold short strings and have nothing beside them: most keys of most datasets.

        Taken one by one as every other item, they would cost three times as much. A key that comes again
        ends a run, and is left to whoever takes the next one to be refused.
        """
        data, position = source.data, source.position
        values: dict[bytes, Value] = {}
        while position < len(data) - _SHORT_STRING_KEY_BYTES and data[position] == rdb.STRING:
            key_start = position + 2
            key_end = key_start + data[position + 1]
            value_start = key_end + 1
            if key_end - key_start >= 64 or data[key_end] >= 64:
                break
            key = data[key_start:key_end]
            if key in values:
                break
            position = value_start + data[key_end]
            values[key] = data[value_start:position]
        if values:
            source.position = position
            self._events.append(ShortStrings(self._database, values))

    def _read_value(self, source: Source, reader: ValueReader) -> None:
        try:
            value = reader.read(source)
        except RdbError as error:
            raise RdbError(f"cannot load the key {self._key!r}: {error}") from None
        self._value = None
        if is_empty(value):
            self._events.append(EmptyKey(self._database, self._key))
            self._forget_attributes()
        else:
            self._add_entry(self._key, value)

    def _add_entry(self, key: bytes, value: Value) -> None:
        self._events.append(
            Entry(self._database, key, value, self._expiry_ms, self._idle_seconds, self._frequency)
        )
        self._forget_attributes()

    def _forget_attributes(self) -> None:
        self._expiry_ms: int | None = None
        self._idle_seconds: int | None = None
        self._frequency: int | None = None

    def _read_header(self, header: bytes) -> None:
        for magic in (b"REDIS", b"VALKEY"):
            digits = header.removeprefix(magic)
            if len(digits) < len(header) and digits.isdigit():
                self.version = int(digits)
                if not rdb.readable_version(self.version):
                    raise RdbError(f"RDB version {self.version} is not supported")
                return
        raise RdbError("not RDB data: it does not begin with a known signature")

    def _read_opcode(self, opcode: int, source: Source) -> None:
        if opcode == rdb.EXPIRY_MS:
            self._expiry_ms = int.from_bytes(source.take(8), "little", signed=True)
        elif opcode == rdb.EXPIRY_SECONDS:
            self._expiry_ms = int.from_bytes(source.take(4), "little", signed=True) * 1000
        elif opcode == rdb.IDLE:
            self._idle_seconds = source.length()
        elif opcode == rdb.FREQUENCY:
            self._frequency = source.byte()
        elif opcode == rdb.SELECT_DATABASE:
            self._database = source.length()
        elif opcode == rdb.RESIZE_DATABASE:
            self._events.append(ExpectedSize(self._database, source.length(), source.length()))
        elif opcode == rdb.SLOT_INFO:
            for _ in range(3):
                source.length()
        elif opcode == rdb.AUX:
            self._events.append(Auxiliary(source.string(), source.string()))
        elif opcode == rdb.FUNCTION2:
            self._events.append(Function(source.string()))
        elif opcode == rdb.MODULE_AUX:
            for _ in range(3):
                source.length()
            self._in_module = True
        elif opcode == rdb.END:
            self._end(source)
        else:
            raise RdbError(f"unknown opcode {opcode}")

    def _read_module_item(self, source: Source) -> None:
        """One item of what a module keeps beside the keys. It says enough of itself to be passed over."""
        kind = source.length()
        if kind == _MODULE_VALUE_END:
            self._in_module = False
        elif kind in _MODULE_INTEGERS:
            source.length()
        elif kind in _MODULE_SIZES:
            source.take(_MODULE_SIZES[kind])
        elif kind == _MODULE_STRING:
            source.string()
        else:
            raise RdbError(f"unknown item {kind} in a module's data")

    def _end(self, source: Source) -> None:
        covered = source.position
        if self.version >= rdb.CHECKSUM_SINCE_VERSION:
            expected = int.from_bytes(source.take(8), "little")
            self._add_to_checksum(source.data, covered)
            if self._verify_checksum and expected not in (0, self._checksum):
                raise RdbError("RDB CRC error: the checksum is wrong, the data is damaged")
        self.finished = True

    def _add_to_checksum(self, data: bytes, size: int) -> None:
        if self._verify_checksum:
            self._checksum = crc64(memoryview(data)[:size], self._checksum)
