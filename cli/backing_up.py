"""The command that saves a cluster's data: backup."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import trio

from shoal.cli.addresses import Address
from shoal.cli.checks import Health, check, report
from shoal.cli.client import Credentials
from shoal.cli.discovery import open_cluster
from shoal.cli.errors import CliError
from shoal.cli.printing import Json, Printer
from shoal.cli.snapshots import save_snapshot
from shoal.cli.tasks import for_each
from shoal.cli.topology import ClusterView, Node

_UNSAFE_IN_NAME = re.compile(r"[^0-9A-Za-z.:_-]")


async def run_backup(seed: Address, credentials: Credentials, printer: Printer, *, directory: Path) -> int:
    """A snapshot of each primary, and nodes.json; 1 if a primary's data are not in it."""
    async with open_cluster(seed, credentials) as cluster:
        view = cluster.view
        health = check(view)
        report(view, health, printer)
        try:
            await trio.Path(directory).mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise CliError(f"cannot make the folder {directory}: {problem}") from problem

        async def save(node: Node) -> int:
            printer.step(f"Node {node.address} -> Saving RDB...")
            return await save_snapshot(node.address, credentials, directory / snapshot_name(node))

        sizes = await for_each(view.primaries, save)
    nodes = directory / "nodes.json"
    printer.line(f"Saving cluster configuration to: {nodes}")
    try:
        await trio.Path(nodes).write_text(describe_nodes(view, count_problems(view, health)))
    except OSError as problem:
        raise CliError(f"cannot write {nodes}: {problem}") from problem
    if not health.sound:
        printer.line(
            "*** Cluster seems to have some problems, please be aware of it if you're going to restore this "
            "backup."
        )
    for lost in view.lost_primaries:
        printer.error(f"The keys of {lost.line.host}:{lost.line.port} are missing from this backup.")
    if not view.lost_primaries:
        printer.ok(f"Backup created into: {directory}")
    files = {snapshot_name(node): size for node, size in zip(view.primaries, sizes, strict=True)}
    printer.document({"directory": str(directory), "files": files})
    return 1 if view.lost_primaries else 0


def count_problems(view: ClusterView, health: Health) -> int:
    """As redis-cli counts: differing views, slots without owner, and each list of open slots of a node."""
    lists = [marks for node in view.nodes for marks in (node.line.migrating, node.line.importing) if marks]
    return len(lists) + bool(health.disagreeing) + bool(health.uncovered)


def snapshot_name(node: Node) -> str:
    """As redis-cli names it. The host is a server's word, and must not lead out of the folder."""
    host = _UNSAFE_IN_NAME.sub("_", node.address.host)
    return f"redis-node-{host}-{node.address.port}-{node.id}.rdb"


def describe_nodes(view: ClusterView, problems: int) -> str:
    """nodes.json in redis-cli's format: the fields, their names and their order."""
    return json.dumps([_describe(node, problems) for node in view.nodes], indent=2) + "\n"


def _describe(node: Node, problems: int) -> Mapping[str, Json]:
    line = node.line
    fields: dict[str, Json] = {
        "name": node.id,
        "host": node.address.host,
        "port": node.address.port,
        "replicate": line.primary_id,
        "slots": [[first, last] if first != last else [first] for first, last in line.ranges],
        "slots_count": node.slot_count,
        "flags": ",".join(sorted(line.flags - {"myself"})),
        "current_epoch": line.config_epoch,
    }
    if problems:
        fields["cluster_errors"] = problems
    if line.migrating:
        fields["migrating"] = {str(slot): peer for slot, peer in line.migrating}
    if line.importing:
        fields["importing"] = {str(slot): peer for slot, peer in line.importing}
    return fields
