"""MIGRATE as the server sees it: keys on their way to another node, and what happens when they arrive.

While keys are on their way the node keeps serving: they may be read, since they are still here, but not
written, since what was sent would then no longer be what is here. A write to one of them waits until
the move is over and is then decided anew (and, in cluster mode, most likely redirected). Every other
client goes on undisturbed, however large the keys are.

A failover may come between. A node that was demoted meanwhile must not touch its data, which are the new
primary's: a key it dropped by itself would be missing when it is promoted again. And while a manual failover
needs the stream to stand still, a DEL would come after the offset that was announced, and be lost. The keys
then stay, on both nodes, and the move reports an error, as when the target's answer is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.cluster.slots import key_slot
from shoal.node.persistence.moving_keys import MovingKey
from shoal.node.resp.replies import OK, CommandError
from shoal.node.server.blocking import BlockReason
from shoal.node.server.entries import WRITES
from shoal.node.server.session import Session

if TYPE_CHECKING:
    from shoal.node.server.server import Server

CONNECT_ERROR = "IOERR error or timeout connecting to the client"
WRITE_ERROR = "IOERR error or timeout writing to target instance"
READ_ERROR = "IOERR error or timeout reading from target instance"
FAILOVER_ERROR = "IOERR a failover began meanwhile: the keys were sent, but not deleted here"


@dataclass(frozen=True, slots=True)
class MigrateKeys:
    """An effect: send these keys to another node, and call `finish` with what it said.

    The values are the dataset's own: nobody writes to them while they are `held`.
    """

    session: Session
    host: str
    port: int
    database: int
    timeout_ms: int
    keys: tuple[MovingKey, ...]
    along: tuple[MovingKey, ...] = ()
    """Keys nobody asked for that go as well if that costs nothing more, see `emptying`."""
    copy: bool = False
    replace: bool = False
    credentials: tuple[bytes, ...] = ()

    @property
    def names(self) -> list[bytes]:
        """Every key that is on its way, those that go along included."""
        return [moving.key for moving in (*self.keys, *self.along)]


def begin(server: Server, request: MigrateKeys) -> None:
    """Hold writes to the keys, and the client, until the move is over."""
    server.migrating_keys.update(request.names)
    server.open_for[WRITES] = False  # all that changes at the gates
    server.effects.append(request)


def give_up(server: Server) -> None:
    """The data are another's from now on: what is on its way is not ours to delete when it arrives."""
    server.migrating_keys.clear()
    server.key_waits.release()


def is_held(server: Server, request: MigrateKeys) -> bool:
    """Whether the keys are still as they were when the move began: until it ends or is given up."""
    return server.migrating_keys.issuperset(request.names)


def finish(server: Server, request: MigrateKeys, restored: Sequence[bytes], error: str | None) -> None:
    """The move is over: delete the keys the target confirmed, answer, and let held writes go on."""
    database = request.session.db
    held = server.migrating_keys.intersection(restored)
    server.migrating_keys.difference_update(request.names)
    if not request.copy and restored and (server.pause.failover_until_ms or not held):
        error = error or FAILOVER_ERROR
    elif not request.copy and restored:
        gone = (
            database.delete_all(key_slot(restored[0]), restored)
            if server.cluster is not None  # where all keys of one command are in one slot
            else [key for key in restored if database.delete(key)]
        )
        for key in gone:
            database.changed(key, "del")
        if gone:
            server.propagation.record_deletion(database.index, *gone)
            server.propagation.propagate_recorded()
    server.refresh_gates()
    server.key_waits.release()
    server.blocked.end_wait(request.session, OK if error is None else CommandError(error))
    for session in server.blocked.waiting_for(BlockReason.MIGRATE):
        server.blocked.unblock(session)
