"""What the writes of a turn changed is told in one go, and is what each would have told alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.node.resp.writer import encode_command, encode_commands
from shoal.node.server.append_only import AofState
from tests.unit.server.client import World

KEYS = ("a", "b", "{t}c")
LINES = [
    *(f"SET {key} v" for key in KEYS),
    *(f"GET {key}" for key in KEYS),
    *(f"INCR n{key}" for key in KEYS),
    *(f"RPUSH l{key} x y" for key in KEYS),
    *(f"LPOP l{key}" for key in KEYS),
    "SET short v PX 5",
    "EXPIRE a 100",
    "SETEX b 100 v",
    "GETEX b PERSIST",
    "GET short",
    "MSET a 1 b 2",
    "DEL a b",
    "SADD s 1 2 3",
    "SPOP s 2",
    "SELECT 1",
    "SELECT 0",
    "MULTI",
    "EXEC",
    "PUBLISH channel message",
    "EVAL redis.call('SET',KEYS[1],1)redis.call('INCR',KEYS[1]) 1 a",
    "WAIT 0 0",
    "FLUSHDB",
    "SWAPDB 0 1",
    "NOSUCH",
]
"""Those that gather, those that do not, and those before which all that has gathered is told."""

Step = tuple[int, str]


def words_of(line: str) -> bytes:
    return encode_command([word.encode() for word in line.split(" ")])


def told(turns: Sequence[Sequence[Step]], *, one_by_one: bool) -> tuple[bytes, bytes, list[bytes]]:
    """What replicas and the append-only file get, and what each of three clients is answered."""
    world = World()
    server = world.server
    server.replication.history.keep_backlog(1 << 20)
    server.aof.record(AofState.ON, recording=True)
    sessions = [world.client(f"127.0.0.1:{50000 + number}").session for number in range(3)]
    log = b""
    for turn in turns:
        world.pass_time(3)
        lines = sorted(turn, key=lambda step: step[0])
        alone = [(sessions[number], words_of(line)) for number, line in lines]
        together = [
            (sessions[number], b"".join(words_of(line) for _, line in steps))
            for number, steps in groupby(lines, key=lambda step: step[0])
        ]
        for batch in [[each] for each in alone] if one_by_one else [together]:
            server.receive_all(batch)
        log += server.aof.take()
    history = server.replication.history
    assert history.backlog is not None
    stream = history.backlog.read_from(1, history.offset)
    assert len(stream) == history.offset
    return stream, log, [b"".join(session.out) for session in sessions]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(LINES)), max_size=12), max_size=4))
def test_a_turn_tells_what_its_commands_would_tell_one_by_one(turns: list[list[Step]]) -> None:
    assert told(turns, one_by_one=False) == told(turns, one_by_one=True)


def test_who_waits_for_a_key_is_served_right_behind_the_write_that_made_it_ready() -> None:
    world = World()
    history = world.server.replication.history
    history.keep_backlog(1 << 20)
    world.server.receive(world.client().session, words_of("BLPOP l 0"))
    lines = "SET a v", "RPUSH l x", "SET b v"
    world.server.receive(world.client().session, b"".join(map(words_of, lines)))
    assert history.backlog is not None
    expected = "SELECT 0", "SET a v", "RPUSH l x", "LPOP l", "SET b v"
    assert history.backlog.read_from(1, history.offset) == b"".join(map(words_of, expected))


@pytest.mark.parametrize(
    "asks", ["INFO replication", "ROLE", "WAIT 1 0", "EVAL return(redis.call('INFO','replication')) 1 a"]
)
def test_who_asks_how_far_the_stream_is_hears_of_what_was_written_before(asks: str) -> None:
    world = World()
    client = world.client()
    history = world.server.replication.history
    history.keep_backlog(1 << 20)
    world.server.receive(client.session, words_of("SET a v") + words_of("SET b v") + words_of(asks))
    size = sum(len(words_of(line)) for line in ("SELECT 0", "SET a v", "SET b v"))
    assert history.offset == client.session.write_offset == size
    answer = b"".join(client.session.out)
    assert asks.startswith("WAIT") or b"%d" % size in answer.replace(b"\r\n", b" ")


@given(
    st.lists(st.lists(st.one_of(st.binary(max_size=5), st.binary(min_size=500, max_size=520)), min_size=1))
)
def test_many_commands_are_encoded_as_they_are_one_by_one(commands: list[list[bytes]]) -> None:
    assert encode_commands(commands) == b"".join(map(encode_command, commands))
