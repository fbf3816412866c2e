"""What commands change, told to those who repeat it: replicas and the append-only file.

While a command runs, what it changed is recorded; when it is over, that goes out in one piece, as a
transaction if it is several changes.

Most writes are told on in one step, and alone. These gather as long as nothing else is run than such
and commands that look at nothing but their keys; then they are rendered and sent in one go, which takes a
third of the time. Whatever else is sent, or looks at how far the stream is, comes after `settle`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from shoal.node.commands.call import AS_TYPED
from shoal.node.replication.stream import Operations, render, render_each
from shoal.node.resp.parser import Arguments

if TYPE_CHECKING:
    from shoal.node.server.entries import Entry
    from shoal.node.server.server import Server
    from shoal.node.server.session import Session

COMES_UPON_KEYS = frozenset({"SCAN", "RANDOMKEY"})
"""Commands that touch keys nobody named."""


class Propagation:
    """The changes of the running command, and where they go."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.operations: list[tuple[int, tuple[bytes, ...] | Arguments]] = []
        """What is recorded: (database, words)."""
        self.only_for_replicas: list[Sequence[bytes]] = []
        self.only_for_log: list[Sequence[bytes]] = []
        """Words of those that are not for both."""
        self.gathered: list[tuple[int, tuple[bytes, ...] | Arguments]] = []
        """What commands that are over changed, each in one step, and nobody was told yet."""
        self._writers: list[Session] = []
        """Whose they were."""

    @property
    def is_wanted(self) -> bool:
        """Whether anybody, a replica or the append-only file, is to hear of changes."""
        return self._server.aof.is_recording or self._server.replication.has_stream

    def listeners_changed(self) -> None:
        """The append-only file, or the replicas' backlog, begins or ceases to be there."""
        server = self._server
        is_followed = server.replication.history.backlog is not None
        server.keyspace.is_repeated = is_followed or server.aof.is_recording

    # --- recording ---------------------------------------------------------------------------------

    def record(self, session: Session, argv: Arguments | tuple[bytes, ...]) -> None:
        """Note what the command that just ran is propagated as: itself, unless it said otherwise."""
        propagated, session.propagated = session.propagated, None
        if not self.is_wanted or (session.is_primary_link and not self._server.aof.is_recording):
            return
        if propagated is None:
            self.operations.append((session.db.index, argv))
        elif propagated is AS_TYPED:
            self._record_message(session, argv)
        else:
            self.operations += [(session.db.index, words) for words in propagated]

    def _record_message(self, session: Session, argv: Arguments | tuple[bytes, ...]) -> None:
        """Note a command that only replicas are to get: there is nothing in it to keep."""
        if self._server.replication.has_stream:
            self.operations.append((session.db.index, argv))
            self.only_for_replicas.append(argv)

    def record_deletion(self, database: int, *keys: bytes) -> None:
        """Note keys that are gone though no command says so: they expired, were evicted or moved away."""
        if self.is_wanted:
            self.operations.append((database, (b"DEL", *keys)))

    def record_field_deletion(self, database: int, key: bytes, fields: Sequence[bytes]) -> None:
        """Note fields of a hash whose time has come."""
        if self.is_wanted:
            self.operations.append((database, (b"HDEL", key, *fields)))

    # --- sending -----------------------------------------------------------------------------------

    def propagate(self, session: Session, argv: Arguments) -> None:
        """`record`; but what is one step, and alone, gathers with others like it."""
        propagated = session.propagated
        if self.operations or (propagated is not None and len(propagated) != 1):
            self.record(session, argv)
        else:
            session.propagated = None
            self.gathered.append((session.db.index, propagated[0] if propagated else argv))
            self._writers.append(session)

    def settle(self) -> None:
        """Send what has gathered, so that the stream and its offset are up to date."""
        if self.gathered:
            operations, self.gathered = self.gathered, []
            writers, self._writers = self._writers, []
            self._pass_to_readers(operations, operations, render_each)
            offset = self._server.replication.history.offset
            for session in writers:
                session.write_offset = offset

    def propagate_recorded(self, session: Session | None = None, entry: Entry | None = None) -> None:
        """Send what the last command changed, as a transaction if it is several.

        Keys whose time has come have nothing to do with each other where a command only came upon them.
        """
        if len(self.operations) > 1 and entry is not None and entry.spec.name in COMES_UPON_KEYS:
            self.propagate_each()
        else:
            operations, self.operations = self.operations, []
            self._send(operations)
        if session is not None:
            session.write_offset = self._server.replication.history.offset

    def propagate_each(self) -> None:
        """Send the recorded operations as so many commands of their own, not as one transaction."""
        operations, self.operations = self.operations, []
        for operation in operations:
            self._send([operation])

    def _send(self, operations: Operations) -> None:
        """What one command changed, but for each reader without what is not for it."""
        if not self.is_wanted:
            return
        self.settle()
        for_log = for_replicas = operations
        if self.only_for_replicas or self.only_for_log:
            for_log = _without(operations, self.only_for_replicas)
            for_replicas = _without(operations, self.only_for_log)
            self.only_for_replicas, self.only_for_log = [], []
        self._pass_to_readers(for_log, for_replicas, render)

    def _pass_to_readers(
        self, for_log: Operations, for_replicas: Operations, rendering: Callable[[Operations], bytes]
    ) -> None:
        """One rendering if both get the same. A replica's own writes are in no stream."""
        aof, replication, rendered = self._server.aof, self._server.replication, None
        if aof.is_recording and for_log:
            rendered = rendering(for_log)
            aof.append(for_log, rendered)
        if replication.has_stream and for_replicas:
            if rendered is None or for_replicas is not for_log:
                rendered = rendering(for_replicas)
            replication.append(for_replicas, rendered)


def _without(operations: Operations, kept_back: list[Sequence[bytes]]) -> Operations:
    """The operations but for those of these words, each of which is an object of its own."""
    left_out = set(map(id, kept_back))
    return [operation for operation in operations if id(operation[1]) not in left_out]
