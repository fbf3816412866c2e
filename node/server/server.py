"""A node without its sockets: the dataset, the clients, and what one turn does with them.

The runtime calls `begin_turn`, hands over what was read with `receive`, and then carries out what has
gathered: `effects` in order, the replication stream, and what is `outgoing` for each client. Time comes
in through `begin_turn`; randomness and the clock of the stopwatch are handed in at the start.

A command's way goes on in `dispatch.py`. What else a server does has a file of its own, named like the
attribute that `Server` has for it: `propagation.py`, `active_expiry.py`, `tracking.py` and so on.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import TYPE_CHECKING

from shoal.cluster.effects import Level, Note
from shoal.cluster.events import ReplicationProgress
from shoal.cluster.reports import LinkBuffer
from shoal.node.dataset.encodings import EncodingLimits
from shoal.node.dataset.keyspace import Keyspace
from shoal.node.resp.parser import SHORT_READ_BYTES, Arguments, QueryBufferExceeded, parse_short
from shoal.node.resp.replies import CommandError, Status
from shoal.node.server import gates, roles
from shoal.node.server.acl.access import AccessControl
from shoal.node.server.active_expiry import ActiveExpiry
from shoal.node.server.append_only import AppendOnly
from shoal.node.server.applying import follow_config
from shoal.node.server.blocking import BlockedClients, BlockReason
from shoal.node.server.client_care import ClientCare
from shoal.node.server.client_memory import ClientMemory
from shoal.node.server.config import Config
from shoal.node.server.dispatch import Dispatcher
from shoal.node.server.effects import CloseSession, ReplaceSnapshot, ServerEffect
from shoal.node.server.entries import READS, WRITES, nothing_served
from shoal.node.server.host import Host, NoHost
from shoal.node.server.key_waits import KeyWaits
from shoal.node.server.latency import LatencyMonitor
from shoal.node.server.memory_limit import MemoryLimit
from shoal.node.server.monitoring import monitor_line
from shoal.node.server.pausing import Pause
from shoal.node.server.persistence import Loading, PersistenceState
from shoal.node.server.propagation import Propagation
from shoal.node.server.pubsub import PubSub
from shoal.node.server.replication import Replication
from shoal.node.server.scripting.scripts import Scripts
from shoal.node.server.session import Session
from shoal.node.server.slowlog import Slowlog
from shoal.node.server.statistics import Statistics
from shoal.node.server.stopwatch import Stopwatch
from shoal.node.server.tracking import Tracking

if TYPE_CHECKING:
    from shoal.node.server.cluster_bridge import ClusterBridge

COMMANDS_PER_CLIENT_PER_TURN = 1000
"""After so many commands a client waits for the next turn, so that a long pipeline starves nobody."""

PARSED_AT_ONCE = 64 * 1024
"""How many bytes of what was read ahead become commands at a time: about a share of a turn."""


class Server:
    """One node."""

    def __init__(
        self, config: Config, rng: Random, clock_ns: Callable[[], int], *, now_ms: int, run_id: str
    ) -> None:
        self.config, self.rng, self.run_id, self.started_ms = config, rng, run_id, now_ms
        self.host: Host = NoHost()
        """The process around this server; the runtime puts the real one here."""

        # What one turn leaves for the runtime
        self.effects: list[ServerEffect] = []
        self.outgoing: list[Session] = []
        """Sessions with something to send, in the order in which it arose."""
        self.closing: list[Session] = []
        self.runnable: deque[Session] = deque()
        """Sessions with commands left over for the next turn."""

        # The dataset, and who is told how it changes
        self.propagation = Propagation(self)
        self.aof = AppendOnly(self)
        self.encoding_limits = EncodingLimits()
        self.keyspace = Keyspace(1 if config.cluster_enabled else config.databases)
        self.keyspace.now_ms = now_ms
        self.keyspace.on_expired = self.propagation.record_deletion
        self.keyspace.on_fields_expired = self.propagation.record_field_deletion
        self.keyspace.on_flushed = self._replace_snapshot
        self.active_expiry = ActiveExpiry(self)
        self.memory = MemoryLimit(self)
        self.persistence = PersistenceState()

        # Clients: who they are, what they wait for, listen to and are owed
        self.sessions: dict[int, Session] = {}
        self.next_session_id = 1
        self.acl = AccessControl(self)
        self.blocked = BlockedClients(self)
        self.key_waits = KeyWaits(self)
        self.client_care = ClientCare(self)
        self.client_memory = ClientMemory(self)
        self.pubsub = PubSub(self.client_memory)
        self.tracking = Tracking(self)
        self.monitors: list[Session] = []
        """Clients that watch every command, see MONITOR."""

        # The cluster; without one, None
        self.cluster: ClusterBridge | None = None
        self.served: bytearray | None = nothing_served() if config.cluster_enabled else None
        """For each slot one of the levels of `entries`, from NOT_SERVED to SERVED."""
        self.migrating_keys: set[bytes] = set()
        self.link_buffer: Callable[[int], LinkBuffer] = lambda link: LinkBuffer()
        """The send buffer of a bus link, as the runtime sees it."""

        # Gates: what may run now
        self.is_primary = True
        self.pause = Pause()
        self.loading = self.is_stale_replica = self.is_out_of_memory = False
        self.open_for = [True, True]  # the short way: for commands by their `Entry.gate`
        self.cron_is_paused = False
        """On only while a test looks at what the cron would do: DEBUG PAUSE-CRON."""

        # What is counted and measured
        self.statistics = Statistics()
        self.error_counts: Counter[str] = Counter()
        self.stopwatch = Stopwatch(self, clock_ns)
        self.latency = LatencyMonitor()
        self.slowlog = Slowlog()

        # What runs commands, and where they come from besides clients
        self.dispatcher = Dispatcher(self)
        self.replication = Replication(self)
        self.scripts = Scripts(self)
        self.propagation.listeners_changed()
        follow_config(self)

    # --- turns -------------------------------------------------------------------------------------

    def begin_turn(self, now_ms: int) -> None:
        """Note the time, expire what is due, wake whom time wakes, and go on with what was left over."""
        if now_ms != self.keyspace.now_ms:  # one number for a millisecond: keys used in it refer to it
            self.keyspace.now_ms = now_ms
        self.statistics.turns += 1
        if now_ms >= self.statistics.next_sample_ms:
            self._look_at_itself()
        if self.scripts.suspension.wants_turn:
            self.scripts.suspension.go_on()
        elif not self.scripts.suspension.is_suspended:
            if now_ms >= self.active_expiry.next_ms:
                self.active_expiry.run(now_ms)
            if self.memory.limit:
                self.memory.begin_turn(now_ms)
        if self.pause.until_ms and self.pause.expire(now_ms):
            self.resume_paused()
        self.replication.begin_turn(now_ms)
        self.blocked.wake_due(now_ms)
        if self.key_waits.ready:
            self.key_waits.serve()
        for _ in range(len(self.runnable)):
            self.run_pending(self.runnable.popleft())

    @property
    def wants_turn(self) -> bool:
        """Whether there is work that waits for no client: the next turn need not wait either."""
        return (
            bool(self.runnable or self.key_waits.ready or self.memory.is_evicting)
            or self.replication.wants_turn
            or self.scripts.suspension.wants_turn
            or self.active_expiry.is_behind
        )

    @property
    def is_saving(self) -> bool:
        """Whether all data are being written to disk, a slice whenever this server has had its turns."""
        return self.persistence.in_progress_since is not None or self.aof.rewriting_since is not None

    def receive(self, session: Session, data: bytes) -> None:
        """Bytes came from a client: run the commands they complete, up to the client's share of the turn."""
        self.receive_all([(session, data)])

    def receive_all(self, received: Iterable[tuple[Session, bytes]]) -> None:
        """Bytes came from some clients: what each sent is taken apart before anything of it is run.

        With a limit to their memory each is done with before the next: who takes too much then goes at once.
        The commonest read, one short command, does not go by way of `feed`: a GET is a fiftieth cheaper so.
        """
        statistics, now_ms, credit = self.statistics, self.keyspace.now_ms, self.client_care.credit_bytes
        is_limited, reads, input_bytes = bool(self.client_memory.limit), 0, 0
        batch: list[tuple[Session, Sequence[Arguments]]] = []
        for session, data in received:
            if session.closing:
                continue
            session.last_seen_ms = now_ms
            reads += 1
            size = len(data)
            input_bytes += size
            if (
                session.pending
                or session.read_ahead
                or session.blocked is not None
                or session.out_bytes > credit
                or is_limited
            ) and self._must_wait(session, data):
                self.memory.kept_bytes += size
                continue
            parser = session.parser
            if size <= SHORT_READ_BYTES and parser.at_boundary and (command := parse_short(data)) is not None:
                commands: Sequence[Arguments] = (command,)
            else:
                commands = parser.feed(data)
                if not parser.at_boundary:
                    self.memory.kept_bytes += size
                if (
                    len(commands) > COMMANDS_PER_CLIENT_PER_TURN
                    or parser.has_more
                    or parser.error is not None
                ):
                    session.pending.extend(commands)
                    self.run_pending(session)
                    continue
            if commands:
                batch.append((session, commands))
                if is_limited:
                    self._run(batch)
                    batch.clear()
        statistics.reads += reads
        statistics.input_bytes += input_bytes
        self._run(batch)

    def _run(self, batch: Iterable[tuple[Session, Sequence[Arguments]]]) -> None:
        for session in self.dispatcher.execute_all(batch):
            self._after_share(session)

    def _must_wait(self, session: Session, data: bytes) -> bool:
        """Put aside what a client sends while earlier commands of it wait; whether that is so."""
        if self.client_memory.limit:
            self.client_memory.arrived(session, data)
            if session.closing:
                return True
        if session.pending or session.read_ahead or session.blocked is not None:
            session.read_ahead += data
            self.client_care.put_aside.append(session)
            if session.debugs_scripts:
                self.scripts.debugger_input(session)
            return True
        if session.out_bytes > self.client_care.credit_bytes and not self.client_care.may_go_on(session):
            session.read_ahead += data
            self.runnable.append(session)
            return True
        return False

    def run_pending(self, session: Session) -> None:
        """Go on with a client's waiting commands, up to its share of a turn."""
        pending = session.pending
        if not self.client_care.may_go_on(session):
            return  # whoever ends the wait, or sends the rest, calls again
        if self.client_memory.limit:
            self.client_memory.touched.add(session)
        if _may_read_on(session):
            part = bytes(session.read_ahead[:PARSED_AT_ONCE])
            del session.read_ahead[:PARSED_AT_ONCE]
            pending.extend(session.parser.feed(part))
        share = [pending.popleft() for _ in range(min(COMMANDS_PER_CLIENT_PER_TURN, len(pending)))]
        self.dispatcher.execute_all([(session, share)])
        self._after_share(session)

    def _after_share(self, session: Session) -> None:
        """A client has had its share of the turn, or was stopped earlier: see to what else it has sent."""
        if session.closing:
            session.forget_input()
        elif session.has_input:
            self._go_on_later(session)
        elif session.parser.error is not None:
            self._refuse_protocol(session)

    def _go_on_later(self, session: Session) -> None:
        """The client has commands left: next turn, unless it waits for something else."""
        if session.blocked is None:
            self.runnable.append(session)

    def _refuse_protocol(self, session: Session) -> None:
        """The client broke the protocol: say so and close, once everything before the break is done."""
        error = session.parser.error
        if session.closing or session.blocked is not None:
            return
        if isinstance(error, QueryBufferExceeded):
            self.statistics.clients_that_sent_too_much += 1
            self.hang_up(session, "its unfinished command exceeds client-query-buffer-limit")
            return
        session.send(CommandError(f"ERR Protocol error: {error}".encode("latin-1")))
        session.close_after_reply()

    def hang_up(self, session: Session, why: str) -> None:
        """Close a client without another word to it, and tell the log."""
        self.effects.append(Note(Level.WARNING, f"Closing client {session.address}: {why}"))
        self.drop(session)

    def drop(self, session: Session) -> None:
        """Close a client without another word to it."""
        session.closing = True
        session.forget_input()
        self.effects.append(CloseSession(session))

    def _look_at_itself(self) -> None:
        """A few times a second: how fast counters rise, how much memory is used."""
        now_ms = self.keyspace.now_ms
        self.statistics.sample(now_ms, self.dispatcher.commands_processed)
        if now_ms >= self.client_care.next_ms:
            self.client_care.look(now_ms)
        self.tracking.limit_table()

    def _replace_snapshot(self) -> None:
        """Everything was deleted: no snapshot under way is of use any more."""
        self.effects.append(ReplaceSnapshot())
        self.replication.full_syncs.give_up()

    def take_effects(self) -> list[ServerEffect]:
        """What is to be done next, in order: what must be on disk first comes first."""
        effects, self.effects = self.effects, []
        return self.aof.effects() + effects if self.aof.pending else effects

    # --- clients -----------------------------------------------------------------------------------

    def connect(self, address: str, local_address: str) -> Session:
        """A client has connected."""
        self.statistics.connections_received += 1
        session = Session(self, self.next_session_id, address, local_address)
        self.next_session_id += 1
        self.sessions[session.id] = session
        return session

    def disconnect(self, session: Session) -> None:
        """A client is gone; whatever it waited for, watched or was owed is dropped."""
        self.sessions.pop(session.id, None)
        self.blocked.forget(session)
        if session.debugs_scripts:
            self.scripts.debugger_gone(session)
        session.unwatch()
        self.pubsub.forget(session)
        self.tracking.end(session)
        self.replication.forget(session)
        self.stop_monitoring(session)
        self.client_care.forget(session)
        self.client_memory.forget(session)
        session.closing = True
        session.forget_input()

    # --- gates -------------------------------------------------------------------------------------

    def refresh_gates(self) -> None:
        """Decide anew whether commands may take the short way. Whoever closes or opens a gate calls this."""
        cluster_ok = self.cluster is None or self.cluster.view.state_ok
        self.is_stale_replica = roles.is_stale(self)
        self.keyspace.expiry_mode = roles.expiry_mode(self)
        self.open_for[READS] = (
            cluster_ok
            and not self.loading
            and not self.is_stale_replica
            and not self.pause.until_ms
            and not self.monitors
            and self.scripts.busy is None
        )
        self.open_for[WRITES] = (
            self.open_for[READS]
            and not self.migrating_keys
            and self.is_primary
            and not gates.wants_replicas(self)
            and not gates.cannot_save(self)
            and self.aof.error is None
            and not self.is_out_of_memory
            and not self.memory.is_near
        )

    def begin_loading(self, total_bytes: int = 0) -> None:
        """All data are about to come from files: until `end_loading` few commands may run."""
        self.loading = True
        self.persistence.loading = Loading(self.keyspace.now_ms // 1000, total_bytes)
        self.refresh_gates()

    def note_loaded(self, size: int) -> None:
        """So many bytes more of the files are loaded."""
        if self.persistence.loading is not None:
            self.persistence.loading.loaded_bytes += size

    def end_loading(self) -> None:
        """The data are there, or will not be."""
        self.loading = False
        self.persistence.loading = None
        self.suspension_ended()

    def resume_paused(self) -> None:
        """A pause ended: whoever was held is judged anew, and perhaps held by another."""
        self.refresh_gates()
        for session in self.blocked.waiting_for(BlockReason.PAUSE):
            self.blocked.unblock(session)

    def suspension_ended(self) -> None:
        """What held everybody up is over: a command, or loading."""
        self.refresh_gates()
        if self.replication.following is not None:
            self.replication.following.catch_up()

    def count_error(self, error: CommandError) -> None:
        """For INFO errorstats."""
        self.error_counts[error.code] += 1

    def reset_statistics(self) -> None:
        """CONFIG RESETSTAT."""
        self.statistics.reset()
        self.acl.reset_statistics()
        self.aof.reset()
        self.replication.reset_statistics()
        self.error_counts.clear()
        self.keyspace.reset_statistics()
        self.dispatcher.reset_statistics()

    # --- MONITOR ------------------------------------------------------------------------------------

    def show_to_monitors(self, session: Session, argv: Arguments) -> None:
        """Send a command about to run to every client that watches."""
        line = monitor_line(session, argv)
        for monitor in self.monitors:
            monitor.send(Status(line))

    def stop_monitoring(self, session: Session) -> None:
        """Nothing more is shown to this client."""
        if session in self.monitors:
            self.monitors.remove(session)
            self.refresh_gates()

    # --- role and cluster ----------------------------------------------------------------------------

    @property
    def role_name(self) -> bytes:
        """`master` or `replica`, as HELLO says it."""
        return b"master" if self.is_primary else b"replica"

    def become_primary(self) -> None:
        """Stop following another node."""
        roles.become_primary(self)

    def follow_primary(self, host: str, port: int) -> None:
        """Replicate from another node."""
        roles.follow_primary(self, host, port)

    def replication_progress(self) -> ReplicationProgress:
        """How far the data stream of this node is, for the cluster machine."""
        return self.replication.progress()


def _may_read_on(session: Session) -> bool:
    """Whether to take apart more of what a client sent: there is nothing to run, or too little for a turn.

    The second has what came in several reads while it waited run like what came in one. An AUTH among the
    commands changes how those behind it are read, so there it has to run first.
    """
    if not session.pending:
        return session.has_input
    if session.parser.restricted or session.parser.has_more:
        return False
    return bool(session.read_ahead) and len(session.pending) < COMMANDS_PER_CLIENT_PER_TURN
