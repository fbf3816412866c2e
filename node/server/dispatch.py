"""From an argument vector to a reply: which command it is, whether it may run, and what follows from it.

Most commands come from a client in no special state to a server in no special state, name at most one key,
and that key is ours. For these `execute_all` asks three questions and runs the command. Whatever does not
pass all three goes through `execute_carefully`, and there through every gate, see `gates.py`.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Callable, Iterable, Sequence
from traceback import format_exc
from typing import TYPE_CHECKING

from shoal.cluster.effects import Level, Note
from shoal.cluster.slots import BRACE
from shoal.node.commands.spec import Flag
from shoal.node.persistence.errors import RdbError
from shoal.node.resp.parser import Arguments
from shoal.node.resp.replies import NO_REPLY, OK, QUEUED, CommandError, Pushes, Reply
from shoal.node.resp.writer import encode
from shoal.node.server import gates
from shoal.node.server.command_table import CommandTable
from shoal.node.server.effects import CloseSession
from shoal.node.server.entries import UNKNOWN, Entry
from shoal.node.server.session import ReplyMode, Session
from shoal.node.server.stopwatch import CALLS_TIMED_TOGETHER

if TYPE_CHECKING:
    from shoal.node.server.server import Server

BULK_HEADERS = tuple(b"$%d\r\n" % size for size in range(512))
INTEGERS = tuple(b":%d\r\n" % number for number in range(512))

WORDS_OF_HTTP = frozenset({b"post", b"host:"})
SPOKE_HTTP = (
    "possible attack: it speaks HTTP, as a browser does that a web page makes talk to us, and the body of its"
    " request would be read as commands"
)


class Dispatcher:
    """Runs the commands of one server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.keyspace = server.keyspace
        self.stopwatch = server.stopwatch
        self.table = CommandTable(server.config.renamed_commands)
        self.entries = self.table.entries

    @property
    def all_entries(self) -> list[Entry]:
        """Every command and what was counted of it, up to now."""
        self.stopwatch.settle()
        return self.table.all_entries

    @property
    def commands_processed(self) -> int:
        """How many commands ran, for INFO."""
        return sum(entry.calls for entry in self.all_entries)

    def reset_statistics(self) -> None:
        """CONFIG RESETSTAT for every command."""
        for entry in self.table.all_entries:
            entry.reset_statistics()

    # --- the short way, the hottest loop: `run` is spelled out in it --------------------------------

    def execute(self, session: Session, argv: Arguments) -> None:
        """Run one command of a client and queue its reply."""
        self.execute_all([(session, (argv,))])

    def execute_all(self, batch: Iterable[tuple[Session, Sequence[Arguments]]]) -> list[Session]:
        """Run the commands of some clients and queue their replies; returns those it was not through with."""
        stopped = self._run_all(batch)
        self.server.propagation.settle()
        return stopped

    def _run_all(self, batch: Iterable[tuple[Session, Sequence[Arguments]]]) -> list[Session]:
        entries, server, keyspace, watch = self.entries, self.server, self.keyspace, self.stopwatch
        propagation, is_open, stopped = server.propagation, server.open_for, []
        served, ready_keys, credit = server.served, server.key_waits.ready, server.client_care.credit_bytes
        watch.started_ns = now_ns = watch.clock_ns()
        for session, commands in batch:
            out, unsent, waiting = session.out, session.out_bytes, iter(() if session.closing else commands)
            for argv in waiting:
                entry, count = entries.get(argv[0], UNKNOWN), len(argv)
                is_plain = session.plain and is_open[entry.gate] and entry.min_args <= count <= entry.max_args
                if served is not None and is_plain and (at := entry.key_position):
                    is_tagged = at < 0 or BRACE in argv[at]
                    slot = entry.slot(argv) if is_tagged else crc_hqx(argv[at], 0) & 16383
                    is_plain = served[slot] >= entry.needs_slot
                if not is_plain:
                    unsent = self._run_carefully(session, argv, unsent)
                else:
                    if entry is not watch.shared_by:
                        watch.begin(entry)
                        if entry.looks_beyond_keys:
                            propagation.settle()
                    session.last_entry, watch.latest = entry, (session, argv)
                    changes = keyspace.changes
                    try:
                        if count == 2:
                            reply: Reply = entry.handler(session, argv[1])
                        elif count == 3:
                            reply = entry.handler(session, argv[1], argv[2])
                        elif count == 4:
                            reply = entry.handler(session, argv[1], argv[2], argv[3])
                        elif count == 5:
                            reply = entry.handler(session, argv[1], argv[2], argv[3], argv[4])
                        else:
                            reply = entry.handler(session, *argv[1:])
                    except Exception as error:
                        reply = self.failed(entry, error)
                    if not keyspace.is_repeated:
                        session.propagated = None  # nobody is to hear of it
                    elif keyspace.changes != changes or session.propagated is not None:
                        propagation.propagate(session, argv)
                    if propagation.operations:
                        propagation.propagate_recorded(session, entry)
                    watch.calls += 1
                    if ready_keys:
                        server.key_waits.serve(session)
                    if type(reply) is bytes and (size := len(reply)) < 512:
                        data = BULK_HEADERS[size] + reply + b"\r\n"
                    elif type(reply) is int:
                        data = INTEGERS[reply] if 0 <= reply < 512 else b":%d\r\n" % reply
                    else:
                        data = b"+OK\r\n" if reply is OK else encode(reply, session.resp)
                    if data:
                        if not out:
                            server.outgoing.append(session)
                        out.append(data)
                        unsent += len(data)
                        if unsent <= credit and entry.key_position:
                            continue
                if unsent > credit or session.blocked is not None or session.closing:
                    stopped.append(self._stopped(session, unsent, argv, waiting))
                    break
            else:
                session.out_bytes = unsent
            now_ns = watch.clock_ns()
            if watch.calls >= CALLS_TIMED_TOGETHER or now_ns - watch.started_ns >= watch.slow_after_ns:
                watch.settle_at(now_ns)
        watch.settle_at(now_ns)
        return stopped

    def _run_carefully(self, session: Session, argv: Arguments, unsent: int) -> int:
        """`execute_carefully`, where a client is owed so many bytes; returns how many it is owed then."""
        session.out_bytes = unsent
        self.execute_carefully(session, argv)
        return session.out_bytes

    def _stopped(self, session: Session, unsent: int, argv: Arguments, left: Iterable[Arguments]) -> Session:
        """A client waits, is owed much or leaves after this command: the others stay for later."""
        session.out_bytes = unsent
        session.pending.extendleft(reversed([*left]))
        if not session.closing:
            self.server.client_care.check_output(session)
        if session.blocked is not None:
            session.blocked.words = argv
            self.server.scripts.suspension.spell(session, argv)
        return session

    def failed(self, entry: Entry, error: Exception) -> CommandError:
        """Count an error. One no handler should raise goes to the log; its client is told, others go on."""
        if not isinstance(error, CommandError):
            told = CommandError(f"ERR internal error in '{entry.spec.full_name}' command, see the log")
            self.server.effects.append(Note(Level.WARNING, f"{told}\n{format_exc()}"))
            error = told
        if isinstance(error.__cause__, RdbError):
            why = f"'{entry.spec.full_name}' was given bad data, integrity check failed: {error.__cause__}"
            self.server.effects.append(Note(Level.WARNING, why))
        entry.failed_calls += 1
        if not error.counted:
            self.server.count_error(error)
        return error

    def run(self, session: Session, entry: Entry, argv: Arguments) -> Reply:
        """Run a command that has passed every gate. An error it raises is its reply."""
        keyspace = self.keyspace
        changes = keyspace.changes
        reply: Reply
        self.stopwatch.settle()
        session.last_entry = entry
        try:
            reply = entry.handler(session, *argv[entry.skip :])
        except Exception as error:
            reply = self.failed(entry, error)
        if keyspace.changes != changes or session.propagated is not None:
            self.server.propagation.record(session, argv)
        if session.tracker is not None:
            self.server.tracking.command_ran(session.tracker, entry, argv)
        session.last_entry = entry  # again, if it ran others
        self.stopwatch.time_call(session, entry, argv)
        return reply

    def go_on(self, session: Session, command: Callable[[], Reply]) -> Reply:
        """Run the rest of a command whose client has waited; NO_REPLY if it has to wait on.

        The command was counted when it began to wait; the time it takes now is added to that. Was it slow, it
        is noted now, and not when it began to wait.
        """
        entry = session.last_entry
        assert entry is not None
        self.stopwatch.settle()
        changes = self.keyspace.changes
        self.server.tracking.running = session
        try:
            reply = command()
        except Exception as error:
            reply = self.failed(entry, error)
        self.server.tracking.running = None
        if self.keyspace.changes != changes or session.propagated is not None:
            self.server.propagation.record(session, [])
        if self.server.propagation.operations:
            self.server.propagation.propagate_recorded(session)
        blocked = session.blocked
        words = blocked.words if reply is not NO_REPLY and blocked is not None else None
        self.stopwatch.add_to_call(session, entry, words, self.stopwatch.started_ns)
        return reply

    # --- the careful way ---------------------------------------------------------------------------

    def execute_carefully(self, session: Session, argv: Arguments) -> None:
        """Run or queue one command of a client, or refuse it at the first gate that is closed."""
        if self.stopwatch.calls:  # what ran before
            self.stopwatch.settle()
        self.server.propagation.settle()
        entry: Entry | None = None
        try:
            entry = self.table.find(argv)
            self.server.tracking.running = session
            reply = self._pass_gates(session, entry, argv)
        except CommandError as error:
            if entry is None and argv[0].lower() in WORDS_OF_HTTP:
                self.server.hang_up(session, SPOKE_HTTP)
                return
            if entry is not None:
                entry.rejected_calls += 1
            known = entry or self.entries.get(argv[0].lower())
            reply = _spoil_transaction(session, known, error)
            self.server.count_error(reply)
        if self.server.propagation.operations:
            self.server.propagation.propagate_recorded(session, entry)
        self.server.tracking.running = None
        self._answer(session, entry, reply)
        if self.server.key_waits.ready:
            self.server.key_waits.serve()

    def apply(self, session: Session, argv: Arguments) -> Reply:
        """Run or queue one command of a stream that passed every gate where it was made: our primary's.

        Nothing is sent, and nothing propagated that the stream does not hold already.
        """
        try:
            entry = self.table.find(argv)
        except CommandError as error:
            return error
        if session.transaction is not None and entry.spec.name not in _RUN_INSIDE_MULTI:
            session.transaction.queue(entry, argv, entry.flag_bits)
            return QUEUED
        reply = self.run(session, entry, argv)
        if self.server.key_waits.ready:
            self.server.key_waits.serve()
        return reply

    def _pass_gates(self, session: Session, entry: Entry, argv: Arguments) -> Reply:
        flags = gates.check(session, entry, argv)
        if session.transaction is not None and entry.spec.name not in _RUN_INSIDE_MULTI:
            session.transaction.queue(entry, argv, flags)
            if session.transaction.queued_bytes > self.server.config.client_query_buffer_limit:
                self.server.hang_up(session, "its transaction exceeds client-query-buffer-limit")
                return NO_REPLY
            return QUEUED
        if gates.hold(session, entry, argv, flags):
            return NO_REPLY
        return self.perform(session, entry, argv)

    def perform(self, session: Session, entry: Entry, argv: Arguments) -> Reply:
        """`run`, shown to those who MONITOR, and without a trace for a client that wants to leave none."""
        if entry.script_at and self.server.monitors:
            self.server.show_to_monitors(session, argv)
        try:
            if session.no_touch and not entry.is_write and entry.spec.name != "TOUCH":
                return self._run_without_touching(session, entry, argv)
            return self.run(session, entry, argv)
        finally:  # afterwards, so that EXEC follows the commands it ran
            if self.server.monitors and not entry.spec.flags & (Flag.ADMIN | Flag.SKIP_MONITOR):
                self.server.show_to_monitors(session, argv)

    def _run_without_touching(self, session: Session, entry: Entry, argv: Arguments) -> Reply:
        """Run a command that reads, and let its keys look as long unread as before: CLIENT NO-TOUCH."""
        times_of_use = session.db.times_of_use
        before = [(key, times_of_use(key).get(key)) for key in gates.keys_of(session, entry, argv)]
        reply = self.run(session, entry, argv)
        for key, used in before:
            accessed = times_of_use(key)
            if used is not None and key in accessed:
                dict.__setitem__(accessed, key, used)  # put back, which is no use to be counted
        return reply

    def answer_later(self, session: Session, reply: Reply) -> None:
        """Queue the reply of the command that a client has waited for."""
        self._answer(session, session.last_entry, reply)

    def _answer(self, session: Session, entry: Entry | None, reply: Reply) -> None:
        """Queue a reply as CLIENT REPLY says, and let the one-shot ASKING lapse."""
        if session.blocked is not None:
            return  # its command is not over
        if session.asking and (entry is None or entry.spec.name != "ASKING") and session.transaction is None:
            session.asking = False
            session.refresh_plain()
        tracker = session.tracker
        if tracker is not None and tracker.caching and _ends_caching(session, entry):
            tracker.caching = False
        if session.is_replica_link:
            if reply is not NO_REPLY:  # it would stand in the middle of the stream
                session.server.replication.refuse_reply(session, entry, reply)
                session.server.effects.append(CloseSession(session))
            return
        mode = session.reply_mode
        if reply is not NO_REPLY and (mode is ReplyMode.ON or type(reply) is Pushes):
            session.send(reply)
        if mode is ReplyMode.SKIP_NEXT:
            session.reply_mode = ReplyMode.SKIP
        elif mode is ReplyMode.SKIP:
            session.reply_mode = ReplyMode.ON
            session.refresh_plain()
        if tracker is not None and tracker.pending:
            session.server.tracking.tell_pending(tracker)


def _ends_caching(session: Session, entry: Entry | None) -> bool:
    """Whether CLIENT CACHING lapses with this command: with the next, or with the next transaction's EXEC."""
    return session.transaction is None and (entry is None or not entry.spec.name.startswith("CLIENT|"))


def _spoil_transaction(session: Session, entry: Entry | None, error: CommandError) -> CommandError:
    """What a refusal inside MULTI leads to: EXEC will run nothing. Returns what the client is told.

    If EXEC itself is refused, the transaction is over. Its client takes it for over in any case, and what it
    says next would be queued instead of run.
    """
    transaction = session.transaction
    if transaction is None:
        return error
    if entry is None or entry.spec.name != "EXEC":
        transaction.broken = True
        return error
    session.end_transaction()
    return CommandError(b"EXECABORT Transaction discarded because of: " + error.text.removeprefix(b"ERR "))


_RUN_INSIDE_MULTI = frozenset({"EXEC", "DISCARD", "MULTI", "WATCH", "QUIT", "RESET"})
"""Commands that a transaction does not queue."""
