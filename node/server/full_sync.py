"""The bytes of a snapshot for replicas, made in slices while the node goes on serving."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from shoal.node.dataset.keyspace import Keyspace
from shoal.node.dataset.snapshot import SlotWalk
from shoal.node.persistence.rdb_writer import RdbWriter, lowest_version

MOST_IN_A_PART = 128 * 1024
"""About: a part ends with the piece that reaches this."""
_ONE_KEY = 1


class FullSync:
    """The bytes of a snapshot of the moment this was created, which go out as they are made.

    Their number is not known before; a mark that cannot occur in them by chance ends them.
    """

    def __init__(
        self,
        keyspace: Keyspace,
        auxiliary: Mapping[bytes, bytes],
        end_mark: bytes,
        *,
        with_data: bool = True,
        with_functions: bool = True,
    ) -> None:
        self.finished = False
        """Whether everything has been handed out."""
        self._end_mark = end_mark
        self._made = deque([b"$EOF:%b\r\n" % end_mark])
        """What has not been handed out, a turn's worth in each piece."""
        self._made_bytes = len(self._made[0])
        self._writer = RdbWriter(checksum=False)
        self._writer.header(auxiliary, lowest_version(keyspace))
        for code in keyspace.functions if with_functions else ():
            self._writer.function(code)
        self._walk = SlotWalk(keyspace, self._writer, None if with_data else ())

    @property
    def is_walking(self) -> bool:
        """Whether there are keys left to tell."""
        return not self._walk.done

    @property
    def keys_told(self) -> int:
        """How many keys are in it by now, those included that were about to be overwritten."""
        return self._walk.told

    def gather(self) -> None:
        """Take in what changes made it necessary to tell, though nothing can be sent now."""
        if not self._walk.done:
            self._make(0)

    def next_part(self, budget: int, least: int = 1) -> bytes:
        """Go on by about `budget` bytes; returns what is to be sent now, if that is not less than `least`.

        If more than a part was made while nothing could be sent, that goes out first, a part at a time.
        """
        if not self._walk.done:
            self._make(budget if self._made_bytes < MOST_IN_A_PART else 0)
        if self._made_bytes < least and not self._walk.done:
            return b""
        return self._take_made()

    def _make(self, budget: int) -> None:
        """Go on by about `budget` bytes; what changes made it necessary to tell is a part of that.

        So turns of clients that write cost no more than those of others, and a turn's progress is the same.
        """
        self._walk.step(0)
        made = self._writer.take()
        if self._walk.step(budget - len(made)):
            self._writer.end()
            made += self._writer.take() + self._end_mark
        else:
            made += self._writer.take()
        if made:
            self._made.append(made)
            self._made_bytes += len(made)

    def _take_made(self) -> bytes:
        part, size = [], 0
        while self._made and size < MOST_IN_A_PART:
            part.append(self._made.popleft())
            size += len(part[-1])
        self._made_bytes -= size
        self.finished = self._walk.done and not self._made
        return b"".join(part)

    def next_keys(self, count: int) -> bytes:
        """`next_part`, but so many keys; for none, only what changes made it necessary to tell."""
        if count <= 0:
            return self.next_part(0) if self.keys_told else b""
        parts, enough = [], self.keys_told + count
        while self.is_walking and self.keys_told < enough:
            parts.append(self.next_part(_ONE_KEY))
        return b"".join(parts)

    def stop(self) -> None:
        """Nobody wants it any more."""
        self._walk.stop()
