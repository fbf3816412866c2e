"""Bad input for every command: Redis's own error, and nothing changed.

The cases come from what each command declares: too few and too many words, each of its words in turn
replaced by what only looks right, its keys of every type, empty or the same, its own options in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from shoal.node import builtin_commands
from shoal.node.commands.registry import COMMANDS
from shoal.node.commands.spec import Arg, CommandSpec, Flag
from tests.differential.executor import RealServer
from tests.differential.grammar import NOT_ONE, Command, as_bytes
from tests.differential.reply_differences import comparable, is_known
from tests.differential.twin import Twin, encoded
from tests.differential.typed_replies import Reply, parse_all
from tests.peers import REDIS7_SERVER, REDIS8_SERVER, needs

builtin_commands.load()

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER, REDIS8_SERVER)]

DATA: list[Command] = [
    (b"RESET",),
    (b"FLUSHALL",),
    (b"SET", b"string", b"text"),
    (b"SET", b"number", b"10"),
    (b"RPUSH", b"list", b"a", b"b", b"c"),
    (b"SADD", b"set", b"a", b"b"),
    (b"HSET", b"hash", b"a", b"1", b"b", b"x"),
    (b"ZADD", b"zset", b"1", b"a", b"2", b"b"),
    (b"XADD", b"stream", b"1-1", b"a", b"1"),
    (b"XGROUP", b"CREATE", b"stream", b"a", b"0"),
    (b"GEOADD", b"geo", b"13", b"38", b"a"),
    (b"PFADD", b"sketch", b"a"),
]
KEYS = (b"string", b"number", b"list", b"set", b"hash", b"zset", b"stream", b"geo", b"sketch", b"", b"none")
HOSTILE = tuple(as_bytes(word) for word in (*NOT_ONE, b"\xff\x00\r\n", b"1" * 400, -1, 0))
RANDOM_CASES = 20

NOT_RUN = {
    "BGREWRITEAOF BGSAVE SAVE LASTSAVE": "they write files",
    "SHUTDOWN FAILOVER REPLICAOF SLAVEOF PSYNC SYNC REPLCONF": "they end or change the server",
    "QUIT RESET MONITOR AUTH HELLO CLIENT": "they end or change the connection; tests/unit/server has them",
    "SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE": "they answer each channel",
    "DEBUG RESTORE-KEYS": "they are not for clients",
    "MIGRATE": "it waits, also in a transaction",
    "PFSELFTEST": "it takes seconds",
    "SCRIPT|DEBUG": "Redis refuses it in a pipeline before it looks at it",
    "SCRIPT|SHOW": "Valkey has it and Redis has not; test_scripts has it",
    "CONFIG FUNCTION ACL CLUSTER MODULE": "they say things of their own; they have their own tests",
    "MULTI EXEC DISCARD WATCH UNWATCH": "they turn what follows into something else; test_all_types has them",
    "ASKING READONLY READWRITE": "they are for clusters",
    "SWAPDB SELECT": "what follows would meet other data",
}
SKIPPED = {name for names in NOT_RUN for name in names.split()}
TOLD_DIFFERENTLY = frozenset(
    {
        "TIME", "INFO", "RANDOMKEY", "LOLWUT", "ROLE", "COMMAND", "MEMORY", "LATENCY", "SLOWLOG", "PUBSUB",
        "SCAN", "SSCAN", "HSCAN", "ZSCAN", "SPOP", "SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER", "OBJECT",
        "DUMP", "PFDEBUG", "SCRIPT", "EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO",
    }
)  # fmt: skip
"""Whose errors alone are compared: what they say otherwise is chance, time or each server's own."""
LONGER_SINCE = frozenset({"zrank", "zrevrank"})
"""Commands that take more words in Redis 8.0 than in 7.0."""
WAITS = frozenset({"WAIT", "WAITAOF"})
"""Commands that wait and are not marked as such."""
CHANCE = frozenset({"SPOP"})


def every_command() -> Iterator[CommandSpec]:
    for spec in COMMANDS.values():
        for known in (*spec.subcommands.values(), spec):
            if known.handler is not None and not {spec.name, known.name} & SKIPPED:
                yield known


def option_words(arguments: tuple[Arg, ...]) -> Iterator[bytes]:
    """The words that the command knows by themselves."""
    for argument in arguments:
        if argument.token:
            yield argument.token.encode()
        yield from option_words(argument.arguments)


