"""Writing and loading the keyspace in slices: how much at a time, and what happens in between."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

import trio

from shoal.node.server.config import Config
from shoal.node.server.server import Server

SLICE_BYTES = 64 * 1024
"""At once where nobody waits for a turn: a loading, a SAVE."""

BACKGROUND_SLICE_BYTES = 8 * 1024
"""Before others have their turn: half a millisecond's work if the keys are small."""

ONE_KEY = 1
DELAY_SEEN_ANEW_SECONDS = 0.1
"""A delay that is taken back while it lasts ends so soon."""

Result = TypeVar("Result")
Slices = Generator[int, None, Result]
"""A loading: each step takes in a slice and gives how many keys or commands it held."""


def slice_bytes(config: Config) -> int:
    """How much to write before others have their turn: a key, while `rdb-key-save-delay` slows us down."""
    return ONE_KEY if config.rdb_key_save_delay > 0 else BACKGROUND_SLICE_BYTES


def bytes_to_load(config: Config) -> int:
    """How much to read before others have their turn."""
    return min(SLICE_BYTES, config.loading_process_events_interval_bytes)


async def between_slices(config: Config, is_over: Callable[[], bool]) -> None:
    """Let everybody else go on, for as long as `rdb-key-save-delay` wants unless the writing is over."""
    await _pause(lambda: 0 if config.rdb_key_save_delay <= 0 or is_over() else config.rdb_key_save_delay)


async def after_loading(config: Config, keys: int) -> None:
    """Let everybody else go on, for as long as `key-load-delay` wants of so many keys."""
    await _pause(lambda: config.key_load_delay * keys)


async def _pause(microseconds: Callable[[], int]) -> None:
    slept = 0.0
    while (left := microseconds() / 1_000_000 - slept) > 0:
        await trio.sleep(min(left, DELAY_SEEN_ANEW_SECONDS))
        slept += DELAY_SEEN_ANEW_SECONDS
    await trio.lowlevel.checkpoint()


async def load_in_slices(loading: Slices[Result], server: Server) -> Result:
    """Go through with a loading, other work going on between its slices; what it raises is raised.

    Up to the first `loading-process-events-interval-bytes` nobody is answered: who asks a server with little
    data right after its start gets an answer a moment later, and not LOADING. A script in them may take long.
    """
    config = server.config
    while True:
        try:
            keys = next(loading)
        except StopIteration as end:
            result: Result = end.value
            return result
        progress = server.persistence.loading
        is_little = (
            progress is not None and progress.loaded_bytes < config.loading_process_events_interval_bytes
        )
        if not is_little or config.key_load_delay > 0 or server.scripts.suspension.is_suspended:
            await after_loading(config, keys)


def load_at_once(loading: Slices[Result]) -> Result:
    """Go through with a loading, nothing else going on."""
    while True:
        try:
            next(loading)
        except StopIteration as end:
            result: Result = end.value
            return result
