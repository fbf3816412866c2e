"""A block of consecutive stream entries, packed as Redis packs them.

A stream is a row of such nodes. Inside, entries stand one after the other in the elements of a listpack,
each as a difference to the node's first id and, where its fields are those of the node's first entry, without
their names. So a small entry takes some thirty bytes and not as many objects, a node is written to RDB as
it stands, and it is full exactly when it is in Redis, which is what `MAXLEN ~` trims by.

The offsets of the entries still there lie beside it: an id is found by bisection, and only entries that
are asked for are unpacked. An entry that is deleted stays as bytes with a mark until its node goes.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import chain
from sys import getsizeof
from typing import NamedTuple

from shoal.node.dataset.listpack import (
    END,
    HEADER_BYTES,
    NEAR,
    NUMBERS,
    assemble,
    encode_integer,
    encode_text,
    integer_at,
    text_at,
)
from shoal.node.dataset.stream_ids import SEQUENCE_BITS, SEQUENCE_MAX, make_id

Pairs = tuple[bytes, ...]
"""An entry's names and contents in turn."""

LARGEST_NODE_BYTES = 1 << 30
_MOST_OF_COUNTS = 32
"""No less than what `StreamNode.size` has beside its entries and names."""
_MOST_OF_AN_ENTRY, _MOST_OF_A_TEXT = 28, 10
"""No less than what an entry has beside its texts, and a text beside its bytes."""
_WORDS_OF_AN_ENTRY = 4
"""What an entry has beside its contents: flags, two differences, and how many elements it has."""
_WORDS_OF_THE_NODE = 4
"""What a node has beside its names: two counts of entries, one of names, and a zero."""

DELETED = 1
SAME_FIELDS = 2
_INT64_SIGN = 1 << 63


class NodeLimits(NamedTuple):
    """When a node is full: it has so many entries, or would have so many bytes with the texts of one more.

    0 is no limit to either, but for what no node may grow beyond.
    """

    max_bytes: int = 4096
    max_entries: int = 100


