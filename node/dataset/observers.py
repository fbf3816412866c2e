"""Those who want to know what happens to keys, as the keyspace sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from shoal.node.dataset.database import Database
    from shoal.node.dataset.values import Value


class Watcher(Protocol):
    """Whoever wants to know that a key was changed: a client's WATCH, the clients that wait for the key."""

    def watched_key_changed(self) -> None:
        """Called once per change, in the middle of the command that makes it."""


class OnChange(Protocol):
    """Whoever wants to know of every change to every key."""

    def __call__(self, key: bytes | None, *, by_command: bool) -> None:
        """A key was changed, by the running command or by nobody (it expired). None: every key is gone."""


class Snapshot(Protocol):
    """A walk over the keyspace as it was at one moment."""

    total: int
    """How many keys there were."""
    told: int
    """How many of them are told so far, in their turn or because they were about to change."""

    @property
    def copied(self) -> int:
        """What was told because it was about to change, in bytes."""

    def before_change(self, database: Database, slot: int, key: bytes) -> None:
        """Called before a key is altered, added or removed, so that its old value can be kept."""

    def holds(self, value: Value) -> bool:
        """Whether the walk goes on with this very object, so that nobody may alter it any more."""
