"""The command that mends: fix."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.cli.addresses import Address
from shoal.cli.checks import (
    Health,
    check,
    describe,
    describe_health,
    format_ranges,
    print_summary,
    report,
)
from shoal.cli.client import Command, Credentials
from shoal.cli.creating import NewsBearer
from shoal.cli.discovery import Cluster, open_cluster
from shoal.cli.draining import MigrateOptions
from shoal.cli.key_counts import count_everywhere
from shoal.cli.printing import Json, Printer, confirm
from shoal.cli.progress import progress_for
from shoal.cli.repair_plan import (
    Repair,
    collect_facts,
    mistaken_views,
    plan_repairs,
    slots_in_question,
)
from shoal.cli.repairing import Repairer
from shoal.cli.topology import ClusterView
from shoal.cluster.slots import SLOT_COUNT, slot_ranges

_PATIENCE = (2.0, 4.0, 8.0)


async def run_fix(
    seed: Address,
    credentials: Credentials,
    printer: Printer,
    options: MigrateOptions,
    *,
    search_multiple_owners: bool,
    with_unreachable: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Give every slot one owner that all agree about and that holds all its keys; 0 if so at the end."""
    async with open_cluster(seed, credentials) as cluster:
        repairs = await _diagnose(cluster, printer, search_multiple_owners=search_multiple_owners)
        mistaken = mistaken_views(cluster.view)
        if repairs and cluster.view.lost_primaries and not with_unreachable:
            _refuse_with_unreachable(cluster.view, printer, repairs)
            return 1
        _show_plan(cluster.view, repairs, mistaken, printer)
        if dry_run or not (repairs or mistaken):
            health = check(cluster.view)
            printer.document(_document(cluster.view, health, repairs, 0))
            return 0 if health.sound and not repairs else 1
        if any(repair.claim for repair in repairs) and not confirm(
            printer, "Fix these problems as planned?", assume_yes=yes
        ):
            printer.document(_document(cluster.view, check(cluster.view), repairs, 0))
            return 1
        keys_moved, failed = await _mend(cluster, repairs, printer, options)
        failed |= not await _agree(cluster)
        left = await _diagnose(cluster, printer, search_multiple_owners=search_multiple_owners)
        health = check(cluster.view)
        printer.document(_document(cluster.view, health, repairs, keys_moved))
    return 0 if health.sound and not left and not failed else 1


async def _diagnose(cluster: Cluster, printer: Printer, *, search_multiple_owners: bool) -> list[Repair]:
    """Report what is wrong, and plan what is to be done about the slots."""
    view = cluster.view
    slots: Sequence[int] = range(SLOT_COUNT) if search_multiple_owners else slots_in_question(view)
    counts = await count_everywhere(cluster, slots)
    print_summary(view, printer)
    report(view, check(view, counts), printer, owners=search_multiple_owners)
    return plan_repairs(view, collect_facts(view, counts))


def _refuse_with_unreachable(view: ClusterView, printer: Printer, repairs: Sequence[Repair]) -> None:
    lost = view.lost_primaries
    printer.error(
        f"{len(lost)} primaries do not answer, and fixing {len(repairs)} slots without them is dangerous: "
        "their slots would be given to other nodes, and their keys lost when they come back. "
        "Start them, or wait for their replicas to take over. If they are gone for good, use "
        "--fix-with-unreachable-masters."
    )
    printer.document(_document(view, check(view), repairs, 0))


def _show_plan(
    view: ClusterView, repairs: Sequence[Repair], mistaken: dict[str, dict[int, str]], printer: Printer
) -> None:
    """Slots that are repaired alike are told together."""
    groups: dict[tuple[object, ...], list[Repair]] = {}
    for repair in repairs:
        groups.setdefault(repair.shape, []).append(repair)
    if groups or mistaken:
        printer.step("Plan:")
    for group in groups.values():
        ranges = format_ranges(tuple(slot_ranges(repair.slot for repair in group)))
        noun = "Slot" if len(group) == 1 else f"{len(group)} slots"
        printer.line(f"{noun} {ranges}: {group[0].problem}")
        for sentence in explain(view, group[0]):
            printer.line(f"   {sentence}")
    for node, owners in mistaken.items():
        ranges = format_ranges(tuple(slot_ranges(sorted(owners))))
        printer.line(f"Tell {view.find(node).address} who owns {ranges}")


def explain(view: ClusterView, repair: Repair) -> list[str]:
    """What a repair does, a sentence each."""

    def names(nodes: Sequence[str]) -> str:
        return ", ".join(str(view.find(node).address) for node in nodes)

    sentences: list[str] = []
    if repair.move_from is not None:
        sentences.append(f"finish the move from {names([repair.move_from])} to {names([repair.owner])}")
    elif repair.claim:
        sentences.append(f"give it to {names([repair.owner])}")
    else:
        sentences.append(f"leave it with {names([repair.owner])}")
    if repair.yielding:
        sentences.append(f"bring together there what {names(repair.yielding)} has of it")
    if repair.close:
        sentences.append(f"close it on {names(repair.close)}")
    return sentences


async def _mend(
    cluster: Cluster, repairs: Sequence[Repair], printer: Printer, options: MigrateOptions
) -> tuple[int, bool]:
    """Carry the plan out. Returns how many keys went elsewhere, and whether something could not be done.

    Complaints that the plan was to answer are over with; those that are left are made again at the end.
    """
    if any(repair.claim for repair in repairs):
        printer.step("Fixing slots coverage...")
    with progress_for(printer) as progress:
        repairer = Repairer(cluster, options, progress)
        await repairer.carry_out(repairs)
    printer.start_over()
    for failure in repairer.failures:
        printer.error(str(failure))
        for detail in failure.details:
            printer.line(f"   {detail}")
    done, keys = repairer.slots_repaired, repairer.keys_moved
    if repairs:
        (printer.warning if repairer.failures else printer.ok)(
            f"Repaired {done} of {len(repairs)} slots, moved {keys} keys."
        )
    return repairer.keys_moved, bool(repairer.failures)


async def _agree(cluster: Cluster) -> bool:
    """Wait until all nodes say the same; False if they do not in the end.

    Nodes hear the news sooner from others that are made to greet them. Primaries that even then
    take somebody else for an owner, which is so when that one has the greater epoch, are told outright.
    """
    for patience in _PATIENCE:
        view = await cluster.load()
        links = {node.address: cluster.connection(node.id) for node in view.nodes}
        await NewsBearer().carry(links, {node.address: node.view for node in view.nodes})
        if await cluster.wait_for_agreement(patience):
            return True
        for node, owners in mistaken_views(cluster.view).items():
            commands: list[Command] = [
                ("CLUSTER", "SETSLOT", slot, "NODE", owner) for slot, owner in owners.items()
            ]
            await cluster.connection(node).call_many(commands)
    return False


def _document(
    view: ClusterView, health: Health, repairs: Sequence[Repair], keys_moved: int
) -> dict[str, Json]:
    return {
        "sound": health.sound,
        **describe_health(health),
        "moved_keys": keys_moved,
        "repairs": [
            {
                "slot": repair.slot,
                "problem": repair.problem,
                "owner": repair.owner,
                "steps": explain(view, repair),
            }
            for repair in repairs
        ],
        "nodes": describe(view),
    }
