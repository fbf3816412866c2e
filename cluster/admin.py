"""The CLUSTER subcommands that change something. Each checks everything first and only then acts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from shoal.cluster import election, epochs, gossip, links, manual_failover, migration, ownership
from shoal.cluster.core import AdminError, Core, Election
from shoal.cluster.effects import AnswerAdmin, Level, ResetDataset
from shoal.cluster.events import (
    AddSlots,
    AdminRequest,
    BumpEpoch,
    DelSlots,
    Failover,
    FailoverMode,
    FlushSlots,
    Forget,
    Meet,
    Replicate,
    Reset,
    SaveConfig,
    SetConfigEpoch,
    SetSlotImporting,
    SetSlotMigrating,
    SetSlotNode,
    SetSlotStable,
)
from shoal.cluster.slot_sets import ALL_SLOTS, bits_of
from shoal.cluster.view import Node

BUS_PORT_OFFSET = 10000


def answer(core: Core, request: AdminRequest) -> AnswerAdmin:
    """Carry out a request and say how it went. A refused request has changed nothing."""
    try:
        return AnswerAdmin(_carry_out(core, request))
    except AdminError as refusal:
        return AnswerAdmin(f"ERR {refusal}", is_error=True)


def _carry_out(core: Core, request: AdminRequest) -> str:
    match request:
        case Meet():
            _meet(core, request)
        case Forget(node_id):
            _forget(core, node_id)
        case AddSlots(slots):
            _add_slots(core, slots)
        case DelSlots(slots):
            _delete_slots(core, slots)
        case FlushSlots():
            _flush_slots(core)
        case SetSlotMigrating() | SetSlotImporting() | SetSlotStable() | SetSlotNode():
            migration.set_slot(core, request)
        case Replicate(node_id):
            _replicate(core, node_id)
        case Failover(mode):
            _failover(core, mode)
        case Reset(hard):
            _reset(core, hard=hard)
        case BumpEpoch():
            bumped = epochs.bump_without_consensus(core)
            return f"{'BUMPED' if bumped else 'STILL'} {core.myself.config_epoch}"
        case SetConfigEpoch(epoch):
            _set_config_epoch(core, epoch)
        case SaveConfig():
            core.persist(fsync=True)
    return "OK"


# Membership


def _meet(core: Core, request: Meet) -> None:
    bus_port = request.port + BUS_PORT_OFFSET if request.bus_port is None else request.bus_port
    if not links.start_handshake(core, request.ip, request.port, bus_port, meet=True):
        raise AdminError(f"Invalid node address specified: {request.ip}:{request.port}")


def _forget(core: Core, node_id: str) -> None:
    """Forgetting a node that was just forgotten succeeds: by gossip, one call may have reached us already."""
    node = core.view.nodes.get(node_id)
    if node is None:
        if gossip.is_forgotten(core, node_id):
            return
        raise AdminError(f"Unknown node {node_id}")
    if node.is_myself:
        raise AdminError("I tried hard but I can't forget myself...")
    if node is core.myself.primary:
        raise AdminError("Can't forget my master!")
    gossip.forget_node(core, node, core.settings.blacklist_ttl_s)


def _replicate(core: Core, node_id: str) -> None:
    me = core.myself
    node = _known(core, node_id)
    if node is me:
        raise AdminError("Can't replicate myself")
    if not node.is_primary:
        raise AdminError("I can only replicate a master, not a replica.")
    if me.is_primary and (me.slot_count or not core.dataset.is_empty()):
        raise AdminError("To set a master the node must be empty and without assigned slots.")
    if node is not me.primary:
        ownership.become_replica(core, node)


def _known(core: Core, node_id: str) -> Node:
    node = core.view.nodes.get(node_id)
    if node is None or node.handshake:
        raise AdminError(f"Unknown node {node_id}")
    return node


def _reset(core: Core, *, hard: bool) -> None:
    """Leave the cluster: forget everybody, own nothing, be a primary. HARD also means to be somebody new."""
    me, view = core.myself, core.view
    if me.is_primary and not core.dataset.is_empty():
        raise AdminError("CLUSTER RESET can't be called with master nodes containing keys")
    if me.is_replica:
        ownership.become_primary(core)
        core.emit(ResetDataset())
    manual_failover.end(core)
    core.election = Election()
    view.unassign(ALL_SLOTS)
    view.migrating.clear()
    view.importing.clear()
    for node in list(view.others()):
        links.forget(core, node)
    view.forgotten_until_ms.clear()
    core.forgotten_told.clear()
    me.migrate_to = view.awaiting_failover = False
    if hard:
        view.current_epoch = view.last_vote_epoch = me.config_epoch = 0
        view.rename(me, core.random_id())
        me.shard_id = core.random_id()
        core.note(Level.NOTICE, f"Node hard reset, now I'm {me.id}")
    core.changed()
    core.persist(fsync=True)


# Slots


def _add_slots(core: Core, slots: Iterable[int]) -> None:
    if core.myself.is_replica:
        raise AdminError("Please use ADDSLOTS only with masters.")
    bits = _distinct(slots)
    for slot in slots:
        if core.view.slot_owner[slot] is not None:
            raise AdminError(f"Slot {slot} is already busy")
    for slot in slots:
        core.view.importing.pop(slot, None)
    core.view.assign(bits, core.myself)
    core.changed(news=True)
    core.persist(fsync=True)


def _delete_slots(core: Core, slots: Iterable[int]) -> None:
    bits = _distinct(slots)
    for slot in slots:
        if core.view.slot_owner[slot] is None:
            raise AdminError(f"Slot {slot} is already unassigned")
    _let_go(core, bits)


def _flush_slots(core: Core) -> None:
    if not core.dataset.is_empty():
        raise AdminError("DB must be empty to perform CLUSTER FLUSHSLOTS.")
    _let_go(core, core.myself.slot_bits)


def _let_go(core: Core, bits: int) -> None:
    core.view.unassign(bits)
    for slot in [slot for slot in core.view.migrating if bits >> slot & 1]:
        del core.view.migrating[slot]
    core.changed(news=True)
    core.persist(fsync=True)


def _distinct(slots: Iterable[int]) -> int:
    """The slots as a set, refusing one named twice."""
    repeated = [slot for slot, count in Counter(slots).items() if count > 1]
    if repeated:
        raise AdminError(f"Slot {repeated[0]} specified multiple times")
    return bits_of(slots)


# Epochs


def _set_config_epoch(core: Core, epoch: int) -> None:
    if epoch < 0:
        raise AdminError(f"Invalid config epoch specified: {epoch}")
    if len(core.view.nodes) > 1:
        raise AdminError(
            "The user can assign a config epoch only when the node does not know any other node."
        )
    if core.myself.config_epoch:
        raise AdminError("Node config epoch is already non-zero")
    epochs.observe(core, epoch)
    epochs.set_own(core, epoch)


# Failover


def _failover(core: Core, mode: FailoverMode) -> None:
    primary = core.myself.primary
    if core.myself.is_primary:
        raise AdminError("You should send CLUSTER FAILOVER to a replica")
    if primary is None:
        raise AdminError("I'm a replica but my master is unknown to me")
    in_touch = primary.connected and core.primary_link_up and not primary.fail
    if mode is FailoverMode.NORMAL and not in_touch:
        raise AdminError("Master is down or failed, please use CLUSTER FAILOVER FORCE")
    if mode is FailoverMode.TAKEOVER:
        core.note(Level.WARNING, "Taking over the master (user request).")
        epochs.set_own(core, epochs.next_epoch(core))
        election.replace_primary(core, primary)
        return
    manual_failover.request(core, force=mode is FailoverMode.FORCE)
