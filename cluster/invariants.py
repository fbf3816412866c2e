"""What must hold of a view at any time, whatever the network did. Checked in tests and in simulation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from shoal.cluster.slot_sets import bits_to_bitmap
from shoal.cluster.view import ClusterView


def check(view: ClusterView) -> list[str]:
    """Every broken invariant as a sentence; empty when all hold."""
    return [*_members(view), *_roles(view), *_slots(view), *_epochs(view)]


def _members(view: ClusterView) -> Iterator[str]:
    if view.nodes.get(view.myself.id) is not view.myself:
        yield "myself is not among the nodes under its own id"
    if [node for node in view.nodes.values() if node.is_myself] != [view.myself]:
        yield "not exactly one node is myself"
    if view.myself.is_failing:
        yield "I hold myself to be failing"
    for node_id, node in view.nodes.items():
        if node.id != node_id:
            yield f"node {node.id} is filed under {node_id}"
        if node.pfail and node.fail:
            yield f"node {node.id} is both PFAIL and FAIL"
        if node.link is not None and view.links.get(node.link.id) is not node.link:
            yield f"the link to node {node.id} is not among the links"
    for link in view.links.values():
        if link.node is not None and view.nodes.get(link.node.id) is not link.node:
            yield f"link {link.id} belongs to a forgotten node"


def _roles(view: ClusterView) -> Iterator[str]:
    for node in view.nodes.values():
        if node.is_primary and (node.is_replica or node.primary is not None):
            yield f"primary {node.id} follows somebody"
        if node.primary is not None and node not in node.primary.replicas:
            yield f"the primary of {node.id} does not count it as a replica"
        for replica in node.replicas:
            if replica.primary is not node:
                yield f"{replica.id} is counted as a replica of {node.id} but follows another"


def _slots(view: ClusterView) -> Iterator[str]:
    seen, routed = 0, _routed_bits(view)
    for node in view.nodes.values():
        if node.slot_bits & seen:
            yield f"node {node.id} owns a slot that another owns"
        seen |= node.slot_bits
        if node.slot_bits and not node.is_primary:
            yield f"node {node.id} owns slots and is no primary"
        if node.bitmap != bits_to_bitmap(node.slot_bits) or node.slot_count != node.slot_bits.bit_count():
            yield f"the slot cache of node {node.id} is stale"
        if routed.pop(node.id, 0) != node.slot_bits:
            yield f"the slots of node {node.id} are not those routed to it"
    if routed:
        yield f"slots are routed to {', '.join(routed)}, which is not a node"
    if seen != view.assigned_bits:
        yield "the assigned slots are not those that nodes own"
    if view.size != sum(node.votes for node in view.nodes.values()):
        yield "the number of voters is stale"
    if any(view.slot_owner[slot] is not view.myself for slot in view.migrating):
        yield "a slot I do not own is migrating away from me"
    if any(view.slot_owner[slot] is view.myself for slot in view.importing):
        yield "a slot I own is being imported"


def _routed_bits(view: ClusterView) -> dict[str, int]:
    """The slots routed to each node. Runs of slots with one owner are taken in one piece."""
    routed: dict[str, int] = {}
    slot = 0
    for owner, run in groupby(view.slot_owner):
        length = len(list(run))
        if owner is not None:
            routed[owner.id] = routed.get(owner.id, 0) | ((1 << length) - 1) << slot
        slot += length
    return routed


def _epochs(view: ClusterView) -> Iterator[str]:
    greatest = max(node.config_epoch for node in view.nodes.values())
    if greatest > view.current_epoch:
        yield f"config epoch {greatest} is beyond the current epoch {view.current_epoch}"
    if view.last_vote_epoch > view.current_epoch:
        yield f"voted in epoch {view.last_vote_epoch}, beyond the current epoch {view.current_epoch}"
