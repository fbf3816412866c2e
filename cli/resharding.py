"""The commands that move slots: reshard and rebalance."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction

from shoal.cli.addresses import Address
from shoal.cli.checks import OpenSlot, check, find_open_slots, format_ranges, print_node, report
from shoal.cli.client import Credentials
from shoal.cli.discovery import Cluster, open_cluster
from shoal.cli.draining import MigrateOptions
from shoal.cli.errors import CliError
from shoal.cli.migrating import SlotMover
from shoal.cli.planning import Move, plan_named_slots, plan_rebalance, plan_reshard
from shoal.cli.printing import Json, Printer, confirm
from shoal.cli.progress import progress_for
from shoal.cli.topology import ClusterView, Node, SlotRange, slots_in
from shoal.cluster.slots import slot_ranges

AGREEMENT_TIMEOUT = 15.0
NEWS_TIMEOUT = 5.0


async def run_reshard(
    seed: Address,
    credentials: Credentials,
    printer: Printer,
    options: MigrateOptions,
    *,
    sources: str | None,
    target: str | None,
    count: int | None,
    ranges: Sequence[SlotRange],
    yes: bool,
) -> int:
    """Move `count` slots, or the slots in `ranges`, to one node from others."""
    async with open_cluster(seed, credentials) as cluster:
        open_slots = await _require_sound(cluster, printer)
        view = cluster.view
        if count is None and not ranges:
            count = int(_ask("How many slots do you want to move (from 1 to 16384)?", "--slots"))
        target = target or _ask("What is the receiving node ID?", "--to")
        sources = sources or (
            "all" if ranges else _ask("Source node IDs, comma-separated, or all?", "--from")
        )
        goal = view.find_primary(target)
        givers = _find_sources(view, sources, goal)
        moves = _plan(givers, goal, count, ranges, open_slots)
        _show_plan(view, moves, goal, printer)
        if not moves:
            printer.ok("Nothing to move: the target has these slots already.")
            printer.document({"moved_slots": 0, "moved_keys": 0, "moves": []})
            return 0
        if not confirm(printer, "Do you want to proceed with the proposed reshard plan?", assume_yes=yes):
            printer.document({"moved_slots": 0, "moved_keys": 0, "moves": []})
            return 1
        return await _carry_out(cluster, moves, printer, options)


async def run_rebalance(
    seed: Address,
    credentials: Credentials,
    printer: Printer,
    options: MigrateOptions,
    *,
    weights: Sequence[tuple[str, Fraction]],
    use_empty: bool,
    threshold: float,
    simulate: bool,
) -> int:
    """Move as few slots as bring every primary to its share."""
    async with open_cluster(seed, credentials) as cluster:
        open_slots = await _require_sound(cluster, printer)
        view = cluster.view
        shares = _weights(view, weights, use_empty, printer)
        moves = _resumed_moves(open_slots)
        moves += plan_rebalance(_slots_after(view, moves, shares), shares, threshold)
        if not moves:
            printer.line(
                f"*** No rebalancing needed! All nodes are within the {threshold:.2f}% threshold.",
                "\x1b[33;1m",
            )
            printer.document({"moved_slots": 0, "moved_keys": 0, "moves": []})
            return 0
        total = float(sum(shares.values()))
        printer.step(f"Rebalancing across {len(shares)} nodes. Total weight = {total:.2f}")
        addresses = {node.id: node.address for node in view.nodes}
        for move in moves:
            count = len(move.slots)
            printer.line(f"Moving {count} slots from {addresses[move.source]} to {addresses[move.target]}")
        if simulate:
            printer.line("Simulated only: nothing was moved.")
            printer.document({"moved_slots": 0, "moved_keys": 0, "moves": describe_moves(moves)})
            return 0
        return await _carry_out(cluster, moves, printer, options)


async def _carry_out(
    cluster: Cluster, moves: Sequence[Move], printer: Printer, options: MigrateOptions
) -> int:
    started = time.monotonic()
    with progress_for(printer) as progress:
        mover = SlotMover(cluster, options, progress)
        try:
            await mover.carry_out(moves)
        finally:
            _tell_how_to_continue(cluster, mover)
    seconds = time.monotonic() - started
    if not await cluster.wait_for_agreement(AGREEMENT_TIMEOUT):
        printer.warning("The slots are moved, but some node has not heard of it yet; see shoal check.")
    printer.ok(f"Moved {mover.slots_moved} slots with {mover.keys_moved} keys in {seconds:.1f} s.")
    printer.document(
        {
            "moved_slots": mover.slots_moved,
            "moved_keys": mover.keys_moved,
            "seconds": round(seconds, 3),
            "moves": describe_moves(moves),
        }
    )
    return 0


def _tell_how_to_continue(cluster: Cluster, mover: SlotMover) -> None:
    """After an interruption: the commands that do exactly the rest."""
    for target, slots in mover.remaining.items():
        if slots:
            ranges = ",".join(f"{a}-{b}" if a != b else str(a) for a, b in slot_ranges(sorted(slots)))
            command = ["shoal", "reshard", str(cluster.seed), "--to", target, "--ranges", ranges, "--yes"]
            print(f"{len(slots)} slots are left; to move them: {shlex.join(command)}", file=sys.stderr)


def _find_sources(view: ClusterView, text: str, goal: Node) -> list[Node]:
    """The nodes named by `--from`, or all other primaries that have slots."""
    if text.strip() == "all":
        return [node for node in view.primaries if node.id != goal.id and node.line.ranges]
    givers = [view.find_primary(part.strip()) for part in text.split(",") if part.strip()]
    if goal.id in {node.id for node in givers}:
        raise CliError(f"{goal.address} is both source and target; name another one in --from or --to")
    return list({node.id: node for node in givers}.values())


def _plan(
    givers: Sequence[Node],
    goal: Node,
    count: int | None,
    ranges: Sequence[SlotRange],
    open_slots: Sequence[OpenSlot],
) -> list[Move]:
    """Slots that an earlier run left open towards the target come first and count as part of `count`.

    Slots open towards another node are left alone; naming one of them is an error.
    """
    elsewhere = {opened.slot: opened for opened in open_slots if opened.target != goal.id}
    slots = {node.id: node.slots for node in givers}
    if ranges:
        wanted = list(slots_in(ranges))
        for slot in elsewhere.keys() & set(wanted):
            raise CliError(
                f"slot {slot} is on its way to {elsewhere[slot].target}; finish that first with "
                f"--to {elsewhere[slot].target} --ranges {slot}"
            )
        return plan_named_slots({**slots, goal.id: goal.slots}, goal.id, wanted)
    first = _resumed_moves(
        [opened for opened in open_slots if opened.target == goal.id and opened.source in slots]
    )
    started = {slot for move in first for slot in move.slots}
    rest = {
        source: [slot for slot in own if slot not in started and slot not in elsewhere]
        for source, own in slots.items()
    }
    return first + plan_reshard(rest, goal.id, (count or 0) - len(started))


async def _require_sound(cluster: Cluster, printer: Printer) -> list[OpenSlot]:
    """Refuse a cluster that disagrees or has holes. Returns the open slots that can simply be continued.

    A run that was interrupted in its last steps may have left nodes that have not heard of the new owner
    yet, and will in a moment, or a mark on a source that has given its slot away.
    """
    await cluster.wait_for_agreement(NEWS_TIMEOUT)
    await _close_finished(cluster)
    view = cluster.view
    health = check(view)
    report(view, health, printer, show_nodes=False)
    if not health.agreed_and_covered:
        raise CliError("Please fix your cluster problems first: see the report above, and shoal fix")
    owners = view.owners()
    continuable: list[OpenSlot] = []
    for opened in health.open_slots:
        if opened.target not in {node.id for node in view.primaries}:
            raise CliError(
                f"slot {opened.slot} is open towards {opened.target}, which is no primary here; run shoal fix"
            )
        if opened.source not in {node.id for node in owners[opened.slot]}:
            raise CliError(
                f"slot {opened.slot} is open from {opened.source}, which does not own it; run shoal fix"
            )
        continuable.append(opened)
    return continuable


async def _close_finished(cluster: Cluster) -> None:
    """Take the mark off sources whose slot is the target's already, unless keys were left behind."""
    owners = cluster.view.owners()
    closed = False
    for opened in find_open_slots(cluster.view):
        if opened.target_marked or [node.id for node in owners.get(opened.slot, ())] != [opened.target]:
            continue
        source = cluster.connection(opened.source)
        if await source.call("CLUSTER", "COUNTKEYSINSLOT", opened.slot) == 0:
            await source.call("CLUSTER", "SETSLOT", opened.slot, "STABLE")
            closed = True
    if closed:
        await cluster.load()


