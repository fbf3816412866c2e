"""The bus codec: it gives back what it was given, and nothing hostile gets past it."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from struct import pack, pack_into

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.cluster.messages import (
    Extensions,
    Fail,
    GossipEntry,
    Header,
    Message,
    MessageFlag,
    MessageType,
    Module,
    NodeFlag,
    Ping,
    Publish,
    Unknown,
    Update,
)
from shoal.cluster.slots import slots_to_bitmap
from shoal.cluster.wire import FramingError, MalformedPacket, PacketReader, decode, encode
from tests.cluster.strategies import messages, modules, publishes

SENDER = "a" * 40
OTHER = "b" * 40
HEADER = Header(
    sender=SENDER,
    current_epoch=7,
    config_epoch=3,
    replication_offset=1000,
    slots=slots_to_bitmap(range(100)),
    replica_of=None,
    ip="",
    port=7000,
    bus_port=17000,
    secondary_port=0,
    flags=NodeFlag.MYSELF | NodeFlag.PRIMARY,
    cluster_ok=True,
)
ENTRY = GossipEntry(OTHER, 1, 2, "127.0.0.1", 7001, 17001, NodeFlag.REPLICA)
PING = Ping(MessageType.PING, HEADER, (ENTRY,), Extensions(shard_id="c" * 40, hostname="one.example"))


def patched(packet: bytes, offset: int, data: bytes) -> bytes:
    return packet[:offset] + data + packet[offset + len(data) :]


def resized(packet: bytes, tail: bytes) -> bytes:
    """The packet with another tail and a length field that says so."""
    longer = bytearray(packet + tail)
    pack_into(">I", longer, 4, len(longer))
    return bytes(longer)


@given(messages)
def test_decoding_what_was_encoded_gives_the_message_back(message: Message) -> None:
    assert decode(encode(message)) == message


@given(publishes | modules)
def test_a_publish_or_module_without_a_header_goes_behind_the_light_one(message: Publish | Module) -> None:
    light = replace(message, header=None)
    packet = encode(light)
    assert len(packet) == len(encode(message)) - 2256 + 16
    assert decode(packet) == light


@pytest.mark.parametrize(
    ("message", "length"),
    [
        (Ping(MessageType.MEET, HEADER), 2256),
        (Ping(MessageType.PING, HEADER, (ENTRY, ENTRY)), 2256 + 2 * 104),
        (Fail(HEADER, OTHER), 2256 + 40),
        (Publish(HEADER, b"news", b"hello"), 2256 + 8 + 9),
        (Module(HEADER, 1, 2, b"hello"), 2256 + 13 + 5),
        (Update(HEADER, 9, OTHER, bytes(2048)), 2256 + 2096),
    ],
)
def test_packets_have_the_lengths_of_the_protocol(message: Message, length: int) -> None:
    assert len(encode(message)) == length


def test_fields_stand_where_the_protocol_puts_them() -> None:
    packet = encode(replace(PING, extensions=Extensions()))
    assert packet[:16] == b"RCmb" + pack(">IHHHH", 2256 + 104, 1, 7000, 0, 1)
    assert packet[16:40] == pack(">QQQ", 7, 3, 1000)
    assert packet[40:80] == SENDER.encode()
    assert packet[80:2128] == HEADER.slots
    assert packet[2128:2246] == bytes(40 + 46 + 2 + 30)
    assert packet[2246:2256] == pack(">HHHBBH", 0, 17000, 17, 0, 4, 0)
    assert packet[2256:2296] == OTHER.encode()
    assert packet[2296:2304] == pack(">II", 1, 2)
    assert packet[2304:2350] == b"127.0.0.1".ljust(46, b"\0")
    assert packet[2350:] == pack(">HHHHH", 7001, 17001, 2, 0, 0)


@given(messages, st.integers(-3, 300))
def test_every_type_has_exactly_one_length(message: Message, change: int) -> None:
    packet = encode(message)
    other = resized(packet, bytes(change)) if change > 0 else resized(packet[: change or len(packet)], b"")
    if other == packet:
        assert decode(other) == message
    else:
        with pytest.raises(MalformedPacket):
            decode(other)


@given(st.binary(max_size=400))
def test_garbage_raises_only_malformed_packet(garbage: bytes) -> None:
    with pytest.raises(MalformedPacket):
        decode(garbage)


@settings(max_examples=300)
@given(messages, st.data())
def test_a_mutated_packet_raises_nothing_but_malformed_packet(message: Message, data: st.DataObject) -> None:
    packet = bytearray(encode(message))
    interesting = [*range(80), *range(2128, len(packet))]
    for _ in range(data.draw(st.integers(1, 6))):
        packet[data.draw(st.sampled_from(interesting))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedPacket):
        encoded = decode(bytes(packet))
        assert isinstance(encoded, Unknown) or encode(encoded)


def test_extensions_without_their_flag_break_the_length_rule() -> None:
    flagless = replace(PING, header=replace(HEADER, message_flags=MessageFlag.NONE))
    with pytest.raises(MalformedPacket):
        decode(encode(flagless))


@pytest.mark.parametrize("length", [0, 7, 12, 64, 0xFFFFFFF8])
def test_an_extension_with_an_impossible_length_is_refused(length: int) -> None:
    packet = bytearray(encode(replace(PING, extensions=Extensions(shard_id="c" * 40))))
    pack_into(">I", packet, 2256 + 104, length)
    with pytest.raises(MalformedPacket):
        decode(bytes(packet))


@pytest.mark.parametrize(
    ("kind", "body"),
    [(4, b"s" * 40), (4, b"10.0.0.1".ljust(16, b"\0")), (5, b"2001:db8::1".ljust(16, b"\0")), (77, b"")],
    ids=["Redis 8 secret", "Valkey IPv4", "Valkey IPv6", "unknown"],
)
def test_an_extension_of_an_unknown_or_ambiguous_type_is_stepped_over(kind: int, body: bytes) -> None:
    packet = bytearray(resized(encode(PING), pack(">IHH", 8 + len(body), kind, 0) + body))
    pack_into(">H", packet, 2214, 3)
    assert decode(bytes(packet)) == PING


@pytest.mark.parametrize(
    ("offset", "data"),
    [
        (40, b"A"),
        (40, b"\0"),
        (2128, b"x"),
        (2168, b"10.0.0.1\n"),
        (2168, b"1" * 46),
        (16, b"\xff"),
        (24, b"\x80"),
        (2256, b"-"),
        (2304, b"a b"),
    ],
    ids=[
        "id case",
        "id NUL",
        "short primary id",
        "newline",
        "no NUL",
        "epoch",
        "config epoch",
        "gossip id",
        "space",
    ],
)
def test_a_field_that_could_do_harm_is_refused(offset: int, data: bytes) -> None:
    with pytest.raises(MalformedPacket):
        decode(patched(encode(PING), offset, data))


@pytest.mark.parametrize("hostname", [b"two words", b"new\nline", b"a,b", b"no end"])
def test_a_hostname_that_could_break_a_line_of_the_config_file_is_refused(hostname: bytes) -> None:
    bare = replace(PING, gossip=(), extensions=Extensions())
    body = hostname.ljust(16, b"\0") if hostname != b"no end" else b"x" * 16
    packet = bytearray(resized(encode(bare), pack(">IHH", 24, 0, 0) + body))
    pack_into(">H", packet, 2214, 1)
    with pytest.raises(MalformedPacket):
        decode(bytes(packet))


def test_another_protocol_version_and_an_unknown_type_are_unknown_not_errors() -> None:
    packet = encode(PING)
    assert decode(patched(packet, 8, b"\0\2")) == Unknown(None, 0)
    assert decode(patched(packet, 12, b"\0\x0b")) == Unknown(HEADER, 11)


def test_unknown_flag_bits_are_ignored() -> None:
    packet = patched(encode(PING), 2250, pack(">H", 0x8000 | 17))
    assert decode(packet) == PING


def test_only_publish_and_module_come_behind_a_light_header() -> None:
    light_module = b"RCmb" + pack(">IHHHH", 16 + 13 + 3, 1, 0, 9 | 0x8000, 0) + pack(">QIB", 1, 3, 0) + b"abc"
    assert decode(light_module) == Module(None, 1, 0, b"abc")
    for kind in (0, 3, 5, 7, 200):
        with pytest.raises(MalformedPacket):
            decode(patched(light_module, 12, pack(">H", kind | 0x8000)))


def test_an_unknown_message_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="unknown type"):
        encode(Unknown(HEADER, 11))


@settings(max_examples=40)
@given(
    st.lists(st.one_of(messages, (publishes | modules).map(lambda m: replace(m, header=None))), max_size=4),
    st.data(),
)
def test_a_stream_cut_anywhere_gives_the_same_packets(stream: list[Message], data: st.DataObject) -> None:
    packets = [encode(message) for message in stream]
    whole = b"".join(packets)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    reader = PacketReader()
    received = [
        packet
        for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)
        for packet in reader.feed(whole[start:end])
    ]
    assert received == packets


def test_a_stream_fed_byte_by_byte_gives_the_same_packets() -> None:
    packets = [encode(PING), encode(Publish(None, b"c", b"p"))]
    reader = PacketReader()
    whole = b"".join(packets)
    assert [p for at in range(len(whole)) for p in reader.feed(whole[at : at + 1])] == packets


@pytest.mark.parametrize(
    "bad",
    [
        b"X",
        b"RCm!",
        b"PING\r\n",
        b"RCmb" + pack(">IHHHH", 2255, 1, 0, 0, 0),
        b"RCmb" + pack(">IHHHH", 15, 1, 0, 0x8004, 0),
        b"RCmb" + pack(">IHHHH", 0xFFFFFFFF, 1, 0, 4, 0),
    ],
    ids=["first byte", "fourth byte", "a client", "full too short", "light too short", "too long"],
)
def test_a_broken_stream_gives_the_packets_before_it_then_ends(bad: bytes) -> None:
    packet = encode(PING)
    reader = PacketReader()
    arriving = reader.feed(packet + bad)
    assert next(arriving) == packet
    with pytest.raises(FramingError):
        next(arriving)


def test_the_longest_packet_is_bounded() -> None:
    packet = encode(Publish(HEADER, b"c", bytes(1000)))
    assert list(PacketReader(len(packet)).feed(packet)) == [packet]
    with pytest.raises(FramingError):
        list(PacketReader(len(packet) - 1).feed(packet[:16]))
