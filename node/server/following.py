"""Following a primary: the connection, the snapshot, the stream, and beginning again when one fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shoal.cluster.effects import Level, Note
from shoal.node.dataset.expiry_mode import ExpiryMode
from shoal.node.dataset.keyspace import Keyspace
from shoal.node.persistence.errors import RdbError
from shoal.node.persistence.rdb_loader import RdbLoader
from shoal.node.persistence.rdb_reader import RdbReader
from shoal.node.replication.replica import (
    Continues,
    Failed,
    Introduction,
    LinkEvent,
    LinkState,
    ReplicaLink,
    SendBytes,
    SnapshotBegins,
    SnapshotEnds,
    SnapshotPart,
    StreamPart,
)
from shoal.node.replication.stream import command_size
from shoal.node.resp.parser import Arguments
from shoal.node.resp.replies import NO_REPLY, CommandError, Reply
from shoal.node.resp.writer import encode_command
from shoal.node.server.effects import ClosePrimaryLink, OpenPrimaryLink, RestartLog, SendToPrimary
from shoal.node.server.failover import FailoverState
from shoal.node.server.stream_session import StreamSession

if TYPE_CHECKING:
    from shoal.node.server.replication import Replication

FIRST_RETRY_MS = 50
LAST_RETRY_MS = 1000
MOST_RETRY_MS = 60_000
"""For what costs the primary a snapshot."""
ACK_PERIOD_MS = 1000

_TIMED_OUT = {
    LinkState.SYNC: (
        "Timeout receiving bulk data from MASTER... If the problem persists try to set the 'repl-timeout' "
        "parameter to a larger value."
    ),
    LinkState.CONNECTED: "MASTER timeout: no data nor PING received...",
}


class IncomingSnapshot:
    """A primary's data on its way in.

    It gathers beside the data we have. If the primary dies halfway, this node still holds what it had, and
    a failover to it loses the last writes instead of nearly everything.
    """

    def __init__(self, replid: str, offset: int, keyspace: Keyspace, *, verify_checksum: bool) -> None:
        self.replid = replid
        self.offset = offset
        self.received = 0
        self.keyspace = keyspace.empty_twin()
        self.reader = RdbReader(verify_checksum=verify_checksum)
        self.loader = RdbLoader(self.keyspace, keep_expired=True)

    def take(self, data: bytes) -> None:
        """The next bytes. Raises RdbError."""
        self.received += len(data)
        self.loader.apply(self.reader.feed(data))

    @property
    def stream_database(self) -> int:
        """The database the stream's first command is meant for."""
        text = self.loader.auxiliary.get(b"repl-stream-db", b"")
        index = int(text) if text.isdigit() else 0
        return index if index < len(self.keyspace.databases) else 0


