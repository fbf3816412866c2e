"""The form in which commands are told on: arrays of bulk strings, SELECT where the database changes.

Replicas and the append-only file read the same bytes, rendered once; only where each reader is, and so
whether it needs a SELECT first, is its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from shoal.node.resp.writer import encode_command, encode_commands

NO_DATABASE = -1
"""Before the first SELECT: the next command, whatever its database, is preceded by one."""

PING = encode_command((b"PING",))
GETACK = encode_command((b"REPLCONF", b"GETACK", b"*"))
_MULTI = encode_command((b"MULTI",))
_EXEC = encode_command((b"EXEC",))


Operations: TypeAlias = Sequence[tuple[int, Sequence[bytes]]]
"""What one command changed: (database, words) of each step."""


def render(operations: Operations) -> bytes:
    """What one command changed, for a reader in its first step's database; many steps are a transaction."""
    if len(operations) == 1:
        return encode_command(operations[0][1])
    parts, current = [_MULTI], operations[0][0]
    for database, words in operations:
        if database != current:
            current = database
            parts.append(_select(database))
        parts.append(encode_command(words))
    parts.append(_EXEC)
    return b"".join(parts)


def render_each(operations: Operations) -> bytes:
    """`render` for what many commands changed, a step each: they are no transaction."""
    commands, current = [], operations[0][0]
    for database, words in operations:
        if database != current:
            current = database
            commands.append(_words_of_select(database))
        commands.append(words)
    return encode_commands(commands)


class Reader:
    """One reader of the stream, as far as its writer has to know it: the database it is in."""

    __slots__ = ("database",)

    def __init__(self) -> None:
        self.database = NO_DATABASE

    def take(self, operations: Operations, rendered: bytes) -> bytes:
        """The bytes for this reader: a SELECT before them if it is in another database."""
        first = operations[0][0]
        if first != self.database:
            rendered = _select(first) + rendered
        self.database = operations[-1][0]
        return rendered


def _select(database: int) -> bytes:
    return encode_command(_words_of_select(database))


def _words_of_select(database: int) -> Sequence[bytes]:
    return b"SELECT", b"%d" % database


def command_size(words: Sequence[bytes]) -> int:
    """How many bytes of the stream a command takes: what `encode_command` gives, without making it."""
    size = len(str(len(words))) + 3
    for word in words:
        length = len(word)
        size += length + (6 if length < 10 else 5 + len(str(length)))
    return size
