"""One run of a script: whether it may begin, and what it may still do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.cluster.slots import key_slot
from shoal.node.commands.spec import Flag
from shoal.node.resp.replies import CommandError
from shoal.node.scripting.interpreter import Interpreter, Script
from shoal.node.scripting.shebang import ScriptFlag
from shoal.node.server import gates

if TYPE_CHECKING:
    from shoal.node.server.server import Server
    from shoal.node.server.session import Session

TO_LOG, TO_REPLICAS = 1, 2
"""The targets of `redis.set_repl`: redis.REPL_AOF and redis.REPL_REPLICA."""

EVERYWHERE = TO_LOG | TO_REPLICAS

BUSY_SCRIPT = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
BUSY_FUNCTION = "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."


_COMPATIBLE, _NO_WRITES, _ALLOW_OOM, _ALLOW_STALE, _NO_CLUSTER, _ALLOW_CROSS_SLOT_KEYS = map(
    int,
    (
        ScriptFlag.COMPATIBLE,
        ScriptFlag.NO_WRITES,
        ScriptFlag.ALLOW_OOM,
        ScriptFlag.ALLOW_STALE,
        ScriptFlag.NO_CLUSTER,
        ScriptFlag.ALLOW_CROSS_SLOT_KEYS,
    ),
)
"""As plain numbers, which are quicker to test than an enumeration."""


@dataclass(frozen=True, slots=True)
class Runnable:
    """What can be run: a cached script, or a function of a library."""

    name: bytes
    flags: int
    """Of `ScriptFlag`."""
    compiled: Script
    interpreter: Interpreter
    is_function: bool
    is_brief: bool
    """It ends by itself: there will be no need to suspend it."""


class ScriptRun:
    """A script or function that runs for a client."""

    is_plain = False
    """Nothing about it, its caller or the server makes its commands need a second look."""
    wrote = False
    targets = EVERYWHERE
    is_busy = False
    """It takes longer than `busy-reply-threshold`: others are served in between."""
    killed = False

    def __init__(
        self, script: Runnable, caller: Session, key_count: int, words: Sequence[bytes], read_only: bool
    ) -> None:
        server = caller.server
        self.script = script
        self.caller = caller
        self.key_count = key_count
        self.words = words
        """Its keys, so many, and its arguments."""
        self.read_only = read_only
        self.started_ns = server.stopwatch.started_ns
        self.was_out_of_memory = server.is_out_of_memory
        self.slot = key_slot(words[0]) if key_count and server.cluster is not None else None
        """Cluster mode: the one slot it may touch; None until that is known."""

    @property
    def keys(self) -> Sequence[bytes]:
        """Those its caller declared."""
        return self.words[: self.key_count]

    @property
    def allows_out_of_memory(self) -> bool:
        flags = self.script.flags
        return not flags & _COMPATIBLE and bool(flags & _ALLOW_OOM)

    @property
    def may_cross_slots(self) -> bool:
        return bool(self.script.flags & (_COMPATIBLE | _ALLOW_CROSS_SLOT_KEYS))

    @property
    def busy_text(self) -> str:
        """What everybody else is told while it is busy."""
        return BUSY_FUNCTION if self.script.is_function else BUSY_SCRIPT


def effective_flags(flags: Flag, declared: int) -> Flag:
    """A command's flags as far as the script it runs decides them."""
    if declared & _COMPATIBLE:
        return flags
    flags &= ~(Flag.STALE | Flag.DENYOOM | Flag.WRITE | Flag.MAY_REPLICATE)
    if not declared & (_ALLOW_OOM | _NO_WRITES):
        flags |= Flag.DENYOOM
    if not declared & _NO_WRITES:
        flags |= Flag.WRITE
    if declared & _ALLOW_STALE:
        flags |= Flag.STALE
    return flags


def check_may_run(server: Server, run: ScriptRun) -> None:
    """Raise what a script gets that may not begin here and now."""
    flags = run.script.flags
    if flags & _COMPATIBLE:
        if server.is_stale_replica:
            raise CommandError(
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
            )
        return
    if flags & _NO_CLUSTER and server.cluster is not None:
        raise CommandError("ERR Can not run script on cluster, 'no-cluster' flag is set.")
    if server.is_stale_replica and not flags & _ALLOW_STALE:
        raise CommandError(
            "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no'"
            " and 'allow-stale' flag is not set on the script."
        )
    if flags & _NO_WRITES:
        run.read_only = True
        return
    if not run.caller.is_primary_link:
        _check_may_write(server)
    if run.read_only:
        raise CommandError("ERR Can not execute a script with write flag using *_ro command.")
    if server.is_out_of_memory and not flags & _ALLOW_OOM:
        raise CommandError(
            "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"
        )


def _check_may_write(server: Server) -> None:
    if not server.is_primary:
        if server.config.replica_read_only:
            raise CommandError("READONLY Can not run script with write flag on readonly replica")
    elif gates.cannot_save(server):
        raise CommandError(
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."
            " Writable scripts are blocked. Use 'no-writes' flag for read only scripts."
        )
    else:
        gates.check_writable(server)
