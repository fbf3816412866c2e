"""Bytes from a client become argument vectors.

Three ways, the cheapest that is safe. A read that is one short command is split at its line ends, and every
length compared with what it announces. A longer one goes through hiredis, which takes whole commands apart in
C. hiredis is generous, though: it accepts integers, nulls and nested arrays where a command must be an array
of bulk strings, other kinds of strings and arrays besides, waits for ever behind an absurd header, and drops
what it was fed when it meets an inline command. So of what it returns only commands count that are made of
byte strings, lie wholly within the read and, where it may have met other kinds, are spelled as they came.
Whatever is left goes to `CarefulParser`, which checks each header as it arrives, knows inline commands, and
gives Redis's error texts; it keeps the floor until the command that is unfinished ends.

How it is proven that a read ended where a command does: hiredis has nothing left right after giving one.
(Asked once more it might take in the beginning of another, and have nothing left either.) Otherwise the
commands are spelled anew: there is one way to do it, so if the read begins with that, they are sound, and the
rest of it begins behind them.

Cost: O(bytes) over all feeds, however they are cut.
"""

from __future__ import annotations

import re

import hiredis

from shoal.node.resp import limits
from shoal.node.resp.inline import UnbalancedQuotes, split_words
from shoal.node.resp.writer import encode_commands

Arguments = list[bytes]

_ARRAY = ord("*")
_BULK = ord("$")
_LONG_COPY_BYTES = 64 * 1024

SHORT_READ_BYTES = 128
_SHORT_WORD_BYTES = 512
_BULK_HEADERS = tuple(b"$%d" % size for size in range(_SHORT_WORD_BYTES))
_ARRAY_HEADERS = tuple(b"*%d" % size for size in range(SHORT_READ_BYTES))
_SHORT_COUNTS = {header: count for count, header in enumerate(_ARRAY_HEADERS)}

_LONGEST_COUNT = 7
_PLUS, _EQUALS, _PARENTHESIS, _TILDE, _GREATER, _PERCENT, _BAR = b"+=(~>%|"

_find_odd_header = re.compile(rb"\*(?:0|[0-9]{6})").search
"""An empty array, which is no command; or one longer than any read, and hiredis makes room for all elements
(and later walks through that room) before it has seen one."""


class ProtocolError(Exception):
    """The client broke the protocol: it gets this text after `-ERR Protocol error: ` and is closed."""


class QueryBufferExceeded(ProtocolError):  # noqa: N818
    """An unfinished command grew too long: the client is closed without a word."""


class CommandParser:
    """One client's incoming bytes. `feed` returns the commands completed by them, in order."""

    __slots__ = ("_careful", "at_boundary", "error", "has_more")

    def __init__(self) -> None:
        self._careful = CarefulParser()
        self.error: ProtocolError | None = None
        """Set once the protocol is broken. Commands before the break are still returned."""
        self.has_more = False
        """Whether `feed` stopped early, so that feeding b"" may give more."""
        self.at_boundary = True

    @property
    def buffered(self) -> int:
        """Bytes of an unfinished command."""
        return self._careful.unfinished_bytes

    @property
    def unparsed(self) -> int:
        """Those of them that are no complete argument."""
        return len(self._careful.buffer)

    @property
    def lacking(self) -> int:
        """How many bytes an argument whose beginning has come still lacks."""
        return self._careful.lacking

    @property
    def restricted(self) -> bool:
        """Whether the small limits apply. While they do, `feed` stops after each command."""
        return self._careful.restricted

    def restrict(self, restricted: bool) -> None:
        """Apply (or lift) the small limits for a client that has not authenticated where it must."""
        self._careful.restricted = restricted
        self._note_boundary()

    def limit(self, max_bulk_bytes: int, max_query_bytes: int) -> None:
        """Set the longest argument (`proto-max-bulk-len`) and the most bytes of an unfinished command."""
        self._careful.max_bulk_bytes = max_bulk_bytes
        self._careful.max_query_bytes = max_query_bytes

    def feed(self, data: bytes) -> list[Arguments]:
        """The commands that are complete now. Empty ones (`*0`, a blank line) are left out.

        While `restricted`, at most one: it may be the one that lifts the restriction for those behind it.
        To get them, feed b"". After an error there are no more.
        """
        if self.at_boundary and len(data) <= SHORT_READ_BYTES:
            command = parse_short(data)
            if command is not None:
                return [command]
        commands: list[Arguments] = []
        if not self.at_boundary and self.error is None:
            data = self._feed_carefully(data, commands, only_one=True)
        if self.at_boundary and data and data[0] == _ARRAY and len(data) <= self._careful.max_bulk_bytes:
            quick, data = _quick.parse(data)
            commands += quick
            if not data:
                return commands
        if self.error is None and data:
            self._feed_carefully(data, commands, only_one=self.restricted)
        return commands

    def _feed_carefully(self, data: bytes, commands: list[Arguments], *, only_one: bool) -> bytes:
        """Parse with care; with `only_one`, up to a command's end; what is left then comes back."""
        careful = self._careful
        try:
            careful.feed(data, commands, only_one=only_one)
        except ProtocolError as error:
            self.error = error
        rest = b""
        if careful.stopped_early and not careful.restricted and self.error is None:
            rest = bytes(careful.buffer)
            careful.buffer.clear()
            careful.stopped_early = False
        self._note_boundary()
        return rest

    def _note_boundary(self) -> None:
        """Whether the next read may be taken apart the quick ways: nothing is unfinished, nothing special."""
        careful = self._careful
        self.has_more = careful.stopped_early and self.error is None
        self.at_boundary = self.error is None and not (
            careful.buffer or careful.missing or careful.restricted
        )


