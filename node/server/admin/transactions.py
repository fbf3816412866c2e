"""MULTI, EXEC, DISCARD, WATCH and UNWATCH."""

from __future__ import annotations

from shoal.node.commands.registry import command
from shoal.node.commands.spec import Flag, KeyUse, all_keys, key_arg
from shoal.node.resp.parser import Arguments
from shoal.node.resp.replies import NULL_ARRAY, OK, CommandError, Reply
from shoal.node.server.entries import Entry
from shoal.node.server.session import Session, Transaction

_ALWAYS = Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.FAST | Flag.ALLOW_BUSY


@command(
    "MULTI",
    arity=1,
    flags=_ALWAYS,
    group="transactions",
    since="1.2.0",
    complexity="O(1)",
    summary="Begins a transaction: commands are queued until EXEC.",
)
def multi(session: Session) -> Reply:
    if session.transaction is not None:
        raise CommandError("ERR MULTI calls can not be nested")
    session.transaction = Transaction()
    session.refresh_plain()
    return OK


@command(
    "DISCARD",
    arity=1,
    flags=_ALWAYS,
    group="transactions",
    since="2.0.0",
    complexity="O(N), when N is the number of queued commands",
    summary="Drops the queued commands and ends the transaction.",
)
def discard(session: Session) -> Reply:
    if session.transaction is None:
        raise CommandError("ERR DISCARD without MULTI")
    session.end_transaction()
    return OK


@command(
    "EXEC",
    arity=1,
    flags=Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.SKIP_SLOWLOG,
    group="transactions",
    since="1.2.0",
    complexity="Depends on commands in the transaction",
    acl={"slow"},
    summary="Runs the queued commands as one, unless a watched key changed.",
)
def execute(session: Session) -> Reply:
    transaction = session.transaction
    if transaction is None:
        raise CommandError("ERR EXEC without MULTI")
    if transaction.broken:
        session.end_transaction()
        raise CommandError("EXECABORT Transaction discarded because of previous errors.")
    for database, key in session.watched:
        database.peek(key)  # a key whose time has come changes now, and so fails the transaction
    changed = session.watched_changed
    session.end_transaction()
    if changed:
        return NULL_ARRAY
    if any(entry.script_at for entry, _ in transaction.queued):
        suspension = session.server.scripts.suspension
        return suspension.run(session, _run_queued, (session, transaction))
    return _run_queued((session, transaction))


def _run_queued(given: tuple[Session, Transaction]) -> Reply:
    session, transaction = given
    session.in_exec = True
    try:
        return [_run_one(session, entry, argv) for entry, argv in transaction.queued]
    finally:
        session.in_exec = False
        session.propagated = []  # each command has been recorded on its own; EXEC itself is not


def _run_one(session: Session, entry: Entry, argv: Arguments) -> Reply:
    server = session.server
    if session.restricted:
        try:
            server.acl.check_queued(session, entry.spec, argv)
        except CommandError as error:
            server.count_error(error)
            return error
    return server.dispatcher.perform(session, entry, argv)


@command(
    "WATCH",
    arity=-2,
    flags=_ALWAYS,
    group="transactions",
    since="2.2.0",
    keys=all_keys(KeyUse.RO),
    complexity="O(1) for every key.",
    arguments=(key_arg(multiple=True),),
    summary="Makes the next EXEC do nothing if one of these keys changes before.",
)
def watch(session: Session, *keys: bytes) -> Reply:
    if session.transaction is not None:
        raise CommandError("ERR WATCH inside MULTI is not allowed")
    if session.watched_changed:
        return OK
    for key in keys:
        session.db.peek(key)  # a key whose time has come is gone already, and does not change any more
        session.watch(key)
    return OK


@command(
    "UNWATCH",
    arity=1,
    flags=_ALWAYS,
    group="transactions",
    since="2.2.0",
    complexity="O(1)",
    summary="Forgets every watched key.",
)
def unwatch(session: Session) -> Reply:
    session.unwatch()
    return OK
