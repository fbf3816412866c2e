"""A node's place in replication: its history, the replicas it feeds, the primary it follows.

The stream is made here and nowhere else. On a primary `append` takes what each command changed, in the turn
it happened, for the backlog and every replica at once. On a replica the primary's bytes are passed on
verbatim, so that one offset means the same bytes everywhere down a chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from shoal.cluster.effects import Level, Note
from shoal.cluster.events import ReplicationProgress
from shoal.node.replication.history import REPLID_SIZE, History
from shoal.node.replication.stream import GETACK, NO_DATABASE, PING, Operations, Reader
from shoal.node.resp.replies import CommandError, Reply
from shoal.node.server import copy_waits
from shoal.node.server.attached_replica import AttachedReplica
from shoal.node.server.failover import Failover
from shoal.node.server.following import Following
from shoal.node.server.full_syncs import FullSyncs
from shoal.node.server.session import Session
from shoal.node.server.versions import REDIS_VERSION

if TYPE_CHECKING:
    from shoal.node.server.entries import Entry
    from shoal.node.server.server import Server

HOUSEKEEPING_MS = 100
_GATE_DIRECTIVES = ("min-replicas-to-write", "min-replicas-max-lag", "replica-serve-stale-data")


class Replication:
    """Both directions: `append` and the replicas; `follow` and the primary."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.history = History(self._new_replid(), server.propagation.listeners_changed)
        self.reader = Reader()
        """Whoever reads the stream: the backlog and every replica, all in one place."""
        self.introduced: dict[int, AttachedReplica] = {}
        """Every client that said REPLCONF or PSYNC, by session id."""
        self.attached: list[AttachedReplica] = []
        """Those that are fed."""
        self.catching_up: list[AttachedReplica] = []
        """Those of them that are given what waited for them in the backlog."""
        self.following: Following | None = None
        self.async_loading = False
        """On while a snapshot comes in beside the data that are served, and the role is not to change."""
        self.failover = Failover(server)
        self.full_syncs = FullSyncs(server)
        self.reset_statistics()
        self._last_link_id = 0
        self._loaded_database = 0
        """The database the next command of the stream is meant for, after a start as a replica."""
        self._asked_for_acks_at = -1
        self._next_housekeeping_ms = 0
        self._last_ping_ms = server.keyspace.now_ms
        self._alone_since_ms = server.keyspace.now_ms
        server.config.on_change(("repl-backlog-size",), self._resize_backlog)
        server.config.on_change(_GATE_DIRECTIVES, server.refresh_gates)

    @property
    def _least_offset(self) -> int:
        """Where counting begins: in a cluster at 1.

        There a replica whose offset is 0 is one without data, and a fresh shard's would seem so until the
        first write.
        """
        return int(self.server.config.cluster_enabled)

    def _resize_backlog(self) -> None:
        if self.history.backlog is not None:
            self.history.backlog.resize(self.server.config.repl_backlog_size)

    def _new_replid(self) -> str:
        return self.server.rng.randbytes(20).hex()

    def reset_statistics(self) -> None:
        """Count from zero."""
        self.requested_full_syncs = 0
        self.partial_syncs = 0
        self.refused_partial_syncs = 0

    # --- turns -------------------------------------------------------------------------------------

    def begin_turn(self, now_ms: int) -> None:
        """Go on with what replicas are given; now and then look after links, acknowledgements and backlog."""
        if self.full_syncs.under_way:
            self.full_syncs.go_on(now_ms)
        if self.full_syncs.by_disk.sending:
            self.full_syncs.by_disk.go_on()
        if self.catching_up:
            for replica in list(self.catching_up):
                replica.catch_up()
        if now_ms >= self._next_housekeeping_ms:
            self._next_housekeeping_ms = now_ms + HOUSEKEEPING_MS
            if self.following is not None:
                self.following.tick(now_ms)
            self.failover.look()
            if self.attached:
                self._look_after_replicas(now_ms)
            elif self.following is None and self.history.backlog is not None:
                self._drop_unused_backlog(now_ms)

    @property
    def wants_turn(self) -> bool:
        """Whether there is work that waits neither for a client nor for time."""
        if self.catching_up and any(replica.has_room for replica in self.catching_up):
            return True
        full_syncs = self.full_syncs
        return (bool(full_syncs.under_way) and full_syncs.wants_turn) or (
            bool(full_syncs.by_disk.sending) and full_syncs.by_disk.wants_turn
        )

    def _look_after_replicas(self, now_ms: int) -> None:
        config = self.server.config
        limit = config.client_output_buffer_limit["replica"]
        self._alone_since_ms = now_ms
        self.full_syncs.look(now_ms)
        for replica in list(self.attached):
            if not replica.is_online:
                replica.note_progress(now_ms)
            silent_ms = now_ms - replica.last_seen_ms
            if replica.speaks_psync and silent_ms > config.repl_timeout * 1000:
                during = "(streaming sync)" if replica.is_online else "(full sync)"
                self._note(Level.WARNING, f"Disconnecting timedout replica {during}: {replica.name}")
                replica.hang_up()
            elif replica.exceeds(limit, config.repl_backlog_size, now_ms):
                self._note(Level.WARNING, f"Replica {replica.name} takes its data too slowly; closing it")
                self.server.statistics.clients_that_took_too_little += 1
                replica.hang_up()
        if (
            self.following is None
            and not self._must_stand_still
            and now_ms - self._last_ping_ms >= config.repl_ping_replica_period * 1000
        ):
            self._last_ping_ms = now_ms
            self._extend(PING)

    def _drop_unused_backlog(self, now_ms: int) -> None:
        """Without a backlog writes are not counted, so what was counted so far is nobody's past any more."""
        ttl = self.server.config.repl_backlog_ttl
        if ttl and now_ms - self._alone_since_ms > ttl * 1000:
            self.history.begin_anew(self._new_replid(), self._least_offset)

    # --- the stream --------------------------------------------------------------------------------

    @property
    def has_stream(self) -> bool:
        """Whether anybody reads, or may come back to read, what commands change here."""
        return self.history.backlog is not None and self.following is None

    def append(self, operations: Operations, rendered: bytes) -> None:
        """What one command changed here, where the stream begins: only if it `has_stream`."""
        if len(operations) > 1 or operations[0][0] != self.reader.database:
            rendered = self.reader.take(operations, rendered)
        self._extend(rendered)

    def pass_on(self, data: bytes) -> None:
        """Bytes of the primary's stream that have been applied here."""
        self._extend(data)

    def _extend(self, data: bytes) -> None:
        self.history.feed(data)
        for replica in self.attached:
            replica.feed(data)

    def keep_what_replicas_lack(self) -> None:
        """Have the backlog hold what replicas are still to be given out of it."""
        if self.history.backlog is not None:
            waiting = [replica.lacks_from for replica in self.attached if replica.lacks_from is not None]
            self.history.backlog.keep_from(min(waiting, default=None))

    # --- replicas ----------------------------------------------------------------------------------

    def introduce(self, session: Session) -> AttachedReplica:
        """The replica a client says it is."""
        replica = self.introduced.get(session.id)
        if replica is None:
            replica = self.introduced[session.id] = AttachedReplica(session, self.server.keyspace.now_ms)
        return replica

    def synchronize(self, session: Session, replid: str, offset: int) -> None:
        """PSYNC: go on with the byte at `offset` if that is possible, else with a snapshot."""
        replica = self.introduce(session)
        self._check_can_feed(replica)
        history = self.history
        if history.backlog is not None and history.continues(replid, offset):
            answer = b"+CONTINUE %b" % history.replid.encode() if replica.knows_second_id else b"+CONTINUE"
            self._attach(replica)
            session.send_bytes(answer + b"\r\n")
            replica.go_online(offset)
            self.partial_syncs += 1
            self._note(Level.NOTICE, f"Partial resynchronization request from {replica.name} accepted")
            return
        if replid != "?":
            self.refused_partial_syncs += 1
        self._begin_full_sync(replica)

    def note_wrong_offset(self, session: Session) -> None:
        """A replica asks to go on from what is no offset."""
        name = self.introduce(session).name
        self._note(Level.WARNING, f"Replica {name} asks for synchronization but with a wrong offset")

    def take_over(self, replid: str) -> None:
        """PSYNC … FAILOVER: our primary wants this node to be the primary, and itself its replica."""
        if self.following is None or self.server.cluster is not None:
            raise CommandError("ERR PSYNC FAILOVER can't be sent to a master.")
        if replid != self.history.replid:
            raise CommandError("ERR PSYNC FAILOVER replid must match my replid.")
        self.server.become_primary()

    def synchronize_blindly(self, session: Session) -> None:
        """SYNC: a snapshot, then the stream, for whoever does not know PSYNC."""
        replica = self.introduce(session)
        self._check_can_feed(replica)
        replica.speaks_psync = False
        self._begin_full_sync(replica)

    def _check_can_feed(self, replica: AttachedReplica) -> None:
        """Refuse to be copied from: without a primary's stream, and while we came back with nothing.

        The second keeps the only copies of the data that are left; see `health.reconsider_silence`.
        """
        cluster = self.server.cluster
        if cluster is not None and cluster.view.awaiting_failover:
            raise CommandError("NOMASTERLINK Can't SYNC while I hold no data and a replica may take over")
        if self.following is not None and not self.following.is_connected:
            raise CommandError("NOMASTERLINK Can't SYNC while not connected with my master")
        if not replica.wants_everything and not replica.knows_end_mark:
            raise CommandError("ERR Filtered replica requires EOF capability")

    def _begin_full_sync(self, replica: AttachedReplica) -> None:
        """It needs all the data. Its snapshot's moment is still to come; from then on it gets the stream."""
        history = self.history
        if history.backlog is None:
            if self.following is None:
                history.begin_anew(self._new_replid(), self._least_offset)
            history.keep_backlog(self.server.config.repl_backlog_size)
        self.requested_full_syncs += 1
        self._note(Level.NOTICE, f"Full resync requested by replica {replica.name}")
        self._attach(replica)
        self.full_syncs.request(replica, self.server.keyspace.now_ms)

    def file_facts(self) -> dict[bytes, bytes]:
        """What any RDB data of ours say about themselves."""
        return {
            b"redis-ver": REDIS_VERSION.encode(),
            b"redis-bits": b"64",
            b"ctime": b"%d" % (self.server.keyspace.now_ms // 1000),
        }

    def snapshot_facts(self) -> dict[bytes, bytes]:
        """What a snapshot of now says about itself, its place in the stream included if that is counted."""
        facts = self.file_facts()
        if self.history.backlog is not None:
            following = self.following
            database = self.reader.database if following is None else following.database_index
            facts[b"repl-stream-db"] = b"%d" % max(database, 0)
            facts[b"repl-id"] = self.history.replid.encode()
            facts[b"repl-offset"] = b"%d" % self.history.offset
        return facts

    def resume(self, facts: Mapping[bytes, bytes], *, is_replica: bool) -> None:
        """Go on in the past of the snapshot that was loaded at the start, if it names one.

        How it arises: every restart. Without this it would cost a replica a copy of all the data, though it
        has loaded what its primary held a moment ago; and a primary's restart would cost each replica one.
        The rule: a replica asks for the byte after the snapshot's. A primary goes on under an ID of its own,
        for it may have written more before it stopped: only who is just as far as the snapshot shares its
        past. In a cluster an empty dataset has none, lest its offset look as good as a replica's to the
        rule that protects the copies (see `health.reconsider_silence`).

        Source: the auxiliary fields repl-id, repl-offset and repl-stream-db of Redis's RDB files.
        """
        replid, offset = facts.get(b"repl-id", b""), facts.get(b"repl-offset", b"")
        database = facts.get(b"repl-stream-db", b"0")
        numbers_are_good = offset.isdigit() and len(offset) < 20 and database.isdigit() and len(database) < 10
        if not (numbers_are_good and len(replid) == REPLID_SIZE and replid.isalnum()):
            return
        server = self.server
        if int(database) >= len(server.keyspace.databases):
            return
        if server.config.cluster_enabled and not len(server.keyspace):
            return
        self.history.adopt(replid.decode(), int(offset))
        if is_replica:
            self._loaded_database = int(database)
        else:
            self.history.shift(self._new_replid())
            self.history.keep_backlog(self.server.config.repl_backlog_size)

    def _attach(self, replica: AttachedReplica) -> None:
        replica.session.is_replica_link = True
        replica.session.refresh_plain()
        replica.last_seen_ms = self.server.keyspace.now_ms
        self.attached.append(replica)
        self.server.refresh_gates()

    def forget(self, session: Session) -> None:
        """A client is gone; if it was a replica, feed it no more."""
        replica = self.introduced.pop(session.id, None)
        if replica is not None and replica in self.attached:
            replica.stop()
            self.attached.remove(replica)
            self._alone_since_ms = self.server.keyspace.now_ms
            self._note(Level.NOTICE, f"Connection with replica {replica.name} lost.")

    def refuse_reply(self, session: Session, entry: Entry | None, reply: Reply) -> None:
        """A replica asked for what has an answer, which has no place in the stream."""
        if isinstance(reply, CommandError):
            text = reply.text.decode("utf-8", "replace")
            self._note(
                Level.WARNING, f"== CRITICAL == This master is sending an error to its replica: '{text}'"
            )
        name = entry.spec.full_name if entry is not None else "unknown"
        told = f"Replica generated a reply to command '{name}', disconnecting it: {session.address}"
        self._note(Level.NOTICE, told)

    def disconnect_replicas(self) -> None:
        """Let every replica come back, to learn under which ID the stream goes on."""
        for replica in self.attached:
            replica.hang_up()

    # --- acknowledgements --------------------------------------------------------------------------

    def count_acknowledged(self, offset: int) -> int:
        """How many replicas have applied everything up to `offset`."""
        return sum(replica.is_online and replica.acked_offset >= offset for replica in self.attached)

    def count_durable(self, offset: int) -> int:
        """How many replicas have everything up to `offset` in an append-only file, durably."""
        return sum(replica.is_online and replica.synced_offset >= offset for replica in self.attached)

    def acknowledge(self, replica: AttachedReplica, offset: int) -> None:
        """REPLCONF ACK: note it, and end the waits that it completes."""
        was_online = replica.is_online
        replica.acknowledge(offset, self.server.keyspace.now_ms)
        if replica.is_online and not was_online:
            self._note(Level.NOTICE, f"Synchronization with replica {replica.name} succeeded")
        self.failover.look()
        copy_waits.end_waits(self.server)

    def ask_for_acks(self) -> None:
        """Have replicas acknowledge now instead of within a second, but not twice with nothing in between."""
        if self.attached and not self._must_stand_still and self._asked_for_acks_at != self.history.offset:
            self._extend(GETACK)
            self._asked_for_acks_at = self.history.offset

    @property
    def _must_stand_still(self) -> bool:
        """Whether nothing may move the offset: a failover compares it, and the last snapshot names it."""
        return bool(self.server.pause.failover_until_ms or self.server.pause.shutdown_until_ms)

    def count_good_replicas(self) -> int:
        """Those that are online and acknowledged lately, for min-replicas-to-write."""
        now_ms, max_lag = self.server.keyspace.now_ms, self.server.config.min_replicas_max_lag
        return sum(replica.is_online and replica.lag_seconds(now_ms) <= max_lag for replica in self.attached)

    # --- the primary -------------------------------------------------------------------------------

    def next_link_id(self) -> int:
        """Connections to primaries are numbered, so that news of an old one is not taken for a new one's."""
        self._last_link_id += 1
        return self._last_link_id

    def followed_over(self, link_id: int) -> Following | None:
        """Whoever is followed over this connection; None if it has been given up."""
        following = self.following
        return following if following is not None and following.link_id == link_id else None

    def follow(self, host: str, port: int) -> None:
        """Replicate from this node, keeping what data and history there is until it answers."""
        database = self._loaded_database
        if self.following is not None:
            database = self.following.database_index
            self.following.stop()
        self.following = Following(self, host, port, database)
        self.following.connect(delay_ms=0)

    def stop_following(self) -> None:
        """Become the origin of the stream: go on under an ID of our own, the old one shared up to here."""
        if self.following is None:
            return
        self.following.stop()
        self.following = None
        self._loaded_database = 0
        self.reader.database = NO_DATABASE
        self._alone_since_ms = self.server.keyspace.now_ms
        self.history.shift(self._new_replid())
        self.disconnect_replicas()

    def progress(self) -> ReplicationProgress:
        """How far the data is, for the cluster machine."""
        following = self.following
        if following is None:
            return ReplicationProgress(self.history.offset)
        last_seen_ms = following.last_seen_ms
        return ReplicationProgress(self.history.offset, following.is_connected, last_seen_ms)

    def _note(self, level: Level, text: str) -> None:
        self.server.effects.append(Note(level, text))
