"""Which words of a command line are keys, and what the command does with each, is what Redis says.

The lines come from what each command declares: its arguments with and without options, then the same lines
with words left out, doubled or replaced by what only looks right. COMMAND GETKEYS looks at words, not at
data, so that most of them need not make sense to the command itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from random import Random

import pytest

from shoal.node import builtin_commands
from shoal.node.commands.registry import COMMANDS
from shoal.node.commands.spec import Arg, CommandSpec
from shoal.node.dataset.numbers import parse_integer
from tests.differential.executor import RealServer
from tests.differential.grammar import NOT_ONE, Command, as_bytes
from tests.differential.twin import Twin, encoded
from tests.differential.typed_replies import parse_all
from tests.peers import REDIS7_SERVER, REDIS8_SERVER, needs

builtin_commands.load()

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER, REDIS8_SERVER)]

LEADING_DIGITS = re.compile(rb"\s*[+-]?\d")
STORES = frozenset({b"STORE", b"STOREDIST"})
LINES = 40
"""Of each command, as declared; as many again are spoiled."""
HOSTILE = tuple(as_bytes(word) for word in (*NOT_ONE, 0, 1, 2, 3, -1, 1000))
MOST_KEYS = 3
OF_NO_REDIS = frozenset({"RESTORE-KEYS", "SCRIPT|SHOW"})
"""Ours, and Valkey's."""
LONGER_SINCE = frozenset({"ZRANK", "ZREVRANK"})
"""They take one word more in Redis 8.0 than in 7.0."""


def every_command() -> Iterator[CommandSpec]:
    """All but what Redis does not know."""
    for spec in COMMANDS.values():
        yield from (each for each in (*spec.subcommands.values(), spec) if each.name not in OF_NO_REDIS)


class Lines:
    """Command lines out of one command's declaration."""

    def __init__(self, spec: CommandSpec) -> None:
        self.spec = spec
        self.rng = Random(spec.name)
        self.keys = 0

    def drawn(self) -> Command:
        """A line as its arguments are declared."""
        self.keys = 0
        return (*self.spec.name.encode().split(b"|"), *self._words(self.spec.arguments))

    def spoiled(self) -> Command:
        """A line with one thing or two wrong."""
        words = [*self.drawn()]
        for _ in range(self.rng.randint(1, 2)):
            place = self.rng.randint(1, len(words))
            some_word = self.rng.choice((*words, *HOSTILE, b"key:9"))
            match self.rng.randrange(4):
                case 0:
                    words[place:] = words[place + 1 :]
                case 1:
                    words.insert(place, some_word)
                case 2:
                    words[place : place + 1] = [some_word]
                case _:
                    del words[place:]
        return tuple(words)

    def _words(self, arguments: tuple[Arg, ...]) -> list[bytes]:
        words: list[bytes] = []
        counted = 0
        for argument in arguments:
            if argument.optional and self.rng.random() < 0.5:
                continue
            times = self.rng.randint(1, MOST_KEYS) if argument.multiple else 1
            if argument.name == "numkeys":
                counted = self.rng.randint(0 if arguments[-1].optional else 1, MOST_KEYS)
                words.append(b"%d" % counted)
            elif argument.type == "key" and argument.multiple and counted:
                words += [word for _ in range(counted) for word in self._once(argument)]
            else:
                words += self._several(argument, times)
        return words

    def _several(self, argument: Arg, times: int) -> list[bytes]:
        token = [argument.token.encode()] if argument.token else []
        words = [] if argument.multiple_token else list(token)
        for _ in range(times):
            words += (token if argument.multiple_token else []) + self._once(argument)
        return words

    def _once(self, argument: Arg) -> list[bytes]:
        match argument.type:
            case "pure-token":
                return []
            case "oneof":
                return self._several(self.rng.choice(argument.arguments), 1)
            case "block":
                return self._words(argument.arguments)
            case "key":
                self.keys += 1
                return [b"key:%d" % self.keys]
            case "integer" | "double" | "unix-time":
                return [b"%d" % self.rng.randint(0, 9)]
        return [self.rng.choice((b"word", b"*", b"1", b"store", b"KEYS", b"streams", b""))]


