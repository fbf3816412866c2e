"""The commands that change nothing by themselves: check, info and call."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.cli.addresses import Address
from shoal.cli.checks import check, describe, describe_health, print_summary, report
from shoal.cli.client import Credentials
from shoal.cli.discovery import open_cluster
from shoal.cli.errors import CliError, ReplyError
from shoal.cli.key_counts import count_everywhere
from shoal.cli.printing import Json, Printer, text_of
from shoal.cli.replies import Reply
from shoal.cli.tasks import for_each
from shoal.cli.topology import Node
from shoal.cluster.slots import SLOT_COUNT


async def run_check(
    seed: Address, credentials: Credentials, printer: Printer, *, search_multiple_owners: bool
) -> int:
    """Report whether the cluster is sound; 0 if it is."""
    async with open_cluster(seed, credentials) as cluster:
        view = cluster.view
        counts = await count_everywhere(cluster, range(SLOT_COUNT)) if search_multiple_owners else None
        health = check(view, counts)
        print_summary(view, printer)
        report(view, health, printer, owners=search_multiple_owners)
        sound = health.sound and not (search_multiple_owners and health.multiple_owners)
        printer.document({"sound": sound, **describe_health(health), "nodes": describe(view)})
    return 0 if sound else 1


async def run_info(seed: Address, credentials: Credentials, printer: Printer) -> int:
    """Keys, slots and replicas of each primary."""
    async with open_cluster(seed, credentials) as cluster:
        print_summary(cluster.view, printer)
        keys = sum(node.keys for node in cluster.view.primaries)
        printer.document({"keys": keys, "nodes": describe(cluster.view)})
    return 0


async def run_call(
    seed: Address,
    credentials: Credentials,
    printer: Printer,
    command: Sequence[str],
    *,
    only_primaries: bool,
    only_replicas: bool,
) -> int:
    """One command on every node, or on every primary or replica; 1 if any node answered with an error."""
    async with open_cluster(seed, credentials) as cluster:
        view = cluster.view
        nodes = list(view.nodes)
        if only_primaries:
            nodes = view.primaries
        if only_replicas:
            nodes = view.replicas

        async def call(node: Node) -> Reply:
            try:
                return await cluster.connection(node.id).call(*command)
            except CliError as failure:
                return ReplyError(str(failure))

        printer.step(f"Calling {' '.join(command)}")
        replies = await for_each(nodes, call)
        for node, reply in zip(nodes, replies, strict=True):
            for number, line in enumerate(format_reply(reply)):
                printer.line(f"{node.address}: {line}" if number == 0 else line)
        for lost in view.unreachable:
            printer.warning(f"Node {lost.line.host}:{lost.line.port} did not answer: {lost.reason}")
        printer.errors += [
            f"{node.address}: {reply}"
            for node, reply in zip(nodes, replies, strict=True)
            if isinstance(reply, ReplyError)
        ]
        answers: dict[str, Json] = {
            str(node.address): reply_as_json(reply) for node, reply in zip(nodes, replies, strict=True)
        }
        printer.document({"replies": answers})
    return 1 if printer.errors else 0


def format_reply(reply: Reply) -> list[str]:
    """A reply as lines, nested arrays flattened as `redis-cli` does when piped."""
    if isinstance(reply, list):
        return [line for item in reply for line in format_reply(item)] or [""]
    if reply is None:
        return [""]
    if isinstance(reply, bytes):
        return text_of(reply).replace("\r\n", "\n").split("\n")
    return [str(reply)]


def reply_as_json(reply: Reply) -> Json:
    """A reply for `--json`; an error becomes an object with its text."""
    if isinstance(reply, bytes):
        return text_of(reply)
    if isinstance(reply, list):
        return [reply_as_json(item) for item in reply]
    if isinstance(reply, ReplyError):
        return {"error": str(reply)}
    return reply
