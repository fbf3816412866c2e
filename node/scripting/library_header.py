"""The first line of a library of functions: `#!lua name=mylib`."""

from __future__ import annotations

from string import ascii_letters, digits

from shoal.node.resp.inline import UnbalancedQuotes, split_words
from shoal.node.resp.replies import CommandError

BAD_NAME = (
    "Library names can only contain letters, numbers, or underscores(_)"
    " and must be at least one character long"
)
_NAME_BYTES = frozenset((ascii_letters + digits + "_").encode())


def split_header(code: bytes) -> tuple[bytes, bytes]:
    """A library's name, and its source: what follows the header, whose line stays as an empty one."""
    if not code.startswith(b"#!"):
        raise CommandError("ERR Missing library metadata")
    line, newline, _ = code.partition(b"\n")
    if not newline:
        raise CommandError("ERR Invalid library metadata")
    try:
        engine, *options = split_words(line)
    except (UnbalancedQuotes, ValueError):
        raise CommandError("ERR Invalid library metadata") from None
    name: bytes | None = None
    for option in options:
        if option[:5].lower() != b"name=":
            raise CommandError(b"ERR Invalid metadata value given: " + option)
        if name is not None:
            raise CommandError("ERR Invalid metadata value, name argument was given multiple times")
        name = option[5:]
    if name is None:
        raise CommandError("ERR Library name was not given")
    if not is_name(name):
        raise CommandError("ERR " + BAD_NAME)
    if engine[2:].lower() != b"lua":
        raise CommandError(b"ERR Engine '" + engine[2:] + b"' not found")
    return name, code[len(line) :]


def is_name(name: bytes) -> bool:
    """Whether a library or function may be called so."""
    return bool(name) and _NAME_BYTES.issuperset(name)
