"""INFO and TIME."""

from __future__ import annotations

from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag
from shoal.node.resp.replies import Reply, Verbatim
from shoal.node.server.info import info_text
from shoal.node.server.session import Session


@command(
    "INFO",
    arity=-1,
    flags=Flag.LOADING | Flag.STALE,
    group="server",
    since="1.0.0",
    complexity="O(1)",
    summary="Reports the state of the server, what it counted and how it is set up.",
    history=(("7.0.0", "Added support for taking multiple section arguments."),),
    arguments=(Arg("section", optional=True, multiple=True),),
    acl={"dangerous"},
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
)
def info(session: Session, *sections: bytes) -> Reply:
    wanted = [section.decode("utf-8", "replace") for section in sections]
    return Verbatim(info_text(session.server, wanted).encode("utf-8", "surrogateescape"))


@command(
    "TIME",
    arity=1,
    flags=Flag.LOADING | Flag.STALE | Flag.FAST,
    group="server",
    since="2.6.0",
    complexity="O(1)",
    summary="Tells the server's time: unix seconds, and the microseconds within that second.",
    tips=("nondeterministic_output",),
)
def time(session: Session) -> Reply:
    seconds, milliseconds = divmod(session.now_ms, 1000)
    return [b"%d" % seconds, b"%d" % (milliseconds * 1000)]
