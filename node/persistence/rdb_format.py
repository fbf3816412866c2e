"""The numbers of the RDB format: versions, opcodes and object types.

A file is `REDIS` and a four-digit version (or `VALKEY` and three digits), then items until EOF: an opcode
and what belongs to it, or a key: object type, key, value. Source: what Redis 7.0 to 8.0 and Valkey 8.1 write.
"""

from __future__ import annotations

RDB_VERSION = 10
"""What Shoal writes: Redis 7.0's version, which every later Redis and Valkey also loads."""

RDB_VERSION_OF_EXPIRING_FIELDS = 12
"""What DUMP writes where fields of a hash expire: Redis 8.0's version. Earlier ones do not know such."""

CHECKSUM_SINCE_VERSION = 5


def readable_version(version: int) -> bool:
    """Whether data of this version can be read: up to Redis 8.0's, or Valkey 9's own line."""
    return 1 <= version <= 12 or version == 80


# Opcodes stand where an object type could; they fill the byte's upper end.
SLOT_INFO = 244
FUNCTION2 = 245
MODULE_AUX = 247
IDLE = 248
FREQUENCY = 249
AUX = 250
RESIZE_DATABASE = 251
EXPIRY_MS = 252
EXPIRY_SECONDS = 253
SELECT_DATABASE = 254
END = 255

STRING = 0
LIST = 1
SET = 2
SORTED_SET_TEXT = 3
HASH = 4
SORTED_SET = 5
HASH_ZIPMAP = 9
LIST_ZIPLIST = 10
SET_INTSET = 11
SORTED_SET_ZIPLIST = 12
HASH_ZIPLIST = 13
LIST_QUICKLIST = 14
STREAM = 15
HASH_LISTPACK = 16
SORTED_SET_LISTPACK = 17
LIST_QUICKLIST_2 = 18
STREAM_2 = 19
SET_LISTPACK = 20
STREAM_3 = 21
EXPIRING_HASH = 24
EXPIRING_HASH_LISTPACK = 25

UNSUPPORTED_TYPES = {
    6: "a module's value",
    7: "a module's value",
    22: "a hash whose fields expire, as versions wrote it that were never released",
    23: "a hash whose fields expire, as versions wrote it that were never released",
}

PLAIN_NODE = 1
PACKED_NODE = 2
"""The two kinds of node in a list of type LIST_QUICKLIST_2."""