class StreamNode:
    """Entries from `first_id` on. `fields` are the names that its first entry has."""

    __slots__ = (
        "_closing",
        "_distance",
        "_head",
        "_millisecond",
        "_more_elements",
        "_offsets",
        "_packed",
        "deleted",
        "fields",
        "first_id",
        "last_id",
    )

    def __init__(self, first_id: int, fields: Sequence[bytes]) -> None:
        self.first_id = first_id
        self.last_id = first_id
        """The greatest id ever put here, deleted or not."""
        self.fields = tuple(fields)
        self.deleted = 0
        """How many entries are only marked as deleted."""
        self._head = encode_integer(len(self.fields)) + b"".join(map(encode_text, self.fields)) + _ZERO
        self._closing = encode_integer(_WORDS_OF_AN_ENTRY - 1 + len(self.fields))
        """Ends an entry that has the node's fields."""
        self._packed = bytearray()
        self._offsets = array("I")
        self._more_elements = 0
        """What entries with other fields have more than the others."""
        self._millisecond = first_id >> SEQUENCE_BITS << SEQUENCE_BITS
        self._distance = _ZERO
        """The millisecond of the latest entry, as its least id; and how far it is from the first entry's."""

    def __len__(self) -> int:
        """How many entries are there."""
        return len(self._offsets)

    @property
    def size(self) -> int:
        """Bytes of the whole listpack."""
        counts = len(encode_integer(len(self))) + len(encode_integer(self.deleted))
        return HEADER_BYTES + counts + len(self._head) + len(self._packed) + len(END)

    @property
    def memory_bytes(self) -> int:
        """What the node takes here."""
        fields = getsizeof(self.fields) + sum(map(getsizeof, self.fields)) + getsizeof(self._head)
        return getsizeof(self) + fields + getsizeof(self._packed) + getsizeof(self._offsets)

    # --- changing ----------------------------------------------------------------------------------

    def extend(self, ids: Sequence[int], entries: Sequence[Pairs], limits: NodeLimits) -> int:
        """Add entries with rising ids behind all others, until the node is full; returns how many it took."""
        if limits.max_entries:
            room = max(limits.max_entries - len(self._offsets) - self.deleted, 0)
            ids, entries = ids[:room], entries[:room]
        max_bytes = min(limits.max_bytes or LARGEST_NODE_BYTES, LARGEST_NODE_BYTES)
        taken = self._append_alike(ids, entries, max_bytes) if len(ids) > 1 else 0
        while taken < len(ids) and self._has_room_for(entries[taken], max_bytes):
            self.append(ids[taken], entries[taken])
            taken += 1
        return taken

    def _has_room_for(self, pairs: Pairs, max_bytes: int) -> bool:
        """Whether the listpack and these texts stay below so many bytes."""
        text_bytes = len(b"".join(pairs))
        most = len(self._packed) + len(self._head) + _MOST_OF_COUNTS + text_bytes
        return most < max_bytes or self.size + text_bytes < max_bytes

    def append(self, entry_id: int, pairs: Pairs) -> None:
        """Add an entry behind all others, be the node full or not."""
        distance = self._distance_of(entry_id)
        if pairs[::2] == self.fields:
            entry = _SAME_FIELDS + distance + b"".join(map(encode_text, pairs[1::2])) + self._closing
        else:
            elements = _WORDS_OF_AN_ENTRY + 1 + len(pairs)
            self._more_elements += elements - _WORDS_OF_AN_ENTRY - len(self.fields)
            texts = encode_integer(len(pairs) // 2) + b"".join(map(encode_text, pairs))
            entry = _ZERO + distance + texts + encode_integer(elements - 1)
        self._offsets.append(len(self._packed))
        self._packed += entry
        self.last_id = entry_id

    def _append_alike(self, ids: Sequence[int], entries: Sequence[Pairs], max_bytes: int) -> int:
        """Add entries as long as they have the node's fields, if all surely fit; returns how many it took.

        Nearly all come this way, which takes half as long as `append`: a distance within the same millisecond
        is looked up.
        """
        fields, packed, closing, add_offset = self.fields, self._packed, self._closing, self._offsets.append
        most_bytes = len(b"".join(chain.from_iterable(entries)))
        most_bytes += len(ids) * (_MOST_OF_AN_ENTRY + _MOST_OF_A_TEXT * len(fields))
        if len(packed) + len(self._head) + _MOST_OF_COUNTS + most_bytes >= max_bytes:
            return 0
        taken, base, near, start = 0, 0, -1, b""
        for entry_id, pairs in zip(ids, entries, strict=True):
            if entry_id > near:
                self._distance_of(entry_id)
                start = _SAME_FIELDS + self._distance
                base = self._millisecond + (self.first_id & SEQUENCE_MAX)
                near = min(base + NEAR - 1, self._millisecond + SEQUENCE_MAX)
                if not base - NEAR <= entry_id <= near:
                    break
            if pairs[::2] != fields:
                break
            texts = encode_text(pairs[1]) if len(pairs) == 2 else b"".join(map(encode_text, pairs[1::2]))
            add_offset(len(packed))
            packed += start + NUMBERS[entry_id - base] + texts + closing
            taken += 1
        if taken:
            self.last_id = ids[taken - 1]
        return taken

    def _distance_of(self, entry_id: int) -> bytes:
        """How far the next entry is from the node's first: in milliseconds, and in sequence."""
        sequence = entry_id - self._millisecond
        if not 0 <= sequence <= SEQUENCE_MAX:
            milliseconds, sequence = entry_id >> SEQUENCE_BITS, entry_id & SEQUENCE_MAX
            self._millisecond = milliseconds << SEQUENCE_BITS
            self._distance = _difference(milliseconds - (self.first_id >> SEQUENCE_BITS))
        later = sequence - (self.first_id & SEQUENCE_MAX)
        return self._distance + (NUMBERS[later] if -NEAR <= later < NEAR else _difference(later))

    def delete(self, start: int, stop: int) -> None:
        """Mark the entries at these positions as deleted."""
        for offset in self._offsets[start:stop]:
            self._packed[offset] |= DELETED
        self.deleted += stop - start
        del self._offsets[start:stop]

    # --- reading -----------------------------------------------------------------------------------

    def position(self, entry_id: int) -> int:
        """How many of the entries have a lesser id."""
        return bisect_left(self._offsets, entry_id, key=self._id_at)

    def id(self, position: int) -> int:
        """The id of the entry at this position."""
        return self._id_at(self._offsets[position])

    def entry(self, position: int) -> tuple[int, list[bytes]]:
        """The entry at this position: its id, names and contents in turn."""
        packed, offset = self._packed, self._offsets[position]
        flags = packed[offset]
        milliseconds, offset = integer_at(packed, offset + 2)
        sequence, offset = integer_at(packed, offset)
        pairs: list[bytes] = []
        if flags & SAME_FIELDS:
            for name in self.fields:
                content, offset = text_at(packed, offset)
                pairs += (name, content)
        else:
            count, offset = integer_at(packed, offset)
            for _ in range(2 * count):
                text, offset = text_at(packed, offset)
                pairs.append(text)
        return self._absolute(milliseconds, sequence), pairs

    def copy(self) -> StreamNode:
        """A node that shares nothing alterable with this one."""
        other = StreamNode(self.first_id, ())
        other.last_id, other.fields, other.deleted = self.last_id, self.fields, self.deleted
        other._head, other._closing, other._more_elements = self._head, self._closing, self._more_elements
        other._packed, other._offsets = bytearray(self._packed), self._offsets[:]
        other._millisecond, other._distance = self._millisecond, self._distance
        return other

    def listpack(self) -> bytes:
        """The node as Redis keeps it."""
        counts = encode_integer(len(self)) + encode_integer(self.deleted)
        alike = (len(self) + self.deleted) * (_WORDS_OF_AN_ENTRY + len(self.fields))
        elements = _WORDS_OF_THE_NODE + len(self.fields) + alike + self._more_elements
        return assemble(elements, counts + self._head + self._packed)

    def _id_at(self, offset: int) -> int:
        milliseconds, offset = integer_at(self._packed, offset + 2)
        return self._absolute(milliseconds, integer_at(self._packed, offset)[0])

    def _absolute(self, milliseconds: int, sequence: int) -> int:
        return make_id((self.first_id >> SEQUENCE_BITS) + milliseconds, self.first_id + sequence)


def _difference(difference: int) -> bytes:
    """The difference of two numbers of 64 bits, which wraps around as theirs does."""
    return encode_integer((difference + _INT64_SIGN & SEQUENCE_MAX) - _INT64_SIGN)


_ZERO = encode_integer(0)
"""Ends the description of a node; begins an entry with fields of its own."""
_SAME_FIELDS = encode_integer(SAME_FIELDS)
"""Begins an entry with those of the node."""
