"""What can happen to the cluster machine. Every event is a value; `now_ms` goes beside it into `step`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from shoal.cluster.messages import Message


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed. Due at `machine.next_deadline()`, harmless at any other time."""


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A packet came in. `link` is the outbound link's id, or a negative number the shell gave an accepted
    connection. `peer_ip` is the other end's address, `local_ip` the address it reached us at.
    """

    link: int
    message: Message
    peer_ip: str
    local_ip: str = ""


@dataclass(frozen=True, slots=True)
class LinkConnected:
    """A connection asked for by `Connect` is up."""

    link: int


@dataclass(frozen=True, slots=True)
class LinkClosed:
    """A link is gone: refused, reset, timed out or closed by the peer. Not sent after our own `CloseLink`."""

    link: int


@dataclass(frozen=True, slots=True)
class ReplicationProgress:
    """How far this node's data stream is. Send it whenever it matters: before a Tick or a message.

    `offset` is produced (primary) or processed (replica) bytes. `primary_last_seen_ms` is the last moment
    this replica was in touch with its primary, None if never.
    """

    offset: int
    primary_link_up: bool = False
    primary_last_seen_ms: int | None = None


@dataclass(frozen=True, slots=True)
class DataLoaded:
    """At the start, once: this node has found keys in these slots on its disk."""

    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WritesPaused:
    """`PauseWrites` has been carried out: `offset` is where the stream stands still until `ResumeWrites`."""

    offset: int


@dataclass(frozen=True, slots=True)
class PublishToCluster:
    """A client published; carry it to every node, or to this shard's nodes when `sharded`."""

    channel: bytes
    payload: bytes
    sharded: bool = False


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """The `ClusterSettings` handed in at the start were modified."""


@dataclass(frozen=True, slots=True)
class Meet:
    """CLUSTER MEET. `bus_port` defaults to port + 10000."""

    ip: str
    port: int
    bus_port: int | None = None


@dataclass(frozen=True, slots=True)
class Forget:
    """CLUSTER FORGET."""

    node: str


@dataclass(frozen=True, slots=True)
class AddSlots:
    """CLUSTER ADDSLOTS and ADDSLOTSRANGE, as single slots in the order given."""

    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DelSlots:
    """CLUSTER DELSLOTS and DELSLOTSRANGE, as single slots in the order given."""

    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FlushSlots:
    """CLUSTER FLUSHSLOTS."""


@dataclass(frozen=True, slots=True)
class SetSlotMigrating:
    """CLUSTER SETSLOT slot MIGRATING node."""

    slot: int
    node: str


@dataclass(frozen=True, slots=True)
class SetSlotImporting:
    """CLUSTER SETSLOT slot IMPORTING node."""

    slot: int
    node: str


@dataclass(frozen=True, slots=True)
class SetSlotStable:
    """CLUSTER SETSLOT slot STABLE."""

    slot: int


@dataclass(frozen=True, slots=True)
class SetSlotNode:
    """CLUSTER SETSLOT slot NODE node."""

    slot: int
    node: str


@dataclass(frozen=True, slots=True)
class Replicate:
    """CLUSTER REPLICATE."""

    node: str


class FailoverMode(Enum):
    """How CLUSTER FAILOVER goes about it: with the primary's help, without it, or without anybody's."""

    NORMAL = "normal"
    FORCE = "force"
    TAKEOVER = "takeover"


@dataclass(frozen=True, slots=True)
class Failover:
    """CLUSTER FAILOVER [FORCE|TAKEOVER]."""

    mode: FailoverMode = FailoverMode.NORMAL


@dataclass(frozen=True, slots=True)
class Reset:
    """CLUSTER RESET [HARD|SOFT]."""

    hard: bool = False


@dataclass(frozen=True, slots=True)
class BumpEpoch:
    """CLUSTER BUMPEPOCH."""


@dataclass(frozen=True, slots=True)
class SetConfigEpoch:
    """CLUSTER SET-CONFIG-EPOCH."""

    epoch: int


@dataclass(frozen=True, slots=True)
class SaveConfig:
    """CLUSTER SAVECONFIG."""


AdminRequest = (
    Meet
    | Forget
    | AddSlots
    | DelSlots
    | FlushSlots
    | SetSlotMigrating
    | SetSlotImporting
    | SetSlotStable
    | SetSlotNode
    | Replicate
    | Failover
    | Reset
    | BumpEpoch
    | SetConfigEpoch
    | SaveConfig
)
"""What an operator asks for. Each is answered by exactly one `AnswerAdmin` in the same step."""

Event = (
    Tick
    | MessageReceived
    | LinkConnected
    | LinkClosed
    | ReplicationProgress
    | DataLoaded
    | WritesPaused
    | PublishToCluster
    | SettingsChanged
    | AdminRequest
)
