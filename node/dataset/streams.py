"""A stream: entries in the order of their ids, and the groups that read it.

Entries lie in nodes (`stream_nodes.py`), found by their first id in O(log n). Appending fills the last node;
trimming drops whole nodes from the front.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sortedcontainers import SortedDict

from shoal.node.dataset.numbers import as_int64
from shoal.node.dataset.radix_trees import NODES_OF_NOTHING, nodes_of_key
from shoal.node.dataset.stream_filling import NodeFiller, NodeLimits, Pairs
from shoal.node.dataset.stream_groups import ConsumerGroup
from shoal.node.dataset.stream_ids import MAX_ID, next_id
from shoal.node.dataset.stream_nodes import StreamNode

Entry = tuple[int, list[bytes]]
"""An id, and names and contents in turn."""


class Trim(NamedTuple):
    """What to drop from the front: all beyond `max_length` entries, or all ids below `min_id`.

    `approximate` drops whole nodes only, and none that would bring the number above `limit` (0: no limit).
    """

    max_length: int | None = None
    min_id: int = 0
    approximate: bool = False
    limit: int = 0


class Stream:
    """Its length, its ids and its nodes. A stream without entries stays."""

    __slots__ = (
        "_filler",
        "entries_added",
        "groups",
        "last_id",
        "length",
        "max_deleted_id",
        "nodes",
        "radix_nodes",
    )

    def __init__(self) -> None:
        self.length = 0
        self.last_id = 0
        """The greatest id ever given; the next one is greater."""
        self.max_deleted_id = 0
        """The greatest id that was taken out from between others, by XDEL."""
        self.entries_added = 0
        self.nodes: SortedDict[int, StreamNode] = SortedDict()
        """All nodes by their first ids."""
        self.radix_nodes = NODES_OF_NOTHING
        """Nodes of the radix tree that Redis would keep them in, for XINFO."""
        self._filler: NodeFiller | None = None
        """Adds to the last node; None if nothing was added since it is the last."""
        self.groups: dict[bytes, ConsumerGroup] = {}

    def __len__(self) -> int:
        return self.length

    # --- changing ----------------------------------------------------------------------------------

    def append(self, entry_id: int, pairs: Pairs, limits: NodeLimits) -> None:
        """Add an entry, to a node within these limits; its id is greater than `last_id`."""
        filler = self._filler
        if filler is None or filler.limits is not limits or not filler.add(entry_id, pairs):
            self._append_apart(entry_id, pairs, limits)
        self.length += 1
        self.entries_added += 1
        self.last_id = entry_id

    def append_next(self, now_ms: int, pairs: Pairs, limits: NodeLimits) -> bytes:
        """`append` with the id that `*` stands for; returns its text.

        As in most cases it is one more than the last id, of the same moment, it need not be found out first.
        """
        filler = self._filler
        if filler is not None and filler.limits is limits and (text := filler.add_next(now_ms, pairs)):
            self.last_id = filler.node.last_id = self.last_id + 1
            self.length += 1
            self.entries_added += 1
            return text
        entry_id, text = next_id(self.last_id, now_ms)
        self.append(entry_id, pairs, limits)
        return text

    def _append_apart(self, entry_id: int, pairs: Pairs, limits: NodeLimits) -> None:
        """Add an entry to a new node, or to a last one that nothing was added to within these limits."""
        filler = self._filler
        if self.nodes and (filler is None or filler.limits is not limits):
            self._filler = filler = NodeFiller(self.nodes.peekitem()[1], limits)
            if filler.add(entry_id, pairs):
                return
        node = StreamNode(entry_id, pairs[::2])
        self.add_node(node)
        self._filler = NodeFiller(node, limits)
        self._filler.append(entry_id, pairs)

    def set_last_id(self, last_id: int) -> None:
        """Let the next id be greater than this. It may be lesser than those of entries that were deleted."""
        self.last_id = last_id
        self._filler = None

    def delete(self, entry_id: int) -> bool:
        """Take out an entry; False if there is none of this id."""
        node = self._node_of(entry_id)
        if node is None:
            return False
        position = node.position(entry_id)
        if position == len(node) or node.id(position) != entry_id:
            return False
        if len(node) == 1:
            self._drop_node(node)
        else:
            node.delete(position, position + 1)
        self.length -= 1
        self.max_deleted_id = max(self.max_deleted_id, entry_id)
        return True

    def trim(self, trim: Trim) -> int:
        """Drop entries from the front; returns how many. O(1) for each node that goes, and for one more."""
        before = self.length
        while self.nodes and (trim.max_length is None or self.length > trim.max_length):
            node = self.nodes.peekitem(0)[1]
            if trim.limit and before - self.length + len(node) > trim.limit:
                break
            if trim.max_length is None:
                is_whole = node.last_id < trim.min_id
            else:
                is_whole = self.length - len(node) >= trim.max_length
            if is_whole:
                self._drop_node(node)
                self.length -= len(node)
                continue
            if not trim.approximate:
                surplus = (
                    node.position(trim.min_id) if trim.max_length is None else self.length - trim.max_length
                )
                node.delete(0, surplus)
                self.length -= surplus
            break
        return before - self.length

    def add_node(self, node: StreamNode) -> None:
        """Put a node behind the others."""
        self.nodes[node.first_id] = node
        self.radix_nodes += nodes_of_key(self.nodes, node.first_id)

    def _drop_node(self, node: StreamNode) -> None:
        self.radix_nodes -= nodes_of_key(self.nodes, node.first_id)
        del self.nodes[node.first_id]
        if self._filler is not None and node is self._filler.node:
            self._filler = None

    # --- reading -----------------------------------------------------------------------------------

    def entries(self, start: int = 0, end: int = MAX_ID) -> Iterator[Entry]:
        """Entries with ids from `start` to `end`, both included. O(log n) for the first."""
        first = next(self.nodes.irange(maximum=start, reverse=True), None)
        for key in self.nodes.irange(minimum=first):
            node = self.nodes[key]
            if key > end:
                return
            stop = len(node) if node.last_id <= end else node.position(end + 1)
            for position in range(0 if key >= start else node.position(start), stop):
                yield node.entry(position)

    def entries_backwards(self, start: int = 0, end: int = MAX_ID) -> Iterator[Entry]:
        """The same entries, the greatest id first."""
        for key in self.nodes.irange(maximum=end, reverse=True):
            node = self.nodes[key]
            if node.last_id < start:
                return
            stop = len(node) if node.last_id <= end else node.position(end + 1)
            first = 0 if key >= start else node.position(start)
            for position in range(stop - 1, first - 1, -1):
                yield node.entry(position)

    def get(self, entry_id: int) -> Entry | None:
        """The entry of this id."""
        return next(self.entries(entry_id, entry_id), None)

    def has(self, entry_id: int) -> bool:
        """Whether there is an entry of this id."""
        node = self._node_of(entry_id)
        position = 0 if node is None else node.position(entry_id)
        return node is not None and position < len(node) and node.id(position) == entry_id

    @property
    def first_id(self) -> int:
        """The id of the first entry; 0 without entries."""
        return next((node.id(0) for node in self.nodes.values() if len(node)), 0) if self.length else 0

    @property
    def trimmed_to(self) -> int:
        """The id below which everything is gone, as whole nodes went."""
        first: int = self.nodes.peekitem(0)[0] if self.nodes else MAX_ID
        return first

    @property
    def top_id(self) -> int:
        """The id of the last entry that is there; 0 without entries."""
        if not self.length:
            return 0
        nodes: Iterator[StreamNode] = (self.nodes[key] for key in reversed(self.nodes))
        return next(node.id(len(node) - 1) for node in nodes if len(node))

    def _node_of(self, entry_id: int) -> StreamNode | None:
        """The node where an entry of this id would be."""
        key = next(self.nodes.irange(maximum=entry_id, reverse=True), None)
        return None if key is None else self.nodes[key]

    # --- how far a group is ------------------------------------------------------------------------

    def deliver(self, group: ConsumerGroup, entry_id: int) -> None:
        """Let a group's reading reach an entry, which is greater than what it read last."""
        if group.entries_read is not None and not self._has_gaps_from(entry_id):
            group.entries_read = as_int64(group.entries_read + 1)
        elif self.entries_added:
            group.entries_read = self.count_added_until(entry_id)
        group.last_id = entry_id

    def lag(self, group: ConsumerGroup) -> int | None:
        """How many entries the group has still to read; None if entries taken out make that unknown."""
        if not self.entries_added:
            return 0
        read = group.entries_read
        if read is None or self._has_gaps_from(group.last_id):
            read = self.count_added_until(group.last_id)
        return None if read is None else as_int64(self.entries_added - read)

    def count_added_until(self, entry_id: int) -> int | None:
        """How many entries were ever added up to this id; None where that is not known.

        It is known at either end: before and at the first entry (unless XDEL took one out behind it, since
        nobody knows how many) and at the last id.
        """
        if not self.entries_added:
            return 0
        if entry_id == self.last_id or (not self.length and entry_id < self.last_id):
            return as_int64(self.entries_added)
        first = self.first_id
        if entry_id > self.last_id or self.max_deleted_id >= first:
            return None
        if entry_id < first:
            return self.entries_added - self.length
        return self.entries_added - self.length + 1 if entry_id == first else None

    def _has_gaps_from(self, entry_id: int) -> bool:
        """Whether XDEL took an entry at or behind this id, and not only before the first that is left."""
        return self.length > 0 and self.first_id <= self.max_deleted_id >= entry_id

    def copied(self) -> Stream:
        """A stream that shares nothing alterable with this one."""
        other = Stream()
        other.length, other.last_id = self.length, self.last_id
        other.max_deleted_id, other.entries_added = self.max_deleted_id, self.entries_added
        other.radix_nodes = self.radix_nodes
        for node in self.nodes.values():
            copied = node.copy()
            other.nodes[copied.first_id] = copied
        other.groups = {name: group.copy() for name, group in self.groups.items()}
        return other
