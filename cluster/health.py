"""Whether this node may serve: is every slot looked after, and are we with the majority?"""

from __future__ import annotations

from shoal.cluster import links
from shoal.cluster.core import Core
from shoal.cluster.effects import ClusterStateChanged, Level
from shoal.cluster.slot_sets import ALL_SLOTS

START_DELAY_MS = 2000
MINIMUM_REJOIN_MS = 500
MAXIMUM_REJOIN_MS = 5000
GRACE_TIMEOUTS = 3


def update_state(core: Core) -> None:
    """Recompute whether the cluster can serve, as far as this node can tell.

    A primary that finds itself in a minority stops at once: the majority may elect another in its place.
    Having been there, it also waits before serving again, so that news of such an election reaches
    it before clients do. For the same reason a primary that restarts with slots waits a little.
    """
    view = core.view
    ok = _is_ok(core)
    if ok == view.state_ok:
        return
    if ok and core.myself.is_primary and core.now_ms < writable_at_ms(core):
        return
    view.state_ok = ok
    core.note(Level.NOTICE, f"Cluster state changed: {'ok' if ok else 'fail'}")
    core.emit(ClusterStateChanged(ok))


def writable_at_ms(core: Core) -> int:
    """When a primary may serve again at the earliest."""
    delay = min(max(core.settings.node_timeout_ms, MINIMUM_REJOIN_MS), MAXIMUM_REJOIN_MS)
    rejoined_ms = core.minority_seen_ms + delay if core.minority_seen_ms else 0
    return max(core.not_writable_until_ms, rejoined_ms)


def _is_ok(core: Core) -> bool:
    view = core.view
    reachable = sum(node.votes and not node.is_failing for node in view.nodes.values())
    if reachable < view.quorum:
        if view.size:
            core.minority_seen_ms = core.now_ms
        return False
    if view.awaiting_failover:
        return False
    if not core.settings.require_full_coverage:
        return True
    return view.assigned_bits == ALL_SLOTS and not any(
        node.fail and node.slot_count for node in view.nodes.values()
    )


# Coming back with nothing


def prepare_start(core: Core) -> None:
    """Decide how cautiously a node that knew a cluster before it stopped comes back."""
    me = core.myself
    if not me.votes or len(core.view.nodes) == 1:
        return
    core.not_writable_until_ms = core.now_ms + START_DELAY_MS
    if me.replicas and core.dataset.is_empty():
        core.view.awaiting_failover = True
        vote_wait = max(2 * core.settings.node_timeout_ms, START_DELAY_MS)
        core.awaiting_failover_until_ms = (
            core.now_ms + GRACE_TIMEOUTS * core.settings.node_timeout_ms + vote_wait
        )
        core.note(
            Level.WARNING,
            "This primary owns slots and has replicas, but came back without data: "
            "staying silent so that a replica that has the data can take over.",
        )


def reconsider_silence(core: Core) -> None:
    """End the silence of a primary that came back empty, when it can do good no longer.

    How it arises: a primary without persistence (or with a lost disk) is restarted by its supervisor
    before the node timeout has passed. It still owns its slots, and holds nothing.
    What goes wrong without the rule: nobody notices a failure, its replicas resynchronise from it and
    throw their copies away. An intact copy of the data existed and the cluster deleted it.
    The rule: it comes up refusing to serve, to be copied from (the shell refuses PSYNC while
    `view.awaiting_failover`), and to say anything on the bus. Its peers see an unreachable primary and
    fail it over; the winner's claim then makes it a replica, which ends the silence. If every replica
    says that it has no more of the stream than we do, there is nothing to save and the silence
    ends at once: that is the whole cluster restarting empty.
    Why it ends: after three node timeouts and the time an election takes it serves in any case, for
    then no replica was able to take over, and a shard that never comes back helps nobody.

    No packet of this differs from those of a node that is down, so it works among Redis and Valkey peers.
    """
    if not core.view.awaiting_failover:
        return
    replicas = core.myself.replicas
    nothing_to_save = bool(replicas) and all(
        replica.data_received_ms and replica.replication_offset <= core.offset for replica in replicas
    )
    if nothing_to_save or not replicas or core.now_ms >= core.awaiting_failover_until_ms:
        links.end_silence(core)
        core.note(Level.NOTICE, "No replica took over: serving again.")
        core.changed(news=True)
        links.connect_missing(core)