def _resumed_moves(open_slots: Sequence[OpenSlot]) -> list[Move]:
    """Moves that finish what an earlier run left open."""
    slots: dict[tuple[str, str], list[int]] = {}
    for opened in open_slots:
        slots.setdefault((opened.source, opened.target), []).append(opened.slot)
    return [Move(source, target, tuple(opened)) for (source, target), opened in slots.items()]


def _slots_after(
    view: ClusterView, moves: Sequence[Move], shares: Mapping[str, Fraction]
) -> dict[str, list[int]]:
    """Who of the nodes that take part will have which slots once these moves are done."""
    owner = {slot: node.id for node in view.primaries for slot in node.slots}
    owner.update({slot: move.target for move in moves for slot in move.slots})
    slots: dict[str, list[int]] = {node_id: [] for node_id in shares}
    for slot, node_id in owner.items():
        if node_id in slots:
            slots[node_id].append(slot)
    return slots


def _weights(
    view: ClusterView, given: Sequence[tuple[str, Fraction]], use_empty: bool, printer: Printer
) -> dict[str, Fraction]:
    """The weight of each primary that takes part: 1 unless given; empty ones only if asked for."""
    named = {view.find_primary(text).id: weight for text, weight in given}
    shares = {
        node.id: named.get(node.id, Fraction(1)) for node in view.primaries if node.line.ranges or use_empty
    }
    for node_id in named.keys() - shares.keys():
        address = view.find(node_id).address
        printer.warning(f"{address} has no slots, and gets none without --use-empty-primaries.")
    if not any(shares.values()):
        raise CliError("all weights are zero; give at least one node a weight above 0")
    return shares


