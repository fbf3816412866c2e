"""What the cluster machine wants done, in order.

The law of the list: the shell carries effects out strictly one after the other, and those of one step
before those of the next. In particular nothing listed after a `PersistConfig(fsync=True)` may happen
before that configuration is on disk. A crash may cut the list anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from shoal.cluster.messages import Message


@dataclass(frozen=True, slots=True)
class Connect:
    """Open the outbound link `link` to a node's bus port; report LinkConnected or LinkClosed for it."""

    link: int
    node: str
    ip: str
    bus_port: int


@dataclass(frozen=True, slots=True)
class CloseLink:
    """Close a link, in either direction. The machine has already forgotten it."""

    link: int


@dataclass(frozen=True, slots=True)
class Send:
    """Queue a message on a link. A link that has gone meanwhile swallows it."""

    link: int
    message: Message


@dataclass(frozen=True, slots=True)
class PersistConfig:
    """Write `machine.saved()`, as it is when this effect is carried out, to nodes.conf.

    With `fsync` the file is durable before the next effect.
    """

    fsync: bool


@dataclass(frozen=True, slots=True)
class BecomePrimary:
    """Stop following; this node is a primary from now on and keeps the data it has."""


@dataclass(frozen=True, slots=True)
class FollowPrimary:
    """Replicate from this node."""

    node: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ResetDataset:
    """Delete every key of this node."""


@dataclass(frozen=True, slots=True)
class DeleteSlotKeys:
    """Delete the keys of slots this node no longer owns."""

    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PauseWrites:
    """Refuse no write but hold all of them back until `until_ms` or `ResumeWrites`; reads go on.

    Once that is so, step `WritesPaused` with the offset reached.
    """

    until_ms: int


@dataclass(frozen=True, slots=True)
class ResumeWrites:
    """Let held-back writes through."""


@dataclass(frozen=True, slots=True)
class ClusterStateChanged:
    """The cluster became able, or unable, to serve."""

    ok: bool


@dataclass(frozen=True, slots=True)
class TopologyChanged:
    """Who is who, or who owns what, changed: routing tables and blocked clients want another look."""


@dataclass(frozen=True, slots=True)
class DeliverPublish:
    """Another node's publish for this node's subscribers."""

    channel: bytes
    payload: bytes
    sharded: bool


@dataclass(frozen=True, slots=True)
class AnswerAdmin:
    """The reply to the administrative request of this step: a simple string, or an error's full text."""

    text: str = "OK"
    is_error: bool = False


class Level(Enum):
    """How loud a note is."""

    DEBUG = "debug"
    VERBOSE = "verbose"
    NOTICE = "notice"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the log."""

    level: Level
    text: str


Effect = (
    Connect
    | CloseLink
    | Send
    | PersistConfig
    | BecomePrimary
    | FollowPrimary
    | ResetDataset
    | DeleteSlotKeys
    | PauseWrites
    | ResumeWrites
    | ClusterStateChanged
    | TopologyChanged
    | DeliverPublish
    | AnswerAdmin
    | Note
)
