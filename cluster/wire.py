"""Messages of the cluster bus as bytes and back: the `RCmb` protocol, version 1.

Every packet carries its own length and a type; a full packet has a 2,256-byte header that describes its
sender, a light one (Valkey 8) only 16 bytes. All integers are big-endian. What comes in is hostile until
it has passed `decode`: each type has one exact length rule, ids are 40 characters of a-z0-9, addresses
and names hold no character that could break a line of nodes.conf.
Source: Redis Cluster specification, and the packet layout shared by Redis 4.0-8.x and Valkey 7.2-9.x.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from struct import Struct
from typing import Final

from shoal.cluster.extensions import (
    REMEMBERED_TEXTS,
    MalformedPacket,
    decode_extensions,
    encode_extensions,
    node_id,
)
from shoal.cluster.messages import (
    Extensions,
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    GossipEntry,
    Header,
    ManualFailoverStart,
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

__all__ = [
    "FramingError",
    "MalformedPacket",
    "PacketReader",
    "decode",
    "encode",
    "HEADER_BYTES",
    "LIGHT_HEADER_BYTES",
    "MAX_PACKET_BYTES",
]

SIGNATURE: Final = b"RCmb"
VERSION: Final = 1
LIGHT_TYPE_BIT: Final = 0x8000
MAX_PACKET_BYTES: Final = 64 * 1024 * 1024
MAX_EPOCH: Final = (1 << 63) - 1

_HEADER = Struct(">4sIHHHHQQQ40s2048s40s46sH30sHHHBBH")
_LIGHT_HEADER = Struct(">4sIHHHH")
_GOSSIP = Struct(">40sII46sHHHHH")
_PUBLISH = Struct(">II")
_UPDATE = Struct(">Q40s2048s")
_MODULE = Struct(">QIB")

HEADER_BYTES: Final = _HEADER.size
LIGHT_HEADER_BYTES: Final = _LIGHT_HEADER.size

_NO_ID = bytes(40)
_NO_EXTENSIONS = Extensions()
_is_address = re.compile(rb"[A-Za-z0-9.:%_-]{0,45}").fullmatch
_PING_KINDS = (MessageType.PING, MessageType.PONG, MessageType.MEET)
_EXT_DATA = int(MessageFlag.EXT_DATA)
_KNOWN_NODE_FLAGS = int(~NodeFlag(0))
_KNOWN_MESSAGE_FLAGS = int(~MessageFlag(0))


class FramingError(Exception):
    """The stream is no longer a stream of packets; its link has to be closed."""


def encode(message: Message) -> bytes:
    """The packet of a message: the inverse of `decode`.

    What a peer may be sent is decided by who makes the message. Extensions are only for a peer that has set
    EXT_DATA once; older ones drop such a packet. A Publish or Module without a header goes behind Valkey's
    light one: only to a peer that advertises it, and never first on a link, for it does not name its sender.
    """
    match message:
        case Ping():
            return _encode_ping(message)
        case Publish(header, channel, payload, sharded):
            kind = MessageType.PUBLISHSHARD if sharded else MessageType.PUBLISH
            lengths = _PUBLISH.pack(len(channel), len(payload))
            return _pack_either(kind, header, b"".join((lengths, channel, payload)))
        case Module(header, module, module_kind, payload):
            body = _MODULE.pack(module, len(payload), module_kind) + payload
            return _pack_either(MessageType.MODULE, header, body)
        case Fail(header, node):
            return _pack(MessageType.FAIL, header, node.encode("ascii"))
        case FailoverAuthRequest(header):
            return _pack(MessageType.FAILOVER_AUTH_REQUEST, header)
        case FailoverAuthAck(header):
            return _pack(MessageType.FAILOVER_AUTH_ACK, header)
        case Update(header, config_epoch, node, slots):
            return _pack(MessageType.UPDATE, header, _UPDATE.pack(config_epoch, node.encode("ascii"), slots))
        case ManualFailoverStart(header):
            return _pack(MessageType.MFSTART, header)
        case Unknown():
            raise ValueError("a message of an unknown type cannot be sent")


def _pack(kind: int, header: Header, body: bytes = b"", gossip_count: int = 0, extensions: int = 0) -> bytes:
    replica_of = header.replica_of
    head = _HEADER.pack(
        SIGNATURE,
        HEADER_BYTES + len(body),
        VERSION,
        header.port,
        kind,
        gossip_count,
        header.current_epoch,
        header.config_epoch,
        header.replication_offset,
        header.sender.encode("ascii"),
        header.slots,
        replica_of.encode("ascii") if replica_of else _NO_ID,
        header.ip.encode("ascii"),
        extensions,
        b"",
        header.secondary_port,
        header.bus_port,
        header.flags,
        0 if header.cluster_ok else 1,
        header.message_flags,
        0,
    )
    return head + body


def _encode_ping(message: Ping) -> bytes:
    gossip, extensions = message.gossip, message.extensions
    count, tail = (0, b"") if extensions == _NO_EXTENSIONS else encode_extensions(extensions)
    body = b"".join([_gossip_bytes(entry) for entry in gossip]) + tail
    return _pack(message.kind, message.header, body, len(gossip), count)


def _gossip_bytes(entry: GossipEntry) -> bytes:
    return _GOSSIP.pack(
        entry.node.encode("ascii"),
        entry.ping_sent,
        entry.pong_received,
        entry.ip.encode("ascii"),
        entry.port,
        entry.bus_port,
        entry.flags,
        entry.secondary_port,
        0,
    )


def _pack_either(kind: MessageType, header: Header | None, body: bytes) -> bytes:
    """Behind a full header if there is one, else behind a light one."""
    if header is not None:
        return _pack(kind, header, body)
    total = LIGHT_HEADER_BYTES + len(body)
    return _LIGHT_HEADER.pack(SIGNATURE, total, VERSION, 0, kind | LIGHT_TYPE_BIT, 0) + body


def decode(packet: bytes) -> Message:
    """The message of one whole packet. Raises MalformedPacket, and nothing else, for bad bytes.

    A packet of another protocol version or an unknown type becomes `Unknown`: it is counted and ignored.
    """
    if len(packet) < LIGHT_HEADER_BYTES:
        raise MalformedPacket("shorter than the shortest header")
    signature, total, version, _port, kind, count = _LIGHT_HEADER.unpack_from(packet)
    if signature != SIGNATURE or total != len(packet):
        raise MalformedPacket("wrong signature or length")
    if version != VERSION:
        return Unknown(None, kind)
    if kind & LIGHT_TYPE_BIT:
        return _decode_light(packet, kind & ~LIGHT_TYPE_BIT)
    if len(packet) < HEADER_BYTES:
        raise MalformedPacket("shorter than a full header")
    header, extensions = _decode_header(packet)
    if kind < len(_PING_KINDS):
        return _decode_ping(_PING_KINDS[kind], packet, header, count, extensions)
    return _decode_other(kind, packet, header)


def _decode_header(packet: bytes) -> tuple[Header, int]:
    """The header, and how many extensions follow the gossip: none unless the EXT_DATA flag says so."""
    (
        _signature,
        _total,
        _version,
        port,
        _kind,
        _count,
        current_epoch,
        config_epoch,
        replication_offset,
        sender,
        slots,
        replica_of,
        ip,
        extensions,
        _unused,
        secondary_port,
        bus_port,
        flags,
        state,
        message_flags,
        _more_flags,
    ) = _HEADER.unpack_from(packet)
    header = Header(
        node_id(sender),
        _epoch(current_epoch),
        _epoch(config_epoch),
        replication_offset,
        slots,
        None if replica_of == _NO_ID else node_id(replica_of),
        _address(ip),
        port,
        bus_port,
        secondary_port,
        _node_flags(flags & _KNOWN_NODE_FLAGS),
        state == 0,
        _message_flags(message_flags & _KNOWN_MESSAGE_FLAGS),
    )
    return header, extensions if message_flags & _EXT_DATA else 0


@lru_cache(maxsize=_KNOWN_NODE_FLAGS + 1)
def _node_flags(bits: int) -> NodeFlag:
    return NodeFlag(bits)


@lru_cache(maxsize=_KNOWN_MESSAGE_FLAGS + 1)
def _message_flags(bits: int) -> MessageFlag:
    return MessageFlag(bits)


def _epoch(value: int) -> int:
    """An epoch that still leaves room to count on.

    Epochs only ever grow and every node adopts the greatest it hears of, so one mutilated packet near the
    end of the 64-bit range would leave a cluster unable to elect anybody again. No real one gets there.
    """
    if value > MAX_EPOCH:
        raise MalformedPacket("an epoch is out of range")
    return value


@lru_cache(maxsize=REMEMBERED_TEXTS)
def _address(raw: bytes) -> str:
    text, _terminator, _padding = raw.partition(b"\0")
    if not _is_address(text):
        raise MalformedPacket("an address is not valid")
    return text.decode("ascii")


def _decode_ping(kind: MessageType, packet: bytes, header: Header, count: int, extensions: int) -> Ping:
    end_of_gossip = HEADER_BYTES + _GOSSIP.size * count
    if end_of_gossip > len(packet):
        raise MalformedPacket("the gossip section is cut off")
    gossip = tuple(
        [
            GossipEntry(
                node_id(node),
                ping_sent,
                pong_received,
                _address(ip),
                port,
                bus_port,
                _node_flags(flags & _KNOWN_NODE_FLAGS),
                secondary_port,
            )
            for (
                node,
                ping_sent,
                pong_received,
                ip,
                port,
                bus_port,
                flags,
                secondary_port,
                _unused,
            ) in _GOSSIP.iter_unpack(memoryview(packet)[HEADER_BYTES:end_of_gossip])
        ]
    )
    if extensions:
        return Ping(kind, header, gossip, decode_extensions(packet[end_of_gossip:], extensions))
    if end_of_gossip != len(packet):
        raise MalformedPacket("bytes are left over after the gossip section")
    return Ping(kind, header, gossip, _NO_EXTENSIONS)


def _decode_other(kind: int, packet: bytes, header: Header) -> Message:
    body_bytes = len(packet) - HEADER_BYTES
    match kind:
        case MessageType.FAIL:
            _require_length(body_bytes, 40)
            return Fail(header, node_id(packet[HEADER_BYTES:]))
        case MessageType.PUBLISH | MessageType.PUBLISHSHARD:
            return _decode_publish(packet, HEADER_BYTES, header, kind)
        case MessageType.FAILOVER_AUTH_REQUEST:
            _require_length(body_bytes, 0)
            return FailoverAuthRequest(header)
        case MessageType.FAILOVER_AUTH_ACK:
            _require_length(body_bytes, 0)
            return FailoverAuthAck(header)
        case MessageType.UPDATE:
            _require_length(body_bytes, _UPDATE.size)
            config_epoch, node, slots = _UPDATE.unpack_from(packet, HEADER_BYTES)
            return Update(header, _epoch(config_epoch), node_id(node), slots)
        case MessageType.MFSTART:
            _require_length(body_bytes, 0)
            return ManualFailoverStart(header)
        case MessageType.MODULE:
            return _decode_module(packet, HEADER_BYTES, header)
    return Unknown(header, kind)


def _require_length(actual: int, expected: int) -> None:
    if actual != expected:
        raise MalformedPacket(f"a body of {actual} bytes where the type requires {expected}")


def _decode_light(packet: bytes, kind: int) -> Message:
    if kind in (MessageType.PUBLISH, MessageType.PUBLISHSHARD):
        return _decode_publish(packet, LIGHT_HEADER_BYTES, None, kind)
    if kind == MessageType.MODULE:
        return _decode_module(packet, LIGHT_HEADER_BYTES, None)
    raise MalformedPacket(f"type {kind} never comes behind a light header")


def _decode_publish(packet: bytes, offset: int, header: Header | None, kind: int) -> Publish:
    start = offset + _PUBLISH.size
    if len(packet) < start:
        raise MalformedPacket("a PUBLISH without its lengths")
    channel_bytes, payload_bytes = _PUBLISH.unpack_from(packet, offset)
    _require_length(len(packet) - start, channel_bytes + payload_bytes)
    middle = start + channel_bytes
    return Publish(header, packet[start:middle], packet[middle:], kind == MessageType.PUBLISHSHARD)


def _decode_module(packet: bytes, offset: int, header: Header | None) -> Module:
    start = offset + _MODULE.size
    if len(packet) < start:
        raise MalformedPacket("a MODULE message without its length")
    module, body_bytes, kind = _MODULE.unpack_from(packet, offset)
    _require_length(len(packet) - start, body_bytes)
    return Module(header, module, kind, packet[start:])


class PacketReader:
    """Cuts the bytes of one link into packets.

    A wrong signature, a length below that of the header, or one above `max_packet_bytes` raises
    FramingError: from there on nobody knows where the next packet starts, so the link must be closed.
    Memory: what has arrived of one packet, at most `max_packet_bytes`, and never by the length it claims.
    """

    __slots__ = ("_buffer", "max_packet_bytes")

    def __init__(self, max_packet_bytes: int = MAX_PACKET_BYTES) -> None:
        self._buffer = bytearray()
        self.max_packet_bytes = max_packet_bytes

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what arrived; yield each packet that is now complete.

        The packets before a framing error are yielded, then the error is raised.
        """
        buffer = self._buffer
        buffer += data
        position = 0
        try:
            while (length := self._packet_length(position)) and len(buffer) - position >= length:
                yield bytes(buffer[position : position + length])
                position += length
        finally:
            del buffer[:position]

    def _packet_length(self, position: int) -> int:
        """The length of the packet that starts here, or 0 while its header has not arrived."""
        buffer = self._buffer
        if not SIGNATURE.startswith(buffer[position : position + 4]):
            raise FramingError("a packet does not start with the signature of the cluster bus")
        if len(buffer) - position < LIGHT_HEADER_BYTES:
            return 0
        _signature, total, version, _port, kind, _count = _LIGHT_HEADER.unpack_from(buffer, position)
        light = version == VERSION and kind & LIGHT_TYPE_BIT
        if total < (LIGHT_HEADER_BYTES if light else HEADER_BYTES):
            raise FramingError(f"a packet claims to be {total} bytes long, less than its header")
        if total > self.max_packet_bytes:
            raise FramingError(f"a packet claims to be {total} bytes long, more than is allowed")
        return int(total)
