"""Whether a script ends soon by itself, whatever it is given.

How it arises: a script may run for ever, so the server runs scripts where they can be suspended, on a stack
of their own (`node/server/scripting/suspension.py`). Going there and back costs an eighth of a short script.
The rule: a script that has few instructions and no loop, no function of its own, which could call itself or
be called again and again by another, and calls nothing that takes long, is over after so many instructions.
What it calls can only come from the globals and fields that it names, and those are listed here. A string has
fields too, functions that may search it for minutes, so a field whose name is computed will not do.
What goes wrong if the rule were broken: nobody would be served until the script ends.
Why it holds: an instruction, a global or a field that is not listed makes a script one that may take long.

Source: the format of Lua 5.1's precompiled chunks, and its instruction set.
"""

from __future__ import annotations

from struct import unpack_from

INSTRUCTIONS_MAX = 250
"""A client may as well send as many commands in one transaction."""

GLOBALS = frozenset(b"KEYS ARGV redis tonumber tostring type error".split())
FIELDS = frozenset(b"call pcall error_reply status_reply sha1hex ok err".split())
"""Of `redis` and of replies. None of the functions runs anything but a command."""

_HEADER_BYTES, _BYTES_BEFORE_CODE = 12, 12
_GET_GLOBAL, _GET_TABLE, _JUMP = 5, 6, 22
_HARMLESS = frozenset({*range(4), 9, 10, *range(12, 22), *range(23, 31), 34, 37})
"""All instructions but those, and those of loops, upvalues, closures, methods and changes of globals."""
_IS_CONSTANT = 1 << 8
_NO_JUMP = (1 << 17) - 1
_CONSTANT_BYTES = {0: 0, 1: 1, 3: 8}
"""How long a nil, a boolean and a number are."""


def ends_by_itself(dumped: bytes) -> bool:
    """Whether a script, given as a precompiled chunk, does."""
    source_at = _HEADER_BYTES + dumped[8]
    (source_bytes,) = unpack_from("<Q" if dumped[8] == 8 else "<I", dumped, _HEADER_BYTES)
    at = source_at + source_bytes + _BYTES_BEFORE_CODE
    (count,) = unpack_from("<I", dumped, at)
    if count > INSTRUCTIONS_MAX:
        return False
    names = _names(dumped, at + 4 + 4 * count)
    return all(_is_harmless(each, names) for each in unpack_from(f"<{count}I", dumped, at + 4))


def _is_harmless(instruction: int, names: list[bytes | None]) -> bool:
    operation = instruction & 0x3F
    if operation == _GET_GLOBAL:
        return names[instruction >> 14] in GLOBALS
    if operation == _GET_TABLE:
        key = instruction >> 14 & 0x1FF
        if not key & _IS_CONSTANT:
            return False
        name = names[key & ~_IS_CONSTANT]
        return name is None or name in FIELDS
    if operation == _JUMP:
        return instruction >> 14 >= _NO_JUMP
    return operation in _HARMLESS


def _names(dumped: bytes, at: int) -> list[bytes | None]:
    """The strings among a function's constants, which begin here; None for each of the others."""
    names: list[bytes | None] = []
    size_bytes = dumped[8]
    (count,) = unpack_from("<I", dumped, at)
    at += 4
    for _ in range(count):
        kind = dumped[at]
        at += 1
        if kind in _CONSTANT_BYTES:
            names.append(None)
            at += _CONSTANT_BYTES[kind]
        else:
            (length,) = unpack_from("<Q" if size_bytes == 8 else "<I", dumped, at)
            at += size_bytes + length
            names.append(dumped[at - length : at - 1])
    return names
