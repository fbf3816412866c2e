"""In which session scripts run commands: never a client's own, so that a SELECT ends with the script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.node.server.session import Session

if TYPE_CHECKING:
    from shoal.node.server.server import Server


class ScriptSession(Session):
    """A client without a connection, of which a server has one."""

    __slots__ = ()

    def __init__(self, server: Server) -> None:
        super().__init__(server, 0, "lua", "")
        self.authenticated = True
        self.in_exec = True

    @property
    def is_script(self) -> bool:
        return True

    def may_answer_with(self, elements: int) -> bool:
        """What a command answers goes to the script, which is as free as any other to fill the memory."""
        return True

    def send_bytes(self, data: bytes) -> None:
        """Nobody is there to whom anything could be sent beside a command's reply."""
