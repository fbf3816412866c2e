"""Parses RESP2 replies from a server that may be broken or hostile.

The tool talks to whatever answers on an address, so a reply may claim anything: a bulk of 2^62 bytes,
an array of two thousand million elements, arrays nested for ever. Nothing is allocated for a claim;
memory grows only with bytes that really arrived, and every claim is checked against `Limits` first.

Source: the RESP protocol specification, version 2 (the tool never sends HELLO, so no other type is legal).
"""

from __future__ import annotations

from dataclasses import dataclass

from shoal.cli.errors import CliError, ReplyError

Reply = bytes | int | ReplyError | list["Reply"] | None


class ProtocolError(CliError):
    """The bytes are not a RESP2 reply, or one beyond the limits."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one reply may cost. Sizes in bytes."""

    line: int = 64 * 1024
    bulk: int = 64 * 1024 * 1024
    total: int = 256 * 1024 * 1024
    elements: int = 1_000_000
    depth: int = 16


@dataclass(slots=True)
class _OpenArray:
    """An array whose last elements have not arrived yet."""

    missing: int
    items: list[Reply]


class _Incomplete:
    pass


_INCOMPLETE = _Incomplete()
_MAX_INTEGER_DIGITS = 20


class ReplyParser:
    """Feed bytes, take whole replies. State survives between feeds, so each byte is looked at once."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._buffer = bytearray()
        self._at = 0
        self._searched = 0
        self._open: list[_OpenArray] = []
        self._spent_bytes = 0
        self._spent_elements = 0

    def feed(self, data: bytes) -> list[Reply]:
        """The replies completed by `data`. Raises ProtocolError; the connection is then of no more use."""
        self._buffer += data
        replies: list[Reply] = []
        while True:
            value = self._next_value()
            if isinstance(value, _Incomplete):
                break
            whole = self._place(value)
            if not isinstance(whole, _Incomplete):
                replies.append(whole)
                self._spent_bytes = self._spent_elements = 0
        del self._buffer[: self._at]
        self._searched = max(self._searched - self._at, 0)
        self._at = 0
        return replies

    def _place(self, value: Reply | _OpenArray) -> Reply | _Incomplete:
        """Put a value into the innermost open array, closing every array this completes."""
        if isinstance(value, _OpenArray):
            if len(self._open) >= self._limits.depth:
                raise ProtocolError(f"the server's reply nests deeper than {self._limits.depth} arrays")
            if value.missing:
                self._open.append(value)
                return _INCOMPLETE
            value = value.items
        while self._open:
            innermost = self._open[-1]
            innermost.items.append(value)
            innermost.missing -= 1
            if innermost.missing:
                return _INCOMPLETE
            value = self._open.pop().items
        return value

    def _next_value(self) -> Reply | _OpenArray | _Incomplete:
        start = self._at
        line = self._line()
        if line is None:
            return _INCOMPLETE
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            return ReplyError(rest.decode("utf-8", "backslashreplace"))
        if kind == b":":
            return self._integer(rest)
        if kind == b"$":
            return self._bulk(self._integer(rest), start)
        if kind == b"*":
            return self._array(self._integer(rest))
        raise ProtocolError(f"not a RESP2 reply but {line[:16]!r}; is this a Redis-compatible port?")

    def _line(self) -> bytes | None:
        """The next line without its CR LF, or None if it has not arrived."""
        end = self._buffer.find(b"\r\n", max(self._at, self._searched))
        length = (end if end >= 0 else len(self._buffer)) - self._at
        if length > self._limits.line:
            raise ProtocolError(f"the server sent a line of more than {self._limits.line} bytes")
        if end < 0:
            self._searched = max(len(self._buffer) - 1, 0)
            return None
        line = bytes(self._buffer[self._at : end])
        self._at = end + 2
        self._spend(length + 2)
        return line

    def _integer(self, digits: bytes) -> int:
        unsigned = digits[1:] if digits[:1] == b"-" else digits
        if not unsigned.isdigit() or len(unsigned) > _MAX_INTEGER_DIGITS:
            raise ProtocolError(f"the server sent {digits[:32]!r} where a number belongs")
        return int(digits)

    def _bulk(self, length: int, start: int) -> bytes | _Incomplete | None:
        if length == -1:
            return None
        if not 0 <= length <= self._limits.bulk:
            raise ProtocolError(f"the server announced a string of {length} bytes")
        end = self._at + length
        if len(self._buffer) < end + 2:
            self._spent_bytes -= self._at - start
            self._at = start
            self._searched = start
            return _INCOMPLETE
        if self._buffer[end : end + 2] != b"\r\n":
            raise ProtocolError("the server sent a string that does not end where it should")
        value = bytes(self._buffer[self._at : end])
        self._at = end + 2
        self._spend(length + 2)
        return value

    def _array(self, count: int) -> _OpenArray | None:
        if count == -1:
            return None
        self._spent_elements += max(count, 0)
        if count < 0 or self._spent_elements > self._limits.elements:
            raise ProtocolError(f"the server announced an array of {count} elements")
        return _OpenArray(count, [])

    def _spend(self, size: int) -> None:
        self._spent_bytes += size
        if self._spent_bytes > self._limits.total:
            raise ProtocolError(f"the server's reply is larger than {self._limits.total} bytes")
