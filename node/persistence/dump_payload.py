"""One value by itself, as DUMP gives and RESTORE takes it: type, RDB form, version, checksum.

Source: the payload of Redis's DUMP: two bytes of RDB version and eight of CRC-64 over all before them,
both little-endian, end it.
"""

from __future__ import annotations

from shoal.node.dataset.values import Value
from shoal.node.persistence import rdb_format as rdb
from shoal.node.persistence.crc64 import crc64
from shoal.node.persistence.errors import NeedMore, RdbError
from shoal.node.persistence.rdb_source import Source
from shoal.node.persistence.rdb_values import ValueReader, is_empty
from shoal.node.persistence.rdb_writer import encode_value
from shoal.node.resp.replies import CommandError

WRONG_CHECKSUM = "ERR DUMP payload version or checksum are wrong"
BAD_FORMAT = "ERR Bad data format"
BUSY_KEY = "BUSYKEY Target key name already exists."
INVALID_TTL = "ERR Invalid TTL value, must be >= 0"
_FOOTER_BYTES = 10
_VERSION = rdb.RDB_VERSION.to_bytes(2, "little")
_EXPIRING_HASH = bytes((rdb.EXPIRING_HASH,))
_LATER_VERSION = rdb.RDB_VERSION_OF_EXPIRING_FIELDS.to_bytes(2, "little")


def dump(value: Value) -> bytes:
    """A value as a payload that Redis 7.0 and later, Valkey and Shoal restore."""
    kind, body = encode_value(value)
    return seal(kind + body)


def seal(body: bytes) -> bytes:
    """Version and checksum behind what they vouch for."""
    payload = body + (_LATER_VERSION if body[:1] == _EXPIRING_HASH else _VERSION)
    return payload + crc64(payload).to_bytes(8, "little")


def checked(payload: bytes, *, trusted: bool = False) -> bytes:
    """What version and checksum vouch for; CommandError if they do not. Of a trusted one only the version."""
    covered = payload[:-8]
    if len(payload) < _FOOTER_BYTES or not rdb.readable_version(int.from_bytes(covered[-2:], "little")):
        raise CommandError(WRONG_CHECKSUM)
    if not trusted and int.from_bytes(payload[-8:], "little") != crc64(covered):
        raise CommandError(WRONG_CHECKSUM)
    return covered[:-2]


def restore(payload: bytes, *, trusted: bool = False) -> Value:
    """The value of a payload; CommandError with RESTORE's texts if it is damaged, foreign or unsupported."""
    return read_value(checked(payload, trusted=trusted))


def read_value(body: bytes) -> Value:
    """The value whose type byte and RDB form these bytes are, all of them; CommandError if not."""
    source = Source(body)
    try:
        value = ValueReader(source.byte()).read(source)
    except NeedMore:
        raise CommandError(BAD_FORMAT) from RdbError("the value is cut short")
    except RdbError as error:
        raise CommandError(BAD_FORMAT) from error
    if is_empty(value) or source.position != len(source.data):
        raise CommandError(BAD_FORMAT)
    return value
