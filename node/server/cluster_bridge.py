"""Where the cluster machine and the dataset meet: events go in here, effects about data are done here.

The machine's effects join the server's own in `server.effects`, in order. The runtime carries out those
that need a socket or a disk and hands the rest back to `apply`, so that "not before the configuration is
on disk" holds for a change of role just as for a message.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from shoal.cluster.core import message_type
from shoal.cluster.effects import (
    AnswerAdmin,
    BecomePrimary,
    ClusterStateChanged,
    DeleteSlotKeys,
    DeliverPublish,
    Effect,
    FollowPrimary,
    PauseWrites,
    ResetDataset,
    ResumeWrites,
    TopologyChanged,
)
from shoal.cluster.events import (
    AdminRequest,
    DataLoaded,
    Event,
    MessageReceived,
    PublishToCluster,
    ReplicationProgress,
    SettingsChanged,
    WritesPaused,
)
from shoal.cluster.machine import ClusterMachine
from shoal.cluster.settings import ClusterSettings
from shoal.cluster.slot_sets import bits_of, slots_of
from shoal.cluster.view import ClusterView, SavedConfig
from shoal.node.resp.replies import CommandError, Reply, Status
from shoal.node.server.cluster_settings import CLUSTER_DIRECTIVES, apply_config
from shoal.node.server.entries import NOT_SERVED, SERVED, SERVED_IF_ASKED

if TYPE_CHECKING:
    from shoal.node.dataset.keyspace import Keyspace
    from shoal.node.server.effects import ServerEffect
    from shoal.node.server.server import Server


class _KeyCounts:
    """The two facts about the data that the machine may ask for."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._database = keyspace.databases[0]

    def count_keys_in_slot(self, slot: int) -> int:
        return len(self._database.tables[slot])

    def is_empty(self) -> bool:
        return not len(self._database)


class ClusterBridge:
    """The cluster side of a server."""

    def __init__(
        self, server: Server, settings: ClusterSettings, rng: Random, saved: SavedConfig | None, now_ms: int
    ) -> None:
        self.server = server
        self.machine = ClusterMachine(settings, rng, _KeyCounts(server.keyspace), saved, now_ms)
        self.settings = settings
        self.link_buffer_limit_exceeded = 0
        self.dropped_message_type: int | None = None
        """Packets of this type are lost on arrival: DEBUG DROP-CLUSTER-PACKET-FILTER."""
        server.config.on_change(CLUSTER_DIRECTIVES, self._settings_changed)
        self.has_stepped = False
        """Whether the machine took anything in since the runtime last asked when it is due."""
        self._progress: ReplicationProgress | None = None
        self._served_bits = (0, 0)
        """The slots that are SERVED, and those SERVED_IF_ASKED."""

    def data_loaded(self) -> None:
        """At the start, after loading: the machine learns which slots have keys."""
        tables = self.server.keyspace.databases[0].tables
        slots = tuple(slot for slot, table in enumerate(tables) if table)
        if slots:
            self.step(DataLoaded(slots))

    @property
    def view(self) -> ClusterView:
        """What this node knows about its cluster."""
        return self.machine.view

    def step(self, event: Event) -> None:
        """Let the machine take in an event; its effects queue up behind those already waiting."""
        if self.dropped_message_type is not None and self._is_dropped(event):
            return
        self._tell_progress()
        self.server.effects += self._step(event)

    def _step(self, event: Event) -> list[Effect]:
        self.has_stepped = True
        return self.machine.step(event, self.server.keyspace.now_ms)

    def _is_dropped(self, event: Event) -> bool:
        return isinstance(event, MessageReceived) and message_type(event.message) == self.dropped_message_type

    def _tell_progress(self) -> None:
        """Have the machine judge what comes next by the data as they are now, not as of its last event."""
        progress = self.server.replication_progress()
        if progress != self._progress:
            self._progress = progress
            self.server.effects += self._step(progress)

    def _settings_changed(self) -> None:
        apply_config(self.server.config, self.settings)
        self.step(SettingsChanged())

    def request(self, request: AdminRequest) -> Reply:
        """Do what an operator asks; the answer leaves after everything the request led to."""
        self._tell_progress()
        answer: Reply = None
        for effect in self._step(request):
            if isinstance(effect, AnswerAdmin):
                answer = Status(effect.text.encode())
                if effect.is_error:
                    raise CommandError(effect.text)
            else:
                self.server.effects.append(effect)
        return answer

    def publish(self, channel: bytes, message: bytes, *, sharded: bool) -> None:
        """Carry a message to the subscribers of other nodes: all of them, or those of our shard."""
        self.step(PublishToCluster(channel, message, sharded))

    def apply(self, effect: ServerEffect) -> None:
        """Carry out an effect that concerns data or clients."""
        server = self.server
        match effect:
            case BecomePrimary():
                server.become_primary()
            case FollowPrimary(_, host, port):
                server.follow_primary(host, port)
            case ResetDataset():
                server.keyspace.flush()
            case DeleteSlotKeys(slots):
                self._delete_slot_keys(slots)
            case PauseWrites(until_ms):
                server.pause.failover_until_ms = until_ms
                server.refresh_gates()
                self.step(WritesPaused(server.replication_progress().offset))
            case ResumeWrites():
                server.pause.failover_until_ms = 0
                server.resume_paused()
            case TopologyChanged() | ClusterStateChanged():
                self.refresh_served()
                server.refresh_gates()
                server.key_waits.send_away()
                server.pubsub.leave_slots(self._is_ours)
            case DeliverPublish(channel, message, sharded):
                if sharded:
                    server.pubsub.publish_sharded(channel, message)
                else:
                    server.pubsub.publish(channel, message)
            case _:
                raise AssertionError(f"nobody carries out {effect!r}")

    def refresh_served(self) -> None:
        """Bring up to date the table of slots the hot path may serve without asking `route`.

        Moving a slot changes the topology four times: only the slots that differ are looked at.
        """
        view, served = self.view, self.server.served
        assert served is not None
        is_primary = view.myself.is_primary
        arriving = bits_of(view.importing) if is_primary else 0
        stable = view.myself.slot_bits & ~bits_of(view.migrating) & ~arriving if is_primary else 0
        was_stable, was_arriving = self._served_bits
        self._served_bits = stable, arriving
        for slot in slots_of(was_stable & ~stable | was_arriving & ~arriving):
            served[slot] = NOT_SERVED
        for slot in slots_of(stable & ~was_stable):
            served[slot] = SERVED
        for slot in slots_of(arriving & ~was_arriving):
            served[slot] = SERVED_IF_ASKED

    def _is_ours(self, slot: int) -> bool:
        """Whether a slot is this shard's, or on its way here: where its shard channels may be listened to."""
        view = self.view
        return view.slot_owner[slot] is view.myself.shard_primary or slot in view.importing

    def _delete_slot_keys(self, slots: tuple[int, ...]) -> None:
        """Drop keys whose slot went to another node, here and on our replicas."""
        database = self.server.keyspace.databases[0]
        for slot in slots:
            for key in list(database.tables[slot]):
                database.delete(key)
                database.changed(key, None)  # the cluster still has it: no event
                self.server.propagation.record_deletion(0, key)
        self.server.propagation.propagate_each()
