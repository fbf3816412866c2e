"""One node's part in the cluster, as a function: an event and the time in, an ordered list of effects out.

The machine touches nothing. Whoever runs it (a server, a simulator, a test) feeds it what happened and
carries out what it answers, strictly in order (see effects.py). The same events, times and random
numbers always give the same effects.

How a shell drives it:

- Load the data first, then build the machine, then step `Tick` once: the first step, whatever its event,
  resumes following a primary and saves a fresh identity; the first `Tick` opens links.
- Step `Tick` again whenever `next_deadline()` is reached. It moves with every step, so ask anew after each.
- Step `ReplicationProgress` when it has changed, before a Tick or a message; and `WritesPaused` right after
  carrying out `PauseWrites`: a paused primary announces its final offset only after that.
- `now_ms` is unix time in milliseconds and should not run backwards.
"""

from __future__ import annotations

from math import inf
from random import Random

from shoal.cluster import (
    admin,
    election,
    failure,
    gossip,
    health,
    links,
    manual_failover,
    ownership,
    reception,
    replica_migration,
)
from shoal.cluster.core import Core
from shoal.cluster.effects import Effect, TopologyChanged
from shoal.cluster.events import (
    DataLoaded,
    Event,
    LinkClosed,
    LinkConnected,
    MessageReceived,
    PublishToCluster,
    ReplicationProgress,
    SettingsChanged,
    Tick,
    WritesPaused,
)
from shoal.cluster.messages import Publish
from shoal.cluster.settings import ClusterSettings, Dataset
from shoal.cluster.view import ClusterView, Node, SavedConfig, restore_view

CRON_MS = 100


class ClusterMachine:
    """The door to the cluster rules. `view` is for reading only.

    `saved` is what nodes.conf said, None for a node that never ran: it takes a random id and is a
    primary without slots. Raises ValueError if `saved` contradicts itself.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        rng: Random,
        dataset: Dataset,
        saved: SavedConfig | None,
        now_ms: int,
    ) -> None:
        view = restore_view(saved, now_ms) if saved is not None else _fresh_view(rng, now_ms)
        if not view.myself.shard_id:
            view.myself.shard_id = f"{rng.getrandbits(160):040x}"
        self._core = Core(view, settings, rng, dataset)
        self._fresh = saved is None
        self._started = False
        self._last_cron_ms = 0
        self._last_random_ping_ms = 0
        _apply_settings(self._core)

    # Reading

    @property
    def view(self) -> ClusterView:
        """All this node knows. `slot_owner`, `migrating`, `importing`, `nodes`, `myself` and `state_ok` are
        plain attributes of it, for routing. The object stays the same for the machine's life.
        """
        return self._core.view

    @property
    def settings(self) -> ClusterSettings:
        return self._core.settings

    def saved(self) -> SavedConfig:
        """What `PersistConfig` asks to be written."""
        return self._core.view.saved()

    def next_deadline(self) -> int:
        """The unix millisecond by which the next `Tick` is wanted, at most a cron period away."""
        core = self._core
        due: float = self._last_cron_ms + CRON_MS
        for node in core.view.nodes.values():
            suspect_ms = failure.suspect_at_ms(core, node)
            if suspect_ms is not None:
                due = min(due, suspect_ms)
        due = min(due, election.deadline_ms(core))
        due = min(due, core.manual.until_ms or inf)
        if core.has_news:
            due = min(due, gossip.news_due_ms(core))
        return int(due)

    # Stepping

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        """Take in one event and say what to do about it, in order."""
        core = self._core
        core.begin(now_ms)
        if not self._started:
            self._start()
        match event:
            case Tick():
                self._on_tick()
            case MessageReceived():
                reception.receive(core, event)
            case LinkConnected(link):
                gossip.greet(core, link)
            case LinkClosed(link):
                links.on_closed(core, link)
            case DataLoaded(slots):
                ownership.answer_for_data(core, slots)
            case ReplicationProgress():
                _note_progress(core, event)
            case WritesPaused(offset):
                core.offset = offset
                manual_failover.paused(core)
            case PublishToCluster():
                _publish(core, event)
            case SettingsChanged():
                _apply_settings(core)
                core.changed(news=True)
                core.persist()
            case _:
                reply = admin.answer(core, event)
                self._settle()
                core.emit(reply)
                return core.finish()
        self._settle()
        return core.finish()

    def _settle(self) -> None:
        """What any event may have made due."""
        core = self._core
        if core.myself.is_replica:
            ownership.follow_grandparent(core)
            election.check(core)
        health.reconsider_silence(core)
        health.update_state(core)
        gossip.spread_news(core)
        if core.topology_changed:
            core.emit(TopologyChanged())

    def _on_tick(self) -> None:
        core = self._core
        failure.detect(core)
        manual_failover.expire(core)
        if core.now_ms - self._last_cron_ms < CRON_MS:
            return
        self._last_cron_ms = core.now_ms
        links.expire_handshakes(core)
        links.recycle_stalled(core)
        links.connect_missing(core)
        if core.now_ms - self._last_random_ping_ms >= gossip.RANDOM_PING_EVERY_MS:
            self._last_random_ping_ms = core.now_ms
            gossip.ping_random_node(core)
        gossip.ping_quiet_nodes(core)
        gossip.repeat_meet(core)
        manual_failover.announce(core)
        replica_migration.watch_orphans(core)
        replica_migration.migrate(core)

    def _start(self) -> None:
        core = self._core
        self._started = True
        if self._fresh:
            core.persist(fsync=True)
        ownership.reconcile_with_data(core)
        health.prepare_start(core)
        if core.myself.primary is not None:
            links.follow(core, core.myself.primary)


def _note_progress(core: Core, event: ReplicationProgress) -> None:
    core.offset = event.offset
    core.primary_link_up = event.primary_link_up
    core.primary_last_seen_ms = event.primary_last_seen_ms
    core.myself.replication_offset = event.offset
    election.siblings_changed(core)
    manual_failover.progressed(core)


def _publish(core: Core, event: PublishToCluster) -> None:
    """Carry a publish to every member, or to those of our shard.

    To whoever can read it it goes behind a light header, 16 bytes instead of 2,256. That one does not say who
    speaks: the receiver must know already whose link it is, and closes the link if it does not. So a node
    gets it only once it has shown that it knows us; the PING that opened our link told the rest.
    """
    full = Publish(core.header(), event.channel, event.payload, event.sharded)
    light = Publish(None, event.channel, event.payload, event.sharded)
    primary = core.myself.shard_primary
    members = (primary, *primary.replicas) if event.sharded else core.view.nodes.values()
    for node in members:
        if not node.is_myself and not node.handshake:
            core.send(node.link, light if node.light_header_publish and node.heard_inbound else full)


def _apply_settings(core: Core) -> None:
    me, settings = core.myself, core.settings
    me.tcp_port, me.tls_port, me.bus_port = settings.tcp_port, settings.tls_port, settings.bus_port
    me.hostname, me.human_name = settings.announce_hostname, settings.announce_human_name
    me.nofailover = settings.replica_no_failover
    me.light_header_publish = True
    if settings.announce_ip:
        me.ip = settings.announce_ip


def _fresh_view(rng: Random, now_ms: int) -> ClusterView:
    me = Node(f"{rng.getrandbits(160):040x}", created_ms=now_ms, is_myself=True, is_primary=True)
    return ClusterView(me)