UNUSUAL = (
    (),
    ("nosuch", "a"),
    ("nosuch|child", "a"),
    ("get",),
    ("get", "a"),
    ("GeT", "a"),
    ("get", "a", "b"),
    ("mget",),
    ("ping", "a"),
    ("config", "get", "a"),
    ("config|get", "a"),
    ("config", "nosuch", "a"),
    ("memory", "usage", "a"),
    ("memory|usage", "a"),
    ("memory", "usage"),
    ("object", "a", "b"),
    ("xgroup", "create", "a", "b", "c"),
    ("publish", "a", "b"),
    ("spublish", "a", "b"),
    ("ssubscribe", "a", "b"),
    ("command", "getkeys", "get", "a"),
    ("set", "a", "b", "get"),
    ("set", "a", "b", "nx", "get"),
    ("set", "get", "get"),
    ("bitfield", "a", "get", "u8", "0"),
    ("bitfield", "a", "get", "u8", "0", "set", "u8", "0", "1"),
    ("bitfield", "a"),
    ("sort", "a", "by", "store", "store", "b", "store", "c"),
    ("sort", "a", "limit", "store", "x", "store", "b"),
    ("sort", "a", "store"),
    ("eval", "", "0"),
    ("eval", "", "-1", "a"),
    ("eval", "", "9223372036854775807", "a"),
    ("xread", "count", "streams", "streams", "a", "0"),
    ("xread", "streams", "a", "b", "0"),
    ("xread", "streams"),
    ("xreadgroup", "group", "streams", "c", "streams", "a", "b", "0", "0"),
    ("migrate", "h", "1", "", "0", "1"),
    ("migrate", "h", "1", "", "0", "1", "keys"),
    ("migrate", "h", "1", "", "0", "1", "auth", "keys", "keys", "a", "b"),
    ("migrate", "h", "1", "", "0", "1", "auth2", "keys", "keys", "keys", "a", "b"),
    ("migrate", "h", "1", "a", "0", "1", "keys", "b"),
    ("georadius", "a", "1", "2", "3", "m", "store", "b", "storedist"),
    ("lmpop", "2", "a", "left"),
    ("blmpop", "0", "2", "a", "b", "left"),
    ("zinterstore", "d", "2", "a"),
    ("bitop", "not", "d", "a"),
    ("copy", "a", "b"),
    ("lcs", "a", "b", "idx"),
)
"""Lines that chance hardly finds: no such command, no keys, options in the place of keys."""


def told_otherwise(spec: CommandSpec, line: Command) -> str | None:
    """Why a line may be answered in another way than by Redis; None if it may not."""
    for key in spec.keys:
        if key.count_at is not None and len(line) > key.begin:
            count = line[key.begin]
            if parse_integer(count) is None and LEADING_DIGITS.match(count):
                return "Redis reads the digits that a number begins with, the command itself refuses it"
    if spec.name == "PFMERGE" and len(line) == 2:
        return "Redis finds no key where there is no source, but the target is written to"
    if spec.name == "MIGRATE" and line[-1] == b"KEYS" and b"KEYS" in line[:-1]:
        return (
            "With nothing behind it Redis takes KEYS for a word, unless a host or a user is called KEYS too"
        )
    stores = [word for word in line[6 - (spec.name == "GEORADIUSBYMEMBER") :] if word.upper() in STORES]
    if spec.name.startswith("GEORADIUS") and len(stores) > 1:
        return "Redis tells the first STORE and the first STOREDIST, the last of all is what is written to"
    return None


@contextmanager
def speaking(protocol: int, real: RealServer) -> Iterator[Twin]:
    twin = Twin(real)
    for server in (twin.ours, twin.theirs):
        server.ask(encoded([(b"HELLO", b"%d" % protocol)]))
    yield twin
    twin.theirs.ask(encoded([(b"RESET",)]))


@pytest.fixture(scope="module")
def known_to_redis7(redis7: RealServer) -> set[bytes]:
    listed = redis7.run("COMMAND", "LIST").value
    assert isinstance(listed, list)
    return set(listed)


def questions(lines: Iterable[Command]) -> list[Command]:
    return [(b"COMMAND", question, *line) for line in lines for question in (b"GETKEYS", b"GETKEYSANDFLAGS")]


def compare(twin: Twin, asked: list[Command]) -> tuple[int, int]:
    """How many lines were compared, and how many of them have keys."""
    mine, real = (parse_all(server.ask(encoded(asked))) for server in (twin.ours, twin.theirs))
    for question, told, said in zip(asked, mine, real, strict=True):
        assert told == said, f"{question} gave {told}\nRedis gives {said}"
    return len(asked), sum(kind == b"*" for kind, _ in mine)


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_keys_of_any_command_line_are_those_that_redis_finds(
    redis7: RealServer, redis8: RealServer, known_to_redis7: set[bytes], protocol: int
) -> None:
    counts = []
    with speaking(protocol, redis7) as old, speaking(protocol, redis8) as new:
        for spec in every_command():
            is_old = spec.full_name.encode() in known_to_redis7 and spec.name not in LONGER_SINCE
            lines = Lines(spec)
            drawn = [line for _ in range(LINES) for line in (lines.drawn(), lines.spoiled())]
            comparable = [
                line
                for line in drawn
                if told_otherwise(spec, line) is None
                and (is_old or len(line) > 1)  # Redis 8.0 itself takes a command without arguments
            ]
            counts.append(compare(old if is_old else new, questions(comparable)))
    compared, found = map(sum, zip(*counts, strict=True))
    print(f"{compared} lines compared, {found} with keys")
    assert found > 20_000


def test_the_keys_of_unusual_lines_are_those_that_redis_finds(redis7: RealServer) -> None:
    with speaking(2, redis7) as twin:
        compare(twin, questions(tuple(map(str.encode, line)) for line in UNUSUAL))
