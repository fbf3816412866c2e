"""One run of a script: whether it may begin, and what it may still do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.node.commands.spec import Flag
from shoal.node.resp.replies import CommandError
from shoal.node.scripting.shebang import ScriptFlag
from shoal.node.server import roles

if TYPE_CHECKING:
    from shoal.node.server.server import Server
    from shoal.node.server.session import Session

TO_REPLICAS = 2
"""redis.REPL_REPLICA: of `redis.set_repl`'s targets the one that the stream serves."""

EVERYWHERE = 3

BUSY_SCRIPT = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
BUSY_FUNCTION = "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."


@dataclass(slots=True)
class ScriptRun:
    """A script or function that runs for a client."""

    name: bytes
    caller: Session
    keys: Sequence[bytes]
    """Those its caller declared."""
    flags: ScriptFlag
    read_only: bool
    started_ns: int
    was_out_of_memory: bool
    slot: int | None
    """Cluster mode: the one slot it may touch; None until that is known."""
    is_function: bool = False
    wrote: bool = False
    targets: int = EVERYWHERE
    is_busy: bool = False
    """It takes longer than `busy-reply-threshold`: others are served in between."""
    killed: bool = False

    @property
    def allows_out_of_memory(self) -> bool:
        return not self.flags & ScriptFlag.COMPATIBLE and bool(self.flags & ScriptFlag.ALLOW_OOM)

    @property
    def may_cross_slots(self) -> bool:
        return bool(self.flags & (ScriptFlag.COMPATIBLE | ScriptFlag.ALLOW_CROSS_SLOT_KEYS))

    @property
    def busy_text(self) -> str:
        """What everybody else is told while it is busy."""
        return BUSY_FUNCTION if self.is_function else BUSY_SCRIPT


def effective_flags(flags: Flag, declared: ScriptFlag) -> Flag:
    """A command's flags as far as the script it runs decides them."""
    if declared & ScriptFlag.COMPATIBLE:
        return flags
    flags &= ~(Flag.STALE | Flag.DENYOOM | Flag.WRITE | Flag.MAY_REPLICATE)
    if not declared & (ScriptFlag.ALLOW_OOM | ScriptFlag.NO_WRITES):
        flags |= Flag.DENYOOM
    if not declared & ScriptFlag.NO_WRITES:
        flags |= Flag.WRITE
    if declared & ScriptFlag.ALLOW_STALE:
        flags |= Flag.STALE
    return flags


def check_may_run(server: Server, caller: Session, flags: ScriptFlag, *, read_only: bool) -> None:
    """Raise what a script gets that may not begin here and now."""
    if flags & ScriptFlag.COMPATIBLE:
        if server.is_stale_replica:
            raise CommandError(
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
            )
        return
    if flags & ScriptFlag.NO_CLUSTER and server.cluster is not None:
        raise CommandError("ERR Can not run script on cluster, 'no-cluster' flag is set.")
    if server.is_stale_replica and not flags & ScriptFlag.ALLOW_STALE:
        raise CommandError(
            "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no'"
            " and 'allow-stale' flag is not set on the script."
        )
    if flags & ScriptFlag.NO_WRITES:
        return
    if not caller.is_primary_link:
        _check_may_write(server)
    if read_only:
        raise CommandError("ERR Can not execute a script with write flag using *_ro command.")
    if server.is_out_of_memory and not flags & ScriptFlag.ALLOW_OOM:
        raise CommandError(
            "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"
        )


def _check_may_write(server: Server) -> None:
    if not server.is_primary:
        if server.config.replica_read_only:
            raise CommandError("READONLY Can not run script with write flag on readonly replica")
    elif roles.cannot_save(server):
        raise CommandError(
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."
            " Writable scripts are blocked. Use 'no-writes' flag for read only scripts."
        )
    else:
        roles.check_replication_gates(server)
