"""SLOWLOG: the commands that took long."""

from __future__ import annotations

from shoal.node.commands.help import help_command
from shoal.node.commands.registry import command, container
from shoal.node.commands.spec import Arg, Flag
from shoal.node.dataset.numbers import require_integer
from shoal.node.resp.replies import OK, CommandError, Reply
from shoal.node.server.session import Session
from shoal.node.server.slowlog import SlowEntry

_ADMIN = Flag.ADMIN | Flag.LOADING | Flag.STALE
_BAD_COUNT = "ERR count should be greater than or equal to -1"
_SHOWN_BY_DEFAULT = 10

container("SLOWLOG", group="server", since="2.2.12", summary="Holds the commands about the slow log.")
help_command("SLOWLOG", since="6.2.0")


@command(
    "SLOWLOG|GET",
    arity=-2,
    flags=_ADMIN,
    group="server",
    since="2.2.12",
    complexity="O(N) where N is the number of entries returned",
    summary="Returns the latest slow commands, newest first; -1 for all.",
    arguments=(Arg("count", "integer", optional=True),),
    history=(("4.0.0", "Added client IP address, port and name to the reply."),),
    tips=("request_policy:all_nodes", "nondeterministic_output"),
)
def slowlog_get(session: Session, *words: bytes) -> Reply:
    if len(words) > 1:
        raise CommandError("ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.")
    count = require_integer(words[0], _BAD_COUNT) if words else _SHOWN_BY_DEFAULT
    if count < -1:
        raise CommandError(_BAD_COUNT)
    entries = list(session.server.slowlog.entries)
    return [_shown(entry) for entry in (entries if count == -1 else entries[:count])]


def _shown(entry: SlowEntry) -> Reply:
    return [
        entry.id,
        entry.unix_time,
        entry.microseconds,
        list(entry.arguments),
        entry.address.encode(),
        entry.client_name,
    ]


@command(
    "SLOWLOG|LEN",
    arity=2,
    flags=_ADMIN,
    group="server",
    since="2.2.12",
    complexity="O(1)",
    summary="Tells how many commands the slow log holds.",
    tips=("request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"),
)
def slowlog_len(session: Session) -> Reply:
    return len(session.server.slowlog.entries)


@command(
    "SLOWLOG|RESET",
    arity=2,
    flags=_ADMIN,
    group="server",
    since="2.2.12",
    complexity="O(N) where N is the number of entries in the slowlog",
    summary="Empties the slow log.",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)
def slowlog_reset(session: Session) -> Reply:
    session.server.slowlog.entries.clear()
    return OK
