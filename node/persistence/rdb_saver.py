"""The keyspace as RDB data, in slices: BGSAVE, the base of an AOF, a full synchronisation, moving slots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shoal.node.dataset.keyspace import Keyspace
from shoal.node.dataset.snapshot import SlotWalk
from shoal.node.persistence.rdb_writer import RdbWriter, lowest_version


class RdbSave:
    """One save: the data as they are at its creation, whatever is written between its steps.

    `auxiliary` are facts about the file, such as redis-ver or repl-offset; `slots` restricts it to some.
    Its bytes all come from `step`, until `done`.
    """

    def __init__(
        self,
        keyspace: Keyspace,
        auxiliary: Mapping[bytes, bytes],
        *,
        checksum: bool = True,
        compress: bool = False,
        slots: Iterable[int] | None = None,
    ) -> None:
        self.done = False
        self._writer = RdbWriter(checksum=checksum, compress=compress)
        self._writer.header(auxiliary, lowest_version(keyspace))
        for code in keyspace.functions:
            self._writer.function(code)
        self._walk = SlotWalk(keyspace, self._writer, slots)

    def step(self, budget: int) -> bytes:
        """The next bytes: about `budget`, and besides all that changes made it necessary to write since."""
        if self.done:
            return b""
        if self._walk.step(budget):
            self._writer.end()
            self.done = True
        return self._writer.take()

    @property
    def copied(self) -> int:
        """How many bytes of it were copied because they were about to change."""
        return self._walk.copied

    def stop(self) -> None:
        """Give up; the keyspace forgets the save. Harmless when it is done."""
        self.done = True
        self._walk.stop()
