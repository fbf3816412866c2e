"""Clients that wait until what they wrote is in more places: WAIT and WAITAOF."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.node.resp.replies import Reply
from shoal.node.server.blocking import Blocked, BlockReason
from shoal.node.server.session import Session

if TYPE_CHECKING:
    from shoal.node.server.server import Server


@dataclass(slots=True)
class WaitingForCopies(Blocked):
    """A client in WAIT or WAITAOF."""

    answer: Callable[[], Reply] = lambda: None
    """Its reply, once it need not wait any more; None until then."""


def wait_for_replicas(session: Session, replicas: int, timeout_ms: int) -> Reply:
    """WAIT: how many have the session's last write; None if it now waits for more of them."""
    server, offset = session.server, session.write_offset

    def count() -> int:
        return server.replication.count_acknowledged(offset)

    return _wait(session, timeout_ms, count, lambda: count() >= replicas)


def wait_for_disks(session: Session, here: int, replicas: int, timeout_ms: int) -> Reply:
    """WAITAOF: on how many disks, ours (0 or 1) and replicas', the session's last write is durable.

    Ours counts once all that was written here so far is durable, whoever wrote it.
    """
    server, offset, position = session.server, session.write_offset, session.server.aof.position

    def count() -> tuple[int, int]:
        is_here = server.aof.is_whole and server.aof.synced >= position
        return int(is_here), server.replication.count_durable(offset)

    def is_enough() -> bool:
        found = count()
        return found[0] >= here and found[1] >= replicas

    return _wait(session, timeout_ms, lambda: list(count()), is_enough)


def _wait(
    session: Session, timeout_ms: int, count: Callable[[], Reply], is_enough: Callable[[], bool]
) -> Reply:
    """How many copies there are, if that is enough; else None, and the client waits for more of them."""
    server = session.server
    if is_enough() or session.in_exec:
        return count()
    deadline_ms = server.keyspace.now_ms + timeout_ms if timeout_ms else None
    server.blocked.block(
        session,
        WaitingForCopies(
            BlockReason.WAIT,
            deadline_ms,
            on_timeout=count,
            answer=lambda: count() if is_enough() else None,
        ),
    )
    server.replication.ask_for_acks()
    return None


def end_waits(server: Server) -> None:
    """There are more copies of what was written: answer those who waited for them."""
    for session in server.blocked.waiting_for(BlockReason.WAIT):
        blocked = session.blocked
        assert isinstance(blocked, WaitingForCopies)
        reply = blocked.answer()
        if reply is not None:
            server.blocked.end_wait(session, reply)