class QuickParser:
    """Takes apart what is nothing but whole, plain commands, and keeps nothing from one read to the next.

    So one is enough for all clients, and what it works with stays in the processor's caches.
    """

    def __init__(self) -> None:
        self._not_enough = object()
        self._reader = hiredis.Reader(notEnoughData=self._not_enough)

    def parse(self, data: bytes) -> tuple[list[Arguments], bytes]:
        """The commands of a read as far as it holds nothing else; and the rest of it."""
        if _find_odd_header(data):
            return _parse_lines(data)
        commands: list[Arguments] = []
        if self._take(data, commands) and not _may_hold_lookalikes(data):
            return commands, b""
        spelled = encode_commands(commands)
        return (commands, data[len(spelled) :]) if data.startswith(spelled) else ([], data)

    def _take(self, data: bytes, commands: list[Arguments]) -> bool:
        """What hiredis makes of a read, as far as it might be commands; whether that is all of it."""
        reader, not_enough, is_over = self._reader, self._not_enough, False
        try:
            reader.feed(data)
            gets, has_data = reader.gets, reader.has_data
            while not is_over and (command := gets()) and command is not not_enough:
                b"".join(command)  # raises TypeError unless this is an array of byte strings
                commands.append(command)
                is_over = not has_data()
        except (hiredis.ProtocolError, TypeError):
            pass
        finally:
            if not is_over:  # nothing of this read may come up in another client's
                self._reader = hiredis.Reader(notEnoughData=not_enough)
        return is_over


_quick = QuickParser()


def parse_short(data: bytes) -> Arguments | None:
    """The command of a read that is exactly one command; otherwise None, and more care is needed.

    Every length is compared with what it announces, so a word that holds a line break is no danger: the
    parts do not fit then. Two to five words, which most commands have, are compared without a loop, in half
    the time.
    """
    parts = data.split(b"\r\n")
    headers = _BULK_HEADERS
    if len(parts) == 6:
        mark, size, name, size_1, first, end = parts
        if mark == b"*2" and not end and size == headers[len(name)] and size_1 == headers[len(first)]:
            return [name, first]
    elif len(parts) == 8:
        mark, size, name, size_1, first, size_2, second, end = parts
        if (
            mark == b"*3"
            and not end
            and size == headers[len(name)]
            and size_1 == headers[len(first)]
            and size_2 == headers[len(second)]
        ):
            return [name, first, second]
    elif len(parts) == 10:
        mark, size, name, size_1, first, size_2, second, size_3, third, end = parts
        if (
            mark == b"*4"
            and not end
            and size == headers[len(name)]
            and size_1 == headers[len(first)]
            and size_2 == headers[len(second)]
            and size_3 == headers[len(third)]
        ):
            return [name, first, second, third]
    elif len(parts) == 12:
        mark, size, name, size_1, first, size_2, second, size_3, third, size_4, fourth, end = parts
        if (
            mark == b"*5"
            and not end
            and size == headers[len(name)]
            and size_1 == headers[len(first)]
            and size_2 == headers[len(second)]
            and size_3 == headers[len(third)]
            and size_4 == headers[len(fourth)]
        ):
            return [name, first, second, third, fourth]
    else:
        words = parts[2::2]
        if words and parts[0] == _ARRAY_HEADERS[len(words)] and not parts[-1]:
            return words if parts[1:-1:2] == [headers[len(word)] for word in words] else None
    return None