def cases(spec: CommandSpec) -> list[Command]:
    """Command lines that are wrong, or just might be right."""
    rng = Random(spec.name)
    name = tuple(spec.name.encode().split(b"|"))
    least = spec.min_args - len(name)
    options = [*option_words(spec.arguments)] or [b"1"]
    found: list[Command] = [(*name, *[b"none"] * count) for count in range(least + 3)]
    found += [(*name, *[key] * count) for key in KEYS for count in (least, least + 1)]
    for place in range(least):
        for word in HOSTILE:
            key = rng.choice(KEYS)
            line = [key if position == 0 else b"1" for position in range(least)]
            line[place] = word
            found.append((*name, *line))
    for _ in range(RANDOM_CASES):
        count = least + rng.randrange(4)
        pools = (KEYS, KEYS, HOSTILE, options, options, (b"1", b"2", b"a"))
        first = [rng.choice(KEYS)] if count else []
        found.append((*name, *first, *[rng.choice(rng.choice(pools)) for _ in range(count - 1)]))
    return found


def may_run(line: Command) -> bool:
    """Whether the line is not sure to take up all memory, and no word of it is newer than Redis 7.0."""
    return not any(word in (b"4294967295", b"4294967296", b"NOVALUES") for word in line)


def asked(spec: CommandSpec, line: Command) -> list[Command]:
    """What is sent for a line. The last answer is the digest of all data, the one before it the line's.

    What might wait does not do so in a transaction, and refuses there what it refuses elsewhere.
    """
    if spec.flags & Flag.BLOCKING or spec.name in WAITS:
        return [(b"MULTI",), line, (b"EXEC",), (b"DEBUG", b"DIGEST")]
    return [line, (b"DEBUG", b"DIGEST")]


@pytest.fixture(scope="module")
def known_to_redis7(redis7: RealServer) -> set[str]:
    names = [spec.name.lower() for spec in every_command()]
    infos = redis7.run("COMMAND", "INFO", *names).value
    assert isinstance(infos, list)
    return {name for name, info in zip(names, infos, strict=True) if info is not None}


def compare(twin: Twin, spec: CommandSpec) -> int:
    """Run the cases of one command; returns how many there were."""
    lines = list(filter(may_run, cases(spec)))
    errors_only = spec.name.partition("|")[0] in TOLD_DIFFERENTLY or spec.name.endswith("|HELP")
    for server in (twin.ours, twin.theirs):
        server.ask(encoded(DATA))
    looks = [part for line in lines for part in asked(spec, line)]
    mine, real = (parse_all(server.ask(encoded(looks))) for server in (twin.ours, twin.theirs))
    before: Reply | None = None
    step = len(looks) // len(lines)
    for place, line in enumerate(lines, 1):
        *queued, told, digest = mine[step * (place - 1) : step * place]
        *real_queued, said, real_digest = real[step * (place - 1) : step * place]
        assert queued == real_queued, f"{line} gave {queued}\nRedis gives {real_queued}"
        if queued and told[0] == said[0] == b"*":
            told, said = only_part(told), only_part(said)
        is_error = b"-" in (told[0], said[0])
        if is_error or not errors_only:
            same = comparable(line, told) == comparable(line, said) or is_known(line, told, said)
            assert same, f"{line} gave {told}\nRedis gives {said}"
        if spec.name not in CHANCE:
            assert digest == real_digest, f"{line}: data differ after {told}"
        assert not is_error or before in (None, digest), f"{line} failed and changed something"
        before = digest
    return len(lines)


def only_part(reply: Reply) -> Reply:
    _, parts = reply
    assert isinstance(parts, list)
    (part,) = parts
    return part


def test_every_command_refuses_what_redis_refuses_and_changes_nothing(
    redis7: RealServer, redis8: RealServer, known_to_redis7: set[str]
) -> None:
    old, new = Twin(redis7), Twin(redis8)
    as_in_7 = known_to_redis7 - LONGER_SINCE
    counted = sum(compare(old if spec.name.lower() in as_in_7 else new, spec) for spec in every_command())
    assert counted > 15_000


MILLION = 1_000_000
LONG_LINES: list[Command] = [
    (b"MSET", *[b"k"] * (MILLION + 1)),
    (b"HSET", b"hash", *[b"f"] * (MILLION + 1)),
    (b"ZADD", b"zset", *[b"1"] * (MILLION + 1)),
    (b"SADD", b"string", *[b"m"] * MILLION),
    (b"XDEL", b"stream", *[b"x"] * MILLION),
    (b"ZUNION", b"%d" % (MILLION + 1), *[b"zset"] * MILLION),
    (b"GET", *[b"k"] * MILLION),
    (b"NOSUCH", *[b"k"] * MILLION),
]


@pytest.mark.parametrize("line", LONG_LINES, ids=[line[0].decode() for line in LONG_LINES])
def test_a_million_words_are_refused_as_by_redis_and_change_nothing(
    redis7: RealServer, line: Command
) -> None:
    twin = Twin(redis7)
    told = []
    for server in (twin.ours, twin.theirs):
        server.ask(encoded(DATA))
        before = server.ask(encoded([(b"DEBUG", b"DIGEST")]))
        told.append(server.ask(encoded([line])))
        assert server.ask(encoded([(b"DEBUG", b"DIGEST")])) == before
    assert told[0] == told[1]
    assert told[0].startswith(b"-")
