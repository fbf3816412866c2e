"""Full synchronisations by way of disk: with `repl-diskless-sync no`, or for who must know the size first.

The snapshot is the one that BGSAVE writes, and counts as a save. Replicas that come while it is written share
it; it is sent once it is whole. Who comes later, or while one is written for nobody, waits for the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.cluster.effects import Level, Note
from shoal.node.replication.stream import NO_DATABASE
from shoal.node.server.effects import CloseSnapshot, GiveUpSnapshot, SaveForReplicas
from shoal.node.server.persistence import can_be_pictured
from shoal.node.server.saved_snapshot import SavedSnapshot

if TYPE_CHECKING:
    from shoal.node.server.attached_replica import AttachedReplica
    from shoal.node.server.server import Server


class SyncsByDisk:
    """All of one node. The runtime writes and reads the file, and tells what becomes of it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.sending: list[SavedSnapshot] = []
        """Those that are whole, and not yet with all of their replicas."""
        self._waiting: list[AttachedReplica] = []
        """For the next."""
        self._saving: SavedSnapshot | None = None
        """The one that is being written."""

    def request(self, replica: AttachedReplica) -> None:
        """A replica wants a snapshot: the one that is being written for others, or the next."""
        if self._saving is not None and self._saving.may_be_joined_by(replica):
            self._note("Waiting for end of BGSAVE for SYNC")
            self._saving.add(replica)
            return
        self._waiting.append(replica)
        if self.wants_save:
            self.server.effects.append(SaveForReplicas())
        elif self.server.persistence.in_progress_since is not None:
            self._note("Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC")
        else:
            self._note(
                "No BGSAVE in progress, but another BG operation is active. BGSAVE for replication delayed"
            )

    @property
    def wants_save(self) -> bool:
        """Whether replicas wait for a snapshot that could begin now."""
        server = self.server
        is_free = server.persistence.in_progress_since is None and server.aof.rewriting_since is None
        return bool(self._waiting) and is_free and can_be_pictured(server)

    def look(self, now_ms: int) -> None:
        """Begin the next snapshot if it had to wait; let replicas know that we live."""
        if self.wants_save:
            self.server.effects.append(SaveForReplicas())
        for replica in (*self._waiting, *(self._saving.replicas if self._saving is not None else ())):
            replica.keep_alive(now_ms)

    # --- saving ------------------------------------------------------------------------------------

    def begin(self) -> SavedSnapshot:
        """The snapshot is of this moment: the stream from here on is what comes after it."""
        replication = self.server.replication
        self._note("Starting BGSAVE for SYNC with target: disk")
        if replication.following is None:
            replication.reader.database = NO_DATABASE
        snapshot = self._saving = SavedSnapshot(replication.history)
        waiting, self._waiting = self._waiting, []
        for replica in waiting:
            snapshot.add(replica)
        return snapshot

    def failed(self, snapshot: SavedSnapshot, why: str) -> None:
        """It is not to be had. Its replicas come back for what there is then."""
        if snapshot is self._saving:
            self._saving = None
        for replica in snapshot.replicas:
            self._warn(f"SYNC failed. {why}: {replica.name}")
            replica.hang_up()

    def saved(self, snapshot: SavedSnapshot, size: int) -> None:
        """It is whole, a file of so many bytes, and sent from now on."""
        self._saving = None
        self.sending.append(snapshot)
        snapshot.begin_sending(size)

    def saved_for_nobody(self) -> None:
        """It is whole, but those who waited for it are gone."""
        self._saving = None

    # --- sending -----------------------------------------------------------------------------------

    @property
    def wants_turn(self) -> bool:
        """Whether a replica has room for more of its file than is being read."""
        return any(snapshot.can_go_on for snapshot in self.sending)

    def go_on(self) -> None:
        """A turn's share of every file."""
        for snapshot in self.sending:
            self.server.effects += snapshot.go_on()

    def read(self, snapshot: SavedSnapshot, replica: AttachedReplica, part: bytes) -> None:
        """The part that was to be read for a replica; none if it could not be."""
        if replica.snapshot is not snapshot:
            return
        if not part:
            self._warn(f"SYNC failed. The file cannot be read to its end: {replica.name}")
            replica.hang_up()
        elif snapshot.take(replica, part):
            replica.end_snapshot(ends_in_mark=False)
            self._leave(snapshot, replica)
            self._note(f"Synchronization with replica {replica.name} succeeded")
        else:
            self.server.effects += snapshot.go_on()

    # --- who is gone -------------------------------------------------------------------------------

    def forget(self, replica: AttachedReplica) -> None:
        """A replica is gone, or gets nothing more."""
        snapshot = replica.snapshot
        if isinstance(snapshot, SavedSnapshot):
            replica.snapshot = None
            self._leave(snapshot, replica)
        elif replica in self._waiting:
            self._waiting.remove(replica)

    def _leave(self, snapshot: SavedSnapshot, replica: AttachedReplica) -> None:
        """One less wants it. Without save points nobody else has a use for a snapshot half written."""
        snapshot.leave(replica)
        if snapshot.replicas:
            return
        if snapshot in self.sending:
            self.sending.remove(snapshot)
            self.server.effects.append(CloseSnapshot(snapshot))
        elif snapshot is self._saving and not self.server.config.save:
            self._saving = None
            self._note("The last replica that waited for the snapshot is gone: it is given up")
            self.server.effects.append(GiveUpSnapshot())

    def _note(self, text: str) -> None:
        self.server.effects.append(Note(Level.NOTICE, text))

    def _warn(self, text: str) -> None:
        self.server.effects.append(Note(Level.WARNING, text))