def _parse_lines(data: bytes) -> tuple[list[Arguments], bytes]:
    """The commands at the start of a read whose words hold no line break; and the rest of it."""
    parts = data.split(b"\r\n")
    commands: list[Arguments] = []
    at, end, short = 0, len(parts) - 1, _SHORT_WORD_BYTES
    while at < end:
        count = _SHORT_COUNTS.get(parts[at]) or _count_of_words(parts[at])
        stop = at + 1 + 2 * count
        if not count or stop > end:
            break
        words = parts[at + 2 : stop : 2]
        headers = [_BULK_HEADERS[n] if (n := len(word)) < short else b"$%d" % n for word in words]
        if parts[at + 1 : stop : 2] != headers:
            break
        commands.append(words)
        at = stop
    return commands, b"\r\n".join(parts[at:])


def _count_of_words(header: bytes) -> int:
    """How many words follow; 0 if this is no plain header of a command."""
    count = header[1:]
    is_plain = header[:1] == b"*" and count.isdigit() and count[:1] != b"0" and len(count) <= _LONGEST_COUNT
    return int(count) if is_plain else 0


def _may_hold_lookalikes(data: bytes) -> bool:
    """Whether there may be types in it that hiredis returns as it does bulk strings and their arrays.

    Mostly none of the bytes that they begin with is there at all. (A bulk string need not end with a line
    end, just with two bytes more, so they need not stand behind one.)
    """
    return (
        _PLUS in data
        or _EQUALS in data
        or _PARENTHESIS in data
        or _TILDE in data
        or _GREATER in data
        or _PERCENT in data
        or _BAR in data
    )


