"""However a stream is cut, it is the same commands and the same error; and both are Redis's."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shoal.node.resp.parser import CommandParser
from shoal.node.resp.writer import encode_command
from tests.peers import REDIS7_SERVER, needs
from tests.unit.resp.real_server import RedisServer
from tests.unit.resp.streams import (
    MALFORMED,
    UNUSUAL,
    arguments,
    cut_streams,
    good_commands,
    parsed,
    parsed_carefully,
    streams,
)

PING = encode_command([b"PING"])
CORPUS = [
    *MALFORMED,
    *UNUSUAL,
    *(PING + stream + PING for stream in (*MALFORMED, *UNUSUAL)),
    encode_command([b"SET", b"key", b"value"]) * 3,
    encode_command([b"SET", b"key", PING]),
    encode_command([b"SET", b"\r\n", b"*1\r\n$4\r\n"]) + b"GET \r\n" + encode_command([b"", b"", b""]),
]


@pytest.mark.parametrize("stream", CORPUS)
def test_every_cut_in_two_and_byte_by_byte_is_one_and_the_same(stream):
    whole = parsed_carefully(stream)
    assert parsed([stream]) == whole
    assert parsed([bytes([byte]) for byte in stream]) == whole
    for cut in range(1, len(stream)):
        assert parsed([stream[:cut], stream[cut:]]) == whole, cut


@given(parts=cut_streams())
def test_any_stream_in_any_parts_is_what_the_reference_parser_makes_of_it_whole(parts):
    assert parsed(parts) == parsed_carefully(b"".join(parts))


@given(st.lists(cut_streams(), min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_what_one_client_sends_is_never_anothers(clients, rng):
    """Whatever it is, and however their reads follow each other: one quick parser serves them all."""
    parsers = [CommandParser() for _ in clients]
    commands = [[] for _ in clients]
    turns = [number for number, parts in enumerate(clients) for _ in parts]
    rng.shuffle(turns)
    waiting = [iter(parts) for parts in clients]
    for number in turns:
        commands[number] += parsers[number].feed(next(waiting[number]))
    for parser, found, parts in zip(parsers, commands, clients, strict=True):
        error = None if parser.error is None else str(parser.error)
        assert (found, error) == parsed(parts)


@given(stream=streams)
@example(stream=PING + b"*1\r\n+PING\r\n")
@example(stream=PING + b"*1\r\n=8\r\ntxt:PING\r\n")
@example(stream=PING + b"*2\r\n+GET\r\n$1\r\n$\r\n")
@example(stream=PING + b"$0\r\n\r\n")
@example(stream=b"*1\r\n$4\r\nPINGXY~1\r\n$4\r\nPING\r\n")
@example(stream=b"*2\r\n$3\r\nGETXY+key\r\n" + PING)
@example(stream=b"*2\r\n$3\r\nGETXY=5\r\ntxt:k\r\n*1")
@settings(max_examples=300)
def test_the_quick_way_is_never_more_lenient_than_the_careful_one(stream):
    assert parsed([stream]) == parsed_carefully(stream)


@pytest.mark.parametrize("before", [b"", encode_command([b"GET", b"(1"])], ids=["alone", "by lines"])
@pytest.mark.parametrize("count", range(1, 8))
def test_a_command_with_any_byte_wrong_is_what_the_reference_parser_makes_of_it(count, before):
    whole = encode_command([b"w%d" % number for number in range(count)])
    for at in range(len(whole)):
        for wrong in (b"1", b"3", b"*"):
            stream = before + whole[:at] + wrong + whole[at + 1 :]
            assert parsed([stream]) == parsed_carefully(stream), stream


@given(commands=st.lists(st.lists(arguments, min_size=1, max_size=6), max_size=5))
def test_what_is_encoded_is_read_back(commands):
    stream = b"".join(encode_command(words) for words in commands)
    assert parsed([stream] if stream else []) == (commands, None)


def test_a_value_that_looks_like_commands_stays_a_value_when_a_read_begins_with_it():
    """The header of a long argument may be one read, and the argument the next."""
    value = encode_command([b"FLUSHALL"])
    header = encode_command([b"SET", b"k", value]).removesuffix(value + b"\r\n")
    assert parsed([header, value, b"\r\n"]) == ([[b"SET", b"k", value]], None)
    assert parsed([b"*1\r\n", value])[1] == "expected '$', got '*'"


def test_commands_before_a_break_count_and_nothing_after_it_does():
    assert parsed([PING + b"*x\r\n" + PING, PING]) == ([[b"PING"]], "invalid multibulk length")


def test_an_absurd_array_costs_nothing_before_its_elements_are_there():
    """hiredis would make, and later walk, a list of two thousand million places."""
    for stream in (b"*2147483647\r\n", PING + b"*2147483647\r\n", b"*1\r\n*2000000000\r\n"):
        parser = CommandParser()
        parser.feed(stream)
        assert parser.buffered <= len(stream)


@given(st.lists(good_commands, min_size=2, max_size=5))
def test_before_authentication_commands_come_one_at_a_time_so_that_each_may_lift_the_limits(encoded):
    parser = CommandParser()
    parser.restrict(True)
    commands = parser.feed(b"".join(encoded))
    for _ in encoded[1:]:
        assert len(commands) <= 1
        commands = parser.feed(b"")
    assert len(commands) == 1
    assert parser.feed(b"") == []


def test_what_follows_the_command_that_lifts_the_limits_is_free_of_them():
    parser = CommandParser()
    parser.restrict(True)
    long_command = [b"MSET", *[b"x" * 20_000] * 20]
    assert parser.feed(encode_command([b"AUTH", b"secret"]) + encode_command(long_command)) == [
        [b"AUTH", b"secret"]
    ]
    parser.restrict(False)
    assert parser.feed(b"") == [long_command]


def test_bytes_of_an_unfinished_command_are_counted_whether_taken_apart_or_not():
    parser = CommandParser()
    stream = encode_command([b"SET", b"k", b"v" * 100])
    for position in range(1, len(stream)):
        parser.feed(stream[position - 1 : position])
        assert parser.buffered == position
    parser.feed(stream[-1:])
    assert parser.buffered == 0


# --- beside a real server ------------------------------------------------------------------------------

WITHOUT_WORD_OF_A_NUL = [stream for stream in (*MALFORMED, *UNUSUAL) if b"\0" not in stream]
"""A NUL makes Redis wait, for it looks for the end of a line with strchr; here it is a byte like any."""

LATE_LIMITS = (
    b"*11\r\n",
    b"*10\r\n$16384\r\n",
    b"*10\r\n$16385\r\n",
    b"*1\r\n$536870913\r\n",
    b"*2147483648\r\n",
)
TOO_LONG_LINES = (
    b"a" * 65536 + b"\n",
    b"a" * 65537,
    b"*" + b"1" * 65535,
    b"*" + b"1" * 65536,
    b"*1\r\n$" + b"1" * 65535,
    b"*1\r\n$" + b"1" * 65536,
)


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("open")) as server:
        yield server


@pytest.fixture(scope="module")
def guarded_redis_server(tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("guarded"), "--requirepass", "secret") as server:
        yield server


@pytest.mark.peers
@needs(REDIS7_SERVER)
@pytest.mark.parametrize(
    "stream", [*WITHOUT_WORD_OF_A_NUL, *TOO_LONG_LINES], ids=lambda stream: repr(stream[:40])
)
def test_a_real_server_finds_the_same_error(stream, redis_server):
    assert redis_server.protocol_error(stream) == as_one_line(parsed_carefully(stream)[1])


@pytest.mark.peers
@needs(REDIS7_SERVER)
@pytest.mark.parametrize(
    "stream", [*WITHOUT_WORD_OF_A_NUL, *LATE_LIMITS], ids=lambda stream: repr(stream[:40])
)
def test_a_real_server_finds_the_same_error_before_authentication(stream, guarded_redis_server):
    parser = CommandParser()
    parser.restrict(True)
    data = stream
    while parser.feed(data):
        data = b""
    expected = str(parser.error) if parser.error else None
    assert guarded_redis_server.protocol_error(stream) == as_one_line(expected)


def as_one_line(error: str | None) -> str | None:
    return error.replace("\r", " ") if error else None
