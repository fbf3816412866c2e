"""What is wrong with a slot, and how it becomes one node's again without losing a key. Pure.

A slot is in order when one primary claims it, no node marks it as on its way, and no other node holds
keys of it. There are two ways back to that:

- **Finish the move.** One node owns the slot and marks it as going, another as coming: a reshard that was
  interrupted. It is carried on, for only in that direction do clients get right answers all the while.
- **Gather.** Anything else: one node becomes or stays the owner, the others hand over what keys they have.
  The owner is who holds most keys; of equals, one that claims the slot already.

Source for the choice of owner: the behaviour of `redis-cli --cluster fix` 7.0. It differs in one case: where
a move in good order was interrupted, it carries the keys back if the source has more of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shoal.cli.errors import CliError
from shoal.cli.key_counts import KeyCounts
from shoal.cli.topology import ClusterView, slots_in
from shoal.cluster.slots import SLOT_COUNT


@dataclass(frozen=True, slots=True)
class SlotFacts:
    """All that the primaries say about one slot. Nodes are ids.

    `migrating` maps a node to the one it marks the slot as going to, `importing` to the one it comes from;
    `keys` counts the keys of each node that holds any.
    """

    slot: int
    claimants: tuple[str, ...] = ()
    migrating: Mapping[str, str] = field(default_factory=dict)
    importing: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, int] = field(default_factory=dict)

    @property
    def marked(self) -> set[str]:
        return {*self.migrating, *self.importing}

    @property
    def in_order(self) -> bool:
        return len(self.claimants) == 1 and not self.marked and set(self.keys) <= set(self.claimants)


@dataclass(frozen=True, slots=True)
class Repair:
    """How one slot gets in order. Nodes are ids.

    `move_from` has the slot and gives it to `owner` as a reshard does. `claim`: the owner takes the slot,
    whatever it or others believe. `yielding` nodes hand over their keys and give up any claim. `close` are
    the other nodes that have a mark to be taken off.
    """

    slot: int
    problem: str
    owner: str
    move_from: str | None = None
    claim: bool = False
    yielding: tuple[str, ...] = ()
    close: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[object, ...]:
        """What is equal for slots that are repaired alike."""
        return (self.problem, self.owner, self.move_from, self.claim, self.yielding, self.close)


def collect_facts(view: ClusterView, counts: KeyCounts) -> list[SlotFacts]:
    """The facts about each slot that was counted."""
    owners = view.owners()
    migrating: dict[int, dict[str, str]] = {}
    importing: dict[int, dict[str, str]] = {}
    for node in view.primaries:
        for marks, by_slot in ((node.line.migrating, migrating), (node.line.importing, importing)):
            for slot, peer in marks:
                by_slot.setdefault(slot, {})[node.id] = peer
    return [
        SlotFacts(
            slot,
            tuple(node.id for node in owners.get(slot, ())),
            migrating.get(slot, {}),
            importing.get(slot, {}),
            counts[slot],
        )
        for slot in sorted(counts)
    ]


def slots_in_question(view: ClusterView) -> list[int]:
    """Slots that are open, that nobody claims, or that several nodes claim."""
    owners = view.owners()
    marked = {slot for node in view.primaries for slot, _ in (*node.line.migrating, *node.line.importing)}
    return [slot for slot in range(SLOT_COUNT) if slot in marked or len(owners.get(slot, ())) != 1]


def plan_repairs(view: ClusterView, facts: Iterable[SlotFacts]) -> list[Repair]:
    """A repair for each slot that needs one, by slot."""
    wrong = [each for each in facts if not each.in_order]
    epochs = {node.id: node.line.config_epoch for node in view.primaries}
    ownerless = [each.slot for each in wrong if not each.claimants and not each.keys]
    spread = spread_slots(ownerless, {node.id: node.slot_count for node in view.primaries})
    return [plan_repair(each, epochs, spread.get(each.slot)) for each in wrong]


def plan_repair(facts: SlotFacts, epochs: Mapping[str, int], spare_owner: str | None) -> Repair:
    """`epochs` are the config epochs of all primaries; `spare_owner` gets a slot that nobody has."""
    problem = describe_problem(facts)
    move = _interrupted_move(facts)
    if move is not None:
        source, target = move
        others = tuple(node for node in facts.keys if node not in move)
        close = tuple(sorted(facts.marked - {source, target, *others}))
        return Repair(facts.slot, problem, target, move_from=source, yielding=others, close=close)
    candidates = dict.fromkeys((*facts.claimants, *facts.keys))
    if not candidates and spare_owner is None:
        raise CliError(f"slot {facts.slot} has no owner, and there is no primary to give it to")
    owner = max(
        candidates,
        key=lambda node: (facts.keys.get(node, 0), node in facts.claimants, epochs.get(node, 0)),
        default=spare_owner,
    )
    assert owner is not None
    yielding = tuple(node for node in candidates if node != owner)
    return Repair(
        facts.slot,
        problem,
        owner,
        claim=facts.claimants != (owner,),
        yielding=yielding,
        close=tuple(sorted(facts.marked - set(yielding))),
    )


def _interrupted_move(facts: SlotFacts) -> tuple[str, str] | None:
    """The source and target of a move to be finished, if the slot's one owner marks it as going.

    It goes where the owner says, if that node says so too; or else to the one node that says it comes.
    """
    if len(facts.claimants) != 1 or facts.claimants[0] not in facts.migrating:
        return None
    source = facts.claimants[0]
    target = facts.migrating[source]
    if target not in facts.importing and len(facts.importing) == 1:
        (target,) = facts.importing
    return (source, target) if target in facts.importing and target != source else None


def spread_slots(slots: Sequence[int], sizes: Mapping[str, int]) -> dict[int, str]:
    """Slots that anybody may have, each to a node, so that the nodes get as even as that can make them."""
    if not sizes:
        return {}
    given: Counter[str] = Counter()
    for _ in slots:
        given[min(sizes, key=lambda node: sizes[node] + given[node])] += 1
    receivers = (node for node in sizes for _ in range(given[node]))
    return dict(zip(slots, receivers, strict=True))


def describe_problem(facts: SlotFacts) -> str:
    """Without the nodes' names, which the plan tells."""
    if not facts.claimants:
        holders = {0: "and no keys", 1: "but keys on one node"}.get(
            len(facts.keys), f"but keys on {len(facts.keys)} nodes"
        )
        problem = f"no owner {holders}"
    elif len(facts.claimants) > 1:
        problem = f"{len(facts.claimants)} owners"
    elif set(facts.keys) - set(facts.claimants) - facts.marked:
        problem = "keys outside its owner"
    else:
        problem = "open"
    if facts.migrating and facts.importing:
        return f"{problem}, marked as migrating and as importing"
    if facts.marked:
        return f"{problem}, marked only as {'migrating' if facts.migrating else 'importing'}"
    return problem


def mistaken_views(view: ClusterView) -> dict[str, dict[int, str]]:
    """By primary, the slots whose owner it takes for another than who alone claims them, with the truth."""
    owners = {slot: nodes[0].id for slot, nodes in view.owners().items() if len(nodes) == 1}
    mistakes: dict[str, dict[int, str]] = {}
    for node in view.primaries:
        believed = {slot: line.id for line in node.view for slot in slots_in(line.ranges)}
        wrong = {slot: owner for slot, owner in owners.items() if believed.get(slot) != owner}
        if wrong:
            mistakes[node.id] = wrong
    return mistakes
