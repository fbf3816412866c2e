"""One snapshot on disk for all replicas that asked for it before it was whole.

Each of them is sent the file at its own pace: what one has not taken stays on disk, and holds up no other.
The stream from the snapshot's moment on waits in the backlog meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.node.server.effects import ReadSnapshot

if TYPE_CHECKING:
    from shoal.node.replication.history import History
    from shoal.node.server.attached_replica import AttachedReplica

PART_BYTES = 128 * 1024
"""How much of the file is read at once, in a thread."""


@dataclass(slots=True)
class Progress:
    """How much of the file a replica has been given, and whether the next part is being read."""

    offset: int = 0
    is_reading: bool = False


class SavedSnapshot:
    """A snapshot that is being written, and then sent."""

    def __init__(self, history: History) -> None:
        """It was taken at this point of the history."""
        self.size = 0
        """Of the file, once that is whole."""
        self._given: dict[AttachedReplica, Progress] = {}
        self._answer = b"+FULLRESYNC %b %d\r\n" % (history.replid.encode(), history.offset)
        self._next_offset = history.offset + 1

    @property
    def replicas(self) -> list[AttachedReplica]:
        """Those that wait for it, or are being sent it."""
        return list(self._given)

    def may_be_joined_by(self, replica: AttachedReplica) -> bool:
        """Whether the stream from its moment on is being kept, or is not wanted."""
        if replica.wants_snapshot_only:
            return bool(self._given)
        return any(other.lacks_from is not None for other in self._given)

    def add(self, replica: AttachedReplica) -> None:
        """Give it to this replica as well."""
        self._given[replica] = Progress()
        if replica.speaks_psync:
            replica.session.send_bytes(self._answer)
        replica.begin_snapshot(self, self._next_offset)

    def leave(self, replica: AttachedReplica) -> None:
        """A replica is gone, or has all of it."""
        self._given.pop(replica, None)

    def begin_sending(self, size: int) -> None:
        """It is whole."""
        self.size = size
        for replica in self._given:
            replica.take_snapshot_part(b"$%d\r\n" % size)

    @property
    def can_go_on(self) -> bool:
        """Whether somebody could take more than is on its way."""
        return any(_wants_part(replica, given) for replica, given in self._given.items())

    def go_on(self) -> list[ReadSnapshot]:
        """The next part, for each replica that has room for it."""
        wanted = [(replica, given) for replica, given in self._given.items() if _wants_part(replica, given)]
        for _, given in wanted:
            given.is_reading = True
        return [ReadSnapshot(self, replica, given.offset, PART_BYTES) for replica, given in wanted]

    def take(self, replica: AttachedReplica, part: bytes) -> bool:
        """A part that was read for this replica, if it is still there; True if it was the last."""
        given = self._given.get(replica)
        if given is None:
            return False
        given.is_reading = False
        given.offset += len(part)
        replica.take_snapshot_part(part)
        return given.offset == self.size


def _wants_part(replica: AttachedReplica, given: Progress) -> bool:
    return not given.is_reading and replica.has_room
