"""How a replica takes its failed primary's place: standing, asking, voting, winning."""

from __future__ import annotations

from math import inf

from shoal.cluster import epochs, gossip, ownership
from shoal.cluster.core import Core, Election, name_of
from shoal.cluster.effects import Level
from shoal.cluster.messages import (
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    Header,
    MessageFlag,
    MessageType,
)
from shoal.cluster.slot_sets import bitmap_to_bits
from shoal.cluster.view import Link, Node

MAXIMUM_BASE_DELAY_MS = 500
BASE_DELAY_DIVISOR = 30
RANK_DELAY_MS = 1000
SHARD_RANK_DELAY_MS = 500
MINIMUM_VOTE_WAIT_MS = 2000
RETRY_FACTOR = 2
REVOTE_FACTOR = 2
REPEAT_REASON_MS = 10_000


# The candidate


def check(core: Core) -> None:
    """Advance the election this replica may be in. Called after everything that may matter to it."""
    primary, manual = core.myself.primary, core.manual
    # Its time is looked at here, not left to the next tick: a process that was stopped reads the votes that
    # waited for it first, and by then the primary may take writes again.
    planned = manual.can_start and manual.replica is None and core.now_ms < manual.until_ms
    if primary is None or not primary.slot_count or not (primary.fail or planned):
        _stand_down(core)
        return
    if not planned and (reason := _reason_not_to_stand(core)):
        _cannot(core, reason)
        _stand_down(core)
        return
    if core.now_ms >= retry_at_ms(core):
        _schedule(core, planned)
    election = core.election
    if not election.requested:
        if core.now_ms >= start_at_ms(core):
            _request_votes(core, primary, planned)
        else:
            _cannot(core, "waiting the delay before a new failover can start")
    elif core.now_ms >= election.requested_ms + vote_wait_ms(core):
        _cannot(core, "the failover attempt expired")
    elif len(election.votes) >= core.view.quorum:
        _win(core, primary)
    else:
        _cannot(core, "waiting for votes")


def _stand_down(core: Core) -> None:
    """Drop an attempt, but remember one that has asked for votes until voters may vote about us again."""
    if not core.election.requested or core.now_ms >= retry_at_ms(core):
        core.election = Election()


def _reason_not_to_stand(core: Core) -> str | None:
    if core.settings.replica_no_failover:
        return "this replica is configured not to fail over"
    if _data_too_old(core):
        return "disconnected from the primary for longer than allowed"
    return None


def vote_wait_ms(core: Core) -> int:
    """How long votes are awaited; twice that must pass from one attempt to the next."""
    return max(2 * core.settings.node_timeout_ms, MINIMUM_VOTE_WAIT_MS)


def start_at_ms(core: Core) -> int:
    """When this replica asks for votes, if its rank stays what it is now.

    How it arises: all replicas of a failed primary learn of the failure within moments, and more than one
    primary may fail at once.
    What goes wrong without a delay: they ask in the same epoch, each voter has one vote in it, the votes
    split, nobody wins, and the next attempt is several node timeouts away.
    The rule: a short wait, partly random, lets the FAIL verdict and the replicas' offsets spread; one second
    per sibling that has more data gives the best its chance; and half a second per failed shard before ours
    (by primary id) keeps simultaneous failovers in different epochs. A replica with no living sibling has
    nobody to wait for.
    Why it ends: ranks are recomputed while waiting. As soon as the shard before ours has its new primary
    our turn comes; and no wait is longer than the ranks, which are bounded by the nodes.

    Source: Redis Cluster specification, "Replica election and promotion"; Valkey 8.1 and 9.0.
    """
    election = core.election
    if core.manual.active and core.manual.can_start:
        return election.started_ms
    return (
        election.started_ms
        + election.jitter_ms
        + election.rank * RANK_DELAY_MS
        + _shard_rank(core) * SHARD_RANK_DELAY_MS
    )


def retry_at_ms(core: Core) -> float:
    """When a fresh attempt may begin: now if there is none, else when voters may vote about us again."""
    election = core.election
    if not election.started_ms:
        return 0
    return election.requested_ms + RETRY_FACTOR * vote_wait_ms(core) if election.requested else inf


def deadline_ms(core: Core) -> float:
    """When `check` has something to do again, if only time passes."""
    if not core.election.started_ms or core.myself.primary is None:
        return inf
    return retry_at_ms(core) if core.election.requested else start_at_ms(core)


