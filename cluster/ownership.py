"""Who owns which slot: claims, news for the outdated, and what losing slots makes of us.

Every packet carries its sender's slots (a replica's its primary's) and config epoch: a claim. In a settled
cluster the claim equals what we hold already and is dismissed by comparing 2,048 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

from shoal.cluster import epochs, gossip, links, manual_failover
from shoal.cluster.core import Core, Election
from shoal.cluster.effects import BecomePrimary, DeleteSlotKeys, Level
from shoal.cluster.messages import Header, Update
from shoal.cluster.slot_sets import bitmap_to_bits, bits_of, slots_of
from shoal.cluster.view import Node


def receive_claim(core: Core, sender: Node, header: Header) -> None:
    """Weigh the slots a packet claims, and tell its sender if it is behind."""
    claimant = sender.shard_primary
    if header.slots == claimant.bitmap and not claimant.slot_bits & core.view.unclaimed_bits:
        return
    claimed = bitmap_to_bits(header.slots)
    if sender.is_primary:
        settle_claim(core, sender, header.config_epoch, claimed)
    inform_outdated(core, sender, header.config_epoch, claimed & ~sender.shard_primary.slot_bits)


def settle_claim(core: Core, claimant: Node, config_epoch: int, claimed: int) -> None:
    """Bind to `claimant` the slots of a claim that prevail.

    How it arises: after a failover or a migration two nodes announce the same slot, the old owner because it
    has not heard, the new one because it was elected or told to.
    What goes wrong without the rule: nodes would follow whoever spoke last, and the slot's owner
    would flap with packet order.
    The rule: a claim wins a slot if nobody owns it, if its owner itself stopped announcing it, or if
    its config epoch is strictly greater than the owner's. A slot the claimant had and announces no more stays
    bound to it but counts as unclaimed: somebody must answer for it until another, or it again, claims it.
    Why it ends: an owner's epoch only grows, and no two primaries keep equal epochs (epochs.py).

    Source: Redis Cluster specification, "UPDATE messages" and "hash slots configuration propagation".
    """
    me = core.myself
    if claimant is me:
        return
    view = core.view
    view.unclaimed_bits |= claimant.slot_bits & ~claimed
    view.unclaimed_bits &= ~(claimant.slot_bits & claimed)
    contested = claimed & ~claimant.slot_bits
    if not contested:
        return
    won = contested & (~view.assigned_bits | view.unclaimed_bits)
    for owner in view.nodes.values():
        if owner.slot_bits & contested and owner.config_epoch < config_epoch:
            won |= owner.slot_bits & contested
    if won:
        _hand_over(core, claimant, won)


def _hand_over(core: Core, claimant: Node, won: int) -> None:
    """Rebind slots, then look at what that makes of us.

    With its last slot gone to one node, a shard has been failed over or moved away: its members follow
    the new owner. With some slots gone, only their keys must go, for a key in a slot that is
    another's can never be reached again and would come back to life if the slot ever returned.
    """
    me = core.myself
    shard_primary = me.shard_primary
    lost = shard_primary.slot_bits & won
    follow_open_slots(core, claimant, won)
    core.view.assign(won, claimant)
    core.changed()
    core.persist(fsync=True)
    if not lost:
        return
    same_shard = bool(me.shard_id) and claimant.shard_id == me.shard_id
    whole_claim = lost == claimant.slot_bits
    if not shard_primary.slot_count and (core.settings.allow_replica_migration or same_shard or whole_claim):
        core.note(
            Level.NOTICE, f"Configuration change detected. Reconfiguring myself as a replica of {claimant.id}"
        )
        become_replica(core, claimant)
    elif me.is_primary:
        delete_lost_keys(core, lost)


def follow_open_slots(core: Core, claimant: Node, won: int) -> None:
    """Keep open slots pointing at the right node when slots get a new owner.

    A slot we import keeps its source if the source's shard failed over, and is closed if a different
    shard has it now. A slot we were migrating away is no longer ours to migrate.
    """
    view = core.view
    for slot in [slot for slot in view.migrating if won >> slot & 1]:
        del view.migrating[slot]
    for slot, source in [(slot, source) for slot, source in view.importing.items() if won >> slot & 1]:
        if source is claimant or (source.shard_id and source.shard_id == claimant.shard_id):
            view.importing[slot] = claimant
        else:
            del view.importing[slot]


def delete_lost_keys(core: Core, lost: int) -> None:
    dirty = tuple(slot for slot in slots_of(lost) if core.dataset.count_keys_in_slot(slot))
    if dirty:
        core.emit(DeleteSlotKeys(dirty))


def inform_outdated(core: Core, sender: Node, config_epoch: int, outdated: int) -> None:
    """Send one UPDATE to a node that claims a slot somebody else holds with a greater epoch.

    A primary that was away while its replica took over comes back with its old claim. Its claim loses
    everywhere, but it would learn so only when the new owner happens to ping it; we need not wait. One
    owner per packet is enough: the corrected sender's next packet is weighed again.
    """
    outdated &= ~core.view.unclaimed_bits
    if not outdated or sender.link is None:
        return
    for owner in core.view.nodes.values():
        if owner is not sender and owner.slot_bits & outdated and owner.config_epoch > config_epoch:
            core.send(sender.link, Update(core.header(), owner.config_epoch, owner.id, owner.bitmap))
            return


def receive_update(core: Core, message: Update) -> None:
    """A third party tells of an owner whose epoch is beyond what we know of it."""
    node = core.view.nodes.get(message.node)
    if node is not None:
        accept_news_of(core, node, message.config_epoch, message.slots)


def accept_news_of(core: Core, node: Node, config_epoch: int, slots: bytes) -> None:
    """Believe a claim made on `node`'s behalf if it is newer than anything we know of the node.

    What is said about ourselves is not news: our role, slots and epoch are our own decisions.
    """
    if node.is_myself or node.handshake or node.config_epoch >= config_epoch:
        return
    if node.is_replica:
        core.view.make_primary(node)
    node.config_epoch = config_epoch
    epochs.observe(core, config_epoch)
    core.changed()
    core.persist(fsync=True)
    settle_claim(core, node, config_epoch, bitmap_to_bits(slots))


# Roles


def receive_role(core: Core, sender: Node, header: Header) -> None:
    """A node's own word about being a primary or a replica is final.

    A primary that turned replica says in the same packet which slots its new primary owns. Weighing that
    before the old owner's slots are let go keeps them served without a gap.
    """
    if header.replica_of is None:
        if not sender.is_primary:
            core.view.make_primary(sender)
            core.changed()
            core.persist()
        return
    primary = core.view.nodes.get(header.replica_of)
    if sender.is_primary:
        if primary is not None:
            accept_news_of(core, primary, header.config_epoch, header.slots)
        core.view.unassign(sender.slot_bits)
        sender.is_primary, sender.is_replica = False, True
        sender.migrate_to = False
        core.view.count_voters()
        core.changed()
        core.persist()
    if primary is not None and primary is not sender and sender.primary is not primary:
        core.view.make_replica(sender, primary)
        core.changed()
        core.persist()


def follow_grandparent(core: Core) -> None:
    """If the primary we follow became a replica itself, follow whom it follows: chains do not replicate."""
    primary = core.myself.primary
    if primary is None or not primary.is_replica or primary.primary is None:
        return
    if primary.primary.is_primary and not primary.primary.is_myself:
        become_replica(core, primary.primary)


def become_replica(core: Core, primary: Node) -> None:
    """Follow `primary`. Whatever we were migrating or importing ends; a manual failover is over."""
    me, view = core.myself, core.view
    if me.is_primary:
        view.unassign(me.slot_bits)
        view.migrating.clear()
        view.importing.clear()
        me.migrate_to = False
    view.make_replica(me, primary)
    links.end_silence(core)
    core.election = Election()
    gossip.adopt_shard_id(core)
    links.follow(core, primary)
    core.changed(news=True)
    core.persist(fsync=True)
    manual_failover.end(core)


def become_primary(core: Core) -> None:
    """Stop following. Slots and epoch are the caller's business."""
    core.view.make_primary(core.myself)
    core.primary_link_up = False
    core.primary_last_seen_ms = None
    core.emit(BecomePrimary())
    core.changed(news=True)
    core.persist(fsync=True)
    manual_failover.end(core)