class CarefulParser:
    """The reference parser, in Python: incremental, bounded, exact about every error."""

    __slots__ = (
        "_arguments",
        "_bulk_size",
        "_used_bytes",
        "buffer",
        "max_bulk_bytes",
        "max_query_bytes",
        "missing",
        "restricted",
        "stopped_early",
    )

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.restricted = self.stopped_early = False
        self.max_bulk_bytes = limits.MAX_BULK_BYTES
        self.max_query_bytes = limits.MAX_QUERY_BUFFER_BYTES
        self.missing = 0
        """Arguments of the current command that are still to come."""
        self._arguments: Arguments = []
        self._used_bytes = 0
        """Bytes of the current command that have left the buffer or lie before the position."""
        self._bulk_size = -1
        """Size of the bulk string whose header was read, or -1."""

    @property
    def unfinished_bytes(self) -> int:
        """How much has come of a command that is not complete."""
        return self._used_bytes + len(self.buffer)

    @property
    def lacking(self) -> int:
        """What is still to come of the argument whose header was read."""
        return max(self._bulk_size + 2 - len(self.buffer), 0) if self._bulk_size >= 0 else 0

    def feed(self, data: bytes, commands: list[Arguments], *, only_one: bool = False) -> None:
        """Append the commands completed by `data`, or `only_one`. Raises ProtocolError, once for all."""
        self.buffer += data
        self.stopped_early = False
        position = 0
        try:
            while position < len(self.buffer) or self._bulk_size >= 0:
                if self.missing == 0:
                    after = self._begin_command(position, commands)
                else:
                    after = self._next_argument(position, commands)
                if after < 0:
                    break
                position = after
                if only_one and commands:
                    self.stopped_early = position < len(self.buffer)
                    return
        finally:
            del self.buffer[:position]
        if self.unfinished_bytes > self.max_query_bytes:
            raise QueryBufferExceeded("query buffer limit exceeded")

    def _begin_command(self, position: int, commands: list[Arguments]) -> int:
        """Read `*count` or an inline command at `position`. Returns where to go on, or -1: more is needed."""
        if self.buffer[position] != _ARRAY:
            return self._inline(position, commands)
        line, after = self._header(position, "too big mbulk count string")
        if after < 0:
            return -1
        count = _parse_length(line)
        if count is None or count > limits.MAX_ARGUMENTS:
            raise ProtocolError("invalid multibulk length")
        if self.restricted and count > limits.UNAUTHENTICATED_MAX_ARGUMENTS:
            raise ProtocolError("unauthenticated multibulk length")
        self.missing = max(count, 0)
        self._used_bytes = after - position if count > 0 else 0
        return after

    def _next_argument(self, position: int, commands: list[Arguments]) -> int:
        start = position
        if self._bulk_size < 0:
            line, position = self._header(position, "too big bulk count string")
            if position < 0:
                return -1
            self._bulk_size = self._checked_bulk_size(self.buffer[start], line)
        end = position + self._bulk_size
        if len(self.buffer) < end + 2:
            # The header is done with: forget it, so that waiting for a long bulk never reads it again.
            self._used_bytes += position - start
            del self.buffer[:position]
            return 0 if position else -1
        self._arguments.append(self._copy(position, end))
        self._used_bytes += end + 2 - start
        self._bulk_size = -1
        self.missing -= 1
        if self.missing == 0:
            commands.append(self._arguments)
            self._arguments = []
            self._used_bytes = 0
        return end + 2

    def _checked_bulk_size(self, kind: int, line: bytes) -> int:
        if kind != _BULK:
            raise ProtocolError(f"expected '$', got '{chr(kind)}'")
        size = _parse_length(line)
        if size is None or not 0 <= size <= self.max_bulk_bytes:
            raise ProtocolError("invalid bulk length")
        if self.restricted and size > limits.UNAUTHENTICATED_MAX_BULK_BYTES:
            raise ProtocolError("unauthenticated bulk length")
        return size

    def _copy(self, start: int, end: int) -> bytes:
        """A part of the buffer; a long one is copied only once."""
        if end - start < _LONG_COPY_BYTES:
            return bytes(self.buffer[start:end])
        with memoryview(self.buffer) as view:
            return bytes(view[start:end])

    def _header(self, position: int, too_big: str) -> tuple[bytes, int]:
        """The line after its first byte, and where the next begins; -1 if its end has not come.

        A line ends at a CR and whatever byte follows it, as in Redis.
        """
        end = self.buffer.find(b"\r", position, position + limits.MAX_INLINE_BYTES + 1)
        if end < 0 and len(self.buffer) - position > limits.MAX_INLINE_BYTES:
            raise ProtocolError(too_big)
        if end < 0 or end + 2 > len(self.buffer):
            return b"", -1
        return bytes(self.buffer[position + 1 : end]), end + 2

    def _inline(self, position: int, commands: list[Arguments]) -> int:
        end = self.buffer.find(b"\n", position, position + limits.MAX_INLINE_BYTES + 1)
        if end < 0:
            if len(self.buffer) - position > limits.MAX_INLINE_BYTES:
                raise ProtocolError("too big inline request")
            return -1
        line = bytes(self.buffer[position:end])
        try:
            words = split_words(line)
        except UnbalancedQuotes:
            raise ProtocolError("unbalanced quotes in request") from None
        if words:
            commands.append(words)
        return end + 1


def _parse_length(text: bytes) -> int | None:
    """A length as C's string2ll reads it: 64 bits, digits with an optional minus sign, nothing else."""
    digits = text[1:] if text.startswith(b"-") else text
    if not digits or len(digits) > 19 or not digits.isdigit() or (digits[0] == 48 and len(text) > 1):
        return None
    number = int(text)
    return number if -(1 << 63) <= number < 1 << 63 else None
