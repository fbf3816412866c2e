"""How much memory a client takes: what came from it, what waits for it, and what is kept about it."""

from __future__ import annotations

from itertools import islice
from sys import getsizeof
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.node.server.session import Session

PIECES_SAMPLED = 100
ALLOCATION_STEP = 16
"""Small objects take a multiple of this."""


def output_bytes(session: Session) -> int:
    """What waits to be sent to a client, with what keeping it in pieces takes, estimated from the first."""
    out = session.out
    if not out:
        return session.out_bytes
    sample = list(islice(out, PIECES_SAMPLED))
    kept = sum(-(-getsizeof(piece) // ALLOCATION_STEP) * ALLOCATION_STEP - len(piece) for piece in sample)
    return session.out_bytes + kept * len(out) // len(sample) + getsizeof(out)
