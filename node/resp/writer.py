"""Replies become bytes: the only place where CR and LF are written, for RESP2 and RESP3.

One table per protocol, from a reply's type to the function that encodes it. Status and error lines are
stripped of CR and LF here, so that no value, whatever a client put into it, can forge a second reply.
Source: the RESP protocol specification.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from shoal.node.resp.bulk_strings import NEXT_HEADERS, frame
from shoal.node.resp.floats import format_float
from shoal.node.resp.replies import (
    BigNumber,
    BulkStrings,
    ByKey,
    CommandError,
    Decimal,
    FramedBulkStrings,
    NoReply,
    NullArray,
    PairList,
    Pairs,
    Push,
    Pushes,
    Reply,
    SetReply,
    Status,
    Verbatim,
)

Encoder = Callable[[Any], bytes]


def encode(reply: Reply, resp: int) -> bytes:
    """The bytes of a reply for a client that speaks RESP2 or RESP3 (`resp` is 2 or 3)."""
    encoders = _RESP3 if resp == 3 else _RESP2
    try:
        return encoders[type(reply)](reply)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # A handler answered with what is no reply. Its client waits for one all the same.
        return _error(CommandError(f"ERR internal error: a reply that cannot be encoded: {error!r}"))


def encode_command(words: Sequence[bytes]) -> bytes:
    """A command as an array of bulk strings: what replicas, the append-only file and other nodes get.

    Every write passes here once somebody is told of it. The commonest, of three words, is put together in one
    go, in a third of the time.
    """
    if len(words) == 3:
        name, first, second = words
        shape = b"*3\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"
        return shape % (len(name), name, len(first), first, len(second), second)
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


def encode_commands(commands: Iterable[Sequence[bytes]]) -> bytes:
    """`encode_command` for many, one after the other, in two thirds of the time."""
    parts: list[bytes] = []
    for words in commands:
        if len(words) == 3 and len(words[0]) < _SHORT > len(words[1]) and len(words[2]) < _SHORT:
            name, first, second = words
            opening, following = _OPENINGS_OF_THREE[len(name)], NEXT_HEADERS[len(first)]
            parts += (opening, name, following, first, NEXT_HEADERS[len(second)], second, b"\r\n")
        else:
            parts.append(encode_command(words))
    return b"".join(parts)


_SHORT = 512
_OPENINGS_OF_THREE = tuple(b"*3\r\n$%d\r\n" % size for size in range(_SHORT))
BULK_HEADERS = tuple(b"$%d\r\n" % size for size in range(_SHORT))
_ARRAY_HEADERS = tuple(b"*%d\r\n" % size for size in range(_SHORT))
_FEW = 8
_ONLY_BYTES: set[type] = {bytes}
_ONLY_DOUBLES: set[type] = {float}


def _items(items: Sequence[Reply], encoders: dict[type, Encoder]) -> bytes:
    """The elements of an array, without its header.

    Most long arrays are short bulk strings and nothing else (LRANGE, HGETALL, ZRANGE), often all of one
    size: these are put together with no call for each, five to ten times as quickly.
    """
    if len(items) < _FEW or set(map(type, items)) != _ONLY_BYTES:
        return b"".join([encoders[type(item)](item) for item in items])
    return frame(cast(Sequence[bytes], items))


def _bulk_strings(reply: Sequence[bytes]) -> bytes:
    size = len(reply)
    return (_ARRAY_HEADERS[size] if size < _SHORT else b"*%d\r\n" % size) + (frame(reply) if reply else b"")


def _framed_bulk_strings(reply: FramedBulkStrings) -> bytes:
    return b"".join((b"*%d\r\n" % reply.count, *reply.parts))


def _bulk(reply: bytes) -> bytes:
    size = len(reply)
    if size < _SHORT:
        return BULK_HEADERS[size] + reply + b"\r\n"
    return b"$%d\r\n%b\r\n" % (size, reply)


def _integer(reply: int) -> bytes:
    return b":%d\r\n" % reply


def _status(reply: bytes) -> bytes:
    return b"+%b\r\n" % _one_line(reply)


def _error(reply: CommandError) -> bytes:
    return b"-%b\r\n" % _one_line(reply.text)


def _one_line(text: bytes) -> bytes:
    if b"\n" in text or b"\r" in text:
        return text.rstrip(b"\r\n").replace(b"\r", b" ").replace(b"\n", b" ")
    return text


def _nothing(reply: NoReply) -> bytes:
    return b""


# --- RESP2 ---------------------------------------------------------------------------------------------


def _array2(reply: Sequence[Reply]) -> bytes:
    size = len(reply)
    if size < _FEW:
        data = _ARRAY_HEADERS[size]
        for item in reply:
            data += _RESP2[type(item)](item)
        return data
    return (_ARRAY_HEADERS[size] if size < _SHORT else b"*%d\r\n" % size) + _items(reply, _RESP2)


def _tuple2(reply: tuple[Reply, ...]) -> bytes:
    """Nearly always one member with its score (ZPOPMIN), which is put together in one go, in two thirds."""
    if len(reply) == 2 and type(member := reply[0]) is bytes and type(score := reply[1]) is float:
        text = format_float(score)
        return b"*2\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(member), member, len(text), text)
    return _array2(reply)


def _pair_list2(reply: PairList) -> bytes:
    """Scores become texts first: then all are strings, which take no call for each."""
    keys, values = reply.keys, reply.values
    if set(map(type, values)) != _ONLY_DOUBLES:
        return _array2([item for pair in zip(keys, values, strict=True) for item in pair])
    texts = [b""] * (2 * len(keys))
    texts[::2], texts[1::2] = keys, [format_float(score) for score in cast(Sequence[float], values)]
    return _bulk_strings(texts)


def _double2(reply: float) -> bytes:
    text = format_float(reply)
    return BULK_HEADERS[len(text)] + text + b"\r\n"


def _map2(reply: dict[bytes, Reply]) -> bytes:
    return _pairs2(Pairs(list(reply.items())))


def _pairs2(reply: Pairs) -> bytes:
    return _array2([item for pair in reply.items for item in pair])


_RESP2: dict[type, Encoder] = {
    bytes: _bulk,
    bytearray: _bulk,
    Status: _status,
    Decimal: _bulk,
    int: _integer,
    bool: _integer,
    type(None): lambda reply: b"$-1\r\n",
    float: _double2,
    list: _array2,
    BulkStrings: _bulk_strings,
    FramedBulkStrings: _framed_bulk_strings,
    tuple: _tuple2,
    dict: _map2,
    CommandError: _error,
    NullArray: lambda reply: b"*-1\r\n",
    NoReply: _nothing,
    SetReply: lambda reply: _array2(reply.members),
    Pairs: _pairs2,
    PairList: _pair_list2,
    ByKey: lambda reply: _array2(reply.items),
    Push: lambda reply: _array2(reply.elements),
    Pushes: lambda reply: b"".join([_array2(message) for message in reply.messages]),
    Verbatim: lambda reply: _bulk(reply.text),
    BigNumber: lambda reply: _bulk(reply.digits),
}


# --- RESP3 ---------------------------------------------------------------------------------------------


def _many3(mark: bytes, items: Sequence[Reply]) -> bytes:
    return b"%b%d\r\n" % (mark, len(items)) + _items(items, _RESP3)


def _map3(reply: dict[bytes, Reply]) -> bytes:
    return _pairs3(Pairs(list(reply.items())))


def _pairs3(reply: Pairs | ByKey) -> bytes:
    return b"%%%d\r\n" % len(reply.items) + _items([item for pair in reply.items for item in pair], _RESP3)


def _pair_list3(reply: PairList) -> bytes:
    return _many3(b"*", [*map(list, zip(reply.keys, reply.values, strict=True))])


def _null3(reply: NullArray | None) -> bytes:
    return b"_\r\n"


def _verbatim3(reply: Verbatim) -> bytes:
    return b"=%d\r\n%b:%b\r\n" % (len(reply.text) + 4, reply.format, reply.text)


_RESP3: dict[type, Encoder] = {
    bytes: _bulk,
    bytearray: _bulk,
    Status: _status,
    Decimal: lambda reply: b",%b\r\n" % reply,
    int: _integer,
    bool: lambda reply: b"#t\r\n" if reply else b"#f\r\n",
    type(None): _null3,
    float: lambda reply: b",%b\r\n" % format_float(reply),
    list: lambda reply: _many3(b"*", reply),
    BulkStrings: _bulk_strings,
    FramedBulkStrings: _framed_bulk_strings,
    tuple: lambda reply: _many3(b"*", reply),
    dict: _map3,
    CommandError: _error,
    NullArray: _null3,
    NoReply: _nothing,
    SetReply: lambda reply: _many3(b"~", reply.members),
    Pairs: _pairs3,
    PairList: _pair_list3,
    ByKey: _pairs3,
    Push: lambda reply: _many3(b">", reply.elements),
    Pushes: lambda reply: b"".join([_many3(b">", message) for message in reply.messages]),
    Verbatim: _verbatim3,
    BigNumber: lambda reply: b"(%b\r\n" % reply.digits,
}
