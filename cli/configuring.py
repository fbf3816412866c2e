"""The command that sets an option on every node: set-timeout."""

from __future__ import annotations

from shoal.cli.addresses import Address
from shoal.cli.client import Credentials
from shoal.cli.discovery import open_cluster
from shoal.cli.errors import CliError
from shoal.cli.printing import Printer
from shoal.cli.tasks import for_each
from shoal.cli.topology import Node

_SHORTEST_MS = 100


async def run_set_timeout(
    seed: Address, credentials: Credentials, printer: Printer, *, milliseconds: int
) -> int:
    """Set cluster-node-timeout everywhere; 1 if a node refused, or could not write it to its file."""
    if milliseconds < _SHORTEST_MS:
        raise CliError("Setting a node timeout of less than 100 milliseconds is a bad idea.")
    async with open_cluster(seed, credentials) as cluster:
        view = cluster.view

        async def set_one(node: Node) -> str | None:
            link = cluster.connection(node.id)
            try:
                await link.call("CONFIG", "SET", "cluster-node-timeout", milliseconds)
                await link.call("CONFIG", "REWRITE")
            except CliError as failure:
                return str(failure)
            return None

        printer.step("Reconfiguring node timeout in every cluster node...")
        outcomes = await for_each(list(view.nodes), set_one)
        for node, failure in zip(view.nodes, outcomes, strict=True):
            if failure is None:
                printer.line(f"*** New timeout set for {node.address}")
            else:
                printer.errors.append(f"{node.address}: {failure}")
                printer.line(f"ERR setting node-timeout for {node.address}: {failure}")
        for lost in view.unreachable:
            printer.warning(f"Node {lost.line.host}:{lost.line.port} did not answer: {lost.reason}")
        failed = len(printer.errors)
        printer.step(f"New node timeout set. {len(view.nodes) - failed} OK, {failed} ERR.")
        printer.document({"set": len(view.nodes) - failed, "failed": failed})
    return 1 if failed or view.unreachable else 0
