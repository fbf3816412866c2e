"""Libraries of functions by themselves, as FUNCTION DUMP gives and FUNCTION RESTORE takes them.

Each as an RDB file has it; version and checksum end the payload as they end that of DUMP.
"""

from __future__ import annotations

from collections.abc import Iterable

from shoal.node.persistence import rdb_format as rdb
from shoal.node.persistence.dump_payload import checked, seal
from shoal.node.persistence.errors import NeedMore, RdbError
from shoal.node.persistence.rdb_primitives import encode_string
from shoal.node.persistence.rdb_source import Source
from shoal.node.resp.replies import CommandError

_FUNCTION = bytes((rdb.FUNCTION2,))


def dump_functions(sources: Iterable[bytes]) -> bytes:
    """The libraries as a payload that Redis 7.0 and later restore."""
    return seal(b"".join(_FUNCTION + encode_string(source) for source in sources))


def restore_functions(payload: bytes) -> list[bytes]:
    """The sources of a payload's libraries; CommandError if it is damaged or no such thing."""
    source = Source(checked(payload))
    found: list[bytes] = []
    try:
        while source.position < len(source.data):
            if source.byte() != rdb.FUNCTION2:
                raise CommandError("ERR given type is not a function")
            found.append(source.string())
    except (RdbError, NeedMore):
        raise CommandError("ERR Failed loading library data") from None
    return found
