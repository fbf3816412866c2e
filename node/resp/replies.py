"""The values a command answers with, before they become RESP2 or RESP3 bytes.

A reply is a plain Python value wherever one fits: `bytes` is a bulk string, `int` an integer, `None`
the null, `list` an array, `dict` a map, `set`-like replies a `SetReply`, `float` a double, `bool` a boolean.
The few things Python has no value for are the small classes here. Only `writer.py` turns them
into bytes, so a command never knows which protocol its client speaks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from shoal.node.resp.bulk_strings import unframe


class Status(bytes):
    """A simple string, such as `+OK`. It must hold neither CR nor LF."""

    __slots__ = ()


class BulkStrings(list[bytes]):
    """An array of bulk strings and nothing else: the writer need not look what each is, as in a `list`."""

    __slots__ = ()


class FramedBulkStrings:
    """`BulkStrings` that are kept in the form in which they are sent: each part is some of them, framed."""

    __slots__ = ("count", "parts")

    def __init__(self, count: int, parts: list[bytes]) -> None:
        self.count = count
        self.parts = parts

    def __iter__(self) -> Iterator[bytes]:
        """The strings themselves, for who reads a reply without sending it."""
        return iter(unframe(b"".join(self.parts), self.count))


class Decimal(bytes):
    """A double printed already, in more or fewer digits than usual: a bulk string in RESP2."""

    __slots__ = ()


OK = Status(b"OK")
PONG = Status(b"PONG")
QUEUED = Status(b"QUEUED")


class CommandError(Exception):
    """A command's refusal: `text` is the whole line after the `-`, its first word the error code.

    Raised by a handler it ends the command; inside EXEC it is one element of the array.
    """

    def __init__(self, text: str | bytes) -> None:
        self.text = text if isinstance(text, bytes) else text.encode()
        self.counted = False
        super().__init__(self.text.decode("utf-8", "replace"))

    @property
    def code(self) -> str:
        """The error's first word, which clients match on and `errorstats` counts."""
        return self.text.split(b" ", 1)[0].decode("utf-8", "replace")


def quoted(word: bytes) -> bytes:
    """A client's word in an error text: as it came, but that it ends with a zero byte, as C's strings do."""
    return word.partition(b"\0")[0]


class NullArray:
    """The null that RESP2 spells `*-1`: an aborted EXEC, a BLPOP that timed out. RESP3 has one null."""


NULL_ARRAY = NullArray()


class NoReply:
    """Nothing is sent now: the command is blocked, or its client was not to be answered."""


NO_REPLY = NoReply()


@dataclass(frozen=True, slots=True)
class SetReply:
    """A set in RESP3, an array in RESP2."""

    members: list[Reply]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Ordered pairs, whose keys need not be hashable: a map in RESP3, a flat array in RESP2."""

    items: list[tuple[Reply, Reply]]


@dataclass(frozen=True, slots=True)
class PairList:
    """Members with their scores, or fields with values: arrays of two in RESP3, one flat array in RESP2."""

    keys: list[bytes]
    values: Sequence[Reply]


@dataclass(frozen=True, slots=True)
class ByKey:
    """What XREAD found under each key: a map in RESP3, an array of two-element arrays in RESP2."""

    items: list[tuple[Reply, Reply]]


@dataclass(frozen=True, slots=True)
class Push:
    """An out-of-band message: `>` in RESP3, an array in RESP2."""

    elements: list[Reply]


@dataclass(frozen=True, slots=True)
class Pushes:
    """Out-of-band messages one after the other: the answer of SUBSCRIBE, one for each channel.

    They are told to a client even if it switched off its answers.
    """

    messages: list[list[Reply]]


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Text with a three-letter format (`txt`, `mkd`) in RESP3, a bulk string in RESP2."""

    text: bytes
    format: bytes = b"txt"


@dataclass(frozen=True, slots=True)
class BigNumber:
    """An integer beyond 64 bits in RESP3, a bulk string in RESP2."""

    digits: bytes


Reply: TypeAlias = (
    bytes
    | bytearray
    | int
    | float
    | bool
    | Sequence["Reply"]
    | Mapping[bytes, "Reply"]
    | CommandError
    | NullArray
    | NoReply
    | FramedBulkStrings
    | SetReply
    | Pairs
    | PairList
    | ByKey
    | Push
    | Pushes
    | Verbatim
    | BigNumber
    | None
)