# At start


def reconcile_with_data(core: Core) -> None:
    """After loading, own the slots whose keys we hold if nobody else does, and drop keys that are another's.

    A crash between a migration's last step and its save leaves keys and configuration apart by
    one slot; the configuration the cluster agreed on decides.
    """
    view, me = core.view, core.myself
    if not me.is_primary or core.dataset.is_empty():
        return
    held = [slot for slot in range(len(view.slot_owner)) if core.dataset.count_keys_in_slot(slot)]
    orphaned = [slot for slot in held if view.slot_owner[slot] is None]
    for slot in orphaned:
        core.note(Level.NOTICE, f"I have keys for unassigned slot {slot}. Taking responsibility for it.")
    if orphaned:
        view.assign(bits_of(orphaned), me)
        core.persist(fsync=True)
    foreign = [slot for slot in held if view.slot_owner[slot] is not me and slot not in view.importing]
    if foreign:
        core.note(Level.NOTICE, f"Deleting the keys of {len(foreign)} slots that belong to other nodes.")
        core.emit(DeleteSlotKeys(tuple(foreign)))


def answer_for_data(core: Core, slots: Iterable[int]) -> None:
    """At the start: make what we own and what we hold agree.

    How it arises: the data come from another folder, or an older copy of it, than nodes.conf does.
    What goes wrong without: keys that nobody can reach, in a slot that is nobody's or another's.
    The rule: a slot that is nobody's becomes ours. One that is another's is open for import: who asks for it
    with ASKING finds the keys, `check` tells of it, and an operator moves or drops them. A replica's data
    are its primary's affair.

    Source: what redis-server does after loading ("I have keys for slot").
    """
    view, changed = core.view, False
    if core.myself.is_replica:
        return
    for slot in slots:
        owner = view.slot_owner[slot]
        if owner is core.myself or slot in view.importing:
            continue
        changed = True
        if owner is None:
            core.note(Level.WARNING, f"I have keys for unassigned slot {slot}. Taking responsibility for it.")
            view.assign(1 << slot, core.myself)
        else:
            core.note(
                Level.WARNING,
                f"I have keys for slot {slot}, but the slot is assigned to another node."
                " Setting it to importing state.",
            )
            view.importing[slot] = owner
    if changed:
        core.changed(news=True)
        core.persist(fsync=True)
