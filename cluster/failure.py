"""From "I cannot reach it" to "it has failed", and back.

PFAIL is one node's own observation. FAIL is the cluster's verdict: a majority of the voting primaries
observed it within a short window. Only the verdict starts a failover, so a node cut off from the majority
cannot bring anybody down.
"""

from __future__ import annotations

from collections.abc import Iterable

from shoal.cluster import gossip
from shoal.cluster.core import Core, name_of
from shoal.cluster.effects import Level
from shoal.cluster.messages import Fail, GossipEntry, NodeFlag
from shoal.cluster.view import Node

REPORT_VALIDITY_FACTOR = 2
UNDO_FACTOR = 2
SHORTEST_TIMEOUT_MS = 100


def suspect_at_ms(core: Core, node: Node) -> int | None:
    """When `node` becomes PFAIL if it stays silent: one node timeout after the unanswered ping or the last
    data from it, whichever is later. None if it owes no answer or is suspected already.

    No answer is expected within less than SHORTEST_TIMEOUT_MS: Redis looks so often, and clusters made with a
    node timeout of a millisecond, as tests do, work there.
    """
    if not node.ping_sent_ms or node.is_failing or node.handshake or node.is_myself:
        return None
    timeout_ms = max(core.settings.node_timeout_ms, SHORTEST_TIMEOUT_MS)
    return max(node.ping_sent_ms, node.data_received_ms) + timeout_ms


def detect(core: Core) -> None:
    """Mark every node PFAIL whose time has come."""
    if core.view.awaiting_failover:
        return
    suspects = [
        node
        for node in core.view.others()
        if (due_ms := suspect_at_ms(core, node)) is not None and core.now_ms >= due_ms
    ]
    for node in suspects:
        core.note(Level.DEBUG, f"*** NODE {name_of(node)} possibly failing")
        node.pfail = True
    for node in suspects:
        judge(core, node)
    if suspects:
        core.changed()
        _tell_other_voters(core)


def _tell_other_voters(core: Core) -> None:
    """Put a fresh suspicion before the other judges at once, instead of with the next routine ping.

    All voting primaries reach the same suspicion within moments of each other; with the words
    exchanged at once the last of them completes the majority one round trip later.
    """
    if core.myself.votes:
        for node in core.view.others():
            if node.votes and not node.is_failing:
                gossip.send_ping(core, node)


def receive_reports(core: Core, sender: Node, entries: Iterable[GossipEntry]) -> None:
    """Count what a voting primary says about others, and judge anew whom it suspects."""
    if not sender.votes:
        return
    for entry in entries:
        node = core.view.nodes.get(entry.node)
        if node is None or node.is_myself:
            continue
        if entry.flags & (NodeFlag.PFAIL | NodeFlag.FAIL):
            node.fail_reports[sender.id] = core.now_ms
            judge(core, node)
        else:
            node.fail_reports.pop(sender.id, None)


def count_reports(core: Core, node: Node) -> int:
    """How many nodes' failure reports about `node` are still valid; expired ones are dropped."""
    oldest_ms = core.now_ms - REPORT_VALIDITY_FACTOR * core.settings.node_timeout_ms
    for reporter in [reporter for reporter, at_ms in node.fail_reports.items() if at_ms < oldest_ms]:
        del node.fail_reports[reporter]
    return len(node.fail_reports)


def judge(core: Core, node: Node) -> None:
    """Turn my suspicion into FAIL if a majority of the voting primaries shares it.

    How it arises: a node cannot tell a dead peer from a broken path to it.
    What goes wrong without the rule: whoever is partitioned off would declare the majority dead, and its
    replicas would take over.
    The rule: PFAIL held by me, and valid reports (with my own, if I vote) from a majority of the primaries
    that own slots. Reports expire after twice the node timeout, so that the majority existed at about one
    time. The verdict is broadcast, and whoever hears it obeys without counting again, because the counting
    nodes' windows differ and only agreement lets a replica find voters.

    Source: Redis Cluster specification, "Failure detection".
    """
    if not node.pfail or node.fail:
        return
    if count_reports(core, node) + core.myself.votes < core.view.quorum:
        return
    core.note(Level.NOTICE, f"Marking node {name_of(node)} as failing (quorum reached).")
    _mark_failed(core, node)
    core.broadcast(Fail(core.header(), node.id))


def receive_fail(core: Core, sender: Node, node_id: str) -> None:
    """Obey another's verdict, unless it is about us: we know better."""
    node = core.view.nodes.get(node_id)
    if node is None or node.is_myself or node.fail:
        return
    core.note(Level.NOTICE, f"FAIL message received from {name_of(sender)} about {name_of(node)}")
    _mark_failed(core, node)


def _mark_failed(core: Core, node: Node) -> None:
    node.pfail, node.fail = False, True
    node.failed_at_ms = core.now_ms
    core.changed()
    core.persist()


def answered(core: Core, node: Node) -> None:
    """`node` answered our ping. PFAIL was only our own view, so it ends here; FAIL ends by its own rule."""
    node.pong_received_ms = core.now_ms
    node.ping_sent_ms = 0
    if node.pfail:
        node.pfail = False
        core.changed()
        core.persist()
    elif node.fail:
        _clear_failed(core, node)


def _clear_failed(core: Core, node: Node) -> None:
    """Take FAIL back from a reachable node.

    A replica, or a primary without slots, has nothing a failover could be taking over. A voting primary's
    FAIL may be the basis of an election right now; it is cleared only when twice the node timeout has
    passed and its slots are still its own, that is, when nobody took over.

    Source: Redis Cluster specification, "Failure detection".
    """
    if not node.votes:
        what = "replica" if node.is_replica else "master without slots"
        core.note(Level.NOTICE, f"Clear FAIL state for node {name_of(node)}: {what} is reachable again.")
    elif core.now_ms - node.failed_at_ms > UNDO_FACTOR * core.settings.node_timeout_ms:
        core.note(
            Level.NOTICE,
            f"Clear FAIL state for node {name_of(node)}: "
            "is reachable again and nobody is serving its slots after some time.",
        )
    else:
        return
    node.fail = False
    core.changed()
    core.persist()
