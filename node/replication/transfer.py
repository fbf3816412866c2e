"""A snapshot on the wire: a length before it, or a mark behind it that cannot occur in it by chance.

Source: the PSYNC protocol: `$<bytes>\\r\\n` and so many bytes, or `$EOF:<40 characters>\\r\\n`, the data
and the same 40 characters again, for a primary that does not know the size when it begins.
"""

from __future__ import annotations

EOF_MARK_SIZE = 40
_EOF_PREFIX = b"$EOF:"


class MalformedTransferError(Exception):
    """The line before the snapshot is none of the two forms."""


class Transfer:
    """Cuts the snapshot out of the bytes of a link."""

    __slots__ = ("_mark", "_missing", "_tail", "finished", "surplus", "uses_mark")

    def __init__(self, line: bytes) -> None:
        """`line` is the one before the data, without its end. Raises MalformedTransferError."""
        self.uses_mark = line.startswith(_EOF_PREFIX)
        self._mark = line.removeprefix(_EOF_PREFIX)
        self._missing = 0
        self._tail = b""
        self.finished = False
        self.surplus = b""
        """Once finished: what came behind the snapshot."""
        if self.uses_mark:
            if len(self._mark) != EOF_MARK_SIZE:
                raise MalformedTransferError(f"an end mark of {len(self._mark)} bytes")
        elif line.startswith(b"$") and line[1:].isdigit() and len(line) < 20:
            self._missing = int(line[1:])
        else:
            raise MalformedTransferError(f"{line[:60]!r} instead of the snapshot's size")

    def feed(self, data: bytes) -> bytes:
        """The part of the snapshot that is certain by now."""
        return self._feed_to_mark(data) if self.uses_mark else self._feed_to_size(data)

    def _feed_to_size(self, data: bytes) -> bytes:
        wanted = data[: self._missing]
        self._missing -= len(wanted)
        if not self._missing:
            self.finished = True
            self.surplus = data[len(wanted) :]
        return wanted

    def _feed_to_mark(self, data: bytes) -> bytes:
        """Hold back as many bytes as may be the beginning of the mark."""
        data = self._tail + data
        place = data.find(self._mark)
        if place >= 0:
            self.finished = True
            self.surplus = data[place + EOF_MARK_SIZE :]
            return data[:place]
        certain = max(0, len(data) - (EOF_MARK_SIZE - 1))
        self._tail = data[certain:]
        return data[:certain]
