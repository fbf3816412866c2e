"""Replicas that need all data: who waits for a snapshot, who is being given one, and when the next begins.

The log tells of it in redis-server's own lines, since whoever watches logs looks for those; that they speak
of a child and a pipe is to be read so. Nothing forks; what a child does there, the turns of this node do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shoal.cluster.effects import Level, Note
from shoal.node.replication.stream import NO_DATABASE
from shoal.node.server.attached_replica import AttachedReplica
from shoal.node.server.full_sync import FullSync
from shoal.node.server.persistence import can_be_pictured
from shoal.node.server.shared_snapshot import Form, SharedSnapshot, share_of_turn
from shoal.node.server.syncs_by_disk import SyncsByDisk

if TYPE_CHECKING:
    from shoal.node.server.server import Server


@dataclass(slots=True)
class Gathering:
    """Replicas that wait for the same snapshot, which begins in a moment."""

    since_ms: int
    replicas: list[AttachedReplica] = field(default_factory=list)


class FullSyncs:
    """All snapshots for replicas of one node."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.by_disk = SyncsByDisk(server)
        self.under_way: list[SharedSnapshot] = []
        """Those that go from memory to the replicas."""
        self._gathering: dict[Form, Gathering] = {}
        self._received_before = 0
        self._heard_ms = 0
        """When clients last sent anything."""

    @property
    def wants_turn(self) -> bool:
        """Whether more of a snapshot could be made right now, and is not held back."""
        can_go_on = any(snapshot.can_go_on for snapshot in self.under_way)
        return can_go_on and self.server.config.rdb_key_save_delay <= 0

    def request(self, replica: AttachedReplica, now_ms: int) -> None:
        """A replica wants a snapshot. Perhaps the wait of those that want the same is over with that."""
        replica.await_snapshot(now_ms)
        if self._goes_by_disk(replica):
            self.by_disk.request(replica)
            return
        form = Form(replica.wants_data, replica.wants_functions)
        for snapshot in self.under_way:
            if snapshot.can_be_joined and snapshot.form == form:
                self._note("Waiting for end of BGSAVE for SYNC")
                snapshot.add(replica)
                return
        gathering = self._gathering.setdefault(form, Gathering(now_ms))
        gathering.replicas.append(replica)
        if self._is_due(gathering, now_ms):
            self._begin(form)
        else:
            self._note("Delay next BGSAVE for diskless SYNC")

    def _goes_by_disk(self, replica: AttachedReplica) -> bool:
        """Not a part of the data: in the file, whose place is that of all, it would be taken for that."""
        is_wanted = not self.server.config.repl_diskless_sync or not replica.knows_end_mark
        return is_wanted and replica.wants_everything

    def look(self, now_ms: int) -> None:
        """Begin the snapshots whose time has come; let those who wait on know that we live."""
        self.by_disk.look(now_ms)
        for form, gathering in list(self._gathering.items()):
            if self._is_due(gathering, now_ms):
                self._begin(form)
            else:
                for replica in gathering.replicas:
                    replica.keep_alive(now_ms)

    def _is_due(self, gathering: Gathering, now_ms: int) -> bool:
        config = self.server.config
        if not can_be_pictured(self.server):
            return False
        most = config.repl_diskless_sync_max_replicas
        return (
            not config.repl_diskless_sync
            or now_ms - gathering.since_ms >= config.repl_diskless_sync_delay * 1000
            or 0 < most <= len(gathering.replicas)
        )

    def _begin(self, form: Form) -> None:
        """The snapshot's moment is now: the stream from here on is what comes after it."""
        server, replication = self.server, self.server.replication
        replicas = self._gathering.pop(form).replicas
        if replication.following is None:
            replication.reader.database = NO_DATABASE
        self._note("Starting BGSAVE for SYNC with target: replicas sockets")
        end_mark = server.rng.randbytes(20).hex().encode()
        parts = {"with_data": form.with_data, "with_functions": form.with_functions}
        sync = FullSync(server.keyspace, replication.snapshot_facts(), end_mark, **parts)
        snapshot = SharedSnapshot(form, sync, replication.history)
        self.under_way.append(snapshot)
        for replica in replicas:
            snapshot.add(replica)
        server.statistics.snapshots_begun += 1
        self._note(f"Background RDB transfer started by pid {server.host.facts().process_id}")

    def go_on(self, now_ms: int) -> None:
        """A turn's share of every snapshot under way."""
        key_delay_us = self.server.config.rdb_key_save_delay
        received = self.server.statistics.input_bytes
        just_received, self._received_before = received - self._received_before, received
        if just_received:
            self._heard_ms = now_ms
        budget = share_of_turn(just_received, now_ms - self._heard_ms)
        for snapshot in list(self.under_way):
            if snapshot.go_on(now_ms, budget, key_delay_us):
                self.under_way.remove(snapshot)
                left = len(snapshot.replicas)
                self._note(f"Diskless rdb transfer, done reading from pipe, {left} replicas still up.")
                snapshot.end()

    def forget(self, replica: AttachedReplica) -> None:
        """A replica is gone, or gets nothing more."""
        snapshot = replica.snapshot
        if isinstance(snapshot, SharedSnapshot):
            replica.snapshot = None
            snapshot.leave(replica)
            if snapshot.is_over:
                self.under_way.remove(snapshot)
                self._note("Diskless rdb transfer, last replica dropped, killing fork child.")
            return
        self.by_disk.forget(replica)
        for form, gathering in list(self._gathering.items()):
            if replica in gathering.replicas:
                gathering.replicas.remove(replica)
                if not gathering.replicas:
                    del self._gathering[form]

    def give_up(self) -> None:
        """All data are gone, so what is under way is of no use. The replicas come back for what there is."""
        for snapshot in list(self.under_way):
            for replica in list(snapshot.replicas):
                replica.hang_up()

    def _note(self, text: str) -> None:
        self.server.effects.append(Note(Level.NOTICE, text))
