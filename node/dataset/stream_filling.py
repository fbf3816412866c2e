"""Adding entries to the last node of a stream, until it is full.

Nearly every entry is like the one before: it has the fields of the node, and is of the same millisecond.
What such entries have in common is kept at hand here. So adding one is to compare what might differ, and to
put its bytes together in one go. Where the id is for us to find as well, which is the next one then, nothing
is reckoned with numbers of 128 bits.
"""

from __future__ import annotations

from typing import NamedTuple

from shoal.node.dataset.listpack import (
    BEFORE_SHORT_TEXT,
    BEHIND_SHORT_TEXT,
    NEAR,
    NO_NUMBER,
    NUMBERS,
    SHORT_TEXT_BYTES,
    encode_integer,
    encode_text,
)
from shoal.node.dataset.stream_ids import NUMERALS, SEQUENCE_BITS, SEQUENCE_MAX, beginning_of_ids
from shoal.node.dataset.stream_nodes import SAME_FIELDS, WORDS_OF_AN_ENTRY, ZERO, StreamNode

Pairs = tuple[bytes, ...]
"""An entry's names and contents in turn."""

LARGEST_NODE_BYTES = 1 << 30
_NO_LIMIT = 1 << 62
_COUNTS_GROW_BY = 12
"""No less than what the two counts of a node's entries come to take more than in the beginning."""
_NUMBERS_SAVE = 16
"""No less than what a text that is written as a number takes less so."""
_INT64_SIGN = 1 << 63
_SAME_FIELDS = encode_integer(SAME_FIELDS)
"""Begins an entry with the fields of its node."""


class NodeLimits(NamedTuple):
    """When a node is full: it has so many entries, or would have so many bytes with the texts of one more.

    0 is no limit to either, but for what no node may grow beyond.
    """

    max_bytes: int = 4096
    max_entries: int = 100


