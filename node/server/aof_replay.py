"""Running the commands of an append-only file, to have again the data they made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.node.dataset.expiry_mode import ExpiryMode
from shoal.node.persistence.errors import AofError
from shoal.node.resp.parser import Arguments
from shoal.node.resp.replies import CommandError, Reply
from shoal.node.server.stream_session import StreamSession

if TYPE_CHECKING:
    from shoal.node.server.server import Server

_SHOWN_NAME = 64


class AofReplay:
    """Runs the commands of one file, in order.

    Every gate was passed when the command first ran, and it is not told on again: those who replicate us get
    the result. Keys whose time has come stay, for the commands that follow were given when they were there.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._session = StreamSession(server, 0, "", self._ended)
        self._before_transaction = 0
        self._end = 0
        self._next_end = 0
        self.failed = 0
        """How many commands answered with an error."""
        self.first_failure = ""

    @property
    def whole_until(self) -> int:
        """Where the last command ended that ran: before MULTI, while its EXEC has not come."""
        return self._before_transaction if self.in_transaction else self._end

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction has begun and not ended."""
        return self._session.transaction is not None

    def begin_at(self, offset: int) -> None:
        """The commands begin here: what is before is a snapshot."""
        self._end = offset

    def run(self, argv: Arguments, end: int) -> None:
        """Run a command that ends at `end`. AofError for one this server does not know.

        It may be a script that takes long and `is_suspended`; then the next one has to wait.
        """
        server, keyspace = self._server, self._server.keyspace
        if not self.in_transaction:
            self._before_transaction = self._end
        if not server.dispatcher.table.knows(argv):
            name = argv[0][:_SHOWN_NAME].decode("utf-8", "replace")
            raise AofError(f"Unknown command '{name}' reading the append only file", self._end)
        keyspace.expiry_mode = ExpiryMode.IGNORE
        self._next_end = end
        reply = server.dispatcher.apply(self._session, argv)
        if self.is_suspended:
            server.scripts.suspension.spell(self._session, argv)
        else:
            self._ended(reply)

    @property
    def is_suspended(self) -> bool:
        """Whether the last command is not over: it goes on in turns of the node."""
        return self._server.scripts.suspension.is_suspended

    def _ended(self, reply: Reply) -> None:
        if isinstance(reply, CommandError):
            self.failed += 1
            self.first_failure = self.first_failure or f"at offset {self._end}: {reply}"
        self._server.propagation.operations.clear()
        self._end = self._next_end
