"""The bytes of a snapshot for replicas, made in slices while the node goes on serving."""

from __future__ import annotations

from collections.abc import Mapping

from shoal.node.dataset.keyspace import Keyspace
from shoal.node.dataset.snapshot import SlotWalk
from shoal.node.persistence.rdb_writer import RdbWriter, lowest_version

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
        self._made = b"$EOF:%b\r\n" % end_mark
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

    def next_part(self, budget: int) -> bytes:
        """Go on by about `budget` bytes; returns what is to be sent now."""
        done = self._walk.step(budget)
        if done:
            self._writer.end()
        made, self._made = self._made, b""
        part = made + self._writer.take()
        if done:
            self.finished = True
            part += self._end_mark
        return part

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
