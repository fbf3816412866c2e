"""Log lines in the form redis-server writes them, so that what reads its logs reads ours.

`pid:role day month year hour:minute:second.millisecond mark message`: the role is M for a primary, S for
a replica; the mark tells the level (`.` debug, `-` verbose, `*` notice, `#` warning).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from shoal.cluster.effects import Level

_MARKS = {Level.DEBUG: ".", Level.VERBOSE: "-", Level.NOTICE: "*", Level.WARNING: "#"}
_ORDER = [Level.DEBUG, Level.VERBOSE, Level.NOTICE, Level.WARNING]


class Log:
    """Where log lines go. A line that cannot be written is dropped: logging never stops a server."""

    def __init__(self, path: str, level: str) -> None:
        self.path = path
        self.role = "M"
        self.set_level(level)

    def set_level(self, level: str) -> None:
        """`debug`, `verbose`, `notice`, `warning` or `nothing`."""
        shown = [known for known in _ORDER if known.value == level]
        self._shown = frozenset(_ORDER[_ORDER.index(shown[0]) :] if shown else ())

    def write(self, level: Level, text: str) -> None:
        """Write one line if its level is shown."""
        if level not in self._shown:
            return
        now = time.time()
        stamp = time.strftime("%d %b %Y %H:%M:%S", time.localtime(now))
        line = f"{os.getpid()}:{self.role} {stamp}.{int(now * 1000) % 1000:03d} {_MARKS[level]} {text}\n"
        try:
            if self.path:
                with Path(self.path).open("a", encoding="utf-8", errors="replace") as file:
                    file.write(line)
            else:
                sys.stdout.buffer.write(line.encode("utf-8", "replace"))
                sys.stdout.buffer.flush()
        except OSError:
            pass

    def notice(self, text: str) -> None:
        self.write(Level.NOTICE, text)

    def warning(self, text: str) -> None:
        self.write(Level.WARNING, text)
