"""Tail calls of built-in functions become plain calls, so that their errors know the line they came from.

How it arises: in Redis the functions scripts call are C functions, and a tail call of one
(`return redis.call(...)`) leaves the script's own frame in place: an error names its line. Ours are Lua
functions, and Lua gives a tail call of these the caller's frame, so the line would be gone.
The rule: a tail call of what was just taken from a table or a global (`redis.call`, `s:rep`, `error`) is
made a plain call in the compiled script. A tail call of a local function or an upvalue stays what it is, for
a script may recur that way without end. The two instructions differ in nothing but that.

Source: the format of Lua 5.1's precompiled chunks, and its instruction set.
"""

from __future__ import annotations

from struct import unpack_from

_HEADER_BYTES = 12
_OPCODE = 0x3F
_CALL, _TAIL_CALL = 28, 29
_FROM_TABLE = frozenset({5, 6, 11})
"""GETGLOBAL, GETTABLE, SELF."""
_WRITES_REGISTER = frozenset({*range(7), *range(10, 22), 28, 36})
"""Instructions whose first operand is a register they set."""
_NIL, _BOOLEAN, _NUMBER, _STRING = 0, 1, 3, 4


def keep_frames(dumped: bytes) -> bytes:
    """The precompiled chunk with its tail calls of built-in functions made plain."""
    chunk = bytearray(dumped)
    size_t = chunk[8]
    _Walk(chunk, size_t).function(_HEADER_BYTES)
    return bytes(chunk)


class _Walk:
    """Walks over the functions of a chunk; each method returns the position behind what it walked over."""

    def __init__(self, chunk: bytearray, size_t: int) -> None:
        self.chunk = chunk
        self.size_t = size_t

    def function(self, at: int) -> int:
        at = self.string(at) + 4 + 4 + 4  # the source's name; first and last line, four single bytes
        count = self.number(at)
        self.instructions(at + 4, count)
        at = self.constants(at + 4 + 4 * count)
        count, at = self.number(at), at + 4
        for _ in range(count):
            at = self.function(at)
        at += 4 + 4 * self.number(at)  # line numbers
        count, at = self.number(at), at + 4
        for _ in range(count):  # local variables
            at = self.string(at) + 8
        count, at = self.number(at), at + 4
        for _ in range(count):  # names of upvalues
            at = self.string(at)
        return at

    def instructions(self, at: int, count: int) -> None:
        for index in range(count):
            place = at + 4 * index
            instruction = self.number(place)
            if instruction & _OPCODE == _TAIL_CALL and self._is_from_table(at, index, instruction):
                self.chunk[place] = self.chunk[place] & ~_OPCODE | _CALL

    def _is_from_table(self, at: int, index: int, call: int) -> bool:
        """Whether the function called was put into its register by an access to a table."""
        register = call >> 6 & 0xFF
        for earlier in range(index - 1, -1, -1):
            instruction = self.number(at + 4 * earlier)
            if instruction >> 6 & 0xFF == register and instruction & _OPCODE in _WRITES_REGISTER:
                return instruction & _OPCODE in _FROM_TABLE
        return False

    def constants(self, at: int) -> int:
        count, at = self.number(at), at + 4
        for _ in range(count):
            kind, at = self.chunk[at], at + 1
            if kind == _STRING:
                at = self.string(at)
            else:
                at += {_NIL: 0, _BOOLEAN: 1, _NUMBER: 8}[kind]
        return at

    def string(self, at: int) -> int:
        (size,) = unpack_from("<Q" if self.size_t == 8 else "<I", self.chunk, at)
        return at + self.size_t + int(size)

    def number(self, at: int) -> int:
        return int.from_bytes(self.chunk[at : at + 4], "little")
