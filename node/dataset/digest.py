"""Digests that tell whether two servers hold the same data, whatever order they keep it in.

They equal Redis 7.0's DEBUG DIGEST and DEBUG DIGEST-VALUE for the same data. (Later servers write a score in
as few digits as will do, not in 17, so that for them a score of 0.1 digests otherwise.) Two
operations on 20 bytes build them: `_add` xors in the SHA-1 of something, so that the order of additions does
not matter; `_chain` hashes the result again, so that it does.
"""

from __future__ import annotations

from hashlib import sha1

from shoal.node.dataset.database import Database
from shoal.node.dataset.hashes import ExpiringHash
from shoal.node.dataset.keyspace import Keyspace
from shoal.node.dataset.lists import ListValue
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.stream_ids import SEQUENCE_BITS, SEQUENCE_MAX
from shoal.node.dataset.streams import Stream
from shoal.node.dataset.values import SetValue, Value

_SIZE = 20
_EXPIRES = b"!!expire!!"
_FIELD_EXPIRES = b"!!hexpire!!"


def keyspace_digest(keyspace: Keyspace) -> bytes:
    """20 bytes over all keys of all databases, expired ones included; zeros when there is none."""
    digest = 0
    for database in keyspace.databases:
        if not len(database):
            continue
        digest = _chain(digest, database.index.to_bytes(4, "big"))
        for key in database.keys():  # noqa: SIM118 (no dict)
            value = database.stored(key)
            assert value is not None
            entry = _add_value(_chain(0, key), value, database.expiry(key) is not None)
            digest = _add(digest, entry.to_bytes(_SIZE, "big"))
    return digest.to_bytes(_SIZE, "big")


def value_digest(database: Database, key: bytes) -> bytes:
    """20 bytes over a key's value and whether it expires, but not its name; zeros for a missing key."""
    value = database.peek(key)
    if value is None:
        return bytes(_SIZE)
    return _add_value(0, value, database.expiry(key) is not None).to_bytes(_SIZE, "big")


def _add_value(digest: int, value: Value, expires: bool) -> int:
    if isinstance(value, bytes | bytearray):
        digest = _chain(_chain(digest, _type(0)), value)
    elif isinstance(value, ListValue):
        digest = _chain(digest, _type(1))
        for element in value:
            digest = _chain(digest, element)
    elif isinstance(value, SetValue):
        digest = _chain(digest, _type(2))
        for member in value:
            digest = _add(digest, member)
    elif isinstance(value, SortedSet):
        digest = _chain(digest, _type(3))
        for score, member in value:
            digest = _add_pair(digest, member, b"%.17g" % score)
    elif isinstance(value, Stream):
        digest = _chain(digest, _type(6))
        for entry_id, pairs in value.entries():
            digest = _chain(digest, b"%d.%d" % (entry_id >> SEQUENCE_BITS, entry_id & SEQUENCE_MAX))
            for text in pairs:
                digest = _chain(digest, text)
    else:
        digest = _chain(digest, _type(4))
        deadlines = value.deadlines.at if isinstance(value, ExpiringHash) else ()
        for field, content in value.pairs():
            digest = _add_pair(digest, field, content, expires=field in deadlines)
    return _add(digest, _EXPIRES) if expires else digest


def _add_pair(digest: int, name: bytes, content: bytes, *, expires: bool = False) -> int:
    """Names and contents belong together, and whether they expire; pairs stand in no order."""
    pair = _chain(_chain(0, name), content)
    if expires:
        pair = _add(pair, _FIELD_EXPIRES)
    return _add(digest, pair.to_bytes(_SIZE, "big"))


def _type(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _add(digest: int, data: bytes | bytearray) -> int:
    return digest ^ int.from_bytes(sha1(data).digest(), "big")


def _chain(digest: int, data: bytes | bytearray) -> int:
    return int.from_bytes(sha1(_add(digest, data).to_bytes(_SIZE, "big")).digest(), "big")