class Following:
    """The primary of this node, from REPLICAOF (or its cluster's word) to the end of following it."""

    def __init__(self, replication: Replication, host: str, port: int, database_index: int) -> None:
        server = replication.server
        self.replication = replication
        self.server = server
        self.host = host
        self.port = port
        self.link_id = 0
        self.state = LinkState.CONNECT
        self.last_seen_ms: int | None = None
        """When the link was last known good: the last bytes' arrival, also after it broke. None: never."""
        self.down_since_ms = server.keyspace.now_ms
        self.session = self._new_session(database_index)
        self.incoming: IncomingSnapshot | None = None
        self._needs_snapshot = False
        """Whether the stream cannot be gone on with, though the primary could."""
        self._refusals = 0
        self._keeps_others_out = False
        """Whether clients are told LOADING because of it."""
        self._link: ReplicaLink | None = None
        self._retry_ms = FIRST_RETRY_MS
        self._heard_ms = server.keyspace.now_ms
        self._held = bytearray()
        """What came while a script was busy, or in a pause."""
        self._next_ack_ms = 0
        self._is_in_script = False
        """A script of the stream takes long and is suspended."""
        self._begins_again_after_script = False
        self._forget_unapplied()

    def _new_session(self, database_index: int) -> StreamSession:
        """Who runs the stream's commands. CLIENT LIST shows it, but nothing is sent to it."""
        address = f"{self.host}:{self.port}"
        session = StreamSession(self.server, self.server.next_session_id, address, self._script_ended)
        self.server.next_session_id += 1
        session.db = self.server.keyspace.databases[database_index]
        return session

    @property
    def is_connected(self) -> bool:
        """Whether the stream flows."""
        return self.state is LinkState.CONNECTED

    @property
    def database_index(self) -> int:
        """The database the next command of the stream is meant for."""
        return self.session.db.index

    @property
    def offset(self) -> int:
        """The last byte of the stream applied, those not yet passed on included."""
        return self.replication.history.offset + self._applied

    def silent_seconds(self, now_ms: int) -> int:
        """Whole seconds since the stream's last bytes; -1 while it does not flow."""
        return (now_ms - self._heard_ms) // 1000 if self.is_connected else -1

    # --- the connection ----------------------------------------------------------------------------

    def connect(self, *, delay_ms: int) -> None:
        """Ask for a new connection; `opened` or `closed` follows."""
        self.link_id = self.replication.next_link_id()
        self._set_state(LinkState.CONNECTING)
        self._heard_ms = self.server.keyspace.now_ms + delay_ms
        self.server.effects.append(OpenPrimaryLink(self.link_id, self.host, self.port, delay_ms))

    def opened(self) -> None:
        """The connection stands."""
        config, history = self.server.config, self.replication.history
        self._note(Level.NOTICE, f"MASTER <-> REPLICA sync started with {self.host}:{self.port}")
        self._heard_ms = self.server.keyspace.now_ms
        self._link = ReplicaLink(
            Introduction(
                listening_port=config.replica_announce_port or config.port,
                replid=history.replid if not self._needs_snapshot else "?",
                next_offset=history.offset + 1 if not self._needs_snapshot else -1,
                announced_ip=config.replica_announce_ip,
                user=config.masteruser,
                password=config.masterauth,
                is_failover=self.replication.failover.state is FailoverState.IN_PROGRESS,
            )
        )
        self._set_state(LinkState.HANDSHAKE)
        self._send(self._link.open())

    def closed(self, reason: str) -> None:
        """The connection could not be made, or ended."""
        if self.incoming is not None:
            self._note(Level.WARNING, "Internal error in RDB reading: the snapshot ends before it is whole")
        if self.is_connected:
            self._note(Level.WARNING, f"Connection with master lost: {reason}")
        else:
            self._note(Level.WARNING, f"No link to MASTER {self.host}:{self.port} yet: {reason}")
        self._begin_again()

    def received(self, data: bytes) -> None:
        """Bytes came from the primary."""
        self._heard_ms = self.session.last_seen_ms = self.server.keyspace.now_ms
        if self._held or self._must_hold():
            self._held += data
            self.catch_up()
        else:
            self._feed(data)

    def catch_up(self) -> None:
        """Take in what was held back, unless it has to wait still."""
        if self._held and not self._must_hold():
            data = bytes(self._held)
            self._held.clear()
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        assert self._link is not None
        link_id = self.link_id
        for event in self._link.feed(data):
            self._take(event)
            if self.link_id != link_id:
                return
        if self.is_connected:
            self.last_seen_ms = self._heard_ms

    def _must_hold(self) -> bool:
        """Nothing may change under a script, before the data are there, or while an operator says so."""
        server = self.server
        if server.scripts.busy is not None or (server.loading and not self._keeps_others_out):
            return True
        return self.is_connected and bool(server.pause.operator_until_ms)

    @property
    def held_bytes(self) -> int:
        """How much of the primary's stream is here and cannot be applied yet."""
        return len(self._held) if self.is_connected else 0

    def tick(self, now_ms: int) -> None:
        """Acknowledge, and give up a primary that fell silent.

        In whole seconds: a snapshot may stop for as long as its primary bears with another of its replicas.
        """
        self.catch_up()
        if self._begins_again_after_script:
            return
        if (now_ms - self._heard_ms) // 1000 > self.server.config.repl_timeout:
            self._drop(_TIMED_OUT.get(self.state, "Timeout connecting to the MASTER..."))
        elif self.is_connected and now_ms >= self._next_ack_ms:
            self.acknowledge()

    def stop(self) -> None:
        """Follow no more. What the stream began and did not finish has not happened, a script excepted."""
        self._finish_script()
        self.server.effects.append(ClosePrimaryLink(self.link_id))
        self.link_id = 0
        self._forget_unapplied()
        self._forget_incoming()

    def reconnect(self) -> None:
        """Drop the connection, because an operator says so, and make a new one."""
        self._drop("the connection to the primary was killed by a client")

    def _drop(self, reason: str, *, least_delay_ms: int = 0) -> None:
        self._note(Level.WARNING, reason)
        self.server.effects.append(ClosePrimaryLink(self.link_id))
        self._begin_again(least_delay_ms)

    def _begin_again(self, least_delay_ms: int = 0) -> None:
        """Try anew, soon at first, then less often; a link that worked starts from soon again."""
        if self._is_in_script:
            self._begins_again_after_script = True
            return
        self._begins_again_after_script = False
        if self.is_connected:
            self._retry_ms = FIRST_RETRY_MS
            self.down_since_ms = self.server.keyspace.now_ms
        self._forget_unapplied()
        self._forget_incoming()
        delay_ms, self._retry_ms = self._retry_ms, min(2 * self._retry_ms, LAST_RETRY_MS)
        self.connect(delay_ms=max(delay_ms, least_delay_ms))

    def _set_state(self, state: LinkState) -> None:
        self.state = state
        self.server.refresh_gates()

    def _send(self, data: bytes) -> None:
        self.server.effects.append(SendToPrimary(self.link_id, data))

    # --- what the bytes mean -----------------------------------------------------------------------

    def _take(self, event: LinkEvent) -> None:
        match event:
            case StreamPart(data):
                self._apply(data)
            case SendBytes(data):
                self._send(data)
            case SnapshotBegins(replid, offset):
                self._begin_snapshot(replid, offset)
            case SnapshotPart(data):
                self._take_snapshot_part(data)
            case SnapshotEnds(uses_mark):
                self._end_snapshot(uses_mark=uses_mark)
            case Continues(replid):
                self._continue(replid)
            case Failed(reason, refused_sync):
                if refused_sync:
                    self.replication.failover.refused()
                if self.link_id:  # else we are a primary again
                    self._drop(reason)

    def _continue(self, replid: str | None) -> None:
        """The stream goes on where it broke off, perhaps under the ID of a newly promoted primary."""
        self.replication.failover.agreed()
        history = self.replication.history
        self._note(Level.NOTICE, "Successful partial resynchronization with master.")
        history.keep_backlog(self.server.config.repl_backlog_size)
        if replid is not None and replid != history.replid:
            history.shift(replid)
            self.replication.disconnect_replicas()
        self._connected()

    def _connected(self) -> None:
        self._set_state(LinkState.CONNECTED)
        self._retry_ms = FIRST_RETRY_MS
        self.last_seen_ms = self.server.keyspace.now_ms
        self.acknowledge()

    # --- the snapshot ------------------------------------------------------------------------------

    def _begin_snapshot(self, replid: str, offset: int) -> None:
        self.replication.failover.agreed()
        self._note(Level.NOTICE, f"Full resync from master: {replid}:{offset}")
        self._set_state(LinkState.SYNC)
        self.incoming = IncomingSnapshot(
            replid, offset, self.server.keyspace, verify_checksum=self.server.config.rdbchecksum
        )

    def _take_snapshot_part(self, data: bytes) -> None:
        assert self.incoming is not None
        if not self.incoming.received:
            self._note(Level.NOTICE, "MASTER <-> REPLICA sync: Loading DB in memory")
            self._close_gates(self.incoming)
        self.server.note_loaded(len(data))
        try:
            self.incoming.take(data)
        except RdbError as error:
            self._drop(f"Failed trying to load the MASTER synchronization DB: {error}")

    def _close_gates(self, incoming: IncomingSnapshot) -> None:
        """`repl-diskless-load swapdb` says what may run meanwhile: all but a change of role.

        It serves only data of the history that is to come. Without the directive nothing is kept out.
        """
        server = self.server
        if server.config.repl_diskless_load != "swapdb" or server.loading:
            return
        if incoming.replid == self.replication.history.replid:
            self.replication.async_loading = True
        else:
            self._keeps_others_out = True
            server.begin_loading()

    def _forget_incoming(self) -> None:
        self.incoming = None
        self.replication.async_loading = False
        if self._keeps_others_out:
            self._keeps_others_out = False
            self.server.end_loading()

    def _end_snapshot(self, *, uses_mark: bool) -> None:
        """The snapshot takes the place of what we had, in one step; so does its past."""
        incoming = self.incoming
        assert incoming is not None
        if not incoming.reader.finished:
            self._drop("Failed trying to load the MASTER synchronization DB: it ends too early")
            return
        self._forget_incoming()
        self._needs_snapshot = False
        replication = self.replication
        replication.disconnect_replicas()
        self.server.keyspace.adopt(incoming.keyspace)
        if self.server.config.appendonly:
            self.server.aof.suspend()
            self.server.effects.append(RestartLog())
        replication.history.adopt(incoming.replid, incoming.offset)
        replication.history.keep_backlog(self.server.config.repl_backlog_size)
        self.session.db = self.server.keyspace.databases[incoming.stream_database]
        self._note(Level.NOTICE, "MASTER <-> REPLICA sync: Finished with success")
        self._connected()

    # --- the stream --------------------------------------------------------------------------------

    def _forget_unapplied(self) -> None:
        """Drop bytes whose commands have not run: an unfinished command, an unfinished transaction."""
        self._held.clear()
        self._raw = bytearray()
        """The stream from the first byte on that has not been passed on."""
        self._waiting: deque[Arguments] = deque()
        """Commands of it that have not run."""
        self._parsed = 0
        self._applied = 0
        """How much of `_raw` is run, and how much of that is applied: less, inside a transaction."""
        self.session = self._new_session(self.session.db.index)

    def _apply(self, data: bytes) -> None:
        """Run the commands that are complete, then pass on exactly their bytes.

        A transaction counts once its EXEC has run. Else a node promoted in the middle of one would claim
        an offset that includes commands it never applied.
        """
        self._raw += data
        self._waiting.extend(self.session.parser.feed(data))
        self._run_waiting()

    def _run_waiting(self) -> None:
        session, keyspace, link_id = self.session, self.server.keyspace, self.link_id
        failure, waiting = None, self._waiting
        keyspace.expiry_mode = ExpiryMode.IGNORE
        while waiting and not self._is_in_script:
            argv = waiting.popleft()
            end = self._parsed + command_size(argv)
            if self._raw[self._parsed] != _ARRAY or self._raw[end - 2 : end] != b"\r\n":
                failure = "the primary's stream is not made of plain commands"
                break
            if not self.server.dispatcher.table.knows(argv):
                self._refuse_unknown(argv)
                return
            self._run(argv)
            if self.link_id != link_id:
                return  # the command changed our role
            self._parsed = end
            if session.transaction is None and not self._is_in_script:
                self._applied = end
        keyspace.expiry_mode = ExpiryMode.HIDE
        self._pass_on_applied()
        if session.parser.error is not None and not waiting and not self._is_in_script:
            failure = f"the primary's stream breaks the protocol: {session.parser.error}"
        if failure is not None:
            self._drop(failure)

    def _refuse_unknown(self, argv: Arguments) -> None:
        """Stop in front of a command this version does not have.

        How it arises: the primary is of another version, and a client used something only that one can do.
        What goes wrong without the rule: the replica goes on without what the command did, and claims
        the offset of one that has it. It would win an election with data that was never complete.
        The rule: the stream ends here, as far as this node is concerned, and all data are asked for anew.
        Until they are here, what is down is seen to be down, and ages until it may not stand for election.
        Why it ends: the snapshot holds what the command did, and is loaded unless it is of an unknown kind
        too. If such commands come often, the primary is asked for a snapshot ever more seldom.
        """
        self.server.keyspace.expiry_mode = ExpiryMode.HIDE
        self._pass_on_applied()
        self._needs_snapshot = True
        delay_ms = min(LAST_RETRY_MS << self._refusals, MOST_RETRY_MS)
        self._refusals = min(self._refusals + 1, MOST_RETRY_MS // LAST_RETRY_MS)
        self._drop(
            f"== CRITICAL == The primary's stream holds '{_name(argv)}', a command this version does not "
            "know. Replication stops before it, rather than go on without what it did, and begins anew.",
            least_delay_ms=delay_ms,
        )

    def _pass_on_applied(self) -> None:
        if self._applied:
            applied, self._applied = bytes(self._raw[: self._applied]), 0
            del self._raw[: len(applied)]
            self._parsed -= len(applied)
            self.replication.pass_on(applied)

    def _run(self, argv: Arguments) -> None:
        reply = self.server.dispatcher.apply(self.session, argv)
        if reply is NO_REPLY and self.server.scripts.suspension.is_suspended:
            self._is_in_script = True
            self.server.scripts.suspension.spell(self.session, argv)
            return
        if self.server.propagation.operations:
            self.server.propagation.propagate_recorded()
        self._look_at(reply, argv)

    def _look_at(self, reply: Reply, argv: Sequence[bytes]) -> None:
        if isinstance(reply, CommandError):
            self._note(
                Level.WARNING,
                f"== CRITICAL == This replica cannot apply '{_name(argv)}' from its primary: {reply}. "
                "Its data may differ from now on.",
            )

    def _script_ended(self, reply: Reply) -> None:
        """The script that was suspended is over: on with what is behind it, as far as that is here."""
        self._is_in_script = False
        self._look_at(reply, self.server.scripts.suspension.command)
        self._applied = self._parsed
        self._run_waiting()
        if self._begins_again_after_script:
            self._begin_again()

    def _finish_script(self) -> None:
        """Let a suspended script of the stream run to its end, now.

        It cannot be taken back, and half of it is a state that the primary never had. Our role changes all
        the same when the cluster says so, and at once: then nobody is answered until the script is over.
        """
        self._begins_again_after_script = False
        self._waiting.clear()
        while self._is_in_script:
            self.server.scripts.suspension.go_on()

    def acknowledge(self) -> None:
        """Tell the primary how far we are: each second, and when it asks."""
        self._next_ack_ms = self.server.keyspace.now_ms + ACK_PERIOD_MS
        aof = self.server.aof
        durable = (b"FACK", b"%d" % aof.synced_offset) if aof.is_whole else ()
        self._send(encode_command((b"REPLCONF", b"ACK", b"%d" % self.offset, *durable)))

    def _note(self, level: Level, text: str) -> None:
        self.server.effects.append(Note(level, text))


def _name(argv: Sequence[bytes]) -> str:
    return argv[0][:64].lower().decode("utf-8", "replace")


_ARRAY = ord("*")
