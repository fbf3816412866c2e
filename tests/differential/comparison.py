"""The comparison itself: the same commands to two servers, every reply and the final data alike."""

from __future__ import annotations

from collections.abc import Iterable

from tests.differential.executor import Outcome, Server, Word

UNORDERED = frozenset({b"keys", b"smembers", b"sunion", b"sinter", b"sdiff", b"hkeys", b"hvals"})
"""Commands whose array has no promised order."""

SCANS = frozenset({b"scan", b"sscan"})
"""Commands that return a cursor and an array without a promised order."""

PAIRWISE_UNORDERED = frozenset({b"hgetall"})
"""Commands whose flat array of pairs has no promised order."""

READERS: dict[object, tuple[Word, ...]] = {
    b"string": ("GET",),
    b"list": ("LRANGE", 0, -1),
    b"hash": ("HGETALL",),
    b"set": ("SMEMBERS",),
    b"zset": ("ZRANGE", 0, -1, "WITHSCORES"),
}
"""How to read the whole of a value of each type; the key comes after the first word."""

EXPIRY_TOLERANCE_MS = 5000

Command = tuple[Word, ...]
Data = dict[bytes, tuple[object, object, int]]
"""What a database holds: type, value and expiry (-1 for none) of every key."""


def compare(ours: Server, theirs: Server, commands: Iterable[Command]) -> None:
    """Flush both, run the commands on both, and compare every reply and then all data."""
    ours.run("FLUSHALL")
    theirs.run("FLUSHALL")
    history: list[Command] = []
    for command in commands:
        history.append(command)
        mine, real = ask(ours, command), ask(theirs, command)
        assert mine == real, f"after {history[:-1]}\n{command} gave {mine}, Redis gives {real}"
    mine_all, real_all = dump(ours), dump(theirs)
    assert alike(mine_all, real_all), f"after {history} we hold {mine_all}, Redis holds {real_all}"


def ask(server: Server, command: Command) -> Outcome:
    """A reply, its elements sorted where their order means nothing."""
    outcome = server.run(*command)
    name = command[0] if isinstance(command[0], bytes) else str(command[0]).encode()
    value = outcome.value
    if isinstance(value, list):
        if name.lower() in UNORDERED:
            return Outcome(outcome.kind, sorted(value))
        if name.lower() in SCANS:
            cursor, found = value
            return Outcome(outcome.kind, [cursor, sorted(found)])
        if name.lower() in PAIRWISE_UNORDERED:
            return Outcome(outcome.kind, sorted(zip(value[::2], value[1::2], strict=True)))
    return outcome


def alike(first: Data, second: Data) -> bool:
    """Whether two dumps say the same; times to live may differ by what passed between two commands."""
    return first.keys() == second.keys() and all(
        first[key][:2] == second[key][:2] and abs(first[key][2] - second[key][2]) <= EXPIRY_TOLERANCE_MS
        for key in first
    )


def dump(server: Server) -> Data:
    """Every key of the selected database with its type, value and absolute time to live."""
    keys = server.run("KEYS", "*").value
    assert isinstance(keys, list)
    found: Data = {}
    for key in sorted(keys):
        kind = server.run("TYPE", key).value
        name, *rest = READERS[kind]
        value = ask(server, (name, key, *rest)).value
        expiry = server.run("PEXPIRETIME", key).value
        assert isinstance(expiry, int)
        found[key] = (kind, value, expiry)
    return found
