"""ACL LOG: what was denied lately, and to whom."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice

from shoal.node.server.acl.permissions import Reason

ALIKE_WITHIN_MS = 60_000
LOOKED_AT = 10
"""Among how many of the latest entries one of the same kind is looked for."""


@dataclass(slots=True)
class LogEntry:
    """Something that was denied, once or several times in a row."""

    id: int
    reason: Reason
    context: bytes
    """Where: toplevel, multi or lua."""
    object: bytes
    """The command, key or channel."""
    user: bytes
    client: bytes
    created_ms: int
    updated_ms: int
    count: int = 1

    def is_like(self, other: LogEntry) -> bool:
        """Whether the two are better told as one."""
        return (
            (self.reason, self.context, self.object, self.user)
            == (other.reason, other.context, other.object, other.user)
        ) and abs(self.updated_ms - other.updated_ms) <= ALIKE_WITHIN_MS


class AclLog:
    """The latest entries, the newest first."""

    def __init__(self) -> None:
        self.entries: deque[LogEntry] = deque()
        self._next_id = 0

    def note(
        self, reason: Reason, context: bytes, what: bytes, user: bytes, client: bytes, now_ms: int, limit: int
    ) -> None:
        """Add an entry, or count it with one of the same kind; at most `limit` stay."""
        new = LogEntry(self._next_id, reason, context, what, user, client, now_ms, now_ms)
        known = next((entry for entry in islice(self.entries, LOOKED_AT) if entry.is_like(new)), None)
        if known is not None:
            known.count, known.updated_ms, known.client = known.count + 1, now_ms, client
            self.entries.remove(known)
            self.entries.appendleft(known)
            return
        self._next_id += 1
        self.entries.appendleft(new)
        while len(self.entries) > limit:
            self.entries.pop()
