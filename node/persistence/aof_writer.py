"""The keyspace as commands that make it anew: the base of an append-only file without RDB in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice

from shoal.node.dataset.hashes import ExpiringHash, HashValue
from shoal.node.dataset.keyspace import Keyspace
from shoal.node.dataset.lists import ListValue
from shoal.node.dataset.snapshot import SlotWalk
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.usage import Usage
from shoal.node.dataset.values import SetValue, Value
from shoal.node.persistence.dump_payload import dump
from shoal.node.resp.floats import format_float
from shoal.node.resp.writer import encode_command

ELEMENTS_PER_COMMAND = 64
"""One command with all elements of a large container would hold up whoever loads it."""

_NO_DATABASE = -1


class AofSave:
    """The data as they are at its creation, as commands; `RdbSave` in another language.

    `head` stands before them: an annotation, or nothing. The libraries of functions come first.
    """

    def __init__(self, keyspace: Keyspace, head: bytes = b"") -> None:
        self.done = False
        self._parts = [head]
        self._parts += [encode_command((b"FUNCTION", b"LOAD", code)) for code in keyspace.functions]
        self._database = _NO_DATABASE
        self._walk = SlotWalk(keyspace, self)

    def step(self, budget: int) -> bytes:
        """The next bytes: about `budget`, and besides all that changes made it necessary to write since."""
        self.done = self._walk.step(budget)
        data = b"".join(self._parts)
        self._parts = []
        return data

    def stop(self) -> None:
        """Give up; the keyspace forgets the save. Harmless when it is done."""
        self.done = True
        self._walk.stop()

    # --- the walk's sink ---------------------------------------------------------------------------

    def add_short_strings(
        self, database: int, keys: Mapping[bytes, Value], expires: Mapping[bytes, int]
    ) -> int:
        """None: a command is a command."""
        return 0

    def add(self, database: int, key: bytes, value: Value, expiry_ms: int | None, usage: Usage) -> int:
        """Write a key; returns its size in bytes. There is no command that says how much it was used."""
        return sum(self.add_in_pieces(database, key, value, expiry_ms, usage))

    def add_in_pieces(
        self, database: int, key: bytes, value: Value, expiry_ms: int | None, usage: Usage
    ) -> Iterator[int]:
        """Write a key a command at a step. The commands of another key may come between."""
        for words in commands_for(key, value, expiry_ms):
            yield self._write(database, words)

    def _write(self, database: int, words: tuple[bytes, ...]) -> int:
        encoded = encode_command(words)
        if database != self._database:
            self._database = database
            encoded = encode_command((b"SELECT", b"%d" % database)) + encoded
        self._parts.append(encoded)
        return len(encoded)


def commands_for(key: bytes, value: Value, expiry_ms: int | None) -> Iterator[tuple[bytes, ...]]:
    """What makes this key anew where there is none."""
    if isinstance(value, bytes | bytearray):
        yield b"SET", key, bytes(value)
    elif isinstance(value, ListValue):
        yield from _with_elements(b"RPUSH", key, iter(value), 1)
    elif isinstance(value, SetValue):
        yield from _with_elements(b"SADD", key, iter(value), 1)
    elif isinstance(value, HashValue):
        yield from _with_elements(b"HMSET", key, chain.from_iterable(value.pairs()), 2)
        if isinstance(value, ExpiringHash):
            for field, at_ms in value.deadlines.at.items():
                yield b"HPEXPIREAT", key, b"%d" % at_ms, b"FIELDS", b"1", field
    elif isinstance(value, SortedSet):
        pairs = ((format_float(score), member) for score, member in value.order)
        yield from _with_elements(b"ZADD", key, chain.from_iterable(pairs), 2)
    else:
        yield b"RESTORE", key, b"0", dump(value)
    if expiry_ms is not None:
        yield b"PEXPIREAT", key, b"%d" % expiry_ms


def _with_elements(
    name: bytes, key: bytes, words: Iterator[bytes], words_each: int
) -> Iterator[tuple[bytes, ...]]:
    """The command, again and again, until all elements are in it."""
    while share := tuple(islice(words, ELEMENTS_PER_COMMAND * words_each)):
        yield name, key, *share
