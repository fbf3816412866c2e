"""The optional parts at the end of a PING, PONG or MEET: typed, length-prefixed, padded to eight bytes.

Each one is `u32 length` (these eight bytes included), `u16 type`, `u16 unused`, then its data. A type
that is not known is stepped over: that is how versions of Redis and Valkey live together. Type 4 is
such a one on purpose, for it means a cluster secret to Redis 8 and a client address to Valkey 8.1.
Source: Redis Cluster bus, ping extensions (Redis 7.0 and later).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from struct import Struct

from shoal.cluster.messages import Extensions, ForgottenNode

HOSTNAME = 0
HUMAN_NAME = 1
FORGOTTEN_NODE = 2
SHARD_ID = 3

REMEMBERED_TEXTS = 4096
"""How many ids, and addresses, are kept in decoded form: the same few come in every packet."""

MAX_REMEMBERED_BYTES = 512

_PREFIX = Struct(">IHH")
_FORGOTTEN = Struct(">40sQ")
_PADDING = 8

_is_node_id = re.compile(rb"[a-z0-9]{40}").fullmatch
_is_hostname = re.compile(rb"[A-Za-z0-9._-]{0,255}").fullmatch
_is_human_name = re.compile(rb"[A-Za-z0-9 ._/'\"\\`-]{0,255}").fullmatch


class MalformedPacket(Exception):  # noqa: N818 (the name the field uses; it is a verdict on the bytes)
    """The bytes are not a packet of the cluster bus. The packet is dropped; the link may stay."""


@lru_cache(maxsize=REMEMBERED_TEXTS)
def node_id(raw: bytes) -> str:
    """The 40 characters of a node or shard id, each one of a-z0-9."""
    if not _is_node_id(raw):
        raise MalformedPacket("an id is not 40 characters of a-z0-9")
    return raw.decode("ascii")


def encode_extensions(extensions: Extensions) -> tuple[int, bytes]:
    """How many extensions there are, and their bytes, in the order real servers send them."""
    parts: list[bytes] = []
    if extensions.hostname:
        parts.append(_extension(HOSTNAME, extensions.hostname.encode("ascii") + b"\0"))
    if extensions.human_name:
        parts.append(_extension(HUMAN_NAME, extensions.human_name.encode("ascii") + b"\0"))
    for forgotten in extensions.forgotten:
        body = _FORGOTTEN.pack(forgotten.node.encode("ascii"), forgotten.ttl_seconds)
        parts.append(_extension(FORGOTTEN_NODE, body))
    if extensions.shard_id:
        parts.append(_extension(SHARD_ID, extensions.shard_id.encode("ascii")))
    return len(parts), b"".join(parts)


def _extension(kind: int, body: bytes) -> bytes:
    padded = body + bytes(-len(body) % _PADDING)
    return _PREFIX.pack(_PREFIX.size + len(padded), kind, 0) + padded


def decode_extensions(tail: bytes, count: int) -> Extensions:
    """Read `count` extensions; they must end exactly where the bytes do.

    A node says the same in packet after packet, so what short ones meant is remembered.
    """
    return _remembered(tail, count) if len(tail) <= MAX_REMEMBERED_BYTES else _decode(tail, count)


def _decode(tail: bytes, count: int) -> Extensions:
    hostname = human_name = shard_id = None
    forgotten: list[ForgottenNode] = []
    for kind, body in _split(tail, count):
        if kind == HOSTNAME:
            hostname = _text(body, _is_hostname, "hostname")
        elif kind == HUMAN_NAME:
            human_name = _text(body, _is_human_name, "human-readable node name")
        elif kind == SHARD_ID:
            shard_id = node_id(body)
        elif kind == FORGOTTEN_NODE:
            forgotten.append(_forgotten_node(body))
    return Extensions(hostname, human_name, shard_id, tuple(forgotten))


_remembered = lru_cache(maxsize=REMEMBERED_TEXTS)(_decode)


def _split(tail: bytes, count: int) -> Iterator[tuple[int, bytes]]:
    offset, end = 0, len(tail)
    for _ in range(count):
        if end - offset < _PREFIX.size:
            raise MalformedPacket("a ping extension is cut off")
        length, kind, _unused = _PREFIX.unpack_from(tail, offset)
        if length < _PREFIX.size or length % _PADDING or length > end - offset:
            raise MalformedPacket(f"a ping extension has the impossible length {length}")
        yield kind, tail[offset + _PREFIX.size : offset + length]
        offset += length
    if offset != end:
        raise MalformedPacket("bytes are left over after the last ping extension")


def _forgotten_node(body: bytes) -> ForgottenNode:
    if len(body) != _FORGOTTEN.size:
        raise MalformedPacket("a forgotten-node extension has the wrong length")
    node, ttl_seconds = _FORGOTTEN.unpack(body)
    return ForgottenNode(node_id(node), ttl_seconds)


def _text(body: bytes, is_valid: Callable[[bytes], object], what: str) -> str | None:
    """A NUL-terminated name, or None for an empty one.

    Names end up in nodes.conf and in replies, so one that could break a line there is refused here.
    """
    text, terminator, _padding = body.partition(b"\0")
    if not terminator or not is_valid(text):
        raise MalformedPacket(f"the {what} is not valid")
    return text.decode("ascii") or None
