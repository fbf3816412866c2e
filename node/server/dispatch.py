"""From an argument vector to a reply: which command it is, whether it may run, and what follows from it.

Most commands come from a client in no special state to a server in no special state, name at most one key,
and that key is ours. For these `execute_all` asks three questions and runs the command. Whatever does not
pass all three goes through `execute_carefully`, where every gate stands in the order in which Redis
clients expect to be refused.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Callable, Iterable, Sequence
from traceback import format_exc
from typing import TYPE_CHECKING

from shoal.cluster.effects import Level, Note
from shoal.cluster.routing import Request, Serve, route
from shoal.cluster.slots import BRACE
from shoal.node.commands.spec import Flag
from shoal.node.persistence.errors import RdbError
from shoal.node.resp.parser import Arguments
from shoal.node.resp.replies import NO_REPLY, OK, QUEUED, CommandError, Pushes, Reply
from shoal.node.resp.writer import encode
from shoal.node.server.blocking import Blocked, BlockReason
from shoal.node.server.command_table import CommandTable
from shoal.node.server.effects import CloseSession
from shoal.node.server.entries import Entry
from shoal.node.server.pubsub import check_runs_while_subscribed
from shoal.node.server.session import ReplyMode, Session

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

    def __init__(self, server: Server, clock_ns: Callable[[], int]) -> None:
        self.server = server
        self.keyspace = server.keyspace
        self.clock_ns = clock_ns
        self.command_started_ns = 0
        """When the clock was last read: at the end of a command, or at the start of the turn."""
        self.timed_entry: Entry | None = None
        self.timed_argv: Arguments = []
        """The latest call of it."""
        self.timed_calls = 0
        """Calls of `timed_entry` whose time has not been put down yet."""
        self.table = CommandTable(server.config.renamed_commands)
        self.entries = self.table.entries

    @property
    def all_entries(self) -> list[Entry]:
        """Every command and what was counted of it, up to now."""
        self.settle_clock()
        return self.table.all_entries

    @property
    def commands_processed(self) -> int:
        """How many commands ran, for INFO."""
        return sum(entry.calls for entry in self.all_entries)

    def reset_statistics(self) -> None:
        """CONFIG RESETSTAT for every command."""
        for entry in self.table.all_entries:
            entry.reset_statistics()

    # --- the short way -----------------------------------------------------------------------------

    def execute(self, session: Session, argv: Arguments) -> None:
        """Run one command of a client and queue its reply."""
        self.execute_all([(session, (argv,))])

    def execute_all(self, batch: Iterable[tuple[Session, Sequence[Arguments]]]) -> list[Session]:
        """Run the commands of some clients and queue their replies; returns those it was not through with.

        It stops where one waits, leaves or is owed much. The hottest loop: `run` is spelled out in place.
        """
        entries, server, keyspace, served = self.entries, self.server, self.keyspace, self.server.served
        ready_keys, log, history = server.key_waits.ready, server.aof, server.replication.history
        credit, propagation, stopped = server.client_care.credit_bytes, server.propagation, []
        self.command_started_ns = self.clock_ns()
        for session, commands in batch:
            out, unsent, waiting = session.out, session.out_bytes, iter(() if session.closing else commands)
            for argv in waiting:
                entry, count = entries.get(argv[0]), len(argv)
                if entry is None or not session.plain or not entry.min_args <= count <= entry.max_args:
                    is_plain = False
                else:
                    is_plain = server.open_for_writes if entry.goes_with_writes else server.open_for_reads
                    position = entry.key_position
                    if position and served is not None and is_plain:
                        is_tagged = position < 0 or BRACE in argv[position]
                        slot = entry.slot(argv) if is_tagged else crc_hqx(argv[position], 0) & 16383
                        is_plain = served[slot] >= entry.needs_slot
                if entry is None or not is_plain:
                    session.out_bytes = unsent
                    self.execute_carefully(session, argv)
                    unsent = session.out_bytes
                else:
                    if entry is not self.timed_entry or not entry.shares_clock:
                        self.settle_clock(session)
                        self.timed_entry = entry
                    changes, session.last_entry, self.timed_argv = keyspace.changes, entry, argv
                    try:
                        if count == 2:
                            reply: Reply = entry.handler(session, argv[1])
                        elif count == 3:
                            reply = entry.handler(session, argv[1], argv[2])
                        else:
                            reply = entry.handler(session, *argv[1:])
                    except Exception as error:
                        reply = self.failed(entry, error)
                    if keyspace.changes != changes or session.propagated is not None:
                        if history.backlog is not None or log.is_recording:
                            propagation.propagate(session, argv)
                        else:
                            session.propagated = None  # nobody is to hear of it
                    if propagation.operations:
                        propagation.propagate_recorded(session, entry)
                    self.timed_calls += 1
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
                    if position and unsent <= credit and reply is not NO_REPLY:
                        continue
                if unsent > credit or session.blocked is not None or session.closing:
                    stopped.append(self._stopped(session, unsent, argv, waiting))
                    break
            else:
                session.out_bytes = unsent
            self.settle_clock(session)
        return stopped

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
        self.settle_clock()
        session.last_entry = entry
        try:
            reply = entry.handler(session, *argv[entry.skip :])
        except Exception as error:
            reply = self.failed(entry, error)
        if keyspace.changes != changes or session.propagated is not None:
            self.server.propagation.record(session, argv)
        if session.tracker is not None:
            self.server.tracking.command_ran(session.tracker, entry, argv)
        if self.timed_calls:  # it ran others (EXEC): what they took was theirs, and the rest is its own
            self.settle_clock()
        self.timed_entry, self.timed_argv, self.timed_calls = entry, argv, 1
        session.last_entry = entry  # again, if it ran others
        self.settle_clock(session)
        return reply

    def go_on(self, session: Session, command: Callable[[], Reply]) -> Reply:
        """Run the rest of a command whose client has waited; NO_REPLY if it has to wait on.

        The command was counted when it began to wait; the time it takes now is added to that. Was it slow, it
        is noted now, and not when it began to wait.
        """
        entry = session.last_entry
        assert entry is not None
        self.settle_clock()
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
        now_ns = self.clock_ns()
        elapsed_ns = now_ns - self.command_started_ns
        entry.nanoseconds += elapsed_ns
        self.command_started_ns = now_ns
        if reply is not NO_REPLY and elapsed_ns >= self.server.slow_after_ns and session.blocked is not None:
            self.server.note_slow(session, entry, session.blocked.words, elapsed_ns // 1000)
        return reply

    def settle_clock(self, session: Session | None = None) -> None:
        """Read the clock, and put down the time since it was last read to the calls made since.

        Reading it costs as much as a GET does. A command that is declared FAST or O(1) takes no time
        worth knowing by itself, so a run of the same one in a pipeline is timed as a whole, and if that
        was slow, the latest of them is noted as the session's. Every other call is timed alone.
        """
        now_ns = self.clock_ns()
        elapsed, self.command_started_ns = now_ns - self.command_started_ns, now_ns
        calls, entry = self.timed_calls, self.timed_entry
        if not calls or entry is None:
            return
        self.timed_calls = 0
        entry.nanoseconds += elapsed
        entry.histogram_ns[(elapsed // calls).bit_length()] += calls
        if session is not None and elapsed >= self.server.slow_after_ns and session.blocked is None:
            self.server.note_slow(session, entry, list(self.timed_argv), elapsed // 1000)

    def note_long_call(self, session: Session, entry: Entry, argv: Sequence[bytes], began_ns: int) -> None:
        """Count the time of a call that was suspended; that there was one has been counted."""
        elapsed_ns = self.clock_ns() - began_ns
        entry.nanoseconds += elapsed_ns
        if elapsed_ns >= self.server.slow_after_ns:
            self.server.note_slow(session, entry, list(argv), elapsed_ns // 1000)

    def share_clock(self, *, shared: bool) -> None:
        """Whether runs of quick commands are timed as a whole: not when even they are to be noted."""
        for entry in self.table.all_entries:
            is_quick = bool(entry.spec.flags & Flag.FAST) or entry.spec.complexity == "O(1)"
            entry.shares_clock = shared and is_quick

    # --- every gate, in order ----------------------------------------------------------------------

    def execute_carefully(self, session: Session, argv: Arguments) -> None:
        """Run or queue one command of a client, or refuse it at the first gate that is closed."""
        if self.timed_calls:  # what ran before
            self.settle_clock(session)
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
        server, flags = self.server, entry.flag_bits
        if session.must_authenticate and not flags & _NO_AUTH:
            raise CommandError("NOAUTH Authentication required.")
        if session.transaction is not None and flags & _NO_MULTI:
            raise CommandError("ERR Command not allowed inside a transaction")
        if session.restricted:
            server.acl.check(session, entry.spec, argv)
        if entry.script_at:
            flags = int(server.scripts.flags_of_call(entry, argv))
        is_exec = entry.spec.name == "EXEC"
        is_write = bool(flags & _WRITE) or (is_exec and _queued(session, Flag.WRITE))
        if server.cluster is not None and (entry.names_keys or is_exec):
            self._route(session, entry, argv, is_write)
        if server.memory.is_near and server.scripts.busy is None:
            server.memory.before_command(entry, argv)
            if session.tracker is not None and session.tracker.pending:
                server.tracking.tell_pending(session.tracker)  # it is about the past, not about this command
        if server.is_out_of_memory and _needs_memory(session, entry, flags):
            raise CommandError("OOM command not allowed when used memory > 'maxmemory'.")
        if is_write:
            server.check_writable()
        if session.subscriptions is not None and session.resp == 2:
            check_runs_while_subscribed(entry.spec)
        if server.is_stale_replica and not _allowed(session, entry, flags, Flag.STALE):
            raise CommandError(
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
            )
        if server.loading or server.replication.async_loading:
            _check_runs_while_loading(session, entry, flags)
        if session.is_replica_link and flags & (_MAY_WRITE | Flag.READONLY):
            raise CommandError("ERR Replica can't interact with the keyspace")
        if server.scripts.busy is not None and not flags & Flag.ALLOW_BUSY:
            raise CommandError(server.scripts.busy.busy_text)
        if session.transaction is not None and entry.spec.name not in _RUN_INSIDE_MULTI:
            session.transaction.queue(entry, argv, flags)
            if session.transaction.queued_bytes > server.config.client_query_buffer_limit:
                server.statistics.clients_that_sent_too_much += 1
                server.hang_up(session, "its transaction exceeds client-query-buffer-limit")
                return NO_REPLY
            return QUEUED
        may_write = bool(flags & _ANY_WRITE) or (is_exec and _queued(session, _MAY_WRITE))
        if server.pause.holds(session, is_write=may_write, flags=flags):
            server.blocked.block(session, Blocked(BlockReason.PAUSE, server.pause.until_ms, argv))
            return NO_REPLY
        if may_write and server.migrating_keys and self._touches_migrating_key(session, entry, argv):
            server.blocked.block(session, Blocked(BlockReason.MIGRATE, None, argv))
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
        accessed = session.db.accessed
        before = [(key, accessed.get(key)) for key in _keys_of(session, entry, argv)]
        reply = self.run(session, entry, argv)
        for key, used in before:
            if used is not None and key in accessed:
                dict.__setitem__(accessed, key, used)  # put back, which is no use to be counted
        return reply

    def _route(self, session: Session, entry: Entry, argv: Arguments, is_write: bool) -> None:
        """Cluster mode: refuse a command whose keys this node does not serve, saying where to go."""
        cluster = self.server.cluster
        assert cluster is not None
        keys = _keys_of(session, entry, argv)
        if not keys:
            return
        request = Request(
            keys,
            is_write=is_write,
            is_shard_pubsub=entry.spec.names_shard_channels,
            is_migrate=entry.spec.name == "MIGRATE",
            asking=session.asking or bool(entry.spec.flags & Flag.ASKING),
            readonly=session.readonly,
        )
        database = self.keyspace.databases[0]
        decision = route(request, cluster.view, cluster.settings, lambda key: database.peek(key) is not None)
        if not isinstance(decision, Serve):
            if entry.spec.name == "EXEC":
                session.end_transaction()
            raise CommandError(decision.error_text(cluster.settings.preferred_endpoint_type))

    def _touches_migrating_key(self, session: Session, entry: Entry, argv: Arguments) -> bool:
        """Whether a write has to wait for MIGRATE: it names a key on its way, or (FLUSHALL) every key."""
        if entry.spec.flags & Flag.PUBSUB:
            return False
        keys = _keys_of(session, entry, argv)
        return not keys or any(key in self.server.migrating_keys for key in keys)

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


def _keys_of(session: Session, entry: Entry, argv: Arguments) -> list[bytes]:
    """The keys (or shard channels) a command names; for EXEC those of everything it is about to run."""
    if entry.spec.name == "EXEC" and session.transaction is not None:
        return [
            queued[position]
            for queued_entry, queued in session.transaction.queued
            for position in queued_entry.spec.routed_positions(queued)
        ]
    return [argv[position] for position in entry.spec.routed_positions(argv)]


_ENDS_TRANSACTION = frozenset({"EXEC", "DISCARD", "QUIT", "RESET"})

_MAY_WRITE = Flag.WRITE | Flag.MAY_REPLICATE
_NO_AUTH, _NO_MULTI, _WRITE, _ANY_WRITE = map(int, (Flag.NO_AUTH, Flag.NO_MULTI, Flag.WRITE, _MAY_WRITE))
"""As plain numbers, which are quicker to test than an enumeration."""


def _queued(session: Session, flags: Flag) -> bool:
    return session.transaction is not None and bool(session.transaction.flags_of_any & flags)


def _allowed(session: Session, entry: Entry, flags: int, flag: Flag) -> bool:
    """Whether a command with these flags may run in a state such as LOADING; for EXEC, all queued ones."""
    if entry.spec.name == "EXEC" and session.transaction is not None:
        return bool(session.transaction.flags_of_all & flag)
    return bool(flags & flag)


def _check_runs_while_loading(session: Session, entry: Entry, flags: int) -> None:
    """Raise for a command that must wait for data on their way in, be it for itself or in a transaction."""
    if session.server.loading:
        is_refused = not _allowed(session, entry, flags, Flag.LOADING)
    else:
        is_exec = entry.spec.name == "EXEC"
        is_refused = bool(flags & Flag.NO_ASYNC_LOADING) or (
            is_exec and _queued(session, Flag.NO_ASYNC_LOADING)
        )
    if is_refused:
        raise CommandError("LOADING Redis is loading the dataset in memory")


def _needs_memory(session: Session, entry: Entry, flags: int) -> bool:
    """Whether a command is refused while memory has run out: what is queued takes memory, whatever it is."""
    name = entry.spec.name
    if name == "EXEC" and session.transaction is not None:
        return bool(session.transaction.flags_of_any & Flag.DENYOOM)
    is_queued = session.transaction is not None and name not in _ENDS_TRANSACTION
    return is_queued or bool(flags & Flag.DENYOOM)
