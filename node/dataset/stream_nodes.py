"""A block of consecutive stream entries, packed as Redis packs them.

A stream is a row of such nodes. Inside, entries stand one after the other in the elements of a listpack,
each as a difference to the node's first id and, where its fields are those of the node's first entry, without
their names. So a small entry takes some thirty bytes and not as many objects, a node is written to RDB as
it stands, and it is full exactly when it is in Redis, which is what `MAXLEN ~` trims by.

The offsets of the entries still there lie beside it: an id is found by bisection, and only entries that
are asked for are unpacked. An entry that is deleted stays as bytes with a mark until its node goes. How
entries are added is the matter of `stream_filling.py`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from sys import getsizeof

from shoal.node.dataset.listpack import (
    END,
    HEADER_BYTES,
    assemble,
    encode_integer,
    encode_text,
    integer_at,
    text_at,
)
from shoal.node.dataset.stream_ids import SEQUENCE_BITS, make_id

WORDS_OF_AN_ENTRY = 4
"""What an entry has beside its contents: flags, two differences, and how many elements it has."""
_WORDS_OF_THE_NODE = 4
"""What a node has beside its names: two counts of entries, one of names, and a zero."""

DELETED = 1
SAME_FIELDS = 2


class StreamNode:
    """Entries from `first_id` on. `fields` are the names that its first entry has."""

    __slots__ = (
        "_head",
        "deleted",
        "fields",
        "first_id",
        "last_id",
        "more_elements",
        "offsets",
        "packed",
    )

    def __init__(self, first_id: int, fields: Sequence[bytes]) -> None:
        self.first_id = first_id
        self.last_id = first_id
        """The greatest id ever put here, deleted or not."""
        self.fields = tuple(fields)
        self.deleted = 0
        """How many entries are only marked as deleted."""
        self._head = encode_integer(len(self.fields)) + b"".join(map(encode_text, self.fields)) + ZERO
        self.packed = bytearray()
        """The elements of all entries."""
        self.offsets = array("I")
        """Where in it those begin that are there."""
        self.more_elements = 0
        """What entries with other fields have more than the others."""

    def __len__(self) -> int:
        """How many entries are there."""
        return len(self.offsets)

    @property
    def size(self) -> int:
        """Bytes of the whole listpack."""
        counts = len(encode_integer(len(self))) + len(encode_integer(self.deleted))
        return HEADER_BYTES + counts + len(self._head) + len(self.packed) + len(END)

    @property
    def memory_bytes(self) -> int:
        """What the node takes here."""
        fields = getsizeof(self.fields) + sum(map(getsizeof, self.fields)) + getsizeof(self._head)
        return getsizeof(self) + fields + getsizeof(self.packed) + getsizeof(self.offsets)

    def delete(self, start: int, stop: int) -> None:
        """Mark the entries at these positions as deleted."""
        for offset in self.offsets[start:stop]:
            self.packed[offset] |= DELETED
        self.deleted += stop - start
        del self.offsets[start:stop]

    # --- reading -----------------------------------------------------------------------------------

    def position(self, entry_id: int) -> int:
        """How many of the entries have a lesser id."""
        return bisect_left(self.offsets, entry_id, key=self._id_at)

    def id(self, position: int) -> int:
        """The id of the entry at this position."""
        return self._id_at(self.offsets[position])

    def entry(self, position: int) -> tuple[int, list[bytes]]:
        """The entry at this position: its id, names and contents in turn."""
        packed, offset = self.packed, self.offsets[position]
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
        other._head, other.more_elements = self._head, self.more_elements
        other.packed, other.offsets = bytearray(self.packed), self.offsets[:]
        return other

    def listpack(self) -> bytes:
        """The node as Redis keeps it."""
        counts = encode_integer(len(self)) + encode_integer(self.deleted)
        alike = (len(self) + self.deleted) * (WORDS_OF_AN_ENTRY + len(self.fields))
        elements = _WORDS_OF_THE_NODE + len(self.fields) + alike + self.more_elements
        return assemble(elements, counts + self._head + self.packed)

    def _id_at(self, offset: int) -> int:
        milliseconds, offset = integer_at(self.packed, offset + 2)
        return self._absolute(milliseconds, integer_at(self.packed, offset)[0])

    def _absolute(self, milliseconds: int, sequence: int) -> int:
        return make_id((self.first_id >> SEQUENCE_BITS) + milliseconds, self.first_id + sequence)


ZERO = encode_integer(0)
"""Ends the description of a node; begins an entry with fields of its own."""
