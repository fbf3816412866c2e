"""Recognises nodes that are one cluster already, and brings together those whose addresses have changed."""

from __future__ import annotations

from collections.abc import Mapping

import trio

from shoal.cli.addresses import Address
from shoal.cli.creating import Links, meet_command
from shoal.cli.discovery import read_node
from shoal.cli.tasks import POLL_SECONDS, for_each
from shoal.cli.topology import Node

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
    last_met: dict[tuple[Address, Address], float] = {}
    while True:
        nodes = dict(zip(links, await for_each(list(links.values()), read_node), strict=True))
        apart = find_apart(nodes)
        if not apart:
            return
        now = trio.current_time()
        for seeker, sought in apart:
            if now - last_met.get((seeker, sought), -_REPEAT_MEET_SECONDS) >= _REPEAT_MEET_SECONDS:
                last_met[seeker, sought] = now
                await links[seeker].call(*meet_command(links[sought], nodes[sought].line))
        await trio.sleep(POLL_SECONDS)


def find_apart(nodes: Mapping[Address, Node]) -> list[tuple[Address, Address]]:
    """Pairs of a node and another that it is not connected to, or that believes to be somewhere else.

    A node learns its own address when somebody meets it, and keeps it when it comes back elsewhere.
    """
    address_of = {node.id: address for address, node in nodes.items()}
    return [
        (address, address_of[line.id])
        for address, node in nodes.items()
        for line in node.view
        if line.id in address_of
        and not line.is_myself
        and (not line.connected or line.host != nodes[address_of[line.id]].line.host)
    ]
