"""Several things at once, with plain exceptions instead of groups; and waiting for what tells nobody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import trio

from shoal.cli.errors import CliError

Item = TypeVar("Item")
Result = TypeVar("Result")

POLL_SECONDS = 0.02


async def for_each(
    items: Sequence[Item], work: Callable[[Item], Awaitable[Result]], *, at_most: int = 64
) -> list[Result]:
    """`work` on all items at once, results in order. The first CliError stops the rest and is raised."""
    results: dict[int, Result] = {}
    failures: list[CliError] = []
    slots = trio.CapacityLimiter(at_most)

    async def run(index: int, item: Item) -> None:
        async with slots:
            try:
                results[index] = await work(item)
            except CliError as failure:
                failures.append(failure)
                nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for index, item in enumerate(items):
            nursery.start_soon(run, index, item)
    if failures:
        raise failures[0]
    return [results[index] for index in range(len(items))]


async def first_of(*works: Callable[[], Awaitable[Result]]) -> Result:
    """What the first of several tasks returns, or the CliError it raises; the others are cancelled."""
    results: list[Result] = []
    failures: list[CliError] = []

    async def run(work: Callable[[], Awaitable[Result]]) -> None:
        try:
            results.append(await work())
        except CliError as failure:
            failures.append(failure)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for work in works:
            nursery.start_soon(run, work)
    if failures:
        raise failures[0]
    return results[0]


async def until(condition: Callable[[], bool]) -> None:
    """Poll a condition of the outside world, such as a process, that cannot wake a task."""
    while True:
        if condition():
            return
        await trio.sleep(POLL_SECONDS)
