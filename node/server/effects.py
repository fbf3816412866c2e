"""What a server wants the runtime to do, in order; the law of the list is that of `shoal.cluster.effects`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.cluster.effects import Effect

if TYPE_CHECKING:
    from shoal.node.server.session import Session


@dataclass(frozen=True, slots=True)
class SaveSnapshot:
    """Write a snapshot to disk: in the background, or while `waiting` is blocked until it is done."""

    waiting: Session | None


@dataclass(frozen=True, slots=True)
class CloseSession:
    """Hang up on a client at once, without sending what it is still owed."""

    session: Session


ServerEffect = Effect | SaveSnapshot | CloseSession
