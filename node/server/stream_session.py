"""Who runs commands that passed every gate where they were made: our primary's, or an append-only file's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from shoal.node.resp.replies import Reply
from shoal.node.server.session import Session

if TYPE_CHECKING:
    from shoal.node.server.server import Server


class StreamSession(Session):
    """A client that nothing is sent to. `on_end` is given the reply of a command that was suspended."""

    __slots__ = ("_on_end",)

    def __init__(
        self, server: Server, session_id: int, address: str, on_end: Callable[[Reply], None]
    ) -> None:
        super().__init__(server, session_id, address, "")
        self._on_end = on_end
        self.is_primary_link = True
        self.refresh_plain()

    def begin_suspension(self) -> None:
        """Whoever brings the commands sees it, and keeps the next ones back."""

    def end_suspension(self, reply: Reply) -> None:
        """Its command has ended."""
        self._on_end(reply)
