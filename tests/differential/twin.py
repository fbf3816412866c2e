"""Our whole server and a real one, told the same in batches: every reply and then all data are compared.

A batch goes to either server in one piece, so that a command costs microseconds. After the replies come the
data: both servers' DEBUG DIGEST; then each loads what the other dumped, and digests it again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shoal.node import builtin_commands
from shoal.node.resp.writer import encode_command
from shoal.node.server.config import Config
from shoal.node.server.server import Server
from tests.differential.executor import RealServer
from tests.differential.grammar import BYTES_PER_COMMAND, Command, Part, read_commands
from tests.differential.reply_differences import comparable, is_known
from tests.differential.typed_replies import Reply, parse_all

COMMANDS_PER_BATCH = 200
BATCH_BYTES = COMMANDS_PER_BATCH * BYTES_PER_COMMAND
END = b"the end of a batch"
END_REPLY = b"$%d\r\n%b\r\n" % (len(END), END)
DATABASES = 16


class Ours:
    """A client of a server of ours without sockets."""

    def __init__(self, **directives: object) -> None:
        builtin_commands.load()
        config = Config(enable_debug_command="yes", **directives)
        self.server = Server(config, Random(7), time.perf_counter_ns, now_ms=now_ms(), run_id="a" * 40)
        self.session = self.server.connect("127.0.0.1:50000", "127.0.0.1:6379")

    def ask(self, data: bytes) -> bytes:
        """Send some bytes and return all that comes back."""
        server, session = self.server, self.session
        server.begin_turn(now_ms())
        server.receive(session, data)
        found = session.out[:]
        session.out.clear()
        while session.has_input:
            session.out_bytes = 0
            server.run_pending(session)
            found += session.out
            session.out.clear()
        session.out_bytes = 0
        server.take_effects()
        return b"".join(found)


class Theirs:
    """A client of a real server."""

    def __init__(self, server: RealServer) -> None:
        self.socket = server.socket

    def ask(self, data: bytes) -> bytes:
        """Send some bytes and return all that comes back."""
        self.socket.sendall(data + encode_command([b"ECHO", END]))
        found = b""
        while not found.endswith(END_REPLY):
            part = self.socket.recv(1 << 20)
            if not part:
                raise ConnectionError("the server hung up")
            found += part
        return found[: -len(END_REPLY)]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Difference(AssertionError):  # noqa: N818
    """What the two do not have in common, and after how many commands it shows."""

    def __init__(self, place: int, text: str) -> None:
        super().__init__(text)
        self.place = place


class Twin:
    """The two servers, with what was counted."""

    def __init__(self, real: RealServer, looks: Sequence[Command] = (), **directives: object) -> None:
        self.ours = Ours(**directives)
        self.theirs = Theirs(real)
        self._questions = [(b"SELECT", b"0"), (b"DEBUG", b"DIGEST"), *looks]
        self.question = encoded(self._questions)

    def check(self, commands: Sequence[Command], protocol: int = 2) -> None:
        """Run the commands on both from an empty dataset; AssertionError with a short list that differs."""
        try:
            self.run(commands, protocol)
        except Difference as difference:
            shortest, last = list(commands[: difference.place + 1]), difference
            size = len(shortest) // 2
            while size:
                for start in range(len(shortest) - size, -1, -size):
                    shorter = shortest[:start] + shortest[start + size :]
                    try:
                        self.run(shorter, protocol)
                    except Difference as smaller:
                        shortest, last = shorter[: smaller.place + 1], smaller
                size //= 2
            told = "\n".join(map(repr, shortest))
            raise AssertionError(f"RESP{protocol}, after\n{told}\n{last}") from None

    def run(self, commands: Sequence[Command], protocol: int) -> None:
        """The same; Difference at the first difference."""
        start = [(b"RESET",), (b"FLUSHALL",), (b"HELLO", b"%d" % protocol)]
        for server in (self.ours, self.theirs):
            server.ask(encoded(start))
        commands = [*commands, (b"RESET",)]  # whatever was begun ends
        data = encoded(commands)
        mine, real = self.ours.ask(data), self.theirs.ask(data)
        if mine != real:
            compare_replies(0, commands, parse_all(mine), parse_all(real))
        self.compare_data(len(commands))

    def compare_data(self, place: int) -> None:
        """Both digests, and those of each other's payloads."""
        seen = self.ours.ask(self.question)
        compare_replies(place, self._questions, parse_all(seen), parse_all(self.theirs.ask(self.question)))
        payloads, real_payloads = payloads_of(self.ours), payloads_of(self.theirs)
        for name, server, loaded in (("ours", self.theirs, payloads), ("Redis's", self.ours, real_payloads)):
            answers = server.ask(encoded([(b"FLUSHALL",), *loaded]))
            if answers != b"+OK\r\n" * (len(loaded) + 1):
                raise Difference(place, f"{name} payloads are answered {answers!r}: {loaded}")
            compare_replies(place, self._questions, parse_all(seen), parse_all(server.ask(self.question)))


