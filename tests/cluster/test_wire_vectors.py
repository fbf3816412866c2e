"""Packets recorded from real servers (see `record_vectors.py`) decode, and encode to the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from struct import pack_into, unpack_from

import pytest

from shoal.cluster.messages import (
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    Header,
    ManualFailoverStart,
    Message,
    MessageFlag,
    MessageType,
    Module,
    NodeFlag,
    Ping,
    Publish,
    Update,
)
from shoal.cluster.slots import bitmap_to_slots
from shoal.cluster.wire import PacketReader, decode, encode

VECTORS = Path(__file__).parent / "vectors"
NAMES = ("redis-7.0", "redis-8.0", "valkey-8.1")


def recorded(name: str) -> list[bytes]:
    return list(PacketReader().feed((VECTORS / f"{name}.bin").read_bytes()))


def extensions_of(packet: bytes) -> Iterator[tuple[int, int, int]]:
    """(type, first byte, length) of each extension of a packet."""
    kind, count = unpack_from(">HH", packet, 12)
    if kind > MessageType.MEET:
        return
    offset = 2256 + 104 * count
    for _ in range(unpack_from(">H", packet, 2214)[0]):
        length, extension = unpack_from(">IH", packet, offset)
        yield extension, offset, length
        offset += length


def foreign_extensions(packet: bytes) -> list[tuple[int, int]]:
    """(type, length) of those that are stepped over on purpose: types 4 and up."""
    return [(kind, length) for kind, _, length in extensions_of(packet) if kind > 3]


def without_foreign_extensions(packet: bytes) -> bytes:
    """The packet as it would be without them."""
    if not foreign_extensions(packet):
        return packet
    own = [(first, length) for kind, first, length in extensions_of(packet) if kind <= 3]
    start = next(first for _, first, _ in extensions_of(packet))
    kept = bytearray(packet[:start] + b"".join(packet[first : first + length] for first, length in own))
    pack_into(">I", kept, 4, len(kept))
    pack_into(">H", kept, 2214, len(own))
    return bytes(kept)


@pytest.mark.parametrize("name", NAMES)
def test_recorded_packets_encode_to_the_bytes_they_came_from(name: str) -> None:
    packets = recorded(name)
    assert len(packets) >= 15
    for packet in packets:
        message = decode(packet)
        light = message.header is None
        expected = packet if light else without_foreign_extensions(packet)
        assert encode(message) == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_holds_every_kind_of_message(name: str) -> None:
    messages = [decode(packet) for packet in recorded(name)]
    kinds: set[type[Message]] = {type(message) for message in messages}
    assert kinds == {
        Ping,
        Fail,
        Publish,
        FailoverAuthRequest,
        FailoverAuthAck,
        Update,
        ManualFailoverStart,
        Module,
    }
    assert {m.kind for m in messages if isinstance(m, Ping)} == {
        MessageType.PING,
        MessageType.PONG,
        MessageType.MEET,
    }
    assert {m.sharded for m in messages if isinstance(m, Publish)} == {False, True}
    assert {(m.kind, m.payload) for m in messages if isinstance(m, Module)} == {(7, b"hello")}
    light = {type(message) for message in messages if message.header is None}
    assert light == ({Publish, Module} if name == "valkey-8.1" else set())


def headers(name: str) -> list[Header]:
    return [
        m.header for m in map(decode, recorded(name)) if not isinstance(m, Publish) and m.header is not None
    ]


def test_the_extensions_that_are_stepped_over_mean_what_their_type_and_length_say() -> None:
    """Type 4 is a secret of 40 characters to Redis 8, and an address, shorter than that, to Valkey 8.1."""
    found = {
        name: {each for packet in recorded(name) for each in foreign_extensions(packet)} for name in NAMES
    }
    assert found == {"redis-7.0": set(), "redis-8.0": {(4, 8 + 40)}, "valkey-8.1": {(4, 8 + 16), (5, 8 + 8)}}


@pytest.mark.parametrize("name", NAMES)
def test_recorded_headers_say_what_the_recorder_set_up(name: str) -> None:
    owned = {h.sender: len(list(bitmap_to_slots(h.slots))) for h in headers(name) if h.replica_of is None}
    assert set(owned.values()) <= {0, 5461, 5462}
    assert any(h.flags & NodeFlag.REPLICA and h.replica_of in owned for h in headers(name))
    assert {h.ip for h in headers(name)} == {"", "127.0.0.1"}
    assert any(h.message_flags & MessageFlag.PAUSED for h in headers(name))


@pytest.mark.parametrize("name", NAMES)
def test_recorded_extensions_say_what_the_recorder_set_up(name: str) -> None:
    extensions = [m.extensions for m in map(decode, recorded(name)) if isinstance(m, Ping)]
    assert {e.hostname for e in extensions} == {None, "first.shoal.example"}
    if name == "redis-7.0":
        return
    assert {e.human_name for e in extensions} == {None, "second-node"}
    assert any(e.shard_id is not None for e in extensions)
    assert [e.forgotten[0].ttl_seconds <= 60 for e in extensions if e.forgotten] == [True]
