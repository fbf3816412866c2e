"""The comparison itself: the same commands to two servers, every reply and the final data alike."""

from __future__ import annotations

from collections.abc import Iterable

from tests.differential.executor import Outcome, Server, Word

UNORDERED = frozenset({b"keys", b"smembers", b"sunion", b"sinter", b"sdiff", b"hkeys", b"hvals"})
"""Commands whose array has no promised order."""

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

Command = tuple[Word, ...]


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
    assert mine_all == real_all, f"after {history} the data differ"


def ask(server: Server, command: Command) -> Outcome:
    """A reply, its elements sorted where their order means nothing."""
    outcome = server.run(*command)
    name = command[0] if isinstance(command[0], bytes) else str(command[0]).encode()
    value = outcome.value
    if isinstance(value, list):
        if name.lower() in UNORDERED:
            return Outcome(outcome.kind, sorted(value))
        if name.lower() in PAIRWISE_UNORDERED:
            return Outcome(outcome.kind, sorted(zip(value[::2], value[1::2], strict=True)))
    return outcome


def dump(server: Server) -> dict[object, tuple[object, ...]]:
    """Every key of the selected database with its type, value and absolute time to live."""
    keys = server.run("KEYS", "*").value
    assert isinstance(keys, list)
    found = {}
    for key in sorted(keys):
        kind = server.run("TYPE", key).value
        name, *rest = READERS[kind]
        value = ask(server, (name, key, *rest)).value
        found[key] = (kind, value, server.run("PEXPIRETIME", key).value)
    return found
