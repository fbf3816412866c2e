"""How much memory values take, estimated from what CPython reports of the objects they are made of.

For MEMORY USAGE. Every byte string and container is counted with its own overhead; what several values share,
such as small integers, is counted for none.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from sys import getsizeof

from shoal.node.dataset.hashes import HashValue, PackedHash
from shoal.node.dataset.lists import ListValue
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.stream_groups import ConsumerGroup
from shoal.node.dataset.streams import Stream
from shoal.node.dataset.values import SetValue, Value

FLOAT_BYTES = getsizeof(0.5)
POINTER_BYTES = 8


def key_bytes(key: bytes, value: Value, *, expires: bool, samples: int) -> int:
    """A key with its entries in tables and its value, in bytes. `samples` elements stand for all; 0: all."""
    entry = getsizeof(key) + 4 * POINTER_BYTES
    expiry = 4 * POINTER_BYTES if expires else 0
    return entry + expiry + value_bytes(value, samples)


def value_bytes(value: Value, samples: int = 0) -> int:
    """A value with everything in it, in bytes."""
    match value:
        case bytes() | bytearray():
            return getsizeof(value)
        case ListValue():
            return _list_bytes(value, samples)
        case PackedHash():
            return getsizeof(value) + getsizeof(value.packed)
        case HashValue():
            pairs = (getsizeof(field) + getsizeof(content) for field, content in value.items())
            return getsizeof(value) + _total(pairs, len(value), samples)
        case SetValue():
            return getsizeof(value) + _total(map(getsizeof, value), len(value), samples)
        case SortedSet():
            members = (getsizeof(member) + FLOAT_BYTES + 2 * POINTER_BYTES for member in value.scores)
            return getsizeof(value.scores) + _total(members, len(value.scores), samples)

        case Stream():
            nodes = (node.memory_bytes + 4 * POINTER_BYTES for node in value.nodes.values())
            groups = (getsizeof(name) + _group_bytes(group, samples) for name, group in value.groups.items())
            own = getsizeof(value) + getsizeof(value.nodes) + getsizeof(value.groups)
            return own + _total(nodes, len(value.nodes), samples) + sum(groups)


def _list_bytes(value: ListValue, samples: int) -> int:
    """Its ends, which are short, and its nodes, of which some stand for all."""
    nodes = (
        getsizeof(node) + (sum(map(getsizeof, node)) if isinstance(node, tuple) else 0)
        for node in value.nodes
    )
    ends = sum(map(getsizeof, (value.head, value.tail, *value.head, *value.tail)))
    own = getsizeof(value) + (getsizeof(value.nodes) if value.nodes else 0)
    return own + ends + _total(nodes, len(value.nodes), samples)


def _group_bytes(group: ConsumerGroup, samples: int) -> int:
    pending = (
        getsizeof(entry_id) + getsizeof(entry) + 8 * POINTER_BYTES
        for entry_id, entry in group.pending.items()
    )
    consumers = (
        getsizeof(one) + getsizeof(name) + getsizeof(one.pending) for name, one in group.consumers.items()
    )
    own = getsizeof(group) + getsizeof(group.pending) + getsizeof(group.consumers)
    return (
        own + _total(pending, len(group.pending), samples) + _total(consumers, len(group.consumers), samples)
    )


def _total(sizes: Iterable[int], count: int, samples: int) -> int:
    """The sum of all sizes, or what the first few make likely."""
    if not samples or samples >= count:
        return sum(sizes)
    return sum(islice(sizes, samples)) * count // samples
