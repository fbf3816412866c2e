"""The commands that change who belongs to the cluster: create, add-node and del-node."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from shoal.cli.addresses import Address
from shoal.cli.checks import check, describe, describe_health, report
from shoal.cli.client import Connection, Credentials, connect, connected
from shoal.cli.creating import (
    Links,
    NewsBearer,
    form_cluster,
    meet_command,
    require_empty,
    sees_whole_cluster,
    wait_until,
)
from shoal.cli.discovery import Cluster, expect_ok, open_cluster, read_node
from shoal.cli.errors import CliError, ConnectionLostError, ReplyError
from shoal.cli.planning import SAFE_PRIMARIES, Shard, plan_cluster
from shoal.cli.printing import Printer, confirm
from shoal.cli.reuniting import are_one_cluster, reunite
from shoal.cli.tasks import POLL_SECONDS, for_each
from shoal.cli.topology import Node, Unreachable

JOIN_TIMEOUT = 30.0
SERVING_TIMEOUT = 15.0
REUNION_TIMEOUT = 30.0


async def run_create(
    addresses: Sequence[Address],
    credentials: Credentials,
    printer: Printer,
    *,
    replicas: int,
    yes: bool,
    if_needed: bool,
) -> int:
    """Make one cluster of empty nodes; with `if_needed`, one that exists already will do."""
    shards = plan_cluster(addresses, replicas)
    started = time.monotonic()
    async with open_links(addresses, credentials) as links:
        if if_needed and await are_one_cluster(links):
            printer.step(f"These {len(addresses)} nodes are one cluster already: waiting until it serves...")
            with trio.move_on_after(REUNION_TIMEOUT):
                await reunite(links)
        else:
            await require_empty(list(links.values()))
            _show_shards(shards, printer)
            if not confirm(printer, "Can I set the above configuration?", assume_yes=yes):
                printer.document({"nodes": []})
                return 1
            started = time.monotonic()
            printer.step(f"Assigning slots and joining {len(addresses)} nodes...")
            await form_cluster(links, shards)
        with trio.move_on_after(SERVING_TIMEOUT):
            await wait_until(links, sees_whole_cluster)
        seconds = time.monotonic() - started
    async with open_cluster(addresses[0], credentials) as cluster:
        health = check(cluster.view)
        report(cluster.view, health, printer)
        printer.document(
            {"seconds": round(seconds, 3), **describe_health(health), "nodes": describe(cluster.view)}
        )
        return 0 if health.sound else 1


@asynccontextmanager
async def open_links(addresses: Sequence[Address], credentials: Credentials) -> AsyncIterator[Links]:
    """Connections to all addresses, opened at once."""
    links: dict[Address, Connection] = {}

    async def open_one(address: Address) -> None:
        links[address] = await connect(address, credentials)

    try:
        await for_each(list(addresses), open_one)
        yield links
    finally:
        with trio.CancelScope(shield=True):
            for link in links.values():
                await link.aclose()


def _show_shards(shards: Sequence[Shard], printer: Printer) -> None:
    nodes = sum(1 + len(shard.replicas) for shard in shards)
    printer.step(f"Performing hash slots allocation on {nodes} nodes...")
    for number, shard in enumerate(shards):
        printer.line(f"Master[{number}] -> Slots {shard.first} - {shard.last}")
    for shard in shards:
        for replica in shard.replicas:
            printer.line(f"Adding replica {replica} to {shard.primary}")
    if any(shard.shared_hosts for shard in shards):
        printer.warning("Some slaves are in the same host as their master")
    if len(shards) < SAFE_PRIMARIES:
        printer.warning(
            f"{len(shards)} primaries cannot outvote a failed one: there will be no automatic failover "
            f"with fewer than {SAFE_PRIMARIES}."
        )


async def run_add_node(
    new: Address,
    seed: Address,
    credentials: Credentials,
    printer: Printer,
    *,
    replica: bool,
    primary_id: str | None,
) -> int:
    """Let an empty node join, as a primary without slots or as somebody's replica."""
    async with open_cluster(seed, credentials) as cluster, connected(new, credentials) as link:
        view = cluster.view
        printer.step(f"Adding node {new} to cluster {seed}")
        health = check(view)
        report(view, health, printer)
        if not health.sound:
            raise CliError("Please fix your cluster problems before adding a node: see the report above")
        primary = None
        if primary_id is not None:
            primary = view.find_primary(primary_id)
        elif replica:
            primary = view.least_replicated_primary()
            printer.line(f"Automatically selected master {primary.address}")
        await require_empty([link])
        node = await read_node(link)
        if primary is None:
            await _copy_functions(cluster, link, printer)
        printer.step(f"Send CLUSTER MEET to node {new} to make it join the cluster.")
        known = view.nodes[0]
        expect_ok(await link.call(*meet_command(cluster.connection(known.id), known.line)), "meeting")
        await _wait_until_joined(cluster, node, role=None)
        if primary is not None:
            printer.step(f"Configure node as replica of {primary.address}.")
            expect_ok(await link.call("CLUSTER", "REPLICATE", primary.id), "making it a replica")
            await _wait_until_joined(cluster, node, role=primary.id)
        # A node refuses commands for a while after its start; keys sent to it meanwhile would be refused too.
        with trio.move_on_after(SERVING_TIMEOUT):
            await wait_until({new: link}, sees_whole_cluster)
        printer.ok("New node added correctly.")
        printer.document({"nodes": describe(cluster.view)})
    return 0


