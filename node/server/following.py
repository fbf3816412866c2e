"""Following a primary: the connection, what comes over it, and beginning again when it fails.

What a snapshot does here stands in `snapshot_intake.py`, what the stream does in `primary_stream.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.cluster.effects import Level, Note
from shoal.node.persistence.errors import RdbError
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
from shoal.node.resp.writer import encode_command
from shoal.node.server.effects import ClosePrimaryLink, OpenPrimaryLink, SendToPrimary
from shoal.node.server.failover import FailoverState
from shoal.node.server.primary_stream import PrimaryStream
from shoal.node.server.snapshot_intake import IncomingSnapshot, SnapshotIntake

if TYPE_CHECKING:
    from shoal.node.server.replication import Replication
    from shoal.node.server.stream_session import StreamSession

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
        self._snapshots = SnapshotIntake(server)
        self._stream = PrimaryStream(self, database_index)
        self._needs_snapshot = False
        """Whether the stream cannot be gone on with, though the primary could."""
        self._refusals = 0
        self._link: ReplicaLink | None = None
        self._retry_ms = FIRST_RETRY_MS
        self._heard_ms = server.keyspace.now_ms
        self._held = bytearray()
        """What came while a script was busy, or in a pause."""
        self._next_ack_ms = 0
        self._begins_again_after_script = False

    @property
    def is_connected(self) -> bool:
        """Whether the stream flows."""
        return self.state is LinkState.CONNECTED

    @property
    def session(self) -> StreamSession:
        """Who runs the stream's commands."""
        return self._stream.session

    @property
    def incoming(self) -> IncomingSnapshot | None:
        """The snapshot that is on its way."""
        return self._snapshots.incoming

    @property
    def database_index(self) -> int:
        """The database the next command of the stream is meant for."""
        return self.session.db.index

    @property
    def offset(self) -> int:
        """The last byte of the stream applied, those not yet passed on included."""
        return self.replication.history.offset + self._stream.applied

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
        if server.scripts.busy is not None or (server.loading and not self._snapshots.keeps_others_out):
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
            self.drop(_TIMED_OUT.get(self.state, "Timeout connecting to the MASTER..."))
        elif self.is_connected and now_ms >= self._next_ack_ms:
            self.acknowledge()

    def stop(self) -> None:
        """Follow no more. What the stream began and did not finish has not happened, a script excepted."""
        self._begins_again_after_script = False
        self._stream.finish_script()
        self.server.effects.append(ClosePrimaryLink(self.link_id))
        self.link_id = 0
        self._forget_unapplied()

    def _forget_unapplied(self) -> None:
        self._held.clear()
        self._stream.forget_unapplied()
        self._snapshots.forget()

    def reconnect(self) -> None:
        """Drop the connection, because an operator says so, and make a new one."""
        self.drop("the connection to the primary was killed by a client")

    def drop(self, reason: str, *, least_delay_ms: int = 0) -> None:
        """Give up the connection, which is of no use any more, and make a new one."""
        self._note(Level.WARNING, reason)
        self.server.effects.append(ClosePrimaryLink(self.link_id))
        self._begin_again(least_delay_ms)

    def begin_with_snapshot(self, reason: str) -> None:
        """Give up the connection, and ask for all data over the next; the more often, the later."""
        self._needs_snapshot = True
        delay_ms = min(LAST_RETRY_MS << self._refusals, MOST_RETRY_MS)
        self._refusals = min(self._refusals + 1, MOST_RETRY_MS // LAST_RETRY_MS)
        self.drop(reason, least_delay_ms=delay_ms)

    def script_ended(self) -> None:
        """The stream's script that nothing could be given up within is over."""
        if self._begins_again_after_script:
            self._begin_again()

    def _begin_again(self, least_delay_ms: int = 0) -> None:
        """Try anew, soon at first, then less often; a link that worked starts from soon again."""
        if self._stream.is_in_script:
            self._begins_again_after_script = True
            return
        self._begins_again_after_script = False
        if self.is_connected:
            self._retry_ms = FIRST_RETRY_MS
            self.down_since_ms = self.server.keyspace.now_ms
        self._forget_unapplied()
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
                self._stream.apply(data)
            case SendBytes(data):
                self._send(data)
            case SnapshotBegins(replid, offset):
                self._begin_snapshot(replid, offset)
            case SnapshotPart(data):
                self._take_snapshot_part(data)
            case SnapshotEnds():
                self._end_snapshot()
            case Continues(replid):
                self._continue(replid)
            case Failed(reason, refused_sync):
                if refused_sync:
                    self.replication.failover.refused()
                if self.link_id:  # else we are a primary again
                    self.drop(reason)

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

    def _begin_snapshot(self, replid: str, offset: int) -> None:
        self.replication.failover.agreed()
        self._note(Level.NOTICE, f"Full resync from master: {replid}:{offset}")
        self._set_state(LinkState.SYNC)
        self._snapshots.begin(replid, offset)

    def _take_snapshot_part(self, data: bytes) -> None:
        try:
            self._snapshots.take(data)
        except RdbError as error:
            self.drop(f"Failed trying to load the MASTER synchronization DB: {error}")

    def _end_snapshot(self) -> None:
        try:
            database_index = self._snapshots.end()
        except RdbError as error:
            self.drop(f"Failed trying to load the MASTER synchronization DB: {error}")
            return
        self._needs_snapshot = False
        self.session.db = self.server.keyspace.databases[database_index]
        self._note(Level.NOTICE, "MASTER <-> REPLICA sync: Finished with success")
        self._connected()

    def acknowledge(self) -> None:
        """Tell the primary how far we are: each second, and when it asks."""
        self._next_ack_ms = self.server.keyspace.now_ms + ACK_PERIOD_MS
        aof = self.server.aof
        durable = (b"FACK", b"%d" % aof.synced_offset) if aof.is_whole else ()
        self._send(encode_command((b"REPLCONF", b"ACK", b"%d" % self.offset, *durable)))

    def _note(self, level: Level, text: str) -> None:
        self.server.effects.append(Note(level, text))
