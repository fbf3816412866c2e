"""How many nodes a compressed radix tree over stream ids has: the figure XINFO gives for Redis's.

The tree branches by the bytes of its keys, here sixteen each. A branch is a node, a leaf is a node, and the
bytes in between, if there are any, are one more. Nobody needs the tree itself, since the keys
lie in order: what one key adds to the count follows from its neighbours.
"""

from __future__ import annotations

from typing import Any

from shoal.node.dataset.stream_ids import ID_BYTES

NODES_OF_NOTHING = 1
"""The root."""


def nodes_of_key(keys: Any, key: int) -> int:
    """How many nodes the tree over these sorted keys has more than it would have without this one.

    `key` is one of them. Below, depths are in bytes from the root: the key leaves the others at `branch`. If
    just one child is left there without it, that branch goes too, and the bytes above and below it
    become one stretch.
    """
    before, after = _before(keys, key), _after(keys, key)
    branch = max(_common(before, key), _common(after, key))
    if branch < 0:
        return 1
    leaf = 1 + (branch < ID_BYTES - 1)
    rest = 8 * (ID_BYTES - branch)
    low = key >> rest << rest
    high = low + (1 << rest) - 1
    first = next(keys.irange(low, high)) if before is not None and before >= low else after
    last = next(keys.irange(low, high, reverse=True)) if after is not None and after <= high else before
    joined = _common(first, last) if first != last else ID_BYTES
    if joined <= branch:
        return leaf
    above = max(_common(_before(keys, low), key), _common(_after(keys, high), key))
    return leaf + (branch - above > 1) + (joined - branch > 1)


def _before(keys: Any, key: int) -> int | None:
    return next(keys.irange(maximum=key, inclusive=(True, False), reverse=True), None)


def _after(keys: Any, key: int) -> int | None:
    return next(keys.irange(minimum=key, inclusive=(False, True)), None)


def _common(one: int | None, other: int | None) -> int:
    """How many bytes two keys begin with in common; -1 if there is no such key."""
    if one is None or other is None:
        return -1
    return ID_BYTES - ((one ^ other).bit_length() + 7) // 8
