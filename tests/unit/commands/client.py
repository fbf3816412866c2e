"""Commands typed as lines, answered as the Python values our handlers return."""

from __future__ import annotations

from shoal.node.resp.replies import CommandError, Reply
from tests.differential.executor import LocalServer


class Client(LocalServer):
    """A server of our handlers that takes `client("SET a 1")`; an error reply is raised."""

    def __call__(self, line: str) -> Reply:
        reply = self.execute(line.encode().split())
        if isinstance(reply, CommandError):
            raise reply
        return reply

    @property
    def sent(self) -> list[str]:
        """What the last command sent to replicas, as lines."""
        return [b" ".join(words).decode() for words in self.propagated]
