"""How many keys nodes hold in which slots, whether the slots are theirs or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shoal.cli.client import Connection
from shoal.cli.discovery import Cluster
from shoal.cli.tasks import for_each
from shoal.cli.topology import Node

_COUNT_AT_ONCE = 2048

KeyCounts = Mapping[int, Mapping[str, int]]
"""By slot, the primaries that hold keys of it and how many."""


async def count_keys(node: Connection, slots: Sequence[int]) -> list[int]:
    """How many keys a node holds in each of these slots."""
    counts: list[int] = []
    for start in range(0, len(slots), _COUNT_AT_ONCE):
        commands = [("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in slots[start : start + _COUNT_AT_ONCE]]
        replies = await node.call_many(commands)
        counts += [reply if isinstance(reply, int) else 0 for reply in replies]
    return counts


async def count_everywhere(cluster: Cluster, slots: Sequence[int]) -> KeyCounts:
    """Who holds keys of these slots."""
    primaries = [node for node in cluster.view.primaries if node.keys]

    async def count(node: Node) -> list[int]:
        return await count_keys(cluster.connection(node.id), slots)

    columns = await for_each(primaries, count)
    held: dict[int, dict[str, int]] = {slot: {} for slot in slots}
    for node, column in zip(primaries, columns, strict=True):
        for slot, keys in zip(slots, column, strict=True):
            if keys:
                held[slot][node.id] = keys
    return held
