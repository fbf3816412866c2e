"""A running node: the server, its sockets and its files, and who carries out which effect.

The order is the safety argument. Effects are carried out one after the other, on this thread, before any
reply of the turn is sent: what must be on disk first is on disk first.
"""

from __future__ import annotations

import signal
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import trio

from shoal.cluster.effects import CloseLink, Connect, Level, Note, PersistConfig, Send
from shoal.cluster.events import Event, Tick
from shoal.cluster.settings import ClusterSettings
from shoal.cluster.view import SavedConfig
from shoal.node.runtime.append_only import AppendOnlyFile
from shoal.node.runtime.bus import Bus
from shoal.node.runtime.client_listeners import ClientListeners
from shoal.node.runtime.clock import Clock
from shoal.node.runtime.daemon import remove_pidfile
from shoal.node.runtime.directives import follow_directives
from shoal.node.runtime.ending import Ending
from shoal.node.runtime.listener import accept_forever
from shoal.node.runtime.log import Log
from shoal.node.runtime.migration import Migrations
from shoal.node.runtime.nodes_file import NodesFile
from shoal.node.runtime.oom_score import OomScore
from shoal.node.runtime.rdb_file import SnapshotFile
from shoal.node.runtime.reactor import Reactor
from shoal.node.runtime.replica_link import PrimaryLinks
from shoal.node.runtime.snapshots import Snapshots
from shoal.node.runtime.sockets import Sockets
from shoal.node.runtime.startup_loading import StartupLoading
from shoal.node.runtime.supervisor import report_ready
from shoal.node.runtime.sync_files import SyncFiles
from shoal.node.server.cluster_bridge import ClusterBridge
from shoal.node.server.cluster_settings import apply_config
from shoal.node.server.effects import (
    AbortShutdown,
    AppendToLog,
    ClosePrimaryLink,
    CloseSession,
    CloseSnapshot,
    GiveUpSnapshot,
    LoadLog,
    LoadSnapshot,
    OpenPrimaryLink,
    ReadSnapshot,
    ReplaceSnapshot,
    RestartLog,
    RewriteLog,
    RoleChanged,
    SaveForReplicas,
    SaveSnapshot,
    SendToPrimary,
    ServerEffect,
    Shutdown,
    SyncLog,
)
from shoal.node.server.migration import MigrateKeys
from shoal.node.server.parameters import DirectiveError
from shoal.node.server.persistence import can_be_pictured
from shoal.node.server.server import Server
from shoal.node.server.session import Session

CRON_SECONDS = 0.1
SAVE_APART_SECONDS = 0.05
"""Saves of nodes.conf that nothing waits for are at least so far apart; the cron brings up the last one."""


