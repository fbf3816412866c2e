"""Reading the commands of an append-only file: bytes go in, commands come out, each with where it ends.

Every command is an array of bulk strings, as it stands in the replication stream. A line that begins with
`#` is an annotation (the time, or what another version wrote there) and is passed over.
"""

from __future__ import annotations

from shoal.node.persistence.errors import AofError, NeedMore

Arguments = list[bytes]

MAX_LINE_BYTES = 64 * 1024
_MAX_HEADER_BYTES = 32
_ARRAY = ord("*")
_BULK = ord("$")
_ANNOTATION = ord("#")


class AofReader:
    """A push parser. AofError, which names the offset, ends it for good."""

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset
        """Where the last complete command, or annotation, ended."""
        self._pieces: list[bytes] = []
        self._received = 0
        self._needed = 0

    @property
    def unfinished_bytes(self) -> int:
        """How much was fed of a command that goes on."""
        return self._received

    def feed(self, data: bytes) -> list[tuple[Arguments, int]]:
        """The commands complete with these bytes, each with the offset of its end."""
        self._pieces.append(data)
        self._received += len(data)
        found: list[tuple[Arguments, int]] = []
        if self._received < self._needed:
            return found
        buffer = data if len(self._pieces) == 1 else b"".join(self._pieces)
        start, position, self._needed = self.offset, 0, 0
        try:
            while position < len(buffer):
                argv, position = self._read_item(buffer, position)
                self.offset = start + position
                if argv:
                    found.append((argv, self.offset))
        except AofError as error:
            error.commands = found
            raise
        except NeedMore as more:
            self._needed = more.size - position
        self._pieces, self._received = [buffer[position:]], len(buffer) - position
        return found

    def _read_item(self, buffer: bytes, position: int) -> tuple[Arguments, int]:
        """The command at the position, empty for an annotation, and where it ends."""
        if buffer[position] == _ANNOTATION:
            end = buffer.find(b"\n", position)
            if end >= 0:
                return [], end + 1
            if len(buffer) - position > MAX_LINE_BYTES:
                raise AofError("an annotation without an end", self.offset)
            raise NeedMore(len(buffer) + 1)
        begin = position
        count, position = self._number(buffer, position, _ARRAY, begin)
        if count < 1:
            raise AofError("a command without words", self.offset)
        argv: Arguments = []
        for _ in range(count):
            size, position = self._number(buffer, position, _BULK, begin)
            end = position + size
            if end + 2 > len(buffer):
                raise NeedMore(end + 2)
            if buffer[end : end + 2] != b"\r\n":
                raise AofError("a word longer than announced", self.offset + end - begin)
            argv.append(buffer[position:end])
            position = end + 2
        return argv, position

    def _number(self, buffer: bytes, position: int, mark: int, begin: int) -> tuple[int, int]:
        """The number of a header line that starts with the mark, and where the line ends."""
        if position >= len(buffer):
            raise NeedMore(position + 1)
        if buffer[position] != mark:
            raise AofError(f"'{chr(mark)}' expected", self.offset + position - begin)
        end = buffer.find(b"\r\n", position, position + _MAX_HEADER_BYTES)
        digits = buffer[position + 1 : end] if end >= 0 else buffer[position + 1 :].removesuffix(b"\r")
        if end < 0 and len(digits) < _MAX_HEADER_BYTES and (digits.isdigit() or not digits):
            raise NeedMore(len(buffer) + 1)
        if end < 0 or not digits.isdigit():
            raise AofError("a length that is no number", self.offset + position - begin)
        return int(digits), end + 2