def _schedule(core: Core, planned: bool) -> None:
    siblings = _living_siblings(core)
    core.election = Election(started_ms=core.now_ms)
    if planned:
        return
    if siblings:
        base = min(MAXIMUM_BASE_DELAY_MS, core.settings.node_timeout_ms // BASE_DELAY_DIVISOR)
        core.election.jitter_ms = base + core.rng.randrange(base + 1)
    core.election.rank = _rank(core)
    delay = start_at_ms(core) - core.now_ms
    core.note(
        Level.NOTICE,
        f"Start of election delayed for {delay} milliseconds "
        f"(rank #{core.election.rank}, offset {core.offset}).",
    )
    for sibling in siblings:
        gossip.send_ping(core, sibling, MessageType.PONG)


def siblings_changed(core: Core) -> None:
    """A sibling's offset came in: our rank may have got worse while we wait."""
    election = core.election
    if election.started_ms and not election.requested and not core.manual.can_start:
        election.rank = max(election.rank, _rank(core))


def _living_siblings(core: Core) -> list[Node]:
    primary = core.myself.primary
    replicas = primary.replicas if primary is not None else []
    return [node for node in replicas if not node.is_myself and not node.is_failing]


def _rank(core: Core) -> int:
    """How many siblings should go first: those with more data, ties going to the smaller id."""
    mine = (-core.offset, core.myself.id)
    return sum(
        (-node.replication_offset, node.id) < mine for node in _living_siblings(core) if not node.nofailover
    )


def _shard_rank(core: Core) -> int:
    """How many other failing shards, with a replica to save them, come before ours."""
    mine = core.myself.primary
    return sum(
        node.votes and node.is_failing and node.id < mine.id and any(not r.is_failing for r in node.replicas)
        for node in core.view.nodes.values()
        if mine is not None and node is not mine
    )


def _data_too_old(core: Core) -> bool:
    """Whether this replica was out of touch for so long that its data should not win.

    The node timeout itself is forgiven: that much silence is what makes a primary FAIL.
    """
    factor = core.settings.replica_validity_factor
    if not factor:
        return False
    if core.primary_last_seen_ms is None:
        return True
    timeout = core.settings.node_timeout_ms
    age = core.now_ms - core.primary_last_seen_ms
    if age > timeout:
        age -= timeout
    return age > core.settings.repl_ping_replica_period_s * 1000 + timeout * factor


def _cannot(core: Core, reason: str) -> None:
    if core.reason_noted == reason and core.now_ms - core.reason_noted_ms < REPEAT_REASON_MS:
        return
    core.reason_noted, core.reason_noted_ms = reason, core.now_ms
    core.note(Level.NOTICE, f"Currently unable to failover: {reason}.")


def _request_votes(core: Core, primary: Node, planned: bool) -> None:
    """Ask every node for its vote in a fresh epoch, which is on disk before anyone hears of it.

    A voter grants only if it holds the primary FAIL itself. The verdict may still be on its way to it by
    another path, so we repeat it on the very link the request follows on.
    """
    epoch = epochs.next_epoch(core)
    core.election.epoch = epoch
    core.election.requested_ms = core.now_ms
    core.note(Level.NOTICE, f"Starting a failover election for epoch {epoch}.")
    if primary.fail:
        core.broadcast(Fail(core.header(), primary.id))
    core.broadcast(FailoverAuthRequest(core.header(MessageFlag.FORCE_ACK if planned else MessageFlag.NONE)))


def receive_vote(core: Core, sender: Node, header: Header) -> None:
    """Count a vote: only from a primary with slots, only for this attempt, only once."""
    if sender.votes and core.election.requested and header.current_epoch >= core.election.epoch:
        core.election.votes.add(sender.id)


def _win(core: Core, primary: Node) -> None:
    epoch = core.election.epoch
    core.note(Level.NOTICE, "Failover election won: I'm the new master.")
    core.note(Level.NOTICE, f"configEpoch set to {epoch} after successful failover")
    epochs.set_own(core, epoch)
    replace_primary(core, primary)


def replace_primary(core: Core, primary: Node) -> None:
    """Take the primary's slots and tell everybody. The caller has given me an epoch that makes it stick."""
    core.election = Election()
    slots = primary.slot_bits
    ownership.become_primary(core)
    core.view.assign(slots, core.myself)
    gossip.broadcast_pong(core)


# The voter


def receive_request(core: Core, sender: Node, header: Header, arrived_on: Link | None) -> None:
    """Grant at most one vote per epoch, and only to a replica whose claim would make things right.

    How it arises: any replica that believes its primary failed may ask, in any epoch, as often as it likes.
    What goes wrong without the rule: two winners of one epoch own the same slots with equal right, or
    a replica that missed a migration takes back slots that have moved on.
    The rule: I vote only as a primary with slots; for an epoch not older than mine that I have not voted in;
    for a replica whose primary I hold FAIL (or that asks with the primary's consent); not again about one
    primary within twice the node timeout, so that the winner has time to make itself heard; and only if no
    slot it claims has an owner with a greater config epoch. The vote is on disk before it is sent, so a
    restarted voter cannot vote twice.

    Source: Redis Cluster specification, "Replica election and promotion".
    """
    view, me = core.view, core.myself
    if not me.votes or view.awaiting_failover:
        return
    refusal = _reason_to_refuse(core, sender, header)
    if refusal:
        core.note(Level.WARNING, f"Failover auth denied to {name_of(sender)}: {refusal}")
        return
    view.last_vote_epoch = view.current_epoch
    if sender.primary is not None:
        sender.primary.voted_about_ms = core.now_ms
    core.persist(fsync=True)
    link = sender.link if sender.link is not None and sender.link.connected else arrived_on
    core.send(link, FailoverAuthAck(core.header()))
    core.note(Level.NOTICE, f"Failover auth granted to {name_of(sender)} for epoch {view.current_epoch}")


def _reason_to_refuse(core: Core, sender: Node, header: Header) -> str | None:
    view, primary = core.view, sender.primary
    if header.current_epoch < view.current_epoch:
        return f"reqEpoch ({header.current_epoch}) < curEpoch({view.current_epoch})"
    if view.last_vote_epoch == view.current_epoch:
        return f"already voted for epoch {view.current_epoch}"
    if sender.is_primary:
        return "it is a master node"
    if primary is None:
        return "I don't know its master"
    if not primary.fail and not header.message_flags & MessageFlag.FORCE_ACK:
        return "its master is up"
    wait = primary.voted_about_ms + REVOTE_FACTOR * core.settings.node_timeout_ms - core.now_ms
    if primary.voted_about_ms and wait > 0:
        return f"can't vote about this master before {wait} milliseconds"
    claimed = bitmap_to_bits(header.slots)
    for owner in view.nodes.values():
        if owner.slot_bits & claimed and owner.config_epoch > header.config_epoch:
            return f"a slot of {owner.id} has epoch ({owner.config_epoch}) > reqEpoch ({header.config_epoch})"
    return None
