"""Keys on their way to another Shoal node: many in one RESTORE-KEYS, whose words these are.

MIGRATE moves a slot by the handful, and RESTORE costs a dispatch, a look-up of the slot and a checksum a
key. Where both ends are Shoal one command carries them all. Its words are key, time to live and value of
every key in turn, then `REPLACE` or `KEEP`, then a CRC-64 over all of these, eight bytes little-endian.

The time to live is in milliseconds from now, 0 for none, since the clocks of two nodes differ. A value is a
byte for its RDB object type and its RDB form, as in a DUMP payload; but a string's bytes just follow a mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shoal.node.dataset.numbers import require_integer
from shoal.node.dataset.values import Value
from shoal.node.persistence.crc64 import crc64
from shoal.node.persistence.dump_payload import INVALID_TTL, WRONG_CHECKSUM, read_value
from shoal.node.persistence.rdb_writer import encode_value
from shoal.node.resp.replies import CommandError

RESTORE_KEYS = b"RESTORE-KEYS"
SYNTAX_ERROR = "ERR syntax error"
_REPLACE, _KEEP = b"REPLACE", b"KEEP"
_STRING_MARK = b"s"
"""No RDB object type, nor a byte that a parser would take for the beginning of a header."""
_TAIL_WORDS = 2


class MovingKey(NamedTuple):
    """A key, its time to live in milliseconds (0 for none), and its value."""

    key: bytes
    ttl_ms: int
    value: Value


def pack(keys: Sequence[MovingKey], *, replace: bool) -> list[bytes]:
    """The words of the command that carries these keys, its name first."""
    words = [RESTORE_KEYS]
    for key, ttl_ms, value in keys:
        words += (
            key,
            b"%d" % ttl_ms,
            _STRING_MARK + value if type(value) is bytes else b"".join(encode_value(value)),
        )
    words.append(_REPLACE if replace else _KEEP)
    words.append(_checksum(words[1:]))
    return words


class Arriving(NamedTuple):
    """What a command carries: values by key, the times to live of keys that have one, and who prevails."""

    values: dict[bytes, Value]
    ttls_ms: dict[bytes, int]
    replace: bool


def unpack(words: Sequence[bytes]) -> Arriving:
    """What a command's words say (its name left out).

    Raises CommandError for anything damaged; then none of the keys is to be stored.
    """
    *covered, checksum = words
    if len(words) % 3 != _TAIL_WORDS or covered[-1] not in (_REPLACE, _KEEP):
        raise CommandError(SYNTAX_ERROR)
    if checksum != _checksum(covered):
        raise CommandError(WRONG_CHECKSUM)
    names, ttls, bodies = covered[:-1:3], covered[1::3], covered[2::3]
    values = {
        name: body[1:] if body[:1] == _STRING_MARK else read_value(body)
        for name, body in zip(names, bodies, strict=True)
    }
    ttls_ms = {name: _lifetime(ttl) for name, ttl in zip(names, ttls, strict=True) if ttl != b"0"}
    return Arriving(values, ttls_ms, covered[-1] == _REPLACE)


def _lifetime(word: bytes) -> int:
    ttl_ms = require_integer(word)
    if ttl_ms <= 0:
        raise CommandError(INVALID_TTL)
    return ttl_ms


def _checksum(words: Sequence[bytes]) -> bytes:
    return crc64(b"".join(words)).to_bytes(8, "little")
