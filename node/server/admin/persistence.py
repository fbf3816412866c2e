"""SAVE, BGSAVE, BGREWRITEAOF and LASTSAVE."""

from __future__ import annotations

from shoal.node.commands.registry import command
from shoal.node.commands.spec import Flag, token
from shoal.node.resp.replies import NO_REPLY, CommandError, Reply, Status
from shoal.node.server.append_only import REWRITE_SCHEDULED
from shoal.node.server.blocking import Blocked, BlockReason
from shoal.node.server.effects import RewriteLog, SaveSnapshot
from shoal.node.server.session import Session

IN_PROGRESS = "ERR Background save already in progress"
REWRITE_IN_PROGRESS = "ERR Background append only file rewriting already in progress"
REWRITING = (
    "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to"
    " schedule a BGSAVE whenever possible."
)


@command(
    "SAVE",
    arity=1,
    flags=Flag.ADMIN | Flag.NOSCRIPT | Flag.NO_ASYNC_LOADING | Flag.NO_MULTI,
    group="server",
    since="1.0.0",
    complexity="O(N) where N is the total number of keys in all databases",
    summary="Writes a snapshot to disk and answers when it is there.",
)
def save(session: Session) -> Reply:
    if session.server.persistence.in_progress_since is not None:
        raise CommandError(IN_PROGRESS)
    session.server.blocked.block(session, Blocked(BlockReason.RUNTIME))
    session.server.effects.append(SaveSnapshot(session))
    return NO_REPLY


@command(
    "BGSAVE",
    arity=-1,
    flags=Flag.ADMIN | Flag.NOSCRIPT | Flag.NO_ASYNC_LOADING,
    group="server",
    since="1.0.0",
    complexity="O(1)",
    summary="Begins to write a snapshot to disk, in slices between other commands.",
    arguments=(token("SCHEDULE", optional=True, since="3.2.2"),),
    history=(("3.2.2", "Added the `SCHEDULE` option."),),
)
def bgsave(session: Session, *options: bytes) -> Reply:
    if options and (len(options) > 1 or options[0].lower() != b"schedule"):
        raise CommandError("ERR syntax error")
    server = session.server
    if server.persistence.in_progress_since is not None:
        raise CommandError(IN_PROGRESS)
    if server.aof.rewriting_since is not None or session.in_exec:
        if not options and not session.in_exec:
            raise CommandError(REWRITING)
        server.persistence.save_scheduled = True
        return Status(b"Background saving scheduled")
    server.effects.append(SaveSnapshot(None))
    return Status(b"Background saving started")


@command(
    "BGREWRITEAOF",
    arity=1,
    flags=Flag.ADMIN | Flag.NOSCRIPT | Flag.NO_ASYNC_LOADING,
    group="server",
    since="1.0.0",
    complexity="O(1)",
    summary="Begins to rewrite the append-only file, in slices between other commands.",
)
def bgrewriteaof(session: Session) -> Reply:
    server = session.server
    if server.aof.rewriting_since is not None:
        raise CommandError(REWRITE_IN_PROGRESS)
    if server.persistence.in_progress_since is not None or session.in_exec:
        server.aof.rewrite_scheduled = True
        server.aof.failed_rewrites = 0  # who asks by hand need not wait
        return REWRITE_SCHEDULED
    server.blocked.block(session, Blocked(BlockReason.RUNTIME))
    server.effects.append(RewriteLog(session))
    return NO_REPLY


@command(
    "LASTSAVE",
    arity=1,
    flags=Flag.LOADING | Flag.STALE | Flag.FAST,
    group="server",
    since="1.0.0",
    complexity="O(1)",
    summary="Tells when the last snapshot was written, in unix seconds.",
    acl={"admin", "dangerous"},
    tips=("nondeterministic_output",),
)
def lastsave(session: Session) -> Reply:
    return session.server.persistence.last_save_time
