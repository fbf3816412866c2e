"""What goes wrong when bytes written by somebody else are read."""

from __future__ import annotations


class RdbError(Exception):
    """The bytes are no RDB data, are damaged, or hold what this server cannot keep. The text says which."""


class DuplicateElementError(RdbError):
    """A container holds twice what it can hold once."""


class AofError(Exception):
    """An append-only file is damaged at `offset`, or holds what this server cannot run. The text says."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.offset = offset
        self.commands: list[tuple[list[bytes], int]] = []
        """The sound commands before it, of those fed in the same go."""


class NeedMore(Exception):  # noqa: N818 - not an error: the parser's way to wait
    """The item at hand goes on beyond the bytes received: at least `size` bytes are needed from its start."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size
