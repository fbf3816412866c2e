"""Writing the keyspace in slices: how much at a time, and what happens in between."""

from __future__ import annotations

import trio

from shoal.node.server.config import Config

SLICE_BYTES = 64 * 1024
ONE_KEY = 1
DELAY_SEEN_ANEW_SECONDS = 0.1
"""A delay that is taken back while it lasts ends so soon."""


def slice_bytes(config: Config) -> int:
    """How much to write before others have their turn: a key, while `rdb-key-save-delay` slows us down."""
    return ONE_KEY if config.rdb_key_save_delay > 0 else SLICE_BYTES


async def between_slices(config: Config) -> None:
    """Let everybody else go on."""
    slept = 0.0
    while (left := config.rdb_key_save_delay / 1_000_000 - slept) > 0:
        await trio.sleep(min(left, DELAY_SEEN_ANEW_SECONDS))
        slept += DELAY_SEEN_ANEW_SECONDS
    await trio.lowlevel.checkpoint()
