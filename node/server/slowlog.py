"""SLOWLOG: the commands that took long, newest first."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.node.resp.parser import Arguments
from shoal.node.server.monitoring import redacted

if TYPE_CHECKING:
    from shoal.node.server.session import Session

MAX_SHOWN_ARGUMENTS = 32
MAX_SHOWN_BYTES = 128


@dataclass(frozen=True, slots=True)
class SlowEntry:
    """One slow command; `unix_time` in seconds, `microseconds` of execution."""

    id: int
    unix_time: int
    microseconds: int
    arguments: Arguments
    address: str
    client_name: bytes


class Slowlog:
    """A ring of the latest slow commands."""

    def __init__(self, max_length: int = 128) -> None:
        self.entries: deque[SlowEntry] = deque(maxlen=max_length)
        self.next_id = 0

    def resize(self, max_length: int) -> None:
        """Keep at most so many from now on; the newest stay."""
        self.entries = deque(list(self.entries)[:max_length], maxlen=max_length)

    def note(self, session: Session, argv: Arguments, microseconds: int) -> None:
        """Keep a command, its arguments shortened to what is worth showing."""
        shown = [_shorten(word) for word in redacted(argv)[:MAX_SHOWN_ARGUMENTS]]
        if len(argv) > MAX_SHOWN_ARGUMENTS:
            rest = len(argv) - MAX_SHOWN_ARGUMENTS + 1
            shown[-1] = b"... (%d more arguments)" % rest
        entry = SlowEntry(
            self.next_id, session.now_ms // 1000, microseconds, shown, session.address, session.name
        )
        self.entries.appendleft(entry)
        self.next_id += 1


def _shorten(word: bytes) -> bytes:
    if len(word) <= MAX_SHOWN_BYTES:
        return word
    return b"%b... (%d more bytes)" % (word[:MAX_SHOWN_BYTES], len(word) - MAX_SHOWN_BYTES)
