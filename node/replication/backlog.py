"""The recent end of the replication stream, so that a replica that lost its link can go on from there."""

from __future__ import annotations

from bisect import bisect_right

BLOCK_BYTES = 64 * 1024


class Backlog:
    """The last `size` bytes of the stream, and more while a replica still has to get it.

    Offsets count the stream's bytes from 1.

    Replicas that are being given a snapshot share what is held for them, however many they are, and whoever
    lost its link meanwhile may go on from there too.

    The bytes lie in blocks. One buffer would have to be copied as a whole now and then, when it has grown or
    shrunk enough, and nobody would be served for as long as copying a gigabyte takes. A block is forgotten
    once nothing in it is held any more, so that a block's worth more than `size` may be in memory.
    """

    __slots__ = ("_blocks", "_kept_from", "_last", "_starts", "end_offset", "size")

    def __init__(self, size: int, end_offset: int) -> None:
        self.size = size
        self.end_offset = end_offset
        """The offset of the last byte written, whether or not it is still held."""
        self._last = bytearray()
        """The block that is being filled."""
        self._blocks = [self._last]
        self._starts = [end_offset + 1]
        """The offset of each block's first byte."""
        self._kept_from: int | None = None
        """The first byte that somebody still has to get."""

    def __len__(self) -> int:
        """How many bytes are held."""
        return self.end_offset + 1 - self.first_offset

    @property
    def first_offset(self) -> int:
        """The offset of the oldest byte held, or of the next one to come."""
        first = self.end_offset + 1 - self.size
        if self._kept_from is not None and self._kept_from < first:
            first = self._kept_from
        return max(first, self._starts[0])

    def append(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._last += data
        self.end_offset += len(data)
        if len(self._last) >= BLOCK_BYTES:
            self._last = bytearray()
            self._blocks.append(self._last)
            self._starts.append(self.end_offset + 1)
            self._forget()

    def _forget(self) -> None:
        """Drop the blocks of which nothing is held."""
        surplus = bisect_right(self._starts, self.first_offset) - 1
        if surplus:
            del self._blocks[:surplus], self._starts[:surplus]

    def keep_from(self, offset: int | None) -> None:
        """Forget nothing from this offset on, whatever the size; None: nobody needs that any more."""
        self._kept_from = offset
        self._forget()

    def holds(self, offset: int) -> bool:
        """Whether everything from `offset` on is held; nothing at all is enough for the next byte to come."""
        return self.first_offset <= offset <= self.end_offset + 1

    def read_from(self, offset: int, most: int) -> bytes:
        """The bytes from `offset` on, up to so many. Only for an offset it `holds`."""
        begin = bisect_right(self._starts, offset) - 1
        end = bisect_right(self._starts, offset + most - 1)
        skipped = offset - self._starts[begin]
        return b"".join(self._blocks[begin:end])[skipped : skipped + most]

    def resize(self, size: int) -> None:
        """Keep `size` bytes from now on."""
        self.size = size
        self._forget()
