"""A running node: the server, its sockets and its files, and who carries out which effect.

The order is the safety argument. Effects are carried out one after the other, on this thread, before any
reply of the turn is sent: what must be on disk first is on disk first.
"""

from __future__ import annotations

import signal
import time

import trio

from shoal.cluster.effects import CloseLink, Connect, Level, Note, PersistConfig, Send
from shoal.cluster.events import Event, Tick
from shoal.node.resp.replies import CommandError
from shoal.node.runtime.bus import Bus
from shoal.node.runtime.daemon import remove_pidfile
from shoal.node.runtime.listener import accept_forever
from shoal.node.runtime.log import Log
from shoal.node.runtime.migration import Migrations
from shoal.node.runtime.nodes_file import NodesFile
from shoal.node.runtime.reactor import Reactor
from shoal.node.runtime.replica_link import PrimaryLinks
from shoal.node.runtime.snapshots import Snapshots
from shoal.node.runtime.sockets import Sockets
from shoal.node.server.effects import (
    ClosePrimaryLink,
    CloseSession,
    OpenPrimaryLink,
    SaveSnapshot,
    SendToPrimary,
    ServerEffect,
    Shutdown,
)
from shoal.node.server.migration import MigrateKeys
from shoal.node.server.server import Server
from shoal.node.server.session import Session

CRON_SECONDS = 0.1


class Node:
    """Everything one process runs."""

    reactor: Reactor
    bus: Bus
    primary_links: PrimaryLinks
    nursery: trio.Nursery

    def __init__(self, server: Server, log: Log, nodes_file: NodesFile | None) -> None:
        self.server = server
        self.log = log
        self.nodes_file = nodes_file
        self.snapshots = Snapshots(server, log)
        self.migrations = Migrations(self)
        self.exit_status = 0
        self._deadline_moved = trio.Event()
        self._save_is_due = False

    async def run(self, sockets: Sockets) -> int:
        """Serve until a shutdown; returns the exit status."""
        async with trio.open_nursery() as nursery:
            self.nursery = nursery
            self.reactor = Reactor(self.server, self, nursery)
            self.bus = Bus(self, nursery, self.server.config.bind_source_addr or None)
            self.primary_links = PrimaryLinks(
                self.server, self, nursery, self.server.config.bind_source_addr or None
            )
            self.server.link_buffer = self.bus.link_buffer
            for listening in sockets.clients:
                nursery.start_soon(accept_forever, listening, self.reactor.accept)
            for listening in sockets.bus:
                nursery.start_soon(accept_forever, listening, self.bus.accept)
            nursery.start_soon(self.reactor.run)
            nursery.start_soon(self._run_cron)
            nursery.start_soon(self._obey_signals)
            if self.server.cluster is not None:
                self.server.cluster.refresh_served()
                self.server.refresh_gates()
                nursery.start_soon(self._run_cluster_clock)
            if self.server.config.replicaof is not None and self.server.cluster is None:
                self.server.follow_primary(*self.server.config.replicaof)
            self.log.notice("Ready to accept connections")
        sockets.close()
        return self.exit_status

    def now_ms(self) -> int:
        """Unix milliseconds: keys expire by the calendar, and gossip carries it."""
        return time.time_ns() // 1_000_000

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
        while server.effects:
            effects, server.effects = server.effects, []
            for effect in effects:
                self._carry_out(effect)
            self._deadline_moved.set()
        if self._save_is_due:
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
                # Nothing waits for this one: a turn that moves many slots saves once, at its end.
                self._save_is_due = True
            case Connect():
                self.bus.connect(effect)
            case CloseLink():
                self.bus.close(effect)
            case MigrateKeys():
                self.nursery.start_soon(self.migrations.run, effect)
            case SaveSnapshot(waiting):
                self.nursery.start_soon(self._save, waiting)
            case Shutdown(waiting, save, force):
                if not self.shut_down(save=save, force=force):
                    waiting.send(CommandError("ERR Errors trying to SHUTDOWN. Check logs."))
                    self.server.unblock(waiting)
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
            seconds = (cluster.machine.next_deadline() - self.now_ms()) / 1000
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
            await trio.sleep(CRON_SECONDS)
            self.reactor.turn([])
            if self.snapshots.is_due():
                self.nursery.start_soon(self._save, None)

    async def _save(self, waiting: Session | None) -> None:
        await self.snapshots.save(waiting)
        self.reactor.finish_turn()

    # --- the end -----------------------------------------------------------------------------------

    async def _obey_signals(self) -> None:
        """SIGTERM and SIGINT shut down as `shutdown-on-…` says; a second one does not wait for anything."""
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for number in signals:
                name = signal.Signals(number).name
                self.log.warning(f"Received {name} scheduling shutdown...")
                if self.shut_down(save=None):
                    return
                self.log.warning(f"{name} received but errors trying to shut down the server")

    def shut_down(self, *, save: bool | None, force: bool = False) -> bool:
        """Stop the node, after a snapshot if asked for or (None) if save points are configured.

        False, and nothing stops, if the snapshot cannot be written and nobody forces it.
        """
        self.log.notice("User requested shutdown...")
        if save or (save is None and self.server.config.save):
            self.log.notice("Saving the final RDB snapshot before exiting.")
            if not self.snapshots.save_now() and not force:
                self.log.warning("Error trying to save the DB, can't exit.")
                return False
        if self.nodes_file is not None:
            self._persist(fsync=True)
        if self.server.config.pidfile:
            remove_pidfile(self.server.config.pidfile)
        self.log.warning("Shoal is now ready to exit, bye bye...")
        self.nursery.cancel_scope.cancel()
        return True
