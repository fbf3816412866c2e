"""Bytes being read: a position in them, and the primitives of RDB data (lengths and strings).

Every primitive checks that its bytes are there before it takes them: NeedMore says how many are
missing, and the caller goes back to the beginning of the item. The position moves only once a
primitive is complete.
"""

from __future__ import annotations

from shoal.node.persistence.errors import NeedMore, RdbError
from shoal.node.persistence.lzf import decompress

MAX_STRING_BYTES = (1 << 32) - 1
_INTEGER_BYTES = {0: 1, 1: 2, 2: 4}
_COMPRESSED = 3


class Source:
    """Bytes and how far they were read. `data` may hold less than the item goes on for."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def byte(self) -> int:
        position = self.position
        if position >= len(self.data):
            raise NeedMore(position + 1)
        self.position = position + 1
        return self.data[position]

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self.position + size
        if end > len(self.data):
            raise NeedMore(end)
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def length(self) -> int:
        """An unsigned number, as sizes, counts and database numbers are written."""
        number, is_encoding = self._length_or_encoding()
        if is_encoding:
            raise RdbError("a string's encoding stands where a length is expected")
        return number

    def string(self) -> bytes:
        """A string: plain, an integer in binary, or compressed."""
        data, position = self.data, self.position
        if position < len(data) and data[position] < 64:
            start = position + 1
            end = start + data[position]
            if end <= len(data):
                self.position = end
                return data[start:end]
        before = position
        try:
            return self._any_string()
        except NeedMore:
            self.position = before
            raise

    def _any_string(self) -> bytes:
        number, is_encoding = self._length_or_encoding()
        if not is_encoding:
            return self.take(_checked_size(number))
        if number in _INTEGER_BYTES:
            return b"%d" % int.from_bytes(self.take(_INTEGER_BYTES[number]), "little", signed=True)
        if number == _COMPRESSED:
            compressed_size = _checked_size(self.length())
            size = _checked_size(self.length())
            return decompress(self.take(compressed_size), size)
        raise RdbError(f"unknown string encoding {number}")

    def _length_or_encoding(self) -> tuple[int, bool]:
        data, position = self.data, self.position
        if position >= len(data):
            raise NeedMore(position + 1)
        first = data[position]
        kind = first >> 6
        if kind == 0:
            self.position = position + 1
            return first, False
        if kind == 1:
            if position + 2 > len(data):
                raise NeedMore(position + 2)
            self.position = position + 2
            return (first & 63) << 8 | data[position + 1], False
        if kind == 3:
            self.position = position + 1
            return first & 63, True
        if first not in (0x80, 0x81):
            raise RdbError(f"unknown length encoding {first:#x}")
        size = 4 if first == 0x80 else 8
        if position + 1 + size > len(data):
            raise NeedMore(position + 1 + size)
        self.position = position + 1 + size
        return int.from_bytes(data[position + 1 : self.position], "big"), False


def _checked_size(size: int) -> int:
    if size > MAX_STRING_BYTES:
        raise RdbError(f"a string of {size} bytes is longer than any can be")
    return size
