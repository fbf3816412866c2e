"""Byte streams a client may send, good and bad, and what a parser makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import strategies as st

from shoal.node.resp.parser import Arguments, CarefulParser, CommandParser, ProtocolError
from shoal.node.resp.writer import encode_command

Outcome = tuple[list[Arguments], str | None]
"""The commands of a stream, and the text of the error that ended it."""


def parsed(parts: Iterable[bytes]) -> Outcome:
    """What a client's parser makes of a stream that arrives in these parts."""
    parser = CommandParser()
    commands = [command for part in parts for command in parser.feed(part)]
    return commands, str(parser.error) if parser.error else None


def parsed_carefully(stream: bytes) -> Outcome:
    """What the reference parser makes of a whole stream."""
    parser = CarefulParser()
    commands: list[Arguments] = []
    try:
        parser.feed(stream, commands)
    except ProtocolError as error:
        return commands, str(error)
    return commands, None


MALFORMED = (
    b"*1\r\n$-1\r\n",
    b"*-9223372036854775809\r\n",
    b"*01\r\n",
    b"*+1\r\n",
    b"*-0\r\n",
    b"* 1\r\n",
    b"*1 \r\n",
    b"*\r\n",
    b"*abc\r\n",
    b"*2147483648\r\n",
    b"*99999999999999999999\r\n",
    b"*1048577\r\nPING\r\n",
    b"*1\r\n$04\r\nPING\r\n",
    b"*1\r\n$+4\r\nPING\r\n",
    b"*1\r\n$\r\n",
    b"*1\r\n$abc\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$9223372036854775808\r\n",
    b"*3\r\n$3\r\nSET\r\n$-5\r\n",
    b"*1\r\n:4\r\n",
    b"*1\r\n+PING\r\n",
    b"*1\r\n=8\r\ntxt:PING\r\n",
    b"*1\r\n(123\r\n",
    b"*1\r\n,1.5\r\n",
    b"*1\r\n_\r\n",
    b"*1\r\n#t\r\n",
    b"*1\r\n-ERR\r\n",
    b"*1\r\n*1\r\n$4\r\nPING\r\n",
    b"*1\r\n*0\r\n",
    b"*1\r\n\r\n",
    b"*1\r\nPING\r\n",
    b"*1\r\n\xff\r\n",
    b'"abc\r\n',
    b"'abc\r\n",
    b'"abc"d\r\n',
    b"'a'b\r\n",
    b'get "\\x4',
)
"""Streams that break the protocol, or wait for an end that does not come."""

UNUSUAL = (
    b"*0\r\n",
    b"*-1\r\n",
    b"*-9223372036854775808\r\n",
    b"\r\n",
    b"\n",
    b"  \r\n",
    b"*1\rX$4\r\nPING\r\n",
    b"*1\r\n$4\rXPING\r\n",
    b"*1\r\n$4\r\nPINGXY",
    b"*1\r\n$0\r\n\r\n",
    b"*2\r\n$4\r\nECHO\r\n$14\r\n*1\r\n$4\r\nPING\r\n\r\n",
    b"PING\r\n",
    b"PING\n",
    b'SET "a b" \'c d\' "\\x41\\n"\r\n',
    b"$4\r\n",
    b"$0\r\n\r\n",
    b"~1\r\n$4\r\nPING\r\n",
    b">1\r\n$4\r\nPING\r\n",
    b"%1\r\n$1\r\na\r\n$1\r\nb\r\n",
    b"|1\r\n$1\r\na\r\n$1\r\nb\r\n",
    b"+OK\r\n",
    b":1\r\n",
    b"get \x00 a\r\n",
)
"""Streams that look odd and yet are commands, or nothing at all."""

arguments = st.binary(max_size=12) | st.sampled_from(
    [b"GET", b"+5", b"=x", b"(1", b"*1\r\n", b"\r\n$", b"\r"]
)
good_commands = st.lists(arguments, min_size=1, max_size=6).map(encode_command)
pieces = st.one_of(
    good_commands,
    st.sampled_from(UNUSUAL),
    st.sampled_from(MALFORMED),
    st.binary(max_size=8),
    st.tuples(st.sampled_from(b"*$:+-=(,~>%|#_!;"), st.integers(-3, 12)).map(lambda p: b"%c%d\r\n" % p),
)
streams = st.lists(pieces, max_size=6).map(b"".join)
"""Anything from a clean pipeline to noise."""


@st.composite
def cut_streams(draw: st.DrawFn) -> list[bytes]:
    """A stream in as many parts as the network pleased. No part is empty."""
    stream = draw(streams)
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(stream) - 1)), max_size=8)))
    bounds = [0, *(cut for cut in cuts if cut < len(stream)), len(stream)]
    return [stream[a:b] for a, b in pairwise(bounds) if a < b]
