"""One snapshot for all replicas that asked for one in time.

Making a snapshot costs the same whether one replica gets it or five. So a replica that needs one waits for
others (`repl-diskless-sync-delay`); then the keyspace is walked once, and every part goes to all of them. Who
comes before the first part has gone out still joins.

The parts come as fast as the slowest of them takes them, since what it lacks would have to be kept. That
ends: a replica whose socket takes nothing for `repl-timeout` is hung up on, and the others go on.
"""

from __future__ import annotations

from dataclasses import dataclass

from shoal.node.replication.history import History
from shoal.node.server.attached_replica import AttachedReplica
from shoal.node.server.full_sync import FullSync

LEAST_BYTES_PER_TURN, MOST_BYTES_PER_TURN = 3 * 1024, 32 * 1024
IDLE_BYTES_PER_TURN = 16 * 1024
"""How much of a snapshot one turn makes, see `share_of_turn`. Of small keys, 16 KiB are half a millisecond's
work."""

QUIET_MS = 5
"""Who has not been heard of for so long is not about to send more."""

BYTES_SENT_AT_ONCE = 64 * 1024
"""Many turns' worth: a replica that is woken by each turn for a little has no less to do than the primary."""


def share_of_turn(received: int, quiet_ms: int) -> int:
    """How many bytes of a snapshot to make in a turn, when clients sent so many in the one before.

    They have been quiet for so long. Where they were busy just now, a turn that finds nothing of theirs has
    come a moment too early: it is no longer than others, for they would wait until it ends.

    Clients wait for whatever a turn does. So each does a little of the snapshot, rather than one in a while
    much: whoever came just then would be those who notice. The more a turn does for clients the
    longer it is, and the fewer there are. A fixed size would make the snapshot of a busy server last for
    ever, while every key that is changed before its turn costs time and memory.
    """
    if quiet_ms > QUIET_MS:
        return IDLE_BYTES_PER_TURN
    return min(max(LEAST_BYTES_PER_TURN, received), MOST_BYTES_PER_TURN)


@dataclass(frozen=True, slots=True)
class Form:
    """What a snapshot holds; replicas that want the same may share one."""

    with_data: bool
    with_functions: bool


class Pace:
    """How many keys of a snapshot are due, while `rdb-key-save-delay` slows it down.

    A key that is about to be overwritten is told at once, due or not. It is paid for all the same: a snapshot
    lasts as long as it has keys.
    """

    def __init__(self, now_ms: int, told: int) -> None:
        self._paid_until_us = now_ms * 1000
        self._told = told
        self._due = 0

    def keys_due(self, now_ms: int, delay_us: int, told: int) -> int:
        """With so many keys told by now; negative if those were more than time has come for."""
        due = (now_ms * 1000 - self._paid_until_us) // delay_us
        self._paid_until_us += due * delay_us
        self._due += due - (told - self._told)
        self._told = told
        return self._due


class SharedSnapshot:
    """A snapshot on its way."""

    def __init__(self, form: Form, sync: FullSync, history: History) -> None:
        """It was taken at this point of the history."""
        self.form = form
        self.replicas: list[AttachedReplica] = []
        self.can_be_joined = True
        """Whether nothing has been sent yet, so that one more may have it too."""
        self._sync = sync
        self._answer = b"+FULLRESYNC %b %d\r\n" % (history.replid.encode(), history.offset)
        self._next_offset = history.offset + 1
        self._pace: Pace | None = None

    def add(self, replica: AttachedReplica) -> None:
        """Give it to this replica as well."""
        self.replicas.append(replica)
        if replica.speaks_psync:
            replica.session.send_bytes(self._answer)
        replica.begin_snapshot(self, self._next_offset)

    @property
    def is_over(self) -> bool:
        """Whether nobody is to get any more of it."""
        return not self.replicas

    @property
    def can_go_on(self) -> bool:
        """Whether all of its replicas have room for more."""
        return all(replica.has_room for replica in self.replicas)

    def go_on(self, now_ms: int, budget: int, key_delay_us: int) -> bool:
        """Make and send the next part, if there is room; True once it is complete."""
        if not self.can_go_on:
            self._sync.gather()
            return False
        part = self._next_part(now_ms, budget, key_delay_us)
        for replica in self.replicas:
            if part:
                self.can_be_joined = False
                replica.take_snapshot_part(part)
            else:
                replica.keep_alive(now_ms)
        return self._sync.finished

    def _next_part(self, now_ms: int, budget: int, key_delay_us: int) -> bytes:
        if key_delay_us <= 0 or not self._sync.is_walking:
            self._pace = None
            return self._sync.next_part(budget, 1 if self.can_be_joined else BYTES_SENT_AT_ONCE)
        told = self._sync.keys_told
        if self._pace is None:
            self._pace = Pace(now_ms, told)
        return self._sync.next_keys(self._pace.keys_due(now_ms, key_delay_us, told))

    def leave(self, replica: AttachedReplica) -> None:
        """A replica is gone. Nobody makes a snapshot for nobody."""
        self.replicas.remove(replica)
        if not self.replicas:
            self._sync.stop()

    def end(self) -> None:
        """All have been sent all of it."""
        replicas, self.replicas = self.replicas, []
        for replica in replicas:
            replica.end_snapshot(ends_in_mark=True)
