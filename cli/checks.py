"""Is the cluster sound? Pure checks over what all nodes say; the report words are those of redis-cli."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from shoal.cli.key_counts import KeyCounts
from shoal.cli.printing import Json, Printer
from shoal.cli.topology import ClusterView, Node, SlotRange
from shoal.cluster.slots import SLOT_COUNT, slot_ranges

_DETAILS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class OpenSlot:
    """A slot marked as on its way from `source` to `target`; a move in good order is marked at both ends."""

    slot: int
    source: str
    target: str
    source_marked: bool
    target_marked: bool


@dataclass(frozen=True, slots=True)
class Health:
    """The outcome of all checks. `multiple_owners`: by slot, who claims it or holds keys of it."""

    disagreeing: tuple[str, ...]
    open_slots: tuple[OpenSlot, ...]
    uncovered: tuple[SlotRange, ...]
    multiple_owners: dict[int, list[str]]
    unreachable: tuple[str, ...]

    @property
    def agreed_and_covered(self) -> bool:
        """What any further change needs; open slots may be what that change is to close."""
        return not (self.disagreeing or self.uncovered)

    @property
    def sound(self) -> bool:
        return self.agreed_and_covered and not self.open_slots


def check(view: ClusterView, counts: KeyCounts | None = None) -> Health:
    """`counts`, if given, show also the nodes that hold keys of slots that are not theirs."""
    owners = view.owners()
    return Health(
        disagreeing=tuple(_disagreements(view)),
        open_slots=tuple(find_open_slots(view)),
        uncovered=tuple(slot_ranges(slot for slot in range(SLOT_COUNT) if slot not in owners)),
        multiple_owners=_multiple_owners(view, counts or {}),
        unreachable=tuple(
            f"{lost.line.host}:{lost.line.port} ({lost.line.id[:8]}...): {lost.reason}"
            for lost in view.unreachable
        ),
    )


def _multiple_owners(view: ClusterView, counts: KeyCounts) -> dict[int, list[str]]:
    owners = {slot: {node.id for node in nodes} for slot, nodes in view.owners().items()}
    for slot, holders in counts.items():
        owners.setdefault(slot, set()).update(holders)
    return {
        slot: [str(node.address) for node in view.primaries if node.id in ids]
        for slot, ids in sorted(owners.items())
        if len(ids) > 1
    }


def find_open_slots(view: ClusterView) -> list[OpenSlot]:
    """Every move that is under way, marks of both ends joined, by slot."""
    marks: dict[tuple[int, str, str], set[str]] = {}
    for node in view.primaries:
        for slot, target in node.line.migrating:
            marks.setdefault((slot, node.id, target), set()).add("source")
        for slot, source in node.line.importing:
            marks.setdefault((slot, source, node.id), set()).add("target")
    return [
        OpenSlot(slot, source, target, "source" in ends, "target" in ends)
        for (slot, source, target), ends in sorted(marks.items())
    ]


def _disagreements(view: ClusterView) -> list[str]:
    """One sentence for each node whose idea of the owners is not the most common one."""
    views = {node.id: node.slot_owners() for node in view.nodes}
    common, _ = Counter(views.values()).most_common(1)[0]
    expected = _owner_by_slot(common)
    sentences: list[str] = []
    for node in view.nodes:
        if views[node.id] == common:
            continue
        believed = _owner_by_slot(views[node.id])
        differing = [slot for slot in range(SLOT_COUNT) if believed.get(slot) != expected.get(slot)]
        slot = differing[0] if differing else 0
        sentences.append(
            f"{node.address} sees {len(differing)} slots otherwise than most nodes; slot {slot}: "
            f"{believed.get(slot, 'nobody')} instead of {expected.get(slot, 'nobody')}"
        )
    return sentences


def _owner_by_slot(owners: tuple[tuple[str, tuple[SlotRange, ...]], ...]) -> dict[int, str]:
    return {
        slot: node_id
        for node_id, ranges in owners
        for first, last in ranges
        for slot in range(first, last + 1)
    }


def report(
    view: ClusterView, health: Health, printer: Printer, *, show_nodes: bool = True, owners: bool = False
) -> None:
    """Print the checks as redis-cli does; with `owners`, also whether a slot is claimed by several nodes."""
    printer.step(f"Performing Cluster Check (using node {view.seed})")
    if show_nodes:
        for node in view.nodes:
            print_node(view, node, printer)
    for text in health.unreachable:
        printer.warning(f"Node did not answer: {text}")
    if health.disagreeing:
        printer.error("Nodes don't agree about configuration!")
        for text in health.disagreeing[:_DETAILS_SHOWN]:
            printer.line(f"   {text}")
    else:
        printer.ok("All nodes agree about slots configuration.")
    printer.step("Check for open slots...")
    _report_open_slots(view, health, printer)
    printer.step("Check slots coverage...")
    if health.uncovered:
        printer.error("Not all 16384 slots are covered by nodes.")
        printer.line(f"   not covered: {format_ranges(health.uncovered)}")
    else:
        printer.ok("All 16384 slots covered.")
    if owners:
        _report_owners(health, printer)


def _report_open_slots(view: ClusterView, health: Health, printer: Printer) -> None:
    for node in view.primaries:
        for state, marks in (("importing", node.line.importing), ("migrating", node.line.migrating)):
            if marks:
                slots = ",".join(str(slot) for slot, _ in marks)
                printer.warning(f"Node {node.address} has slots in {state} state {slots}.")
    if health.open_slots:
        slots = ",".join(str(slot) for slot in sorted({opened.slot for opened in health.open_slots}))
        printer.warning(f"The following slots are open: {slots}.")


def _report_owners(health: Health, printer: Printer) -> None:
    printer.step("Check for multiple slot owners...")
    if not health.multiple_owners:
        printer.ok("No multiple owners found.")
    for slot, nodes in sorted(health.multiple_owners.items()):
        printer.warning(f"Slot {slot} has {len(nodes)} owners:")
        for node in nodes:
            printer.line(f"    {node}")


def print_node(view: ClusterView, node: Node, printer: Printer, indent: str = "") -> None:
    """Two or three lines about a node, in the shape scripts know."""
    kind, role = ("M", "master") if node.is_primary else ("S", "slave")
    printer.line(f"{indent}{kind}: {node.id} {node.address}")
    printer.line(f"{indent}   slots:{format_ranges(node.line.ranges)} ({node.slot_count} slots) {role}")
    replicas = len(view.replicas_of(node.id))
    if not node.is_primary:
        printer.line(f"{indent}   replicates {node.line.primary_id or 'an unknown node'}")
    elif replicas:
        printer.line(f"{indent}   {replicas} additional replica(s)")


def print_summary(view: ClusterView, printer: Printer) -> None:
    """Keys, slots and replicas of each primary, and the totals."""
    primaries = view.primaries
    for node in primaries:
        replicas = len(view.replicas_of(node.id))
        printer.line(
            f"{node.address} ({node.id[:8]}...) -> {node.keys} keys | "
            f"{node.slot_count} slots | {replicas} slaves."
        )
    keys = sum(node.keys for node in primaries)
    printer.ok(f"{keys} keys in {len(primaries)} masters.")
    printer.line(f"{keys / SLOT_COUNT:.2f} keys per slot on average.")


def format_ranges(ranges: tuple[SlotRange, ...]) -> str:
    """`[0-5460],[7]`, as redis-cli writes slots."""
    texts = [f"[{first}-{last}]" if first != last else f"[{first}]" for first, last in ranges]
    return ",".join(texts)


def describe(view: ClusterView) -> list[Json]:
    """The nodes for `--json`."""
    return [
        {
            "id": node.id,
            "address": str(node.address),
            "role": "primary" if node.is_primary else "replica",
            "primary_id": node.line.primary_id,
            "slots": [list(pair) for pair in node.line.ranges],
            "slot_count": node.slot_count,
            "keys": node.keys,
            "config_epoch": node.line.config_epoch,
        }
        for node in view.nodes
    ]


def describe_health(health: Health) -> dict[str, Json]:
    """The checks for `--json`."""
    return {
        "nodes_agree": not health.disagreeing,
        "disagreements": list(health.disagreeing),
        "uncovered": [list(pair) for pair in health.uncovered],
        "open_slots": [
            {"slot": opened.slot, "source": opened.source, "target": opened.target}
            for opened in health.open_slots
        ],
        "multiple_owners": {str(slot): list(nodes) for slot, nodes in health.multiple_owners.items()},
        "unreachable": list(health.unreachable),
    }