def _show_plan(view: ClusterView, moves: Sequence[Move], goal: Node, printer: Printer) -> None:
    total = sum(len(move.slots) for move in moves)
    printer.line()
    printer.line(f"Ready to move {total} slots.")
    printer.line("  Source nodes:")
    for move in moves:
        print_node(view, view.find(move.source), printer, "    ")
    printer.line("  Destination node:")
    print_node(view, goal, printer, "    ")
    printer.line("  Resharding plan:")
    for move in moves:
        ranges = format_ranges(tuple(slot_ranges(sorted(move.slots))))
        printer.line(f"    Moving slots {ranges} from {move.source}")


def _ask(question: str, option: str) -> str:
    """A missing option, asked for on the terminal."""
    if not sys.stdin.isatty():
        raise CliError(f"{option} is missing; give it when not at a terminal")
    print(question, end=" ", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip()
    if not answer or (option == "--slots" and not answer.isdecimal()):
        raise CliError(f"{answer!r} is no answer to that; give {option}")
    return answer


def describe_moves(moves: Sequence[Move]) -> list[Json]:
    """Moves for `--json`."""
    return [
        {
            "source": move.source,
            "target": move.target,
            "slots": [list(pair) for pair in slot_ranges(move.slots)],
            "count": len(move.slots),
        }
        for move in moves
    ]
