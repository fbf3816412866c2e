"""A replica moves from a primary that has enough to one that has lost all of its own.

After a few failures replicas sit where chance left them. A primary without any is one failure away from
losing its slots, while another may have spares.
"""

from __future__ import annotations

from shoal.cluster import ownership
from shoal.cluster.core import Core
from shoal.cluster.effects import Level
from shoal.cluster.view import Node

ORPHAN_WAIT_MS = 5000


def watch_orphans(core: Core) -> None:
    """Note since when each primary that once had replicas has had no living one."""
    for node in core.view.nodes.values():
        if not (node.votes and node.migrate_to and not node.fail) or _living_replicas(node):
            node.orphaned_since_ms = 0
        elif not node.orphaned_since_ms:
            node.orphaned_since_ms = core.now_ms


def migrate(core: Core) -> None:
    """Move to an orphaned primary, if this replica is the one that should.

    What goes wrong without a rule: every spare replica of the cluster would rush to the same orphan.
    The rule: the cluster is well; our primary keeps more than `migration_barrier` living replicas; an orphan
    has waited for five seconds (a restarting replica gets to come back); and of all the replicas of
    the primaries that have the most, we have the smallest id. Every node computes the same one, give or take
    gossip; should two move at once, the next imbalance moves one back.

    Source: Redis Cluster specification, "Replica migration".
    """
    me, view = core.myself, core.view
    if me.primary is None or not core.settings.allow_replica_migration or not view.state_ok:
        return
    if me.primary.fail or len(_living_replicas(me.primary)) <= core.settings.migration_barrier:
        return
    orphans = [node for node in view.nodes.values() if _is_orphan(core, node)]
    if not orphans:
        return
    counts = {node.id: len(_living_replicas(node)) for node in view.nodes.values() if node.is_primary}
    most = max(counts.values())
    candidates = [
        replica.id
        for node in view.nodes.values()
        if node.is_primary and counts[node.id] == most
        for replica in _living_replicas(node)
    ]
    if me.id == min(candidates):
        target = min(orphans, key=_id)
        core.note(Level.NOTICE, f"Migrating to orphaned master {target.id}")
        ownership.become_replica(core, target)


def _is_orphan(core: Core, node: Node) -> bool:
    return bool(node.orphaned_since_ms) and core.now_ms - node.orphaned_since_ms > ORPHAN_WAIT_MS


def _living_replicas(node: Node) -> list[Node]:
    return [replica for replica in node.replicas if not replica.is_failing]


def _id(node: Node) -> str:
    return node.id
