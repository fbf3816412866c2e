"""A running node: the server, its sockets and its files, and who carries out which effect.

The order is the safety argument. Effects are carried out one after the other, on this thread, before any
reply of the turn is sent: what must be on disk first is on disk first.
"""

from __future__ import annotations

import time

import trio

from shoal.cluster.effects import CloseLink, Connect, Level, Note, PersistConfig, Send
from shoal.cluster.events import Event, Tick
from shoal.node.runtime.bus import Bus
from shoal.node.runtime.log import Log
from shoal.node.runtime.nodes_file import NodesFile
from shoal.node.runtime.reactor import Reactor
from shoal.node.server.effects import ServerEffect
from shoal.node.server.server import Server

CRON_SECONDS = 0.1


class Node:
    """Everything one process runs."""

    def __init__(self, server: Server, log: Log, nodes_file: NodesFile | None, nursery: trio.Nursery) -> None:
        self.server = server
        self.log = log
        self.nodes_file = nodes_file
        self.reactor = Reactor(server, self, nursery)
        source_ip = server.config.bind_source_addr or None
        self.bus = Bus(self, nursery, source_ip)
        self._deadline_moved = trio.Event()

    def now_ms(self) -> int:
        """Unix milliseconds: keys expire by the calendar, and gossip carries it."""
        return time.time_ns() // 1_000_000

    # --- effects -----------------------------------------------------------------------------------

    def carry_out_effects(self) -> None:
        """Do everything the server asked for, in order, including what that in turn asks for."""
        server = self.server
        while server.effects:
            effects, server.effects = server.effects, []
            for effect in effects:
                self._carry_out(effect)
            self._deadline_moved.set()

    def _carry_out(self, effect: ServerEffect) -> None:
        match effect:
            case Send():
                self.bus.send(effect)
            case Note(level, text):
                self.log.write(level, text)
            case PersistConfig(fsync):
                self._persist(fsync=fsync)
            case Connect():
                self.bus.connect(effect)
            case CloseLink():
                self.bus.close(effect)
            case _:
                assert self.server.cluster is not None
                self.server.cluster.apply(effect)

    def _persist(self, *, fsync: bool) -> None:
        """Write nodes.conf. A node that cannot keep its word about votes and epochs must not go on."""
        assert self.server.cluster is not None
        assert self.nodes_file is not None
        try:
            self.nodes_file.save(self.server.cluster.machine.saved(), fsync=fsync)
        except OSError as error:
            self.log.write(Level.WARNING, f"Could not save {self.nodes_file.path}: {error}. Stopping.")
            raise

    # --- the cluster's clock -----------------------------------------------------------------------

    def cluster_event(self, event: Event) -> None:
        """Step the cluster machine outside a client's turn, and carry out everything that follows."""
        assert self.server.cluster is not None
        self.server.keyspace.now_ms = self.now_ms()
        self.server.cluster.step(event)
        self.reactor.finish_turn()

    async def run_cluster_clock(self) -> None:
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

    async def run_cron(self) -> None:
        """A turn without clients, ten times a second: expiry, timeouts, replication's pings."""
        while True:
            await trio.sleep(CRON_SECONDS)
            self.reactor.turn([])
