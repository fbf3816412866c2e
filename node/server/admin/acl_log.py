"""ACL LOG: what users were denied."""

from __future__ import annotations

from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, one_of, token
from shoal.node.dataset.numbers import require_integer
from shoal.node.resp.replies import OK, Reply
from shoal.node.server.acl.log import LogEntry
from shoal.node.server.admin.acl import bad_arguments
from shoal.node.server.session import Session

LOG_SHOWN = 10


@command(
    "ACL|LOG",
    arity=-2,
    flags=Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE,
    group="server",
    since="6.0.0",
    complexity="O(N) with N being the number of entries shown.",
    summary="Shows what users were denied lately, or forgets it.",
    arguments=(one_of("operation", Arg("count", "integer"), token("RESET"), optional=True),),
)
def acl_log(session: Session, *what: bytes) -> Reply:
    log = session.server.acl.log
    if len(what) > 1:
        raise bad_arguments("LOG")
    if what and what[0].lower() == b"reset":
        log.entries.clear()
        return OK
    count = require_integer(what[0]) if what else LOG_SHOWN
    return [_shown(entry, session.now_ms) for entry in list(log.entries)[: max(count, 0)]]


def _shown(entry: LogEntry, now_ms: int) -> Reply:
    return {
        b"count": entry.count,
        b"reason": entry.reason.name.lower().encode(),
        b"context": entry.context,
        b"object": entry.object,
        b"username": entry.user,
        b"age-seconds": (now_ms - entry.updated_ms) / 1000,
        b"client-info": entry.client,
        b"entry-id": entry.id,
        b"timestamp-created": entry.created_ms,
        b"timestamp-last-updated": entry.updated_ms,
    }
