"""Every limit of the client protocol, one below, at, and one above."""

from __future__ import annotations

import pytest

from shoal.node.resp import limits
from shoal.node.resp.parser import CommandParser, QueryBufferExceeded
from shoal.node.resp.writer import encode_command
from tests.unit.server.client import World, fields

EDGE = pytest.mark.parametrize("beyond", [-1, 0, 1])


def error_of(stream: bytes, *, restricted: bool = False) -> str | None:
    """The error of a stream, which must be the same in one part and cut before its last byte."""
    errors = set()
    for parts in ([stream], [stream[:-1], stream[-1:]]):
        parser = CommandParser()
        parser.restrict(restricted)
        for part in parts:
            parser.feed(part)
        errors.add(str(parser.error) if parser.error else None)
    assert len(errors) == 1
    return errors.pop()


@EDGE
@pytest.mark.parametrize("end", [b"\n", b""])
def test_an_inline_command(beyond, end):
    line = b"a" * (limits.MAX_INLINE_BYTES + beyond)
    assert error_of(line + end) == ("too big inline request" if beyond > 0 else None)


@EDGE
@pytest.mark.parametrize(("before", "mark", "name"), [(b"", b"*", "mbulk"), (b"*1\r\n", b"$", "bulk")])
def test_a_header_line_whose_end_has_not_come(beyond, before, mark, name):
    line = mark + b"1" * (limits.MAX_INLINE_BYTES - 1 + beyond)
    assert error_of(before + line) == (f"too big {name} count string" if beyond > 0 else None)


@EDGE
def test_the_number_of_arguments(beyond):
    error = error_of(b"*%d\r\n" % (limits.MAX_ARGUMENTS + beyond))
    assert error == ("invalid multibulk length" if beyond > 0 else None)


@EDGE
def test_the_length_of_an_argument(beyond):
    error = error_of(b"*1\r\n$%d\r\n" % (limits.MAX_BULK_BYTES + beyond))
    assert error == ("invalid bulk length" if beyond > 0 else None)


@EDGE
def test_the_number_of_arguments_before_authentication(beyond):
    error = error_of(b"*%d\r\n" % (limits.UNAUTHENTICATED_MAX_ARGUMENTS + beyond), restricted=True)
    assert error == ("unauthenticated multibulk length" if beyond > 0 else None)


@EDGE
def test_the_length_of_an_argument_before_authentication(beyond):
    error = error_of(b"*1\r\n$%d\r\n" % (limits.UNAUTHENTICATED_MAX_BULK_BYTES + beyond), restricted=True)
    assert error == ("unauthenticated bulk length" if beyond > 0 else None)


@EDGE
def test_the_bytes_of_an_unfinished_command(beyond):
    header = b"*2\r\n$4\r\nECHO\r\n$5000\r\n"
    assert exceeds_1000_bytes(header + b"x" * (1000 - len(header) + beyond)) == (beyond > 0)


@EDGE
def test_the_bytes_of_an_unfinished_command_count_the_arguments_that_are_complete(beyond):
    assert exceeds_1000_bytes((b"*1000\r\n" + b"$3\r\nabc\r\n" * 200)[: 1000 + beyond]) == (beyond > 0)


def exceeds_1000_bytes(stream: bytes) -> bool:
    answers = set()
    for cut in (0, 20, 500):
        parser = CommandParser()
        parser.limit(5000, 1000)
        for part in (stream[:cut], stream[cut:]):
            parser.feed(part)
        answers.add(isinstance(parser.error, QueryBufferExceeded))
    assert len(answers) == 1
    return answers.pop()


@pytest.mark.parametrize("whole", [True, False])
@EDGE
def test_proto_max_bulk_len_takes_effect_at_once(beyond, whole):
    world = World()
    client = world.client()
    assert client("CONFIG", "SET", "proto-max-bulk-len", "1mb") == "OK"
    stream = encode_command([b"ECHO", b"x" * ((1 << 20) + beyond)])
    parts = [stream] if whole else [stream[:100], stream[100:]]
    for part in parts:
        if not client.session.closing:
            client.send(part)
    reply = client.received()[0]
    assert (reply == "ERR Protocol error: invalid bulk length") == (beyond > 0)


def test_client_query_buffer_limit_takes_effect_at_once_and_closes_without_a_word():
    world = World()
    client = world.client()
    client("CONFIG", "SET", "client-query-buffer-limit", "1mb")
    client.send(b"*2\r\n$4\r\nECHO\r\n$3000000\r\n" + b"x" * (1 << 20))
    assert client.received() == []
    assert client.is_hung_up
    stats = fields(world.client()("INFO", "stats"))
    assert stats["client_query_buffer_limit_disconnections"] == "1"


def test_the_queue_of_a_transaction_counts_as_unfinished():
    world = World()
    client = world.client()
    client("CONFIG", "SET", "client-query-buffer-limit", "1mb")
    client("MULTI")
    assert client("SET", "k", "x" * 600_000) == "QUEUED"
    client.send(encode_command([b"SET", b"k", b"x" * 600_000]))
    assert client.received() == []
    assert client.is_hung_up
