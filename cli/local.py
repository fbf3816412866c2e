"""`shoal up`: a whole cluster on this machine, from nothing, in one command."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import trio

from shoal.cli.addresses import Address
from shoal.cli.checks import format_ranges
from shoal.cli.client import Connection, Credentials, connect
from shoal.cli.creating import Links, form_cluster, is_serving, read_state, require_empty, wait_until
from shoal.cli.discovery import read_node
from shoal.cli.errors import CliError, ConnectionLostError
from shoal.cli.local_nodes import LocalNodes, ServerCommand, require_free_ports
from shoal.cli.local_state import LocalCluster, load_state, save_state
from shoal.cli.planning import plan_cluster
from shoal.cli.printing import Json, Printer
from shoal.cli.tasks import POLL_SECONDS, first_of, for_each
from shoal.cli.topology import Node

START_TIMEOUT = 40.0
_END_NOTICED_WITHIN = 1.0
DEFAULT_PRIMARIES = 3
DEFAULT_REPLICAS = 1


def choose_cluster(
    directory: Path, host: str | None, port: int, primaries: int | None, replicas: int | None
) -> LocalCluster:
    """The cluster recorded in the directory, or a new one. What is not given comes from the record."""
    recorded = load_state(directory)
    if recorded is not None and recorded.alive:
        raise CliError(f"a cluster is running from {directory}; stop it with shoal down --dir {directory}")
    if primaries is None:
        primaries = recorded.primaries if recorded else DEFAULT_PRIMARIES
    if replicas is None:
        replicas = recorded.replicas if recorded else DEFAULT_REPLICAS
    count = primaries * (replicas + 1)
    wanted = LocalCluster(
        host=host or (recorded.host if recorded else "127.0.0.1"),
        ports=tuple(range(port, port + count)),
        primaries=primaries,
        replicas=replicas,
    )
    if recorded is None:
        return wanted
    if not recorded.same_shape(wanted):
        raise CliError(
            f"{directory} holds {recorded.primaries} primaries with {recorded.replicas} replicas each "
            f"at {recorded.addresses[0]}; start it with these, or choose another --dir"
        )
    return recorded


def find_server(given: str | None) -> list[str]:
    """The command that runs a server: as given, from SHOAL_SERVER, or the one installed with this tool."""
    named = given or os.environ.get("SHOAL_SERVER")
    if named:
        # Resolved here because each node runs in a directory of its own.
        found = shutil.which(named)
        if found is None:
            raise CliError(f"there is no program {named}; correct --server or SHOAL_SERVER")
        return [str(Path(found).absolute())]
    beside = Path(sys.executable).with_name("shoal-server")
    if beside.exists():
        return [str(beside)]
    return [sys.executable, "-m", "shoal.node.runtime.main"]


async def run_up(
    cluster: LocalCluster,
    directory: Path,
    command: ServerCommand,
    credentials: Credentials,
    printer: Printer,
    *,
    detach: bool,
) -> int:
    """Start the nodes, form the cluster if it is new, report, and stay until told to stop."""
    require_free_ports(cluster.addresses)
    started = trio.current_time()
    nodes = LocalNodes(cluster, directory, command)
    leave_running = False
    # Signals are taken from before the first node starts, so that none is left behind.
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        try:
            save_state(directory, cluster)
            cluster = replace(cluster, processes=tuple(nodes.start()))
            save_state(directory, cluster)
            ready = await first_of(
                lambda: _bring_up(cluster, credentials, nodes),
                nodes.fail_when_one_ends,
                lambda: _wait_for_signal(signals),
            )
            if ready is None:
                raise CliError("stopped before the cluster was ready")
            save_state(directory, replace(cluster, formed=True))
            # Before anything is printed: a reader that has seen enough must not cost the cluster its life.
            leave_running = detach
            _announce(cluster, directory, ready, trio.current_time() - started, printer)
            return 0 if detach else await _stay(nodes, signals, printer)
        finally:
            if not leave_running:
                await nodes.stop()


async def _wait_for_signal(signals: AsyncIterator[int]) -> None:
    async for _ in signals:
        return


async def _bring_up(cluster: LocalCluster, credentials: Credentials, nodes: LocalNodes) -> list[Node]:
    """`_make_ready`; a connection lost because a node ended is reported as that node's end."""
    try:
        return await _make_ready(cluster, credentials)
    except ConnectionLostError:
        with trio.move_on_after(_END_NOTICED_WITHIN):
            await nodes.fail_when_one_ends()
        raise


