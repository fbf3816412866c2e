"""A script's way to the commands: through the one dispatcher, after the checks a script is subject to."""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shoal.cluster.routing import Refusal, Request, Serve, route
from shoal.cluster.slots import BRACE, key_slot
from shoal.node.commands.spec import Flag
from shoal.node.resp.replies import CommandError, Reply
from shoal.node.server import gates
from shoal.node.server.entries import ANY_SLOT, SERVED
from shoal.node.server.scripting.runs import EVERYWHERE, TO_LOG, TO_REPLICAS, ScriptRun
from shoal.node.server.scripting.script_session import ScriptSession

if TYPE_CHECKING:
    from shoal.node.server.entries import Entry
    from shoal.node.server.scripting.scripts import Scripts
    from shoal.node.server.server import Server
    from shoal.node.server.session import Session

_STALE, _DENYOOM = int(Flag.STALE), int(Flag.DENYOOM)
_WRONG_ARITY = "ERR Wrong number of args calling Redis command from script"


class ScriptCalls:
    """Runs the commands of one server's scripts, in a session of their own."""

    def __init__(self, scripts: Scripts) -> None:
        self.scripts = scripts
        self.server = scripts.server
        self.session = ScriptSession(scripts.server)
        self.clock_ns = scripts.server.stopwatch.clock_ns
        self.entries = scripts.server.dispatcher.entries
        self.keyspace = scripts.server.keyspace

    def call(self, words: tuple[bytes, ...]) -> Reply:
        """Run a command for the script that runs; an error is its reply.

        As in `Dispatcher.execute_all`, what nothing stands in the way of takes the short way, in place.
        """
        server, session, run = self.server, self.session, self.scripts.running
        if run is None:
            return CommandError("ERR redis.call/pcall can only be called inside a script invocation")
        entry, count = self.entries.get(words[0]), len(words)
        if (
            entry is None
            or not run.is_plain
            or not entry.min_args <= count <= entry.max_args
            or not entry.runs_in_scripts
            or (server.served is not None and not _is_served(server.served, run, entry, words))
        ):
            return _call_carefully(server, session, run, list(words))
        if entry.changes_data:
            run.wrote = True
        keyspace, clock_ns, handler = self.keyspace, self.clock_ns, entry.handler
        changes, began_ns = keyspace.changes, clock_ns()
        reply: Reply
        try:
            if count == 2:
                reply = handler(session, words[1])
            elif count == 3:
                reply = handler(session, words[1], words[2])
            else:
                reply = handler(session, *words[1:])
        except Exception as error:
            reply = server.dispatcher.failed(entry, error)
        if keyspace.changes != changes or session.propagated is not None:
            if keyspace.is_repeated:
                server.propagation.record(session, words)
            else:
                session.propagated = None  # nobody is to hear of it
        elapsed_ns = clock_ns() - began_ns
        entry.nanoseconds += elapsed_ns
        entry.histogram_ns[elapsed_ns.bit_length()] += 1
        if elapsed_ns >= server.stopwatch.slow_after_ns:
            server.stopwatch.note_slow(session, entry, list(words), elapsed_ns // 1000)
        return reply


def _is_served(served: bytearray, run: ScriptRun, entry: Entry, words: Sequence[bytes]) -> bool:
    """Cluster mode: whether a command's keys are in one slot that is ours, and where the script may be."""
    position = entry.key_position
    if not position:
        return True
    is_tagged = position < 0 or BRACE in words[position]
    slot = entry.slot(words) if is_tagged else crc_hqx(words[position], 0) & 16383
    if slot == ANY_SLOT or served[slot] != SERVED:
        return slot == ANY_SLOT
    if run.slot is None:
        run.slot = slot
    return run.slot == slot or run.may_cross_slots


def _call_carefully(server: Server, session: Session, run: ScriptRun, words: list[bytes]) -> Reply:
    """The same, with every check in Redis's order."""
    entry, debugger = server.dispatcher.table.look_up(words), server.scripts.debugger
    if debugger is not None:
        debugger.command_called(words)
    try:
        if entry is None:
            raise CommandError(_unknown(server, words))
        _check(server, run, entry, words)
    except CommandError as error:
        server.count_error(error)
        if entry is not None:
            entry.rejected_calls += 1
        if debugger is not None:
            debugger.command_refused(error.text)
        return error
    before, stopwatch = len(server.propagation.operations), server.stopwatch
    began_ns, timed_entry = stopwatch.started_ns, stopwatch.entry
    reply = server.dispatcher.perform(session, entry, words)
    # What the command took was counted as its own; the script's own time is all of it.
    stopwatch.started_ns, stopwatch.entry = began_ns, timed_entry
    if run.caller.tracker is not None:
        server.tracking.script_called(run.caller.tracker, entry, run.keys)
    if run.targets != EVERYWHERE:
        _keep_back(server, run, before)
    if debugger is not None:
        debugger.command_answered(reply)
    return reply


def _keep_back(server: Server, run: ScriptRun, before: int) -> None:
    """What a command changed goes only where the script wants it: `redis.set_repl`."""
    propagation = server.propagation
    changes = [words for _, words in propagation.operations[before:]]
    if not run.targets:
        del propagation.operations[before:]
    elif run.targets == TO_REPLICAS:
        propagation.only_for_replicas += changes
    elif run.targets == TO_LOG:
        propagation.only_for_log += changes


def _unknown(server: Server, words: Sequence[bytes]) -> str:
    if len(words) == 1 and words[0].lower() in server.dispatcher.table.subcommands:
        return _WRONG_ARITY
    return "ERR Unknown Redis command called from script"


def _check(server: Server, run: ScriptRun, entry: Entry, words: Sequence[bytes]) -> None:
    """Raise why this command may not run in this script, in Redis's order."""
    flags = entry.flag_bits
    if not entry.min_args <= len(words) <= entry.max_args:
        raise CommandError(_WRONG_ARITY)
    if not entry.runs_in_scripts and not server.scripts.may_run_any_command:
        raise CommandError("ERR This Redis command is not allowed from script")
    if server.is_stale_replica and not flags & _STALE:
        raise CommandError("ERR Can not execute the command on a stale replica")
    if run.caller.restricted:
        server.acl.check_in_script(run.caller, entry.spec, words)
    if run.read_only and entry.is_write:
        raise CommandError("ERR Write commands are not allowed from read-only scripts.")
    obeys = run.caller.is_primary_link
    if entry.changes_data and not run.wrote and not obeys:
        gates.check_writable(server)
    if flags & _DENYOOM and run.was_out_of_memory and not (run.allows_out_of_memory or run.wrote or obeys):
        raise CommandError("OOM command not allowed when used memory > 'maxmemory'.")
    if entry.changes_data:
        run.wrote = True
    if server.cluster is not None and not obeys:
        _check_slots(server, run, entry, words)


def _check_slots(server: Server, run: ScriptRun, entry: Entry, words: Sequence[bytes]) -> None:
    """Keys that were not declared must be served here too, and in one slot unless the script may cross."""
    cluster = server.cluster
    assert cluster is not None
    keys = [words[position] for position in entry.spec.key_positions(words)]
    if not keys:
        return
    request = Request(
        keys,
        is_write=entry.changes_data,
        asking=run.caller.asking or bool(entry.spec.flags & Flag.ASKING),
        readonly=run.caller.readonly,
    )
    database = server.keyspace.databases[0]
    decision = route(request, cluster.view, cluster.settings, lambda key: database.peek(key) is not None)
    if decision is Refusal.DOWN_FOR_WRITES:
        raise CommandError(
            "ERR Script attempted to execute a write command while the cluster is down and readonly"
        )
    if decision is Refusal.DOWN:
        raise CommandError("ERR Script attempted to execute a command while the cluster is down")
    if not isinstance(decision, Serve):
        raise CommandError("ERR Script attempted to access a non local key in a cluster node")
    slot = key_slot(keys[0])
    if run.slot is None:
        run.slot = slot
    elif run.slot != slot and not run.may_cross_slots:
        raise CommandError("ERR Script attempted to access keys that do not hash to the same slot")