async def _wait_until_joined(cluster: Cluster, new: Node, *, role: str | None) -> None:
    """Until every node, itself included, knows the new one, as a replica of `role` if given."""
    before = {node.id for node in cluster.view.nodes} | {new.id}
    news = NewsBearer()
    with trio.move_on_after(JOIN_TIMEOUT):
        while True:
            view = await cluster.load()
            links = {node.address: cluster.connection(node.id) for node in view.nodes}
            await news.carry(links, {node.address: node.view for node in view.nodes})
            seen = [line for node in view.nodes for line in node.view if line.id == new.id]
            everywhere = before <= {node.id for node in view.nodes} and len(seen) == len(view.nodes)
            if everywhere and all(line.primary_id == role and "handshake" not in line.flags for line in seen):
                return
            await trio.sleep(POLL_SECONDS)
    raise CliError(
        f"{new.address} did not join within {JOIN_TIMEOUT:g} seconds; "
        "can the nodes reach each other's bus ports?"
    )


async def _copy_functions(cluster: Cluster, link: Connection, printer: Printer) -> None:
    """Give a new primary the function libraries all others have; a replica gets them from its primary."""
    source = cluster.connection(cluster.view.primaries[0].id)
    (dump,) = await source.call_many([("FUNCTION", "DUMP")])
    if not isinstance(dump, bytes):
        return
    printer.step(f"Send FUNCTION RESTORE to {link.address}")
    (reply,) = await link.call_many([("FUNCTION", "RESTORE", dump)])
    if isinstance(reply, ReplyError):
        raise ReplyError(f"{link.address} does not take the cluster's functions ({reply}); FUNCTION FLUSH it")


async def run_del_node(seed: Address, credentials: Credentials, printer: Printer, *, node_id: str) -> int:
    """Make every node forget one, after its slots are gone and its replicas have another primary."""
    async with open_cluster(seed, credentials) as cluster:
        view = cluster.view
        printer.step(f"Removing node {node_id} from cluster {seed}")
        lost = next((each for each in view.unreachable if each.line.id == node_id.lower()), None)
        if lost is not None:
            await _forget_lost(cluster, lost, printer)
            return 0
        node = view.find(node_id)
        if node.line.ranges:
            raise CliError(f"Node {node.address} is not empty! Reshard data away and try again.")
        await _rehome_replicas(cluster, node, printer)
        await _forget(cluster, node.id, printer)
        printer.step("Sending CLUSTER RESET SOFT to the deleted node.")
        expect_ok(await cluster.connection(node.id).call("CLUSTER", "RESET", "SOFT"), "resetting it")
        printer.document({"removed": node.id})
    return 0


async def _forget_lost(cluster: Cluster, lost: Unreachable, printer: Printer) -> None:
    """A node that does not answer can only be forgotten, and only if nothing depends on it."""
    owners = {node_id for node in cluster.view.nodes for node_id, _ in node.slot_owners()}
    if lost.line.id in owners or cluster.view.replicas_of(lost.line.id):
        raise CliError(
            f"Node {lost.line.host}:{lost.line.port} does not answer but still has slots or replicas; "
            "start it, or let a replica take over with CLUSTER FAILOVER FORCE"
        )
    await _forget(cluster, lost.line.id, printer)
    printer.warning(
        f"Node {lost.line.host}:{lost.line.port} did not answer: reset it before it is used again."
    )
    printer.document({"removed": lost.line.id})


async def _rehome_replicas(cluster: Cluster, node: Node, printer: Printer) -> None:
    for replica in cluster.view.replicas_of(node.id):
        home = cluster.view.least_replicated_primary(excluding=node.id)
        printer.step(f"{replica.address} as replica of {home.address}")
        reply = await cluster.connection(replica.id).call("CLUSTER", "REPLICATE", home.id)
        expect_ok(reply, "giving the replica another primary")
        await cluster.load()


async def _forget(cluster: Cluster, node_id: str, printer: Printer) -> None:
    """All others forget the node at once: one that still knew it would bring it back by gossip."""
    printer.step("Sending CLUSTER FORGET messages to the cluster...")

    async def forget(other: Node) -> None:
        try:
            await cluster.connection(other.id).call("CLUSTER", "FORGET", node_id)
        except ReplyError as error:
            if "Unknown node" not in str(error):
                raise
        except ConnectionLostError as problem:
            printer.warning(f"{problem}; it still knows the removed node")

    await for_each([node for node in cluster.view.nodes if node.id != node_id], forget)
