"""CLUSTER FAILOVER: a replica and its primary change places without losing a write.

The replica asks its primary to hold writes back (MFSTART). The primary announces the offset at which its
stream now stands still, and when the replica has processed exactly that much, it asks for votes at
once, with a mark that excuses the primary's being alive. FORCE leaves the primary out, TAKEOVER the
voters too.
"""

from __future__ import annotations

from shoal.cluster import gossip
from shoal.cluster.core import Core, Election, ManualFailover, name_of
from shoal.cluster.effects import Level, PauseWrites, ResumeWrites
from shoal.cluster.messages import Header, ManualFailoverStart, MessageFlag
from shoal.cluster.view import Node

PAUSE_FACTOR = 2


def request(core: Core, *, force: bool) -> None:
    """On the replica: begin. A second request replaces the first."""
    end(core)
    core.manual = ManualFailover(
        until_ms=core.now_ms + core.settings.manual_failover_timeout_ms, can_start=force
    )
    primary = core.myself.primary
    if force or primary is None:
        core.note(Level.WARNING, "Forced failover user request accepted.")
        return
    core.note(Level.WARNING, "Manual failover user request accepted.")
    core.send(primary.link, ManualFailoverStart(core.header()))


def receive_start(core: Core, sender: Node) -> None:
    """On the primary: hold writes back, well beyond the time the replica has.

    The offset is not announced in this step: until the shell says that the pause took hold, commands may
    still move it, and a replica that stopped at the earlier number would lose them.
    """
    if sender.primary is not core.myself:
        return
    end(core)
    timeout = core.settings.manual_failover_timeout_ms
    core.manual = ManualFailover(until_ms=core.now_ms + timeout, replica=sender)
    core.note(Level.WARNING, f"Manual failover requested by replica {name_of(sender)}.")
    core.emit(PauseWrites(core.now_ms + PAUSE_FACTOR * timeout))


def paused(core: Core) -> None:
    """On the primary: the pause took hold and our offset is final."""
    if core.manual.replica is not None:
        core.manual.offset_is_final = True
        announce(core)


def progressed(core: Core) -> None:
    """On the replica: our offset moved, and may have caught up."""
    if core.manual.active:
        _start_when_caught_up(core)


def announce(core: Core) -> None:
    """On the paused primary: tell the replica where the stream stands still. Repeated with each cron."""
    if core.manual.offset_is_final and core.manual.replica is not None:
        gossip.send_ping(core, core.manual.replica)


def receive_offset(core: Core, sender: Node, header: Header) -> None:
    """On the replica: the paused primary's offset. The first one counts."""
    manual = core.manual
    if not manual.active or manual.replica is not None or sender is not core.myself.primary:
        return
    if manual.primary_offset is None and header.message_flags & MessageFlag.PAUSED:
        manual.primary_offset = header.replication_offset
        core.note(
            Level.WARNING,
            f"Received replication offset for paused master manual failover: {manual.primary_offset}",
        )
        _start_when_caught_up(core)


def _start_when_caught_up(core: Core) -> None:
    manual = core.manual
    if manual.can_start or manual.primary_offset is None or manual.primary_offset != core.offset:
        return
    manual.can_start = True
    core.election = Election()
    core.note(Level.WARNING, "All master replication stream processed, manual failover can start.")


def expire(core: Core) -> None:
    if core.manual.active and core.now_ms >= core.manual.until_ms:
        core.note(Level.WARNING, "Manual failover timed out.")
        end(core)


def end(core: Core) -> None:
    """Forget the manual failover, letting writes go on if they were held back."""
    paused = core.manual.replica is not None
    core.manual = ManualFailover()
    if paused:
        core.emit(ResumeWrites())
