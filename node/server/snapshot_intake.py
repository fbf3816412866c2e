"""A primary's snapshot on its way in: it gathers beside what we have, then takes its place in one step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.cluster.effects import Level, Note
from shoal.node.dataset.keyspace import Keyspace
from shoal.node.persistence.errors import RdbError
from shoal.node.persistence.rdb_loader import RdbLoader
from shoal.node.persistence.rdb_reader import RdbReader
from shoal.node.server.effects import RestartLog

if TYPE_CHECKING:
    from shoal.node.server.server import Server


class IncomingSnapshot:
    """A primary's data on its way in.

    It gathers beside the data we have. If the primary dies halfway, this node still holds what it had, and
    a failover to it loses the last writes instead of nearly everything.
    """

    def __init__(self, replid: str, offset: int, keyspace: Keyspace, *, verify_checksum: bool) -> None:
        self.replid = replid
        self.offset = offset
        self.received = 0
        self.keyspace = keyspace.empty_twin()
        self.reader = RdbReader(verify_checksum=verify_checksum)
        self.loader = RdbLoader(self.keyspace, keep_expired=True)

    def take(self, data: bytes) -> None:
        """The next bytes. Raises RdbError."""
        self.received += len(data)
        self.loader.apply(self.reader.feed(data))

    @property
    def stream_database(self) -> int:
        """The database the stream's first command is meant for."""
        text = self.loader.auxiliary.get(b"repl-stream-db", b"")
        index = int(text) if text.isdigit() else 0
        return index if index < len(self.keyspace.databases) else 0


class SnapshotIntake:
    """Takes snapshots in, one at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.incoming: IncomingSnapshot | None = None
        """The one on its way."""
        self.keeps_others_out = False
        """Whether clients are told LOADING because of it."""

    def begin(self, replid: str, offset: int) -> None:
        """One that was taken at this offset of this history begins."""
        server = self._server
        self.incoming = IncomingSnapshot(
            replid, offset, server.keyspace, verify_checksum=server.config.rdbchecksum
        )

    def take(self, data: bytes) -> None:
        """The next bytes of it. Raises RdbError."""
        assert self.incoming is not None
        if not self.incoming.received:
            self._note("MASTER <-> REPLICA sync: Loading DB in memory")
            self._close_gates(self.incoming)
        self._server.note_loaded(len(data))
        self.incoming.take(data)

    def _close_gates(self, incoming: IncomingSnapshot) -> None:
        """`repl-diskless-load swapdb` says what may run meanwhile: all but a change of role.

        It serves only data of the history that is to come. Without the directive nothing is kept out.
        """
        server = self._server
        if server.config.repl_diskless_load != "swapdb" or server.loading:
            return
        if incoming.replid == server.replication.history.replid:
            server.replication.async_loading = True
        else:
            self.keeps_others_out = True
            server.begin_loading()

    def forget(self) -> None:
        """It will not become whole, or it is."""
        self.incoming = None
        self._server.replication.async_loading = False
        if self.keeps_others_out:
            self.keeps_others_out = False
            self._server.end_loading()

    def end(self) -> int:
        """The snapshot takes the place of what we had, in one step; so does its past.

        Returns the database that the stream goes on in. Raises RdbError if it is not whole.
        """
        incoming, server, replication = self.incoming, self._server, self._server.replication
        assert incoming is not None
        if not incoming.reader.finished:
            raise RdbError("it ends too early")
        self.forget()
        replication.disconnect_replicas()
        server.keyspace.adopt(incoming.keyspace)
        if server.config.appendonly:
            server.aof.suspend()
            server.effects.append(RestartLog())
        replication.history.adopt(incoming.replid, incoming.offset)
        replication.history.keep_backlog(server.config.repl_backlog_size)
        return incoming.stream_database

    def _note(self, text: str) -> None:
        self._server.effects.append(Note(Level.NOTICE, text))
