"""What a server knows about its snapshots on disk; the runtime writes them and reports here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.node.server.server import Server


def can_be_pictured(server: Server) -> bool:
    """Whether all data are as somebody could want them back: not half loaded, nor half of what a script does.

    In a replica's snapshot the half would be followed, in the stream, by the whole.
    """
    return not server.loading and not server.scripts.suspension.is_suspended


@dataclass(slots=True)
class Loading:
    """How far the loading of all data is."""

    since: int
    total_bytes: int
    loaded_bytes: int = 0


@dataclass(slots=True)
class PersistenceState:
    """For LASTSAVE, INFO and the save points. Times are unix seconds."""

    last_save_time: int = 0
    last_save_ok: bool = True
    last_save_seconds: int = -1
    last_save_copied: int = 0
    """What writes copied into the last good snapshot before they changed it, in bytes."""
    saves: int = 0
    keys_loaded: int = 0
    """How many keys the snapshot held that the node started from."""
    keys_expired: int = 0
    """And how many more there were whose time had come."""
    loading: Loading | None = None
    """While `Server.loading`."""
    in_progress_since: int | None = None
    save_scheduled: bool = False
    """A snapshot was asked for that has to wait for the rewrite of the append-only file."""
    changes_saved: int = 0
    """`Keyspace.changes` at the moment of the last good snapshot."""

    def note_loaded(self, keys: int, expired: int) -> None:
        """The node started from a snapshot with so many keys, and more whose time had come."""
        self.keys_loaded, self.keys_expired = keys, expired

    def is_due(self, rules: tuple[tuple[int, int], ...], changes: int, now: int) -> bool:
        """Whether a save point (so many changes, so many seconds old) is reached."""
        unsaved = changes - self.changes_saved
        waited = now - self.last_save_time
        return any(unsaved >= at_least and waited >= seconds for seconds, at_least in rules)
