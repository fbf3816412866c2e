"""`shoal down` and `shoal status`: a local cluster found again through its directory."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

import trio

from shoal.cli.addresses import Address
from shoal.cli.client import Credentials, connected
from shoal.cli.creating import is_serving, read_state
from shoal.cli.discovery import read_node
from shoal.cli.errors import CliError
from shoal.cli.local import describe_local, slots_or_primary
from shoal.cli.local_nodes import STOP_TIMEOUT
from shoal.cli.local_state import LocalCluster, load_state
from shoal.cli.printing import Json, Printer
from shoal.cli.tasks import for_each, until
from shoal.cli.topology import Node


def _require_recorded(directory: Path) -> LocalCluster:
    cluster = load_state(directory)
    if cluster is None:
        raise CliError(f"no cluster in {directory}; start one with shoal up, or name another --dir or --port")
    return cluster


async def run_down(directory: Path, printer: Printer) -> int:
    """Stop the recorded nodes: SIGTERM, then after a bounded time SIGKILL."""
    cluster = _require_recorded(directory)
    alive = cluster.alive
    for process in alive:
        process.signal(signal.SIGTERM)
    with trio.move_on_after(STOP_TIMEOUT):
        await until(lambda: not cluster.alive)
    killed = cluster.alive
    for process in killed:
        process.signal(signal.SIGKILL)
    if killed:
        printer.warning(f"{len(killed)} nodes did not stop within {STOP_TIMEOUT:g} s and were killed.")
    printer.ok(f"Stopped {len(alive)} nodes." if alive else "No node was running.")
    printer.document({"stopped": [process.pid for process in alive]})
    return 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a running node said."""

    node: Node
    state: dict[str, str]

    @property
    def serving(self) -> str:
        return "ok" if is_serving(self.state) else "fail"

    @property
    def link(self) -> str:
        if self.node.is_primary:
            return f"{self.state.get('connected_slaves', '?')} replicas"
        return self.state.get("master_link_status", "?")

    @property
    def offset(self) -> str:
        return self.state.get("master_repl_offset" if self.node.is_primary else "slave_repl_offset", "?")


async def run_status(directory: Path, credentials: Credentials, printer: Printer) -> int:
    """One row per node; 1 unless all nodes run and serve."""
    cluster = _require_recorded(directory)

    async def look(address: Address) -> Answer | CliError:
        try:
            async with connected(address, credentials) as link:
                return Answer(await read_node(link), await read_state(link))
        except CliError as failure:
            return failure

    answers = await for_each(cluster.addresses, look)
    nodes = [answer.node for answer in answers if isinstance(answer, Answer)]
    pids = [process.pid if process.is_alive() else None for process in cluster.processes]
    rows: list[list[str]] = []
    described: list[Json] = []
    for address, pid, answer in zip(cluster.addresses, pids, answers, strict=True):
        if isinstance(answer, CliError):
            rows.append([str(address), "-", "", "down", "-", "-", str(pid or "-")])
            described.append({"address": str(address), "state": "down", "reason": str(answer)})
            printer.errors.append(str(answer))
            continue
        if answer.serving != "ok":
            cluster_state = answer.state.get("cluster_state", "?")
            printer.errors.append(f"{address} is not serving: cluster_state {cluster_state}, {answer.link}")
        role = "primary" if answer.node.is_primary else "replica"
        owned = slots_or_primary(answer.node, nodes)
        rows.append([str(address), role, owned, answer.serving, answer.link, answer.offset, str(pid or "-")])
        facts = {"state": answer.serving, "link": answer.link, "offset": answer.offset}
        described.append({**describe_local(answer.node, pid), **facts})
    printer.table(["node", "role", "slots", "state", "link", "offset", "pid"], rows)
    printer.document({"directory": str(directory), "nodes": described})
    return 1 if printer.errors else 0
