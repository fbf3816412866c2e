"""Every gate a command passes before it runs, in the order in which Redis's clients expect to be refused.

Commands in no special state, which are nearly all, pass one of the two of `Server.open_for` instead, see
`dispatch.py`. Whoever comes here is a restricted client, inside MULTI or in another state of its own, or the
server is: it loads, is paused, short of memory, a replica, or does not serve the slot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.cluster.routing import Request, Serve, route
from shoal.node.commands.spec import Flag
from shoal.node.resp.replies import CommandError
from shoal.node.server.blocking import Blocked, BlockReason
from shoal.node.server.pubsub import check_runs_while_subscribed

if TYPE_CHECKING:
    from shoal.node.resp.parser import Arguments
    from shoal.node.server.entries import Entry
    from shoal.node.server.server import Server
    from shoal.node.server.session import Session

_MISCONF = (
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
    "Commands that may modify the data set are disabled, because this instance is configured to report "
    "errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the "
    "Redis logs for details about the RDB error."
)

_ENDS_TRANSACTION = frozenset({"EXEC", "DISCARD", "QUIT", "RESET"})

_MAY_WRITE = Flag.WRITE | Flag.MAY_REPLICATE
_NO_AUTH, _NO_MULTI, _WRITE, _ANY_WRITE = map(int, (Flag.NO_AUTH, Flag.NO_MULTI, Flag.WRITE, _MAY_WRITE))
"""As plain numbers, which are quicker to test than an enumeration."""


def check(session: Session, entry: Entry, argv: Arguments) -> int:
    """Refuse a command at the first gate that is closed; returns its flags, of a script those declared."""
    server, flags = session.server, entry.flag_bits
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
        _check_slot(session, entry, argv, is_write)
    if server.memory.is_near and server.scripts.busy is None:
        server.memory.before_command(entry, argv)
        if session.tracker is not None and session.tracker.pending:
            server.tracking.tell_pending(session.tracker)  # it is about the past, not about this command
    if server.is_out_of_memory and _needs_memory(session, entry, flags):
        raise CommandError("OOM command not allowed when used memory > 'maxmemory'.")
    if is_write:
        check_writable(server)
    if session.subscriptions is not None and session.resp == 2:
        check_runs_while_subscribed(entry.spec)
    if server.is_stale_replica and not _allowed(session, entry, flags, Flag.STALE):
        raise CommandError("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")
    if server.loading or server.replication.async_loading:
        _check_runs_while_loading(session, entry, flags)
    if session.is_replica_link and flags & (_MAY_WRITE | Flag.READONLY):
        raise CommandError("ERR Replica can't interact with the keyspace")
    if server.scripts.busy is not None and not flags & Flag.ALLOW_BUSY:
        raise CommandError(server.scripts.busy.busy_text)
    return flags


def hold(session: Session, entry: Entry, argv: Arguments, flags: int) -> bool:
    """Let a command wait that may run, but not during a pause or while its keys move; whether it has to."""
    server = session.server
    may_write = bool(flags & _ANY_WRITE) or (entry.spec.name == "EXEC" and _queued(session, _MAY_WRITE))
    if server.pause.holds(session, is_write=may_write, flags=flags):
        server.blocked.block(session, Blocked(BlockReason.PAUSE, server.pause.until_ms, argv))
        return True
    if may_write and server.migrating_keys and _touches_migrating_key(session, entry, argv):
        server.blocked.block(session, Blocked(BlockReason.MIGRATE, None, argv))
        return True
    return False


def check_writable(server: Server) -> None:
    """Raise what a write gets because of the node's role, or of a primary's missing replicas."""
    config = server.config
    if not server.is_primary:
        if config.replica_read_only:
            raise CommandError("READONLY You can't write against a read only replica.")
    elif cannot_save(server):
        raise CommandError(_MISCONF)
    elif server.aof.error is not None:
        raise CommandError(f"MISCONF Errors writing to the AOF file: {server.aof.error}")
    elif wants_replicas(server) and server.replication.count_good_replicas() < config.min_replicas_to_write:
        raise CommandError("NOREPLICAS Not enough good replicas to write.")


def wants_replicas(server: Server) -> bool:
    """Whether writes are to be refused without enough replicas."""
    return bool(server.config.min_replicas_to_write and server.config.min_replicas_max_lag)


def cannot_save(server: Server) -> bool:
    """Whether writes are to be refused because the last snapshot failed: they might never be saved."""
    config = server.config
    return bool(config.stop_writes_on_bgsave_error and config.save and not server.persistence.last_save_ok)


def keys_of(session: Session, entry: Entry, argv: Arguments) -> list[bytes]:
    """The keys (or shard channels) a command names; for EXEC those of everything it is about to run."""
    if entry.spec.name == "EXEC" and session.transaction is not None:
        return [
            queued[position]
            for queued_entry, queued in session.transaction.queued
            for position in queued_entry.spec.routed_positions(queued)
        ]
    return [argv[position] for position in entry.spec.routed_positions(argv)]


def _check_slot(session: Session, entry: Entry, argv: Arguments, is_write: bool) -> None:
    """Cluster mode: refuse a command whose keys this node does not serve, saying where to go."""
    cluster = session.server.cluster
    assert cluster is not None
    keys = keys_of(session, entry, argv)
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
    database = session.server.keyspace.databases[0]
    decision = route(request, cluster.view, cluster.settings, lambda key: database.peek(key) is not None)
    if not isinstance(decision, Serve):
        if entry.spec.name == "EXEC":
            session.end_transaction()
        raise CommandError(decision.error_text(cluster.settings.preferred_endpoint_type))


def _touches_migrating_key(session: Session, entry: Entry, argv: Arguments) -> bool:
    """Whether a write has to wait for MIGRATE: it names a key on its way, or (FLUSHALL) every key."""
    if entry.spec.flags & Flag.PUBSUB:
        return False
    keys = keys_of(session, entry, argv)
    return not keys or any(key in session.server.migrating_keys for key in keys)


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
