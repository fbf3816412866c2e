"""The scripts that a server keeps, so that each is compiled once and can be run by its digest.

A client that writes its arguments into its scripts instead of handing them over sends a new script each time.
So those that came by EVAL are kept only while they are among the few used last. One that came by SCRIPT LOAD
stays, for its client may have nothing but the digest; that it came by EVAL as well does not matter.
Source: Redis 7.4, which keeps as many.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from shoal.node.server.scripting.runs import Runnable

KEPT_FROM_EVAL = 500


@dataclass(frozen=True, slots=True)
class CachedScript(Runnable):
    """A script that can be run by its digest, which is its name."""

    body: bytes


class ScriptCache:
    """All scripts of one server."""

    def __init__(self) -> None:
        self.by_digest: dict[bytes, CachedScript] = {}
        """The digests are in lower case."""
        self._by_body: dict[bytes, CachedScript] = {}
        """The same, without the cost of a digest for each EVAL."""
        self._from_eval: OrderedDict[bytes, None] = OrderedDict()
        """The digests of those that may go, the one used longest ago first."""

    def of_body(self, body: bytes) -> CachedScript | None:
        """The script with this text, if it is kept."""
        return self._by_body.get(body)

    def of_digest(self, digest: bytes) -> CachedScript | None:
        """The script with this digest, in lower case or not, if it is kept."""
        return self.by_digest.get(digest) or self.by_digest.get(digest.lower())

    def add(self, script: CachedScript) -> bool:
        """Keep a script for a while; whether the one used longest ago had to go for it."""
        is_full = len(self._from_eval) >= KEPT_FROM_EVAL
        if is_full:
            oldest, _ = self._from_eval.popitem(last=False)
            del self._by_body[self.by_digest.pop(oldest).body]
        self.by_digest[script.name] = self._by_body[script.body] = script
        self._from_eval[script.name] = None
        return is_full

    def keep(self, script: CachedScript) -> None:
        """It came by SCRIPT LOAD, and stays."""
        self._from_eval.pop(script.name, None)

    def use(self, script: CachedScript) -> None:
        """It is run."""
        if script.name in self._from_eval:
            self._from_eval.move_to_end(script.name)