def encoded(commands: Sequence[Command]) -> bytes:
    return b"".join(map(encode_command, map(list, commands)))


def compare_replies(
    place: int, commands: Sequence[Command], mine: Sequence[Reply], real: Sequence[Reply]
) -> None:
    """Difference at the first command, counted from `place`, whose replies do not say the same."""
    queued: list[Command] = []
    if len(mine) != len(commands) or len(real) != len(commands):
        raise Difference(place + min(len(mine), len(real)), f"{len(mine)} replies, Redis gives {len(real)}")
    for place_, (command, first, second) in enumerate(zip(commands, mine, real, strict=True), place):
        if first == second:
            if first == (b"+", b"QUEUED"):
                queued.append(command)
            elif command[0].upper() in (b"EXEC", b"DISCARD", b"RESET"):
                queued = []
            continue
        asked: Command | list[Command] = command
        if command[0].upper() == b"EXEC":
            asked, queued = queued, []
        if comparable(asked, first) != comparable(asked, second) and not is_known(asked, first, second):
            raise Difference(place_, f"{command} gave {first}\nRedis gives {second}")


def payloads_of(server: Ours | Theirs) -> list[Command]:
    """The commands that make a copy of all data on an empty server, by DUMP's payloads."""
    looks = [(b"SELECT", b"%d" % database) for database in range(DATABASES)]
    listed = parse_all(server.ask(encoded([part for look in looks for part in (look, (b"KEYS", b"*"))])))
    found: list[Command] = []
    for look, (_, keys) in zip(looks, listed[1::2], strict=True):
        assert isinstance(keys, list)
        names = sorted(name for _, name in keys)
        if names:
            asked = [(word, name) for name in names for word in (b"DUMP", b"PEXPIRETIME")]
            answers = [value for _, value in parse_all(server.ask(encoded([look, *asked])))][1:]
            found += [look, *map(_restore, names, answers[::2], answers[1::2])]
    return found


def _restore(name: bytes, payload: object, expiry: object) -> Command:
    assert isinstance(payload, bytes)
    assert isinstance(expiry, bytes)
    return (b"RESTORE", name, b"0" if expiry == b"-1" else expiry, payload, b"ABSTTL")


def run_any(twin: Twin, commands: Sequence[Part], first: Sequence[Command] = ()) -> None:
    """As many generated commands as the profile asks for, in batches of either protocol."""
    counted = 0

    @settings(phases=[Phase.explicit, Phase.reuse, Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.sampled_from([2, 3]), st.integers(0, (1 << 64) - 1))
    def batch(protocol: int, seed: int) -> None:
        nonlocal counted
        generated = read_commands(commands, Random(seed).randbytes(BATCH_BYTES))
        counted += len(generated)
        twin.check([*first, *generated], protocol)

    try:
        batch()
    except AssertionError as difference:
        difference.__notes__ = []  # the seed, which tells nobody anything
        raise
    print(f"{counted} commands compared")
    assert counted >= settings.default.max_examples * COMMANDS_PER_BATCH
