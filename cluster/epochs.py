"""The two clocks of the cluster: current_epoch, which everybody shares, and each primary's config_epoch.

Neither ever falls. A slot belongs to whoever claims it with the greater config epoch, so an epoch is a
promise about who came later; it is on disk before anyone may hear of it.
"""

from __future__ import annotations

from shoal.cluster.core import Core
from shoal.cluster.effects import Level
from shoal.cluster.messages import Header
from shoal.cluster.view import Node


def observe(core: Core, epoch: int) -> None:
    """Somebody has seen `epoch`: we are not behind it."""
    if epoch > core.view.current_epoch:
        core.view.current_epoch = epoch
        core.persist(fsync=True)


def observe_header(core: Core, sender: Node, header: Header) -> None:
    """Take in the epochs a known node speaks with.

    A replica speaks with its primary's config epoch. From a node we still hold to be a primary, that epoch
    is not its own: taken for its own, it would defend the slots it has just lost.
    """
    observe(core, max(header.current_epoch, header.config_epoch))
    if header.replica_of is not None and sender.is_primary:
        return
    if header.config_epoch > sender.config_epoch:
        sender.config_epoch = header.config_epoch
        core.persist(fsync=True)


def next_epoch(core: Core) -> int:
    """Raise the current epoch by one and return it."""
    core.view.current_epoch += 1
    core.persist(fsync=True)
    return core.view.current_epoch


def set_own(core: Core, epoch: int) -> None:
    """Give myself a config epoch, if it is an advance."""
    if epoch > core.myself.config_epoch:
        core.myself.config_epoch = epoch
        core.persist(fsync=True)
        core.changed(news=True)


def bump_without_consensus(core: Core) -> bool:
    """Give myself an epoch greater than any known, asking nobody. False if mine is the greatest already.

    Used where an operator's word stands in for a vote: an import finished, a TAKEOVER, BUMPEPOCH. Two nodes
    may pick the same number; `resolve_collision` parts them.
    """
    greatest = max(node.config_epoch for node in core.view.nodes.values())
    greatest = max(greatest, core.view.current_epoch)
    mine = core.myself.config_epoch
    if mine != 0 and mine == greatest:
        return False
    set_own(core, next_epoch(core))
    core.note(Level.NOTICE, f"New configEpoch set to {core.myself.config_epoch}")
    return True


def resolve_collision(core: Core, sender: Node, config_epoch: int) -> None:
    """Give one of two primaries with the same config epoch a fresh one.

    How it arises: an import, a TAKEOVER or a manual bump moves a node's epoch without a vote, and nodes that
    have just been created all stand at 0, so two primaries can be at the same number.
    Why it matters: a slot claim is decided by the greater epoch; between equals the cluster would
    never agree about who owns a slot.
    The rule: of the two, the node with the lexicographically smaller id takes current_epoch + 1.
    Why it ends: each step strictly raises one node's epoch above all others it knows, and the
    other node does nothing; k colliding nodes settle in at most k - 1 steps.

    Source: Redis Cluster specification, "hash slots configuration propagation".
    """
    me = core.myself
    if not (me.is_primary and sender.is_primary) or config_epoch != me.config_epoch:
        return
    if sender.id <= me.id:
        return
    set_own(core, next_epoch(core))
    core.note(
        Level.VERBOSE,
        f"WARNING: configEpoch collision with node {sender.id}. configEpoch set to {me.config_epoch}",
    )
