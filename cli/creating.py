"""Forms a cluster out of empty nodes, with as little waiting as the protocol allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import trio

from shoal.cli.addresses import Address
from shoal.cli.client import Command, Connection
from shoal.cli.discovery import expect_ok, expect_text, read_node
from shoal.cli.errors import CliError, ReplyError
from shoal.cli.planning import Shard
from shoal.cli.tasks import POLL_SECONDS, for_each
from shoal.cli.topology import Node, NodeLine, SlotRange, parse_cluster_nodes
from shoal.cluster.slots import SLOT_COUNT

JOIN_TIMEOUT = 30.0
_FULL_MESH_UP_TO = 32
_REPEAT_MEET_SECONDS = 0.3

Links = Mapping[Address, Connection]
Views = Mapping[Address, Sequence[NodeLine]]


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


async def form_cluster(links: Links, shards: Sequence[Shard]) -> None:
    """Make the empty nodes one cluster. Returns when each replica knows its primary and all nodes agree."""
    order = [address for shard in shards for address in (shard.primary, *shard.replicas)]
    await _assign_slots_and_epochs(links, shards, order)
    nodes = {address: await read_node(links[address]) for address in order}
    await _introduce(links, nodes)
    with trio.move_on_after(JOIN_TIMEOUT) as deadline:
        await for_each(
            [(replica, shard.primary) for shard in shards for replica in shard.replicas],
            lambda pair: _replicate(links[pair[0]], nodes[pair[1]].id),
        )
        await _wait_for_agreement(links, nodes)
    if deadline.cancelled_caught:
        raise CliError(
            f"the nodes did not join within {JOIN_TIMEOUT:g} seconds; can they reach each other's bus ports?"
        )


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


async def _introduce(links: Links, nodes: Mapping[Address, Node]) -> None:
    """Let nodes meet. In a small cluster everybody meets everybody, which spares waiting for gossip."""
    order = list(nodes)
    mesh = len(order) <= _FULL_MESH_UP_TO

    async def introduce(address: Address) -> None:
        index = order.index(address)
        others = order[:index] if mesh else order[: min(index, 1)]
        commands = [meet_command(links[other], nodes[other].line) for other in others]
        for reply in await links[address].call_many(commands):
            expect_ok(reply, f"letting {address} meet the other nodes")

    await for_each(order, introduce)


def meet_command(link: Connection, line: NodeLine) -> Command:
    """The command that makes its receiver meet the node at the other end of `link`."""
    return ("CLUSTER", "MEET", link.peer_ip, line.port, line.bus_port)


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


async def _wait_for_agreement(links: Links, nodes: Mapping[Address, Node]) -> None:
    """Until every node knows all nodes past their handshake and all tell the same owners and roles."""
    news = NewsBearer()
    while True:
        texts = await for_each(list(links.values()), _nodes_text)
        views = dict(zip(links, (parse_cluster_nodes(text) for text in texts), strict=True))
        if is_agreed(list(views.values()), len(nodes)):
            return
        await news.carry(links, views)
        await trio.sleep(POLL_SECONDS)


class NewsBearer:
    """Makes nodes learn each other's slots and roles sooner than they would by themselves.

    News of slots and roles travels with pings, and a node pings another only about once in half a node
    timeout: left alone, even a small cluster may need many seconds to agree. But a node that is told to
    MEET another sends it a full header at once, and the other, if it knows the sender already, takes that
    as news like any other. So whoever is seen wrongly by somebody is made to meet that node again.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[Address, Address], float] = {}

    async def carry(self, links: Links, views: Views) -> None:
        """One round; to be called again while the nodes still disagree."""
        now = trio.current_time()
        for subject, viewer in find_misseen(views):
            if now - self._last.get((subject, viewer), 0.0) > _REPEAT_MEET_SECONDS:
                self._last[subject, viewer] = now
                line = next(line for line in views[viewer] if line.is_myself)
                await links[subject].call(*meet_command(links[viewer], line))


def is_agreed(views: Sequence[Sequence[NodeLine]], count: int) -> bool:
    """All views hold `count` nodes, with the same owners and roles.

    A handshake under way does not count: it may be a second one with a node that is known already, which
    a node drops by itself, but sometimes only after a node timeout.
    """
    shapes = {
        tuple(sorted(_shape(line) for line in view if line.is_reachable_in_principle)) for view in views
    }
    return len(shapes) == 1 and all(len(shape) == count for shape in shapes)


def find_misseen(views: Views) -> list[tuple[Address, Address]]:
    """Pairs of a node and another that knows it, but with other slots or another role than it has."""
    pairs: list[tuple[Address, Address]] = []
    for subject, own_view in views.items():
        truth = next(line for line in own_view if line.is_myself)
        for viewer, view in views.items():
            if any(line.id == truth.id and _shape(line) != _shape(truth) for line in view):
                pairs.append((subject, viewer))
    return pairs


def _shape(line: NodeLine) -> tuple[str, str, tuple[SlotRange, ...]]:
    return line.id, line.primary_id or "", line.ranges


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
