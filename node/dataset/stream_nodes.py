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
from sys import getsizeof

from shoal.node.dataset.listpack import (
    END,
    HEADER_BYTES,
    SMALL_NUMBERS,
    assemble,
    encode_integer,
    encode_text,
    integer_at,
    text_at,
)
from shoal.node.dataset.stream_ids import SEQUENCE_BITS, SEQUENCE_MAX, make_id

LARGEST_NODE_BYTES = 1 << 30
_MOST_OF_COUNTS = 32
"""No less than what `StreamNode.size` has beside its entries and names."""

DELETED = 1
SAME_FIELDS = 2
_INT64_SIGN = 1 << 63


class StreamNode:
    """Entries from `first_id` on. `fields` are the names that its first entry has."""

    __slots__ = ("_elements", "_head", "_offsets", "_packed", "deleted", "fields", "first_id", "last_id")

    def __init__(self, first_id: int, fields: Sequence[bytes]) -> None:
        self.first_id = first_id
        self.last_id = first_id
        """The greatest id ever put here, deleted or not."""
        self.fields = tuple(fields)
        self.deleted = 0
        """How many entries are only marked as deleted."""
        self._head = encode_integer(len(self.fields)) + b"".join(map(encode_text, self.fields)) + _ZERO
        self._packed = bytearray()
        self._elements = 4 + len(self.fields)
        self._offsets = array("I")

    def __len__(self) -> int:
        """How many entries are there."""
        return len(self._offsets)

    @property
    def size(self) -> int:
        """Bytes of the whole listpack."""
        counts = len(encode_integer(len(self))) + len(encode_integer(self.deleted))
        return HEADER_BYTES + counts + len(self._head) + len(self._packed) + len(END)

    def is_full_for(self, pairs: Sequence[bytes], max_bytes: int, max_entries: int) -> bool:
        """Whether an entry with these names and contents begins a new node."""
        if 0 < max_entries <= len(self._offsets) + self.deleted:
            return True
        if not 0 < max_bytes <= LARGEST_NODE_BYTES:
            max_bytes = LARGEST_NODE_BYTES
        text_bytes = len(b"".join(pairs))
        if len(self._packed) + text_bytes + len(self._head) + _MOST_OF_COUNTS < max_bytes:
            return False
        return self.size + text_bytes >= max_bytes

    @property
    def memory_bytes(self) -> int:
        """What the node takes here."""
        fields = getsizeof(self.fields) + sum(map(getsizeof, self.fields)) + getsizeof(self._head)
        return getsizeof(self) + fields + getsizeof(self._packed) + getsizeof(self._offsets)

    def append(self, entry_id: int, pairs: Sequence[bytes], *, deleted: bool = False) -> None:
        """Add an entry behind all others: names and contents in turn."""
        packed, first_id = self._packed, self.first_id
        later = entry_id - first_id
        if 0 <= later < len(SMALL_NUMBERS) and later <= entry_id & SEQUENCE_MAX:
            distance = _WITHIN_A_MILLISECOND[later]
        else:
            milliseconds = _difference(entry_id >> SEQUENCE_BITS, first_id >> SEQUENCE_BITS)
            distance = milliseconds + _difference(entry_id, first_id)
        if tuple(pairs[::2]) == self.fields:
            flags, elements = SAME_FIELDS, 4 + len(self.fields)
            texts = encode_text(pairs[1]) if len(pairs) == 2 else b"".join(map(encode_text, pairs[1::2]))
        else:
            flags, elements = 0, 5 + len(pairs)
            texts = encode_integer(len(pairs) // 2) + b"".join(map(encode_text, pairs))
        if deleted:
            self.deleted += 1
            flags |= DELETED
        else:
            self._offsets.append(len(packed))
        size = SMALL_NUMBERS[elements - 1] if elements < 128 else encode_integer(elements - 1)
        packed += SMALL_NUMBERS[flags] + distance + texts + size
        self._elements += elements
        self.last_id = entry_id

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

    def delete(self, start: int, stop: int) -> None:
        """Mark the entries at these positions as deleted."""
        for offset in self._offsets[start:stop]:
            self._packed[offset] |= DELETED
        self.deleted += stop - start
        del self._offsets[start:stop]

    def copy(self) -> StreamNode:
        """A node that shares nothing alterable with this one."""
        other = StreamNode(self.first_id, ())
        other.last_id, other.fields, other.deleted = self.last_id, self.fields, self.deleted
        other._head, other._elements = self._head, self._elements
        other._packed, other._offsets = bytearray(self._packed), self._offsets[:]
        return other

    def listpack(self) -> bytes:
        """The node as Redis keeps it."""
        counts = encode_integer(len(self)) + encode_integer(self.deleted)
        return assemble(self._elements, counts + self._head + self._packed)

    def _id_at(self, offset: int) -> int:
        milliseconds, offset = integer_at(self._packed, offset + 2)
        return self._absolute(milliseconds, integer_at(self._packed, offset)[0])

    def _absolute(self, milliseconds: int, sequence: int) -> int:
        return make_id((self.first_id >> SEQUENCE_BITS) + milliseconds, self.first_id + sequence)


def _difference(number: int, base: int) -> bytes:
    """The difference of two numbers of 64 bits, which wraps around as theirs does."""
    difference = number - base & SEQUENCE_MAX
    if difference < len(SMALL_NUMBERS):
        return SMALL_NUMBERS[difference]
    return encode_integer(difference - (1 << SEQUENCE_BITS) if difference & _INT64_SIGN else difference)


_WITHIN_A_MILLISECOND = [SMALL_NUMBERS[0] + sequence for sequence in SMALL_NUMBERS]
"""How far an entry is from the first of its node, if both are of the same millisecond."""
_ZERO = encode_integer(0)
"""Ends the description of a node; where an entry ends, its number of elements stands there."""
