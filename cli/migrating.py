"""Moves slots with their keys from node to node while clients keep working."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import trio

from shoal.cli.addresses import Address
from shoal.cli.batching import BatchSize, group_slots, take_keys
from shoal.cli.client import CALL_TIMEOUT, Command, Connection, Credentials, connected
from shoal.cli.discovery import Cluster, expect_list, expect_ok
from shoal.cli.errors import CliError, ConnectionLostError, ReplyError
from shoal.cli.planning import Move
from shoal.cli.progress import Progress
from shoal.cli.replies import Reply
from shoal.cli.tasks import for_each

_COUNT_AT_ONCE = 2048
_CONCURRENT_SOURCES = 4
_LANES = 2
_STUCK_AFTER = 3


@dataclass(frozen=True, slots=True)
class MigrateOptions:
    """How keys travel. `batch_keys` fixes how many go at once; None adapts it to the nodes' speed."""

    timeout_ms: int = 60000
    batch_keys: int | None = None
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """The two ends of a move."""

    source_id: str
    target_id: str
    source: Connection
    target: Connection
    target_address: Address


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
        self._options = options
        self._progress = progress
        self._batch = BatchSize(options.batch_keys)
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
        counts = await for_each(moves, self._count_keys)
        self._progress.begin(sum(len(move.slots) for move in moves), sum(sum(keys) for keys in counts))
        for target in dict.fromkeys(move.target for move in moves):
            work = [(move, keys) for move, keys in zip(moves, counts, strict=True) if move.target == target]
            await for_each(work, self._carry_out_one, at_most=_CONCURRENT_SOURCES)

    async def _count_keys(self, move: Move) -> list[int]:
        source = self._cluster.connection(move.source)
        counts: list[int] = []
        for start in range(0, len(move.slots), _COUNT_AT_ONCE):
            slots = move.slots[start : start + _COUNT_AT_ONCE]
            replies = await source.call_many([("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in slots])
            counts += [reply if isinstance(reply, int) else 0 for reply in replies]
        return counts

    async def _carry_out_one(self, work: tuple[Move, list[int]]) -> None:
        """One move, in two lanes: while one has the answer to a batch, the source works on the other's."""
        move, counts = work
        groups = group_slots(move.slots, counts)

        async def lane(_: int) -> None:
            address = self._cluster.connection(move.source).address
            async with connected(address, self._cluster.credentials) as source:
                route = self._route(move, source)
                for slots in groups:
                    await self._move_group(route, slots)

        await for_each(range(_LANES), lane)

    async def _move_group(self, route: Route, slots: Sequence[int]) -> None:
        await self._open(route, slots)
        keys = await self._drain(route, slots)
        await self._settle(route, slots)
        self.remaining[route.target_id].difference_update(slots)
        self.slots_moved += len(slots)
        self._progress.moved(slots, keys, str(route.source.address), str(route.target.address))

    def _route(self, move: Move, source: Connection) -> Route:
        """The ends of a move. The source sends keys to the address it knows, which may differ from ours."""
        target = self._cluster.connection(move.target)
        view = self._cluster.view.find(move.source).view
        known = next((line for line in view if line.id == move.target and line.host), None)
        address = Address(known.host, known.port) if known else target.address
        return Route(move.source, move.target, source, target, address)

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

    async def _drain(self, route: Route, slots: Sequence[int]) -> int:
        """Migrate until the source holds no key of these slots. Returns how many keys went over."""
        replies = await route.source.call_many([self._list_keys(slot) for slot in slots])
        waiting: dict[int, list[bytes]] = {}
        for slot, reply in zip(slots, replies, strict=True):
            self._note_keys(waiting, slot, reply)
        moved = 0
        guard = StuckGuard(route)
        while waiting:
            batch = list(take_keys(waiting, self._batch.keys))
            commands: list[Command] = []
            for slot, keys in batch:
                commands += [self._migrate(route, keys), self._list_keys(slot)]
            patience = CALL_TIMEOUT + len(batch) * self._options.timeout_ms / 1000
            started = trio.current_time()
            replies = await route.source.call_many(commands, timeout=patience)
            self._batch.learn(sum(len(keys) for _, keys in batch), trio.current_time() - started)
            for (slot, keys), sent, left in zip(batch, replies[::2], replies[1::2], strict=True):
                explain_migrate_error(sent, slot, route, self._options)
                moved += len(keys)
                self._progress.keys(len(keys))
                self._note_keys(waiting, slot, left)
                guard.check(slot, keys, waiting.get(slot, []))
        self.keys_moved += moved
        return moved

    def _list_keys(self, slot: int) -> Command:
        return ("CLUSTER", "GETKEYSINSLOT", slot, self._batch.keys)

    def _note_keys(self, waiting: dict[int, list[bytes]], slot: int, reply: Reply) -> None:
        keys = [
            key for key in expect_list(reply, f"listing the keys of slot {slot}") if isinstance(key, bytes)
        ]
        waiting.pop(slot, None)
        if keys:
            waiting[slot] = keys

    def _migrate(self, route: Route, keys: Sequence[bytes]) -> Command:
        address = route.target_address
        return (
            "MIGRATE", address.host, address.port, "", 0, self._options.timeout_ms,
            *(("REPLACE",) if self._options.replace else ()),
            *authentication(self._cluster.credentials),
            "KEYS", *keys,
        )  # fmt: skip

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


class StuckGuard:
    """Notices a source that reports keys as sent and yet keeps them, which would make a drain endless."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._repeats: dict[int, int] = {}

    def check(self, slot: int, sent: Sequence[bytes], left: Sequence[bytes]) -> None:
        repeated = bool(left) and left[0] == sent[0]
        self._repeats[slot] = self._repeats.get(slot, 0) + 1 if repeated else 0
        if self._repeats[slot] >= _STUCK_AFTER:
            raise CliError(
                f"{self._route.source.address} keeps listing the same keys of slot {slot} after moving them; "
                "look at its log"
            )


def authentication(credentials: Credentials) -> tuple[str, ...]:
    """What MIGRATE needs to log in at the target."""
    if credentials.password is None:
        return ()
    if credentials.user is None:
        return ("AUTH", credentials.password)
    return ("AUTH2", credentials.user, credentials.password)


def explain_migrate_error(reply: Reply, slot: int, route: Route, options: MigrateOptions) -> None:
    """Raise for a MIGRATE that failed, with the way out."""
    if not isinstance(reply, ReplyError):
        return
    text = str(reply)
    where = f"slot {slot}, {route.source.address} to {route.target.address}"
    if "BUSYKEY" in text:
        raise ReplyError(
            f"{where}: the target already has a key of that name (BUSYKEY); run again with --replace to "
            "overwrite the target's keys by the source's, or delete them at the target"
        )
    if reply.code == "IOERR":
        raise ReplyError(
            f"{where}: no answer from the target within {options.timeout_ms} ms ({text}); check that the "
            "source can reach it, or run again with a greater --timeout and --replace"
        )
    raise ReplyError(f"{where}: {text}")
