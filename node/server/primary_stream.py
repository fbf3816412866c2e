"""The primary's stream: its commands run here, and their bytes are passed on exactly as they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shoal.cluster.effects import Level, Note
from shoal.node.dataset.expiry_mode import ExpiryMode
from shoal.node.replication.stream import command_size
from shoal.node.resp.parser import Arguments
from shoal.node.resp.replies import NO_REPLY, CommandError, Reply
from shoal.node.server.stream_session import StreamSession

if TYPE_CHECKING:
    from shoal.node.server.following import Following

_ARRAY = ord("*")


class PrimaryStream:
    """What one primary sends once all data are here."""

    def __init__(self, following: Following, database_index: int) -> None:
        self._following = following
        self._server = following.server
        self.is_in_script = False
        """A script of the stream takes long and is suspended."""
        self.session = self._new_session(database_index)
        self.forget_unapplied()

    def _new_session(self, database_index: int) -> StreamSession:
        """Who runs the stream's commands. CLIENT LIST shows it, but nothing is sent to it."""
        server, following = self._server, self._following
        address = f"{following.host}:{following.port}"
        session = StreamSession(server, server.next_session_id, address, self._script_ended)
        server.next_session_id += 1
        session.db = server.keyspace.databases[database_index]
        return session

    def forget_unapplied(self) -> None:
        """Drop bytes whose commands have not run: an unfinished command, an unfinished transaction."""
        self._raw = bytearray()
        """The stream from the first byte on that has not been passed on."""
        self._waiting: deque[Arguments] = deque()
        """Commands of it that have not run."""
        self._parsed = 0
        self.applied = 0
        """How much of `_raw` is run, and how much of that is applied: less, inside a transaction."""
        self.session = self._new_session(self.session.db.index)

    def apply(self, data: bytes) -> None:
        """Run the commands that are complete, then pass on exactly their bytes.

        A transaction counts once its EXEC has run. Else a node promoted in the middle of one would claim
        an offset that includes commands it never applied.
        """
        self._raw += data
        self._waiting.extend(self.session.parser.feed(data))
        self._run_waiting()

    def _run_waiting(self) -> None:
        session, keyspace, link_id = self.session, self._server.keyspace, self._following.link_id
        failure, waiting = None, self._waiting
        keyspace.expiry_mode = ExpiryMode.IGNORE
        while waiting and not self.is_in_script:
            argv = waiting.popleft()
            end = self._parsed + command_size(argv)
            if self._raw[self._parsed] != _ARRAY or self._raw[end - 2 : end] != b"\r\n":
                failure = "the primary's stream is not made of plain commands"
                break
            if not self._server.dispatcher.table.knows(argv):
                self._refuse_unknown(argv)
                return
            self._run(argv)
            if self._following.link_id != link_id:
                return  # the command changed our role
            self._parsed = end
            if session.transaction is None and not self.is_in_script:
                self.applied = end
        keyspace.expiry_mode = ExpiryMode.HIDE
        self._pass_on_applied()
        if session.parser.error is not None and not waiting and not self.is_in_script:
            failure = f"the primary's stream breaks the protocol: {session.parser.error}"
        if failure is not None:
            self._following.drop(failure)

    def _refuse_unknown(self, argv: Arguments) -> None:
        """Stop in front of a command this version does not have.

        How it arises: the primary is of another version, and a client used something only that one can do.
        What goes wrong without the rule: the replica goes on without what the command did, and claims
        the offset of one that has it. It would win an election with data that was never complete.
        The rule: the stream ends here, as far as this node is concerned, and all data are asked for anew.
        Until they are here, what is down is seen to be down, and ages until it may not stand for election.
        Why it ends: the snapshot holds what the command did, and is loaded unless it is of an unknown kind
        too. If such commands come often, the primary is asked for a snapshot ever more seldom.
        """
        self._server.keyspace.expiry_mode = ExpiryMode.HIDE
        self._pass_on_applied()
        self._following.begin_with_snapshot(
            f"== CRITICAL == The primary's stream holds '{_name(argv)}', a command this version does not "
            "know. Replication stops before it, rather than go on without what it did, and begins anew."
        )

    def _pass_on_applied(self) -> None:
        if self.applied:
            applied, self.applied = bytes(self._raw[: self.applied]), 0
            del self._raw[: len(applied)]
            self._parsed -= len(applied)
            self._server.replication.pass_on(applied)

    def _run(self, argv: Arguments) -> None:
        reply = self._server.dispatcher.apply(self.session, argv)
        if reply is NO_REPLY and self._server.scripts.suspension.is_suspended:
            self.is_in_script = True
            self._server.scripts.suspension.spell(self.session, argv)
            return
        if self._server.propagation.operations:
            self._server.propagation.propagate_recorded()
        self._look_at(reply, argv)

    def _look_at(self, reply: Reply, argv: Sequence[bytes]) -> None:
        if isinstance(reply, CommandError):
            told = (
                f"== CRITICAL == This replica cannot apply '{_name(argv)}' from its primary: {reply}. "
                "Its data may differ from now on."
            )
            self._server.effects.append(Note(Level.WARNING, told))

    def _script_ended(self, reply: Reply) -> None:
        """The script that was suspended is over: on with what is behind it, as far as that is here."""
        self.is_in_script = False
        self._look_at(reply, self._server.scripts.suspension.command)
        self.applied = self._parsed
        self._run_waiting()
        self._following.script_ended()

    def finish_script(self) -> None:
        """Let a suspended script of the stream run to its end, now.

        It cannot be taken back, and half of it is a state that the primary never had. Our role changes all
        the same when the cluster says so, and at once: then nobody is answered until the script is over.
        """
        self._waiting.clear()
        while self.is_in_script:
            self._server.scripts.suspension.go_on()


def _name(argv: Sequence[bytes]) -> str:
    return argv[0][:64].lower().decode("utf-8", "replace")
