"""CLIENT PAUSE, and the write pauses of a manual failover and of a shutdown: what is held, until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.node.commands.spec import Flag

if TYPE_CHECKING:
    from shoal.node.server.session import Session

UNTIL_IT_ENDS = 1 << 62
"""For as long as what needs the pause takes: a failover, a shutdown's last snapshot."""


class Pause:
    """Independent pauses: what an operator asked for, what a manual failover needs, what a shutdown needs."""

    __slots__ = ("failover_until_ms", "only_writes", "operator_until_ms", "shutdown_until_ms")

    def __init__(self) -> None:
        self.operator_until_ms = 0
        self.failover_until_ms = 0
        self.shutdown_until_ms = 0
        """When a shutdown stops waiting for replicas; nothing is written in the meantime."""
        self.only_writes = True

    @property
    def until_ms(self) -> int:
        """When the last of them ends; 0 when nothing is paused."""
        return max(self.operator_until_ms, self.failover_until_ms, self.shutdown_until_ms)

    def extend(self, until_ms: int, *, only_writes: bool, now_ms: int) -> None:
        """CLIENT PAUSE: of two that overlap, the later end and the stricter kind hold."""
        if self.operator_until_ms > now_ms:
            self.only_writes = self.only_writes and only_writes
            self.operator_until_ms = max(self.operator_until_ms, until_ms)
        else:
            self.only_writes, self.operator_until_ms = only_writes, until_ms

    def expire(self, now_ms: int) -> bool:
        """Forget pauses whose time is up; True if there are any. A shutdown ends its own."""
        is_operator_over = 0 < self.operator_until_ms <= now_ms
        is_failover_over = 0 < self.failover_until_ms <= now_ms
        if is_operator_over:
            self.operator_until_ms = 0
        if is_failover_over:
            self.failover_until_ms = 0
        return is_operator_over or is_failover_over

    def holds(self, session: Session, *, is_write: bool, flags: int) -> bool:
        """Whether this command has to wait."""
        if not self.until_ms or session.is_replica_link:
            return False
        if is_write:
            return True
        return bool(self.operator_until_ms) and not self.only_writes and not flags & Flag.ADMIN
