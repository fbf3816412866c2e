"""Commands about the connection itself."""

from __future__ import annotations

from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag
from shoal.node.resp.replies import PONG, Reply
from shoal.node.server.session import Session


@command(
    "PING",
    arity=-1,
    flags=Flag.FAST,
    group="connection",
    since="1.0.0",
    complexity="O(1)",
    summary="Answers PONG, or the message it was given.",
    arguments=(Arg("message", optional=True),),
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)
def ping(session: Session, message: bytes | None = None) -> Reply:
    return PONG if message is None else message
