"""Moves slots with their keys from node to node while clients keep working."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.cli.batching import group_slots
from shoal.cli.client import Command, Connection, connected
from shoal.cli.discovery import Cluster, expect_ok
from shoal.cli.draining import Drainer, MigrateOptions, Route, route_between
from shoal.cli.errors import ConnectionLostError, ReplyError
from shoal.cli.key_counts import count_keys
from shoal.cli.planning import Move
from shoal.cli.progress import Progress
from shoal.cli.tasks import for_each

_CONCURRENT_SOURCES = 4
_LANES = 2


class SlotMover:
    """Carries out moves on a loaded cluster. `remaining` tells at any time which slots are still to move.

    Each slot is at all times either owned by one node or open between two that know of each other, so an
    interruption at any point leaves a state from which the same move can simply be made again:

    1. IMPORTING on the target first: when the source starts to send clients over with ASK, the target
       must already accept them.
    2. MIGRATING on the source. From now on it creates no new key in the slot, so its keys only become fewer.
    3. MIGRATE key after key until the source has none. Each key moves atomically.
    4. NODE on the target, which takes a higher config epoch with the slot. Target first: were the source
       to give the slot up before anybody owns it, a crash in between would leave it without an owner.
    5. NODE on the source, then on the other primaries, which would also learn it from the bus, but later.

    Source: Redis Cluster specification, "Live resharding"; CLUSTER SETSLOT documentation.
    """

    def __init__(self, cluster: Cluster, options: MigrateOptions, progress: Progress) -> None:
        self._cluster = cluster
        self._progress = progress
        self._drainer = Drainer(options, cluster.credentials, progress)
        self.remaining: dict[str, set[int]] = {}
        self.keys_moved = 0
        self.slots_moved = 0

    async def carry_out(self, moves: Sequence[Move]) -> None:
        """All moves, target by target, the sources of one target at the same time.

        One target at a time because taking slots raises the target's config epoch without a vote: two
        that do so at once could pick the same number and would then have to settle a collision.
        """
        for move in moves:
            self.remaining.setdefault(move.target, set()).update(move.slots)
        counts = await for_each(
            moves, lambda move: count_keys(self._cluster.connection(move.source), move.slots)
        )
        self._progress.begin(sum(len(move.slots) for move in moves), sum(sum(keys) for keys in counts))
        for target in dict.fromkeys(move.target for move in moves):
            work = [(move, keys) for move, keys in zip(moves, counts, strict=True) if move.target == target]
            await for_each(work, self._carry_out_one, at_most=_CONCURRENT_SOURCES)

    async def _carry_out_one(self, work: tuple[Move, list[int]]) -> None:
        """One move, in two lanes: while one has the answer to a batch, the source works on the other's."""
        move, counts = work
        groups = group_slots(move.slots, counts)

        async def lane(_: int) -> None:
            address = self._cluster.connection(move.source).address
            async with connected(address, self._cluster.credentials) as source:
                route = route_between(self._cluster, move.source, move.target, source)
                for slots in groups:
                    await self._move_group(route, slots)

        await for_each(range(_LANES), lane)

    async def _move_group(self, route: Route, slots: Sequence[int]) -> None:
        await self._open(route, slots)
        keys = await self._drainer.drain(route, slots)
        self.keys_moved += keys
        await self._settle(route, slots)
        self.remaining[route.target_id].difference_update(slots)
        self.slots_moved += len(slots)
        self._progress.moved(slots, keys, str(route.source.address), str(route.target.address))

    async def _open(self, route: Route, slots: Sequence[int]) -> None:
        """Mark the slots at both ends. Marks that are there already are simply set again."""
        replies = await route.target.call_many(
            [("CLUSTER", "SETSLOT", slot, "IMPORTING", route.source_id) for slot in slots]
        )
        for slot, reply in zip(slots, replies, strict=True):
            if not (isinstance(reply, ReplyError) and "already the owner" in str(reply)):
                expect_ok(reply, f"opening slot {slot} on {route.target.address}")
        replies = await route.source.call_many(
            [("CLUSTER", "SETSLOT", slot, "MIGRATING", route.target_id) for slot in slots]
        )
        for slot, reply in zip(slots, replies, strict=True):
            expect_ok(reply, f"opening slot {slot} on {route.source.address}")

    async def _settle(self, route: Route, slots: Sequence[int]) -> None:
        """Give the slots to the target: there first, then at the source, then tell the other primaries.

        Once the target has them the move is decided; whoever cannot be told now, such as a source that
        turned into a replica with its last slot, learns it from the bus.
        """
        commands: list[Command] = [("CLUSTER", "SETSLOT", slot, "NODE", route.target_id) for slot in slots]
        for slot, reply in zip(slots, await route.target.call_many(commands), strict=True):
            expect_ok(reply, f"giving slot {slot} to {route.target.address}")
        for slot, reply in zip(slots, await route.source.call_many(commands), strict=True):
            if isinstance(reply, ReplyError) and "still hold keys" in str(reply):
                raise ReplyError(
                    f"{route.source.address} got new keys in slot {slot} meanwhile; run this again"
                )
        others = [
            self._cluster.connection(node.id)
            for node in self._cluster.view.primaries
            if node.id not in (route.source_id, route.target_id)
        ]

        async def tell(other: Connection) -> None:
            try:
                await other.call_many(commands)
            except ConnectionLostError as problem:
                self._progress.warn(f"{problem}; it will learn the new owner from the cluster bus")

        await for_each(others, tell)