class NodeFiller:
    """Adds entries to a node. The id of each is greater than those before."""

    __slots__ = (
        "_allowed_bytes",
        "_allowed_entries",
        "_base",
        "_beginning",
        "_closing",
        "_first_sequence",
        "_id_beginning",
        "_later",
        "_moment",
        "_most_later",
        "_name",
        "_near",
        "_surely_fit",
        "limits",
        "node",
    )

    def __init__(self, node: StreamNode, limits: NodeLimits) -> None:
        self.node = node
        self.limits = limits
        self._allowed_entries = limits.max_entries or _NO_LIMIT
        self._allowed_bytes = min(limits.max_bytes or LARGEST_NODE_BYTES, LARGEST_NODE_BYTES)
        others = node.size - len(node.packed) + _COUNTS_GROW_BY
        others += len(b"".join(node.fields)) + _NUMBERS_SAVE * len(node.fields)
        self._surely_fit = self._allowed_bytes - others
        """While entries and the contents of one more take fewer bytes, there is room for that."""
        self._name = node.fields[0] if len(node.fields) == 1 else None
        """That of its only field."""
        self._closing = encode_integer(WORDS_OF_AN_ENTRY - 1 + len(node.fields))
        """Ends an entry with its fields."""
        self._base, self._near, self._beginning = 0, -1, b""
        """Of the latest entry's millisecond: the id with the sequence number of the node's first; the
        greatest whose difference to that is looked up; how entries with the node's fields begin."""
        self._moment, self._id_beginning = -1, b""
        """That millisecond, unless the sequence number of its latest entry is so far below that of the node's
        first that the difference is not looked up; and how the texts of its ids begin."""
        self._first_sequence = node.first_id & SEQUENCE_MAX
        self._later, self._most_later = 0, min(NEAR - 1, SEQUENCE_MAX - self._first_sequence)
        """The latest entry's sequence number less that of the node's first, and the most that is known."""

    def add_next(self, now_ms: int, pairs: Pairs) -> bytes:
        """Add an entry whose id is the next one, and of this moment; returns the text of the id.

        That is for an entry as most are. Of any other nothing is done, and b"" returned.
        """
        if now_ms != self._moment or len(pairs) != 2:
            return b""
        name, content = pairs
        node, size, later = self.node, len(content), self._later + 1
        packed, offsets = node.packed, node.offsets
        at = len(packed)
        if (
            name != self._name
            or content < NO_NUMBER
            or size >= SHORT_TEXT_BYTES
            or later > self._most_later
            or at + size + 2 >= self._surely_fit
            or len(offsets) + node.deleted >= self._allowed_entries
        ):
            return b""
        offsets.append(at)
        before, behind = BEFORE_SHORT_TEXT[size], BEHIND_SHORT_TEXT[size]
        packed += b"".join((self._beginning, NUMBERS[later], before, content, behind, self._closing))
        self._later = later
        sequence = self._first_sequence + later
        return self._id_beginning + (NUMERALS[sequence] if sequence < len(NUMERALS) else b"%d" % sequence)

    def add(self, entry_id: int, pairs: Pairs) -> bool:
        """Add an entry if it is within the limits; False if the node is full."""
        if len(pairs) == 2:
            name, content = pairs
            if name != self._name:
                return self._add_other(entry_id, pairs)
            size = len(content)
            if content > NO_NUMBER and size < SHORT_TEXT_BYTES:
                text = BEFORE_SHORT_TEXT[size] + content + BEHIND_SHORT_TEXT[size]
            else:
                text = encode_text(content)
        elif pairs[::2] == self.node.fields:
            text = b"".join(map(encode_text, pairs[1::2]))
        else:
            return self._add_other(entry_id, pairs)
        node = self.node
        packed, offsets = node.packed, node.offsets
        at = len(packed)
        if at + len(text) >= self._surely_fit or len(offsets) + node.deleted >= self._allowed_entries:
            return self._add_other(entry_id, pairs)
        offsets.append(at)
        if entry_id <= self._near:
            self._later = entry_id - self._base
            packed += self._beginning + NUMBERS[self._later] + text + self._closing
        else:
            packed += _SAME_FIELDS + self._distance_of(entry_id) + text + self._closing
        node.last_id = entry_id
        return True

    def _add_other(self, entry_id: int, pairs: Pairs) -> bool:
        """`add` an entry with other fields than the node, or where it may be full."""
        node = self.node
        if len(node.offsets) + node.deleted >= self._allowed_entries:
            return False
        text_bytes = len(b"".join(pairs))
        may_not_fit = len(node.packed) + text_bytes >= self._surely_fit
        if may_not_fit and node.size + text_bytes >= self._allowed_bytes:
            return False
        self.append(entry_id, pairs)
        return True

    def append(self, entry_id: int, pairs: Pairs) -> None:
        """Add an entry, be the node full or not."""
        node, distance = self.node, self._distance_of(entry_id)
        if pairs[::2] == node.fields:
            entry = _SAME_FIELDS + distance + b"".join(map(encode_text, pairs[1::2])) + self._closing
        else:
            elements = WORDS_OF_AN_ENTRY + 1 + len(pairs)
            node.more_elements += elements - WORDS_OF_AN_ENTRY - len(node.fields)
            texts = encode_integer(len(pairs) // 2) + b"".join(map(encode_text, pairs))
            entry = ZERO + distance + texts + encode_integer(elements - 1)
        node.offsets.append(len(node.packed))
        node.packed += entry
        node.last_id = entry_id

    def _distance_of(self, entry_id: int) -> bytes:
        """How far an entry is from the node's first: in milliseconds, and in sequence."""
        milliseconds, sequence = entry_id >> SEQUENCE_BITS, entry_id & SEQUENCE_MAX
        later = self._later = sequence - self._first_sequence
        distance = _difference(milliseconds - (self.node.first_id >> SEQUENCE_BITS))
        self._base, self._beginning = entry_id - later, _SAME_FIELDS + distance
        self._id_beginning = beginning_of_ids(milliseconds)
        if later >= -NEAR:
            self._moment, self._near = milliseconds, min(self._base + NEAR - 1, entry_id | SEQUENCE_MAX)
        else:
            self._moment = self._near = -1
        return distance + _difference(later)


def _difference(difference: int) -> bytes:
    """The difference of two numbers of 64 bits, which wraps around as theirs does."""
    if -NEAR <= difference < NEAR:
        return NUMBERS[difference]
    return encode_integer((difference + _INT64_SIGN & SEQUENCE_MAX) - _INT64_SIGN)
