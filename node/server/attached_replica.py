"""One replica as its primary sees it: what it said about itself, how far it is, what it still has to get."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from shoal.node.server.effects import CloseSession

if TYPE_CHECKING:
    from shoal.node.server.saved_snapshot import SavedSnapshot
    from shoal.node.server.session import Session
    from shoal.node.server.shared_snapshot import SharedSnapshot
    from shoal.node.server.special_parameters import BufferLimit

MAX_UNSENT_SNAPSHOT_BYTES = 256 * 1024
"""More of a snapshot is made only while less than this waits for the socket."""

CATCH_UP_BYTES_PER_TURN = 128 * 1024
"""How much of what waits for a replica in the backlog one turn sends it, beside what is new."""

KEEP_ALIVE_MS = 1000


class ReplicaState(Enum):
    """The words are those of INFO."""

    INTRODUCED = "handshake"
    PREPARING = "wait_bgsave"
    SYNCING = "send_bulk"
    AWAITING_ACK = "wait_ack"
    """Sent all of a snapshot that ends in a mark. The mark is recognised only if nothing follows it, so the
    stream waits until the replica has acknowledged."""
    ONLINE = "online"


class AttachedReplica:
    """A client that said REPLCONF, and after PSYNC or SYNC is fed."""

    def __init__(self, session: Session, now_ms: int) -> None:
        self.session = session
        self.state = ReplicaState.INTRODUCED
        self.host = session.address.rpartition(":")[0].strip("[]")
        self.port = 0
        self.knows_end_mark = False
        self.knows_second_id = False
        self.speaks_psync = True
        self.wants_snapshot_only = False
        self.wants_data = self.wants_functions = True
        """What its snapshot is to hold: `redis-cli --functions-rdb` wants no data."""
        self.acked_offset = 0
        self.synced_offset = -1
        """How far its append-only file is durable; -1 if it has none."""
        self.last_seen_ms = now_ms
        self.snapshot: SharedSnapshot | SavedSnapshot | None = None
        """The one that it is being given."""
        self.lacks_from: int | None = None
        """The first byte of the stream that waits for it in the backlog; None if nothing does."""
        self.gets_stream_at_once = False
        """Whether it has been sent all of the stream so far, so that what comes next goes to it directly."""
        self._stream_seen_to = 0
        self._keep_alive_due_ms = now_ms + KEEP_ALIVE_MS
        self._last_unsent = 0
        self._over_soft_limit_since_ms: int | None = None

    @property
    def name(self) -> str:
        """For the log: where it can be reached, if it said so."""
        return f"{self.host}:{self.port}" if self.port else self.session.address

    @property
    def is_online(self) -> bool:
        return self.state is ReplicaState.ONLINE

    @property
    def wants_everything(self) -> bool:
        return self.wants_data and self.wants_functions

    def lag_seconds(self, now_ms: int) -> int:
        """Whole seconds since it last acknowledged anything."""
        return max(0, now_ms - self.last_seen_ms) // 1000

    # --- the snapshot ------------------------------------------------------------------------------

    @property
    def has_room(self) -> bool:
        """Whether little enough waits for its socket that more of its snapshot may be made."""
        return self.session.out_bytes < MAX_UNSENT_SNAPSHOT_BYTES

    def await_snapshot(self, now_ms: int) -> None:
        """It wants a snapshot, and gets one once others had time to join it."""
        self.state = ReplicaState.PREPARING
        self._keep_alive_due_ms = now_ms + KEEP_ALIVE_MS

    def begin_snapshot(self, snapshot: SharedSnapshot | SavedSnapshot, next_offset: int) -> None:
        """What comes next is a snapshot; the stream from `next_offset` on waits in the backlog."""
        self.snapshot = snapshot
        self._wait_for_stream(None if self.wants_snapshot_only else next_offset)

    def take_snapshot_part(self, part: bytes) -> None:
        """The next bytes of its snapshot, now that there is room for them."""
        self.state = ReplicaState.SYNCING
        self.last_seen_ms = self.session.now_ms
        self.session.send_bytes(part)

    def keep_alive(self, now_ms: int) -> None:
        """Say that its snapshot is being prepared. Within a snapshot that would be read as data."""
        if self.state is ReplicaState.PREPARING and now_ms >= self._keep_alive_due_ms:
            self._keep_alive_due_ms = now_ms + KEEP_ALIVE_MS
            self.last_seen_ms = now_ms
            self.session.send_bytes(b"\n")

    def note_progress(self, now_ms: int) -> None:
        """It is alive if its socket takes what there is for it, however slowly, or if it says anything."""
        unsent = self.session.out_bytes
        if unsent < self._last_unsent or (self.snapshot is not None and self.has_room):
            self.last_seen_ms = now_ms
        self.last_seen_ms = max(self.last_seen_ms, self.session.last_seen_ms)
        self._last_unsent = unsent

    def end_snapshot(self, *, ends_in_mark: bool) -> None:
        """It has been sent all of it."""
        self.snapshot = None
        if self.wants_snapshot_only:
            self.session.close_after_reply()
        elif ends_in_mark:
            self.state = ReplicaState.AWAITING_ACK
        elif self.lacks_from is not None:
            self.go_online(self.lacks_from)

    # --- the stream --------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """The next bytes of the stream. They are in the backlog too, for who cannot have them yet."""
        if self.gets_stream_at_once:
            self.session.send_bytes(data)

    def go_online(self, next_offset: int) -> None:
        """It has what the stream goes on from at this offset: give it what waits, then what arises."""
        replication = self.session.server.replication
        self.state = ReplicaState.ONLINE
        self._stream_seen_to = replication.history.offset
        self._wait_for_stream(next_offset)
        replication.catching_up.append(self)
        self.catch_up()

    def catch_up(self) -> None:
        """Send a turn's part of what waits in the backlog; once nothing is left, the stream goes on directly.

        How it arises: while a replica is given its snapshot, and while one has lost its link, what is written
        waits in the backlog. That may be as much as the dataset.
        What goes wrong without a rule: sent at once it is copied at once, and every client waits for that.
        Sent in parts it may never end, for a busy server may write more in a turn than a part holds. And
        what arises meanwhile must not be sent before what waits.
        The rule: all that a replica gets comes out of the backlog, in order, until nothing is left there.
        Each turn sends a part: a fixed size, and as much as was written since the turn before. It sends
        none while too much waits for the replica's socket.
        Why it ends: with every part, what waits becomes less by the fixed size, whatever is written. One
        whose socket does not take its parts is slower than the writes, and what it lacks counts against its
        output buffer's limit wherever it waits.
        """
        history = self.session.server.replication.history
        arisen, self._stream_seen_to = history.offset - self._stream_seen_to, history.offset
        if self.lacks_from is None or history.backlog is None or not self.has_room:
            return
        part = history.backlog.read_from(self.lacks_from, CATCH_UP_BYTES_PER_TURN + arisen)
        if part:
            self.session.send_bytes(part)
        next_offset = self.lacks_from + len(part)
        if next_offset <= history.offset:
            self._wait_for_stream(next_offset)
        else:
            self._stop_catching_up()
            self.gets_stream_at_once = True

    def _stop_catching_up(self) -> None:
        catching_up = self.session.server.replication.catching_up
        if self in catching_up:
            catching_up.remove(self)
        self._wait_for_stream(None)

    def _wait_for_stream(self, offset: int | None) -> None:
        self.lacks_from = offset
        self.session.server.replication.keep_what_replicas_lack()

    def acknowledge(self, offset: int, now_ms: int) -> None:
        """It has applied everything up to `offset`."""
        self.acked_offset = max(self.acked_offset, offset)
        self.last_seen_ms = now_ms
        if self.state is ReplicaState.AWAITING_ACK and self.lacks_from is not None:
            self.go_online(self.lacks_from)

    # --- its end -----------------------------------------------------------------------------------

    def exceeds(self, limit: BufferLimit, backlog_size: int, now_ms: int) -> bool:
        """Whether more waits for it than is allowed; a limit below the backlog's size would be absurd."""
        waiting = self.session.out_bytes
        if self.lacks_from is not None:
            waiting += self.session.server.replication.history.offset + 1 - self.lacks_from
        if limit.hard_bytes and waiting > max(limit.hard_bytes, backlog_size):
            return True
        if not limit.soft_bytes or waiting <= max(limit.soft_bytes, backlog_size):
            self._over_soft_limit_since_ms = None
            return False
        if self._over_soft_limit_since_ms is None:
            self._over_soft_limit_since_ms = now_ms
        return now_ms - self._over_soft_limit_since_ms > limit.soft_seconds * 1000

    def hang_up(self) -> None:
        """Close its connection; it will be back and say how far it is."""
        self.stop()
        self.session.server.effects.append(CloseSession(self.session))

    def stop(self) -> None:
        """It gets nothing more."""
        self.session.server.replication.full_syncs.forget(self)
        self.gets_stream_at_once = False
        self._stop_catching_up()
