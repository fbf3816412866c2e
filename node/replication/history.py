"""Which stream of changes this node's data is the sum of, and how far."""

from __future__ import annotations

from collections.abc import Callable

from shoal.node.replication.backlog import Backlog

REPLID_SIZE = 40
NO_REPLID = "0" * REPLID_SIZE
NO_SECOND_OFFSET = -1


class History:
    """A replication ID, an offset in it, and the stream's end.

    How two IDs arise: a promoted replica goes on with a stream of its own, which is its old primary's up to
    the promotion and differs after it. If it kept the ID, an old primary that had written more than the
    replica received could ask to go on from an offset whose bytes mean something else here, and the two
    would differ for ever without knowing it. If it only took a new ID, every other replica of the old
    primary would need all the data again, though it holds the very same bytes.

    The rule: at a promotion the old ID is kept as the second one, valid up to the offset after the last byte
    applied under it. Whoever asks to go on from there or before, under either ID, shares our past
    and may; whoever is further on under the old ID has bytes that we do not have and may not.

    Source: Redis's replication documentation, "Replication ID explained".
    """

    __slots__ = ("backlog", "offset", "on_backlog", "replid", "second_offset", "second_replid")

    def __init__(self, replid: str, on_backlog: Callable[[], None] = lambda: None) -> None:
        self.replid = replid
        self.on_backlog = on_backlog
        """Called when the stream's end begins, or ceases, to be remembered."""
        self.offset = 0
        """How many bytes of the stream the data includes."""
        self.second_replid = NO_REPLID
        self.second_offset = NO_SECOND_OFFSET
        """The first offset that is no longer shared with `second_replid`'s stream."""
        self.backlog: Backlog | None = None

    def feed(self, data: bytes) -> None:
        """The data now includes these next bytes of the stream."""
        self.offset += len(data)
        if self.backlog is not None:
            self.backlog.append(data)

    def keep_backlog(self, size: int) -> None:
        """Remember the stream's end from now on, if not already."""
        if self.backlog is None:
            self.backlog = Backlog(size, self.offset)
            self.on_backlog()

    def continues(self, replid: str, offset: int) -> bool:
        """Whether a replica of this past can go on with the byte at `offset` from what is held."""
        shared = replid == self.replid or (replid == self.second_replid and offset <= self.second_offset)
        return shared and self.backlog is not None and self.backlog.holds(offset)

    def begin_anew(self, replid: str, least_offset: int = 0) -> None:
        """A past that nobody shares: what was written uncounted makes older offsets meaningless."""
        self.replid = replid
        self.offset = max(self.offset, least_offset)
        self.second_replid = NO_REPLID
        self.second_offset = NO_SECOND_OFFSET
        self.backlog = None
        self.on_backlog()

    def shift(self, replid: str) -> None:
        """Go on under a new ID from here, remembering the one so far as the second."""
        self.second_replid = self.replid
        self.second_offset = self.offset + 1
        self.replid = replid

    def adopt(self, replid: str, offset: int) -> None:
        """The data was replaced by a primary's snapshot, taken at this offset of its stream."""
        self.begin_anew(replid)
        self.offset = offset
