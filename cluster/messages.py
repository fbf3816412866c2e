"""What nodes say to each other on the cluster bus, one frozen dataclass per message.

These are values, not bytes: `wire.py` turns them into `RCmb` packets and back, and the state machine
sees only them. Names follow the Redis Cluster specification; a "primary" is what old texts call a master.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag


class MessageType(IntEnum):
    """The `type` field of a packet."""

    PING = 0
    PONG = 1
    MEET = 2
    FAIL = 3
    PUBLISH = 4
    FAILOVER_AUTH_REQUEST = 5
    FAILOVER_AUTH_ACK = 6
    UPDATE = 7
    MFSTART = 8
    MODULE = 9
    PUBLISHSHARD = 10


class NodeFlag(IntFlag):
    """Node flags as they travel in headers and gossip (16 bits); unknown bits are ignored."""

    NONE = 0
    PRIMARY = 1
    REPLICA = 2
    PFAIL = 4
    FAIL = 8
    MYSELF = 16
    HANDSHAKE = 32
    NOADDR = 64
    MEET = 128
    MIGRATE_TO = 256
    NOFAILOVER = 512
    EXTENSIONS_SUPPORTED = 1024
    LIGHT_HEADER_PUBLISH = 2048
    LIGHT_HEADER_MODULE = 4096


class MessageFlag(IntFlag):
    """The first `mflags` byte of a header."""

    NONE = 0
    PAUSED = 1
    FORCE_ACK = 2
    EXT_DATA = 4


@dataclass(frozen=True, slots=True)
class Header:
    """What every full packet says about its sender.

    `slots` is the 2,048-byte bitmap (a replica sends its primary's); `ip` is empty unless the sender
    announces one, in which case it replaces the address its connection comes from.
    """

    sender: str
    current_epoch: int
    config_epoch: int
    replication_offset: int
    slots: bytes
    replica_of: str | None
    ip: str
    port: int
    bus_port: int
    secondary_port: int
    flags: NodeFlag
    cluster_ok: bool
    message_flags: MessageFlag = MessageFlag.EXT_DATA


@dataclass(frozen=True, slots=True)
class GossipEntry:
    """What a sender believes about another node. Times are unix seconds, as the wire carries them."""

    node: str
    ping_sent: int
    pong_received: int
    ip: str
    port: int
    bus_port: int
    flags: NodeFlag
    secondary_port: int = 0


@dataclass(frozen=True, slots=True)
class ForgottenNode:
    """FORGET spreading by gossip: do not learn this node again for `ttl_seconds`."""

    node: str
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class Extensions:
    """Optional parts of a PING, PONG or MEET. `None` means absent, which for a hostname means "clear it"."""

    hostname: str | None = None
    human_name: str | None = None
    shard_id: str | None = None
    forgotten: tuple[ForgottenNode, ...] = ()


@dataclass(frozen=True, slots=True)
class Ping:
    """PING, PONG and MEET share one shape; `kind` tells them apart."""

    kind: MessageType
    header: Header
    gossip: tuple[GossipEntry, ...] = ()
    extensions: Extensions = field(default_factory=Extensions)


@dataclass(frozen=True, slots=True)
class Fail:
    """A majority of voting primaries holds `node` to be unreachable."""

    header: Header
    node: str


@dataclass(frozen=True, slots=True)
class Publish:
    """A Pub/Sub message for every node (or, when `sharded`, for the shard).

    `header` is None when it came behind Valkey's light header, which names no sender.
    """

    header: Header | None
    channel: bytes
    payload: bytes
    sharded: bool = False


@dataclass(frozen=True, slots=True)
class FailoverAuthRequest:
    """A replica asks for a vote; the header carries its failed primary's slots and config epoch."""

    header: Header


@dataclass(frozen=True, slots=True)
class FailoverAuthAck:
    """A vote, valid for the epoch in the header."""

    header: Header


@dataclass(frozen=True, slots=True)
class Update:
    """`node` owns `slots` with this config epoch: news for a sender whose claim is older."""

    header: Header
    config_epoch: int
    node: str
    slots: bytes


@dataclass(frozen=True, slots=True)
class ManualFailoverStart:
    """MFSTART: a replica asks its primary to pause writes for a manual failover."""

    header: Header


@dataclass(frozen=True, slots=True)
class Module:
    """What a loaded module tells its like on other nodes. There are no modules here: counted and ignored.

    `module` is a number made of the module's name, `kind` the module's own. `header` is None when it came
    behind Valkey's light header.
    """

    header: Header | None
    module: int
    kind: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Unknown:
    """A well-framed packet of a type this version does not know. Counted and ignored."""

    header: Header | None
    type: int


Message = (
    Ping
    | Fail
    | Publish
    | FailoverAuthRequest
    | FailoverAuthAck
    | Update
    | ManualFailoverStart
    | Module
    | Unknown
)
