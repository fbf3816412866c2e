"""SHUTDOWN, MONITOR and LOLWUT."""

from __future__ import annotations

from shoal import __version__
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, one_of, token
from shoal.node.resp.replies import NO_REPLY, OK, CommandError, Reply, Verbatim
from shoal.node.server.blocking import Blocked, BlockReason
from shoal.node.server.effects import AbortShutdown, Shutdown
from shoal.node.server.session import Session

_ADMIN = Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE
_SHUTDOWN_OPTIONS = frozenset({b"nosave", b"save", b"now", b"force", b"abort"})

POND = """\
      ><>        ><>
  ><>      ><>        ><>
      ><>        ><>      ><>
          ><>         ><>
"""


@command(
    "SHUTDOWN",
    arity=-1,
    flags=_ADMIN | Flag.NO_MULTI | Flag.ALLOW_BUSY,
    group="server",
    since="1.0.0",
    complexity="O(N) when saving, where N is the total number of keys in all databases when saving data, "
    "otherwise O(1)",
    summary="Ends the server, after a snapshot if save points are configured or SAVE is given.",
    history=(("7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers."),),
    arguments=(
        one_of("nosave_save", token("NOSAVE"), token("SAVE"), optional=True),
        token("NOW", optional=True, since="7.0.0"),
        token("FORCE", optional=True, since="7.0.0"),
        token("ABORT", optional=True, since="7.0.0"),
    ),
)
def shutdown(session: Session, *words: bytes) -> Reply:
    options = {word.lower() for word in words}
    if not options <= _SHUTDOWN_OPTIONS or {b"save", b"nosave"} <= options:
        raise CommandError("ERR syntax error")
    if b"abort" in options:
        if len(options) > 1:
            raise CommandError("ERR syntax error")
        session.server.blocked.block(session, Blocked(BlockReason.RUNTIME))
        session.server.effects.append(AbortShutdown(session))
        return NO_REPLY
    busy = session.server.scripts.busy
    if busy is not None and b"nosave" not in options:
        raise CommandError(busy.busy_text)
    save = True if b"save" in options else False if b"nosave" in options else None
    session.server.blocked.block(session, Blocked(BlockReason.RUNTIME))
    session.server.effects.append(Shutdown(session, save, now=b"now" in options, force=b"force" in options))
    return NO_REPLY


@command(
    "MONITOR",
    arity=1,
    flags=_ADMIN,
    group="server",
    since="1.0.0",
    complexity="O(1)",
    summary="Shows this client every command of every client, until it disconnects.",
)
def monitor(session: Session) -> Reply:
    server = session.server
    if session not in server.monitors:
        server.monitors.append(session)
        server.refresh_gates()
    return OK


@command(
    "LOLWUT",
    arity=-1,
    flags=Flag.READONLY | Flag.FAST,
    group="server",
    since="5.0.0",
    complexity="O(1)",
    summary="Draws a little something, and tells the version.",
    arguments=(Arg("version", "integer", token="VERSION", optional=True),),
)
def lolwut(session: Session, *options: bytes) -> Reply:
    return Verbatim(f"{POND}Shoal ver. {__version__}\n".encode())
