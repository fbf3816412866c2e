"""What a server wants the runtime to do, in order; the law of the list is that of `shoal.cluster.effects`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from shoal.cluster.effects import Effect

if TYPE_CHECKING:
    from shoal.node.server.attached_replica import AttachedReplica
    from shoal.node.server.migration import MigrateKeys
    from shoal.node.server.saved_snapshot import SavedSnapshot
    from shoal.node.server.session import Session


@dataclass(frozen=True, slots=True)
class SaveSnapshot:
    """Write a snapshot to disk: in the background, or while `waiting` is blocked until it is done."""

    waiting: Session | None


@dataclass(frozen=True, slots=True)
class AppendToLog:
    """Append what the turn changed to the append-only file, in one write. First in its list."""

    data: bytes


@dataclass(frozen=True, slots=True)
class SyncLog:
    """Make what was appended durable before anything behind this is done."""


@dataclass(frozen=True, slots=True)
class RewriteLog:
    """Rewrite the append-only file from the data there is now; `waiting` is told once that has begun."""

    waiting: Session | None


@dataclass(frozen=True, slots=True)
class LoadSnapshot:
    """Put the snapshot on disk in the place of all data, as a restart would; `waiting` is told.

    With `save` it is written before. Without `flush` it is added to the data there are; `merge` says that it
    may replace some of them.
    """

    waiting: Session
    save: bool = False
    flush: bool = True
    merge: bool = False


@dataclass(frozen=True, slots=True)
class LoadLog:
    """Replace all data by those of the append-only file; `waiting` is told when that is done."""

    waiting: Session


@dataclass(frozen=True, slots=True)
class RestartLog:
    """All data were replaced by a primary's: what the append-only file holds is a past that is over."""


@dataclass(frozen=True, slots=True)
class ReplaceSnapshot:
    """Give up the snapshot that is being written. Where there are save points, write another at once.

    After FLUSHALL, so that what was deleted does not come back with a restart; it is soon done then.
    """


@dataclass(frozen=True, slots=True)
class SaveForReplicas:
    """Write the snapshot to disk that replicas wait for, if that can begin now."""


@dataclass(frozen=True, slots=True)
class GiveUpSnapshot:
    """Write no further at the snapshot that replicas waited for."""


@dataclass(frozen=True, slots=True)
class ReadSnapshot:
    """Read a part of a snapshot's file for a replica, without anybody waiting for the disk."""

    snapshot: SavedSnapshot
    replica: AttachedReplica
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class CloseSnapshot:
    """No more of this snapshot's file is wanted."""

    snapshot: SavedSnapshot


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End the process, after a snapshot if `save` (None: as configured). If that fails, `waiting` is told.

    It waits for replicas that lack something, up to `shutdown-timeout`, unless it is to end `now`.
    With `force` the process ends even if the snapshot cannot be written.
    """

    waiting: Session | None
    save: bool | None
    now: bool
    force: bool


@dataclass(frozen=True, slots=True)
class AbortShutdown:
    """Do not end after all, if the process is still waiting to; `waiting` is told."""

    waiting: Session


@dataclass(frozen=True, slots=True)
class CloseSession:
    """Hang up on a client at once, without sending what it is still owed."""

    session: Session


@dataclass(frozen=True, slots=True)
class RoleChanged:
    """The node is a replica now and was a primary, or the other way round."""


@dataclass(frozen=True, slots=True)
class OpenPrimaryLink:
    """Connect to the primary after a while. What becomes of it goes to whoever is `followed_over` it."""

    link: int
    host: str
    port: int
    delay_ms: int


@dataclass(frozen=True, slots=True)
class SendToPrimary:
    """Write bytes to this connection, if it still stands."""

    link: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ClosePrimaryLink:
    """Close this connection, or stop trying to make it. Nothing more is reported about it."""

    link: int


ServerEffect: TypeAlias = (
    "Effect"
    " | AppendToLog | SyncLog | RewriteLog | LoadLog | LoadSnapshot | RestartLog"
    " | SaveSnapshot | ReplaceSnapshot | SaveForReplicas | GiveUpSnapshot | ReadSnapshot | CloseSnapshot"
    " | Shutdown | AbortShutdown"
    " | CloseSession | RoleChanged | OpenPrimaryLink | SendToPrimary | ClosePrimaryLink | MigrateKeys"
)
