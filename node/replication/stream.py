"""The replication stream's form: commands as arrays of bulk strings, SELECT where the database changes."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.node.resp.writer import encode_command

NO_DATABASE = -1
"""Before the first SELECT: the next command, whatever its database, is preceded by one."""

PING = encode_command((b"PING",))
GETACK = encode_command((b"REPLCONF", b"GETACK", b"*"))
_MULTI = encode_command((b"MULTI",))
_EXEC = encode_command((b"EXEC",))


class StreamEncoder:
    """Turns what commands changed into the stream's bytes."""

    __slots__ = ("database",)

    def __init__(self) -> None:
        self.database = NO_DATABASE
        """The database the stream's reader is in."""

    def encode(self, operations: Sequence[tuple[int, Sequence[bytes]]]) -> bytes:
        """The (database, words) that one command changed; several become one transaction."""
        if len(operations) == 1 and operations[0][0] == self.database:
            return encode_command(operations[0][1])
        parts: list[bytes] = []
        for number, (database, words) in enumerate(operations):
            if database != self.database:
                self.database = database
                parts.append(encode_command((b"SELECT", b"%d" % database)))
            if number == 0 and len(operations) > 1:
                parts.append(_MULTI)
            parts.append(encode_command(words))
        if len(operations) > 1:
            parts.append(_EXEC)
        return b"".join(parts)


def command_size(words: Sequence[bytes]) -> int:
    """How many bytes of the stream a command takes: what `encode_command` gives, without making it."""
    size = len(str(len(words))) + 3
    for word in words:
        length = len(word)
        size += length + (6 if length < 10 else 5 + len(str(length)))
    return size
