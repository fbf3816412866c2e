"""The recent end of the replication stream, so that a replica that lost its link can go on from there."""

from __future__ import annotations


class Backlog:
    """The last `size` bytes of the stream, and more while a replica still has to get it.

    Offsets count the stream's bytes from 1.

    Replicas that are being given a snapshot share what is held for them, however many they are, and whoever
    lost its link meanwhile may go on from there too. A bytearray forgets its front by moving a pointer, so
    keeping only the end costs nothing per write.
    """

    __slots__ = ("_data", "_kept_from", "end_offset", "size")

    def __init__(self, size: int, end_offset: int) -> None:
        self.size = size
        self.end_offset = end_offset
        """The offset of the last byte written, whether or not it is still held."""
        self._data = bytearray()
        self._kept_from: int | None = None
        """The first byte that somebody still has to get."""

    def __len__(self) -> int:
        """How many bytes are held."""
        return len(self._data)

    @property
    def first_offset(self) -> int:
        """The offset of the oldest byte held, or of the next one to come."""
        return self.end_offset - len(self._data) + 1

    def append(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._data += data
        self.end_offset += len(data)
        if len(self._data) > self.size:
            self._forget()

    def _forget(self) -> None:
        surplus = len(self._data) - self.size
        if self._kept_from is not None:
            surplus = min(surplus, self._kept_from - self.first_offset)
        if surplus > 0:
            del self._data[:surplus]

    def keep_from(self, offset: int | None) -> None:
        """Forget nothing from this offset on, whatever the size; None: nobody needs that any more."""
        self._kept_from = offset
        self._forget()

    def holds(self, offset: int) -> bool:
        """Whether everything from `offset` on is held; nothing at all is enough for the next byte to come."""
        return self.first_offset <= offset <= self.end_offset + 1

    def read_from(self, offset: int) -> bytes:
        """The bytes from `offset` on. Only for an offset it `holds`."""
        return bytes(self._data[offset - self.first_offset :])

    def resize(self, size: int) -> None:
        """Keep `size` bytes from now on."""
        self.size = size
        self._forget()
