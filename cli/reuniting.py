"""Recognises nodes that are one cluster already, and brings together those whose addresses have changed."""

from __future__ import annotations

import trio

from shoal.cli.creating import Links, meet_command
from shoal.cli.discovery import read_node
from shoal.cli.tasks import POLL_SECONDS, for_each

_REPEAT_MEET_SECONDS = 1.0


async def are_one_cluster(links: Links) -> bool:
    """Every node knows all the others by id, wherever it believes them to be."""
    nodes = await for_each(list(links.values()), read_node)
    everyone = {node.id for node in nodes}
    return len(nodes) > 1 and all(everyone <= {line.id for line in node.view} for node in nodes)


async def reunite(links: Links) -> None:
    """Until every node is connected to all the others. The caller bounds the time.

    How they part: a node finds the others where it last saw them. One that comes back elsewhere tells the
    rest itself; but when all come back elsewhere, as containers do that get new addresses at every start,
    nobody knows where to find anybody, and the cluster would stay down for ever.
    The remedy: a node that is told to MEET one it knows takes the address for that node's new one, and by
    the greeting the other learns both its own address and the first node's.
    """
    last_met: dict[tuple[str, str], float] = {}
    while True:
        nodes = dict(zip(links, await for_each(list(links.values()), read_node), strict=True))
        address_of = {node.id: address for address, node in nodes.items()}
        apart = [
            (node.id, line.id)
            for node in nodes.values()
            for line in node.view
            if line.id in address_of and not line.is_myself and not line.connected
        ]
        if not apart:
            return
        now = trio.current_time()
        for seeker, sought in apart:
            if now - last_met.get((seeker, sought), -_REPEAT_MEET_SECONDS) >= _REPEAT_MEET_SECONDS:
                last_met[seeker, sought] = now
                address = address_of[sought]
                await links[address_of[seeker]].call(*meet_command(links[address], nodes[address].line))
        await trio.sleep(POLL_SECONDS)
