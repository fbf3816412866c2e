"""The first line of a script or library: which engine it is for, and what it says about itself."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntFlag

from shoal.node.resp.inline import UnbalancedQuotes, split_words
from shoal.node.resp.replies import CommandError


class ScriptFlag(IntFlag):
    """What a script or function declares. COMPATIBLE: nothing, for it is a script without a shebang."""

    NONE = 0
    NO_WRITES = 1
    ALLOW_OOM = 2
    ALLOW_STALE = 4
    NO_CLUSTER = 8
    ALLOW_CROSS_SLOT_KEYS = 16
    COMPATIBLE = 32


FLAG_NAMES = {
    b"no-writes": ScriptFlag.NO_WRITES,
    b"allow-oom": ScriptFlag.ALLOW_OOM,
    b"allow-stale": ScriptFlag.ALLOW_STALE,
    b"no-cluster": ScriptFlag.NO_CLUSTER,
    b"allow-cross-slot-keys": ScriptFlag.ALLOW_CROSS_SLOT_KEYS,
}


def split_shebang(body: bytes) -> tuple[ScriptFlag, bytes]:
    """A script's flags, and its source: what follows the shebang, whose line stays as an empty one."""
    if not body.startswith(b"#!"):
        return ScriptFlag.COMPATIBLE, body
    line, newline, _ = body.partition(b"\n")
    if not newline:
        raise CommandError("ERR Invalid script shebang")
    try:
        engine, *options = split_words(line)
    except (UnbalancedQuotes, ValueError):
        raise CommandError("ERR Invalid engine in script shebang") from None
    if engine != b"#!lua":
        raise CommandError(b"ERR Unexpected engine in script shebang: " + engine)
    flags = ScriptFlag.NONE
    for option in options:
        if not option.startswith(b"flags="):
            raise CommandError(b"ERR Unknown lua shebang option: " + option)
        names = option.removeprefix(b"flags=")
        flags |= _flags(names.split(b",") if names else ())
    return flags, body[len(line) :]


def _flags(names: Iterable[bytes]) -> ScriptFlag:
    flags = ScriptFlag.NONE
    for name in names:
        if name not in FLAG_NAMES:
            raise CommandError(b"ERR Unexpected flag in script shebang: " + name)
        flags |= FLAG_NAMES[name]
    return flags