class Node:
    """Everything one process runs."""

    reactor: Reactor
    listeners: ClientListeners
    bus: Bus
    primary_links: PrimaryLinks
    nursery: trio.Nursery

    def __init__(
        self, server: Server, log: Log, nodes_file: NodesFile | None, append_only: AppendOnlyFile
    ) -> None:
        self.server = server
        self.log = log
        self.nodes_file = nodes_file
        self.append_only = append_only
        self.snapshots = Snapshots(server, log, append_only.files.disk)
        self.sync_files = SyncFiles(server, log, self.snapshots, append_only.files.disk, self._start_turn)
        self.ending = Ending(server, log, self.snapshots, self.leave, self._start_turn)
        self.migrations = Migrations(self)
        self.oom_score = OomScore(server.config, log)
        self.exit_status = 0
        self._clock = Clock()
        self._cron_wanted = trio.Event()
        self._deadline_moved = trio.Event()
        self._clock_due_ms = 0
        """When the cluster's clock will look at the machine again, unless it is told to look sooner."""
        self._saves_put_off: deque[Session] = deque()
        """Whose SAVE waits for the end of a script."""
        self._save_is_due = False
        """A save was asked for that need not be durable; this turn's end, or a later one's, does it."""
        self._may_save_at = 0.0

    async def run(self, sockets: Sockets, loading: StartupLoading, saved: SavedConfig | None) -> int:
        """Load the data, answering clients meanwhile, then serve until a shutdown; returns the exit status.

        LoadingFailed or RdbError if the data cannot be trusted.
        """
        self.server.begin_loading()
        async with trio.open_nursery() as nursery:
            self.nursery = nursery
            self.reactor = Reactor(self.server, self, nursery)
            self.bus = Bus(self, nursery)
            self.primary_links = PrimaryLinks(self.server, self, nursery)
            self.server.link_buffer = self.bus.link_buffer
            self.append_only.run_with(nursery.start_soon)
            follow_directives(self)
            self.listeners = ClientListeners(
                self.server.config, nursery, sockets.clients, self.reactor.accept
            )
            nursery.start_soon(self.reactor.run)
            nursery.start_soon(self._run_cron)
            nursery.start_soon(self._obey_signals)
            await loading.run()
            if self.nodes_file is not None:
                self._join_cluster(saved, sockets.bus)
            elif self.server.config.replicaof is not None:
                self.server.follow_primary(*self.server.config.replicaof)
            self.server.end_loading()
            self.log.notice("Ready to accept connections")
            report_ready(self.server.config.supervised)
        sockets.close()
        return self.exit_status

    def _join_cluster(self, saved: SavedConfig | None, listening: list[socket.socket]) -> None:
        """All data are there: from now on others may rely on this node."""
        server = self.server
        settings = apply_config(server.config, ClusterSettings())
        cluster = ClusterBridge(server, settings, server.rng, saved, self.now_ms())
        server.cluster = cluster
        cluster.data_loaded()
        known = "No cluster configuration found" if saved is None else "Node configuration loaded"
        self.log.notice(f"{known}, I'm {cluster.view.myself.id}")
        cluster.refresh_served()
        for sock in listening:
            self.nursery.start_soon(accept_forever, sock, self.bus.accept)
        self.nursery.start_soon(self._run_cluster_clock)

    def now_ms(self) -> int:
        """Unix milliseconds."""
        return self._clock.now_ms()

    def is_member(self, node_id: str) -> bool:
        """Whether the cluster knows a node of that id."""
        return self.server.cluster is not None and node_id in self.server.cluster.view.nodes

    def note_link_over_limit(self) -> None:
        """A bus link was dropped because its peer does not read."""
        if self.server.cluster is not None:
            self.server.cluster.link_buffer_limit_exceeded += 1

    def note_time(self) -> None:
        """Bring the server's time up to date, outside a turn."""
        self.server.keyspace.now_ms = self.now_ms()

    def finish_turn(self) -> None:
        """End a turn that was not a client's."""
        self.reactor.finish_turn()

    # --- effects -----------------------------------------------------------------------------------

    def carry_out_effects(self) -> None:
        """Do everything the server asked for, in order, including what that in turn asks for."""
        server = self.server
        while server.effects or server.aof.pending:
            for effect in server.take_effects():
                self._carry_out(effect)
        cluster = server.cluster
        if cluster is not None and cluster.has_stepped:
            cluster.has_stepped = False
            if cluster.machine.next_deadline() < self._clock_due_ms:
                self._deadline_moved.set()
        if self._save_is_due and trio.current_time() >= self._may_save_at:
            self._persist(fsync=False)

    def _carry_out(self, effect: ServerEffect) -> None:
        match effect:
            case Send():
                self.bus.send(effect)
            case Note(level, text):
                self.log.write(level, text)
            case PersistConfig(fsync=True):
                self._persist(fsync=True)
            case PersistConfig():
                # Nothing waits for this one. Moving many slots asks for many: one serves them all.
                self._save_is_due = True
            case Connect():
                self.bus.connect(effect)
            case CloseLink():
                self.bus.close(effect)
            case MigrateKeys():
                self.migrations.begin(effect)
            case AppendToLog(data):
                self.append_only.writer.append(data)
            case SyncLog():
                self.append_only.writer.sync()
            case RewriteLog(waiting):
                self.append_only.begin_rewrite(waiting)
            case LoadSnapshot():
                self._load_again(partial(self.snapshots.load_again, effect))
            case LoadLog(waiting):
                self._load_again(partial(self.append_only.load_again, waiting))
            case RestartLog():
                self.append_only.restart()
            case SaveSnapshot(waiting):
                self._save(waiting)
            case ReplaceSnapshot():
                self.snapshots.replace()
            case SaveForReplicas():
                self.sync_files.save()
            case GiveUpSnapshot():
                self.sync_files.give_up()
            case ReadSnapshot():
                self.sync_files.read(effect)
            case CloseSnapshot(snapshot):
                self.sync_files.close(snapshot)
            case Shutdown():
                self.ending.begin(effect)
            case AbortShutdown(waiting):
                self.ending.abort(waiting)
            case RoleChanged():
                with suppress(DirectiveError):  # the log has it
                    self.oom_score.follow(is_primary=self.server.is_primary)
            case OpenPrimaryLink():
                self.primary_links.open(effect)
            case SendToPrimary():
                self.primary_links.send(effect)
            case ClosePrimaryLink():
                self.primary_links.close(effect)
            case CloseSession(session):
                self.reactor.close_session(session)
            case _:
                assert self.server.cluster is not None
                self.server.cluster.apply(effect)

    def _persist(self, *, fsync: bool) -> None:
        """Write nodes.conf. A node that cannot keep its word about votes and epochs must not go on."""
        assert self.server.cluster is not None
        assert self.nodes_file is not None
        self._save_is_due = False
        self._may_save_at = trio.current_time() + SAVE_APART_SECONDS
        try:
            self.nodes_file.save(self.server.cluster.machine.saved(), fsync=fsync)
        except OSError as error:
            self.log.write(Level.WARNING, f"Could not save {self.nodes_file.path}: {error}. Stopping.")
            raise

    # --- the cluster's clock -----------------------------------------------------------------------

    def cluster_event(self, event: Event) -> None:
        """Step the cluster machine outside a client's turn, and carry out everything that follows."""
        assert self.server.cluster is not None
        self.note_time()
        self.server.cluster.step(event)
        self.reactor.finish_turn()

    async def _run_cluster_clock(self) -> None:
        """Tick the machine whenever it is due; it may become due sooner with anything that happens."""
        cluster = self.server.cluster
        assert cluster is not None
        while True:
            self._clock_due_ms = cluster.machine.next_deadline()
            seconds = (self._clock_due_ms - self.now_ms()) / 1000
            if seconds <= 0:
                self.cluster_event(Tick())
                await trio.lowlevel.checkpoint()
            else:
                self._deadline_moved = trio.Event()
                with trio.move_on_after(seconds):
                    await self._deadline_moved.wait()

    async def _run_cron(self) -> None:
        """A turn without clients, ten times a second: expiry, timeouts, save points."""
        while True:
            with trio.move_on_after(CRON_SECONDS):
                await self._cron_wanted.wait()
            self._cron_wanted = trio.Event()
            if self.server.cron_is_paused:
                continue
            self.reactor.turn([])
            while self._has_work_without_clients() and not self.server.cron_is_paused:
                await trio.lowlevel.checkpoint()
                self.reactor.turn([])
            self.ending.look()
            self.append_only.look()
            self.migrations.look()
            if self._saves_put_off and can_be_pictured(self.server):
                self._save(self._saves_put_off.popleft())
            elif self.snapshots.is_due():
                self._save(None)

    def _has_work_without_clients(self) -> bool:
        """Whether turns are wanted that nobody's socket may bring about."""
        return self.server.active_expiry.is_behind or self.server.scripts.suspension.wants_turn

    def _save(self, waiting: Session | None) -> None:
        """Begin a snapshot of this moment, or of a later one if a script is half done.

        That script began after SAVE or BGSAVE was asked for, for it keeps others out, but in the same turn.
        """
        if not can_be_pictured(self.server):
            if waiting is None:
                self.server.persistence.save_scheduled = True
            else:
                self._saves_put_off.append(waiting)
            return
        save = self.snapshots.begin(waiting)
        if save is not None:
            self.nursery.start_soon(self._write_snapshot, save, waiting)

    async def _write_snapshot(self, save: SnapshotFile, waiting: Session | None) -> None:
        await self.snapshots.run(save, waiting)
        self.reactor.finish_turn()

    def _load_again(self, load: Callable[[], Awaitable[None]]) -> None:
        """Have all data anew from files. The gates close now: the task begins when the turn is over."""
        self.server.begin_loading()
        self._start_turn(load)

    def _start_turn(self, work: Callable[[], Awaitable[None]]) -> None:
        """Begin a task at whose end the turn is finished."""

        async def run() -> None:
            await work()
            self.reactor.finish_turn()

        self.nursery.start_soon(run)

    # --- the end -----------------------------------------------------------------------------------

    async def _obey_signals(self) -> None:
        """SIGTERM and SIGINT shut down as `shutdown-on-…` says; a second one does not wait for anything."""
        config = self.server.config
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for number in signals:
                is_sigterm = number == signal.SIGTERM
                options = config.shutdown_on_sigterm if is_sigterm else config.shutdown_on_sigint
                self.log.warning(f"Received {signal.Signals(number).name} scheduling shutdown...")
                save = True if "save" in options else False if "nosave" in options else None
                self.note_time()
                if is_sigterm or not self.ending.insist():
                    self.ending.note_signal(
                        Shutdown(None, save, now="now" in options, force="force" in options)
                    )
                    self._cron_wanted.set()

    def leave(self) -> None:
        """End every task; what else there is to write has been written."""
        self.append_only.finish()
        if self.server.cluster is not None:
            self._persist(fsync=True)
        if self.server.config.pidfile:
            remove_pidfile(self.server.config.pidfile)
        self.log.warning("Shoal is now ready to exit, bye bye...")
        self.nursery.cancel_scope.cancel()
