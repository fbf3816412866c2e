"""The files that starting up reads: the configuration, what it includes, and standard input."""

from __future__ import annotations

import glob
import sys
from pathlib import Path


class RealFiles:
    """The file system, as `shoal.node.server.startup` wants it."""

    def absolute(self, path: str) -> str:
        return str(Path(path).absolute())

    def read(self, path: str) -> str:
        return Path(path).read_text(encoding="utf-8", errors="surrogateescape")

    def matching(self, pattern: str) -> list[str]:
        return sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]

    def standard_input(self) -> str:
        return sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
