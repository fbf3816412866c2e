"""One replica's snapshot, made in slices while the node goes on serving."""

from __future__ import annotations

from collections.abc import Mapping

from shoal.node.dataset.keyspace import Keyspace
from shoal.node.dataset.snapshot import SlotWalk
from shoal.node.persistence.rdb_writer import RdbWriter, lowest_version

_ONE_KEY = 1


class Pace:
    """How many keys of a snapshot are due, while `rdb-key-save-delay` slows it down."""

    def __init__(self, now_ms: int) -> None:
        self._paid_until_us = now_ms * 1000

    def keys_due(self, now_ms: int, delay_us: int) -> int:
        """Since the last time this was asked."""
        due = (now_ms * 1000 - self._paid_until_us) // delay_us
        self._paid_until_us += due * delay_us
        return due


class FullSync:
    """The bytes of a snapshot of the moment this was created, in the form the replica understands.

    A replica that knows the end mark gets the data as it is made. Any other must be told the size first, so
    all of it is made before the first byte goes out.
    """

    def __init__(
        self,
        keyspace: Keyspace,
        auxiliary: Mapping[bytes, bytes],
        end_mark: bytes | None,
        *,
        with_data: bool = True,
        with_functions: bool = True,
    ) -> None:
        self.finished = False
        """Whether everything has been handed out."""
        self._end_mark = end_mark
        self._made: list[bytes] = [] if end_mark is None else [b"$EOF:%b\r\n" % end_mark]
        self._whole: memoryview | None = None
        """Without an end mark: everything, once it is made."""
        self._writer = RdbWriter(checksum=False)
        self._writer.header(auxiliary, lowest_version(keyspace))
        for code in keyspace.functions if with_functions else ():
            self._writer.function(code)
        self._walk = SlotWalk(keyspace, self._writer, None if with_data else ())

    @property
    def is_preparing(self) -> bool:
        """Whether nothing can be handed out until more is made."""
        return self._end_mark is None and self._whole is None

    def next_part(self, budget: int) -> bytes:
        """Go on by about `budget` bytes; returns what can be sent now, which may be nothing."""
        if self._whole is not None:
            return self._next_slice(self._whole, budget)
        if self._walk.step(budget):
            self._writer.end()
        self._made.append(self._writer.take())
        if self._end_mark is not None:
            if self._walk.done:
                self._made.append(self._end_mark)
                self.finished = True
            part, self._made = b"".join(self._made), []
            return part
        if self._walk.done:
            data, self._made = b"".join(self._made), []
            self._whole = memoryview(b"$%d\r\n%b" % (len(data), data))
        return b""

    def next_keys(self, count: int) -> bytes:
        """`next_part`, but so many keys."""
        parts = []
        while count > 0 and not self.finished:
            parts.append(self.next_part(_ONE_KEY))
            count -= 1
        return b"".join(parts)

    def _next_slice(self, whole: memoryview, budget: int) -> bytes:
        part, self._whole = bytes(whole[:budget]), whole[budget:]
        self.finished = not self._whole
        return part

    def stop(self) -> None:
        """The replica is gone: make no more."""
        self._walk.stop()
