"""Forms a cluster out of empty nodes, with as little waiting as the protocol allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import trio

from shoal.cli.addresses import BUS_PORT_OFFSET, Address
from shoal.cli.client import Command, Connection
from shoal.cli.discovery import expect_ok, expect_text, read_node
from shoal.cli.errors import CliError, ReplyError
from shoal.cli.planning import Shard
from shoal.cli.tasks import POLL_SECONDS, for_each
from shoal.cli.topology import parse_cluster_nodes
from shoal.cluster.slots import SLOT_COUNT

JOIN_TIMEOUT = 60.0
_FULL_MESH_UP_TO = 32

Links = Mapping[Address, Connection]


async def require_empty(links: Sequence[Connection]) -> None:
    """Raise unless every node is in cluster mode, knows no other node and holds no key."""

    async def inspect(link: Connection) -> None:
        node = await read_node(link)
        if len(node.view) > 1 or node.keys or node.line.ranges:
            raise CliError(
                f"Node {link.address} is not empty: it knows {len(node.view) - 1} other nodes, owns "
                f"{node.slot_count} slots and holds {node.keys} keys. Give an unused node, or clear this "
                "one with FLUSHALL and CLUSTER RESET HARD."
            )

    await for_each(links, inspect)


async def form_cluster(
    links: Links, shards: Sequence[Shard], bus_ports: Mapping[Address, int] | None = None
) -> None:
    """Make the empty nodes one cluster. Returns when each replica knows its primary and all nodes agree."""
    order = [address for shard in shards for address in (shard.primary, *shard.replicas)]
    await _assign_slots_and_epochs(links, shards, order)
    ids = dict(zip(order, await for_each(order, lambda address: _own_id(links[address])), strict=True))
    await _introduce(links, order, bus_ports or {})
    with trio.move_on_after(JOIN_TIMEOUT) as deadline:
        await for_each(
            [(replica, shard.primary) for shard in shards for replica in shard.replicas],
            lambda pair: _replicate(links[pair[0]], ids[pair[1]]),
        )
        await _wait_for_agreement(links, len(order))
    if deadline.cancelled_caught:
        raise CliError(
            f"the nodes did not join within {JOIN_TIMEOUT:g} seconds; can they reach each other's bus "
            f"ports (client port + {BUS_PORT_OFFSET} unless configured otherwise)?"
        )


async def _own_id(link: Connection) -> str:
    return expect_text(await link.call("CLUSTER", "MYID"))


async def _assign_slots_and_epochs(links: Links, shards: Sequence[Shard], order: Sequence[Address]) -> None:
    """Slots to the primaries, and to every node its own config epoch.

    Without that all nodes would start at epoch 0 and the first thing they did together would be to
    settle collisions one by one.
    """
    ranges = {shard.primary: (shard.first, shard.last) for shard in shards}

    async def assign(address: Address) -> None:
        link = links[address]
        if address in ranges:
            await _add_slots(link, *ranges[address])
        epoch = order.index(address) + 1
        (reply,) = await link.call_many([("CLUSTER", "SET-CONFIG-EPOCH", epoch)])
        expect_ok(reply, f"setting the config epoch of {address}")

    await for_each(order, assign)


async def _add_slots(link: Connection, first: int, last: int) -> None:
    commands: list[Command] = [("CLUSTER", "ADDSLOTSRANGE", first, last)]
    (reply,) = await link.call_many(commands)
    if isinstance(reply, ReplyError) and "subcommand" in str(reply).lower():
        # Servers before version 7 have only the long form.
        (reply,) = await link.call_many([("CLUSTER", "ADDSLOTS", *range(first, last + 1))])
    expect_ok(reply, f"assigning slots to {link.address}")


async def _introduce(links: Links, order: Sequence[Address], bus_ports: Mapping[Address, int]) -> None:
    """Let nodes meet. In a small cluster everybody meets everybody, which spares waiting for gossip."""
    mesh = len(order) <= _FULL_MESH_UP_TO

    async def introduce(address: Address) -> None:
        index = order.index(address)
        others = order[:index] if mesh else order[: min(index, 1)]
        commands: list[Command] = [
            ("CLUSTER", "MEET", other.host, other.port, *([bus_ports[other]] if other in bus_ports else []))
            for other in others
        ]
        for reply in await links[address].call_many(commands):
            expect_ok(reply, f"letting {address} meet the other nodes")

    await for_each(order, introduce)


async def _replicate(link: Connection, primary_id: str) -> None:
    """Make a node a replica, as soon as it knows the primary."""
    while True:
        try:
            await link.call("CLUSTER", "REPLICATE", primary_id)
            return
        except ReplyError as error:
            if "Unknown node" not in str(error):
                raise
        await trio.sleep(POLL_SECONDS)


async def _wait_for_agreement(links: Links, count: int) -> None:
    """Until every node knows `count` nodes past their handshake and all tell the same owners and roles."""
    while True:
        texts = await for_each(list(links.values()), _nodes_text)
        views = [parse_cluster_nodes(text) for text in texts]
        settled = all(
            len(view) == count and not any(line.flags & {"handshake", "noaddr"} for line in view)
            for view in views
        )
        shapes = {tuple(sorted((line.id, line.primary_id or "", line.ranges) for line in v)) for v in views}
        if settled and len(shapes) == 1:
            return
        await trio.sleep(POLL_SECONDS)


async def _nodes_text(link: Connection) -> str:
    return expect_text(await link.call("CLUSTER", "NODES"))


def parse_info(text: str) -> dict[str, str]:
    """The `name:value` lines of INFO and CLUSTER INFO."""
    pairs = (line.partition(":") for line in text.split("\r\n") if not line.startswith("#"))
    return {name: value for name, colon, value in pairs if colon}


async def read_state(link: Connection) -> dict[str, str]:
    """CLUSTER INFO and the replication section of INFO, joined."""
    replies = await link.call_many([("CLUSTER", "INFO"), ("INFO", "replication")])
    state: dict[str, str] = {}
    for reply in replies:
        if isinstance(reply, ReplyError):
            raise reply
        state.update(parse_info(expect_text(reply)))
    return state


def sees_whole_cluster(state: Mapping[str, str]) -> bool:
    """The node accepts commands: it sees an owner for every slot."""
    return state.get("cluster_state") == "ok" and state.get("cluster_slots_assigned") == str(SLOT_COUNT)


def is_serving(state: Mapping[str, str]) -> bool:
    """The node sees a whole cluster and, if it is a replica, follows its primary."""
    follows = state.get("role") != "slave" or state.get("master_link_status") == "up"
    return sees_whole_cluster(state) and follows


async def wait_until(links: Links, good: Callable[[Mapping[str, str]], bool]) -> None:
    """Until the state of every node is good. The caller bounds the time."""

    async def wait(link: Connection) -> None:
        while True:
            try:
                if good(await read_state(link)):
                    return
            except ReplyError as error:
                if error.code != "LOADING":
                    raise
            await trio.sleep(POLL_SECONDS)

    await for_each(list(links.values()), wait)
