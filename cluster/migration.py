"""CLUSTER SETSLOT: a slot's way from one primary to another.

A slot is opened on both sides (IMPORTING at the target, MIGRATING at the source), its keys are moved one by
one, and NODE at the target, then at the source, closes it. Only the last step changes an owner.
"""

from __future__ import annotations

from shoal.cluster import epochs, ownership
from shoal.cluster.core import AdminError, Core
from shoal.cluster.events import SetSlotImporting, SetSlotMigrating, SetSlotNode, SetSlotStable
from shoal.cluster.view import Node

SetSlot = SetSlotMigrating | SetSlotImporting | SetSlotStable | SetSlotNode


def set_slot(core: Core, request: SetSlot) -> None:
    """Carry out one SETSLOT. Raises AdminError with the text clients know.

    The save need not be durable at once: a node that loses it to a power failure comes back with an older
    slot table, which the others' gossip and greater epochs put right. (A new epoch, where the importer
    takes one, is durable before anybody hears of it: see epochs.py.) Resharding a thousand slots
    would otherwise wait for thousands of fsyncs on every node.
    """
    if core.myself.is_replica:
        raise AdminError("Please use SETSLOT only with masters.")
    match request:
        case SetSlotMigrating(slot, node_id):
            _set_migrating(core, slot, node_id)
        case SetSlotImporting(slot, node_id):
            _set_importing(core, slot, node_id)
        case SetSlotStable(slot):
            core.view.migrating.pop(slot, None)
            core.view.importing.pop(slot, None)
        case SetSlotNode(slot, node_id):
            _set_node(core, slot, node_id)
    core.changed()
    core.persist()


def _set_migrating(core: Core, slot: int, node_id: str) -> None:
    if core.view.slot_owner[slot] is not core.myself:
        raise AdminError(f"I'm not the owner of hash slot {slot}")
    core.view.migrating[slot] = _primary(core, node_id, f"I don't know about node {node_id}")


def _set_importing(core: Core, slot: int, node_id: str) -> None:
    if core.view.slot_owner[slot] is core.myself:
        raise AdminError(f"I'm already the owner of hash slot {slot}")
    core.view.importing[slot] = _primary(core, node_id, f"I don't know about node {node_id}")


def _set_node(core: Core, slot: int, node_id: str) -> None:
    """Bind a slot by the operator's word.

    The importer gives itself an epoch above all others when it closes the import: its claim must beat the
    source's, whose epoch may be the greater one, and no vote has raised it. The source, told the same, merely
    lets go; having given its last slot away it becomes a replica of whom it gave it to.
    """
    view, me = core.view, core.myself
    node = _primary(core, node_id, f"Unknown node {node_id}")
    was_mine = view.slot_owner[slot] is me
    keys = core.dataset.count_keys_in_slot(slot)
    if was_mine and node is not me and keys:
        raise AdminError(
            f"Can't assign hashslot {slot} to a different node while I still hold keys for this hash slot."
        )
    if not keys:
        view.migrating.pop(slot, None)
    view.assign(1 << slot, node)
    if was_mine and node is not me and not me.slot_count and core.settings.allow_replica_migration:
        ownership.become_replica(core, node)
    elif node is me and slot in view.importing:
        del view.importing[slot]
        epochs.bump_without_consensus(core)
    core.changed(news=was_mine or node is me)


def _primary(core: Core, node_id: str, unknown: str) -> Node:
    node = core.view.nodes.get(node_id)
    if node is None or node.handshake:
        raise AdminError(unknown)
    if node.is_replica:
        raise AdminError("Target node is not a master")
    return node