async def _make_ready(cluster: LocalCluster, credentials: Credentials) -> list[Node]:
    """From processes that are just starting to nodes that all serve. Returns the nodes in port order."""
    links: Links = {}
    with trio.move_on_after(START_TIMEOUT):
        opened = await for_each(cluster.addresses, lambda address: _connect_patiently(address, credentials))
        links = dict(zip(cluster.addresses, opened, strict=True))
        if not cluster.formed:
            await _form(links, cluster)
        await wait_until(links, is_serving)
        return await for_each(list(links.values()), read_node)
    missing = await for_each(list(links.values()), _what_is_missing)
    raise CliError(
        f"the cluster was not ready within {START_TIMEOUT:g} seconds; look into the nodes' logs",
        [text for text in missing if text] or ["not all nodes accept connections"],
    )


async def _what_is_missing(link: Connection) -> str:
    """Why a node is not serving, or nothing."""
    try:
        state = await read_state(link)
    except CliError as failure:
        return str(failure)
    replication = (
        f", master_link_status {state.get('master_link_status')}" if state.get("role") == "slave" else ""
    )
    return (
        ""
        if is_serving(state)
        else f"{link.address}: cluster_state {state.get('cluster_state')}{replication}"
    )


async def _connect_patiently(address: Address, credentials: Credentials) -> Connection:
    while True:
        try:
            return await connect(address, credentials)
        except ConnectionLostError:
            await trio.sleep(POLL_SECONDS)


async def _form(links: Links, cluster: LocalCluster) -> None:
    """Form the cluster. Nodes left by an attempt that was cut short are reset first; they are still empty."""

    async def reset(link: Connection) -> None:
        node = await read_node(link)
        if len(node.view) > 1 or node.line.ranges or node.line.config_epoch:
            await link.call("CLUSTER", "RESET", "HARD")

    await for_each(list(links.values()), reset)
    await require_empty(list(links.values()))
    await form_cluster(links, plan_cluster(cluster.addresses, cluster.replicas))


async def _stay(nodes: LocalNodes, signals: AsyncIterator[int], printer: Printer) -> int:
    """Until a signal comes or the last node ends. A node that ends alone is reported: the rest fail over."""

    def report(port: int, status: int) -> None:
        printer.line(f"Node {port} ended with status {status}.")

    async def all_ended() -> int:
        await nodes.until_all_ended(report)
        printer.line("All nodes have ended.")
        return 1 if any(nodes.ended().values()) else 0

    async def told_to_stop() -> int:
        await _wait_for_signal(signals)
        printer.line("Stopping all nodes...")
        return 0

    return await first_of(all_ended, told_to_stop)


def _announce(
    cluster: LocalCluster, directory: Path, nodes: Sequence[Node], seconds: float, printer: Printer
) -> None:
    """Everything one needs to use the cluster, ready to paste."""
    pids = {port: process.pid for port, process in zip(cluster.ports, cluster.processes, strict=True)}
    seeds = [str(address) for address in cluster.addresses]
    rows = [
        [str(node.address), "primary" if node.is_primary else "replica", slots_or_primary(node, nodes),
         str(pids[node.address.port])]
        for node in nodes
    ]  # fmt: skip
    first = cluster.addresses[0]
    printer.ok(f"A cluster of {len(nodes)} nodes is ready after {seconds:.1f} s.")
    printer.table(["node", "role", "slots", "pid"], rows)
    printer.line()
    printer.line(f"seeds      {','.join(seeds)}")
    printer.line(f"data       {directory}")
    printer.line(f"redis-cli  redis-cli -c -h {first.host} -p {first.port}")
    printer.line("redis-py   from redis.cluster import RedisCluster")
    printer.line(f'           client = RedisCluster(host="{first.host}", port={first.port})')
    printer.line(f"stop       Ctrl-C, or shoal down --dir {shlex.quote(str(directory))}")
    printer.document(
        {
            "seconds": round(seconds, 3),
            "directory": str(directory),
            "seeds": list(seeds),
            "nodes": [describe_local(node, pids[node.address.port]) for node in nodes],
        }
    )


def slots_or_primary(node: Node, nodes: Sequence[Node]) -> str:
    """The slots of a primary; of a replica, whom it follows."""
    if node.is_primary:
        return format_ranges(node.line.ranges)
    followed = next((other for other in nodes if other.id == node.line.primary_id), None)
    return f"of {followed.address}" if followed else f"of {node.line.primary_id}"


def describe_local(node: Node, pid: int | None) -> dict[str, Json]:
    return {
        "id": node.id,
        "address": str(node.address),
        "role": "primary" if node.is_primary else "replica",
        "primary_id": node.line.primary_id,
        "slots": [list(pair) for pair in node.line.ranges],
        "pid": pid,
    }
