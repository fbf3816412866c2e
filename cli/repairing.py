"""Carries repairs out, so that an interruption at any point leaves no key lost and a state to go on from.

How keys get lost when slots change hands by force: a primary that learns from the bus that a slot it owned is
somebody else's now deletes its keys of that slot, for they can never be reached again. Were the new
owner told first, the old one could hear of it before its keys were fetched.

The rule, for each slot that is gathered:

1. **Shelter.** Each node that is to hand over keys gives its claim up and marks the slot as importing from
   the future owner, in one transaction. A node leaves the keys of a slot it imports alone, whatever the bus
   says, and even after a restart; and MIGRATE of them is answered rather than redirected.
2. **Claim.** The owner takes the slot with a new config epoch, so that its claim beats any other.
3. **Tell** all primaries.
4. **Gather.** MIGRATE from each sheltering node until it is empty.
5. **Close** what is still marked.

After an interruption before 2 the slot has no owner and its keys are where they were; after it, it
has one, and importing marks show where keys are left. Both are problems this very plan repairs.

Source: clusterUpdateSlotsConfigWith of Redis 7.0 for what a node does with slots it loses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

import trio

from shoal.cli.client import Command
from shoal.cli.creating import wait_until
from shoal.cli.discovery import Cluster
from shoal.cli.draining import Drainer, MigrateOptions, route_between
from shoal.cli.errors import CliError, ReplyError
from shoal.cli.migrating import SlotMover
from shoal.cli.planning import Move
from shoal.cli.progress import Progress
from shoal.cli.repair_plan import Repair
from shoal.cli.replies import Reply
from shoal.cli.topology import slots_in

_AT_ONCE = 1024
_SERVING_TIMEOUT = 10.0


class Repairer:
    """Carries out repairs on a loaded cluster. A slot that cannot be repaired is noted in `failures`."""

    def __init__(self, cluster: Cluster, options: MigrateOptions, progress: Progress) -> None:
        self._cluster = cluster
        self._options = options
        self._progress = progress
        self._drainer = Drainer(options, cluster.credentials, progress)
        self._failed: set[int] = set()
        self.failures: list[CliError] = []
        self.slots_repaired = 0
        self.keys_moved = 0

    async def carry_out(self, repairs: Sequence[Repair]) -> None:
        """All repairs. One that fails does not keep others from being made.

        Owners first: while a slot has none, nodes may refuse to move any key, since the cluster is down.
        """
        claims = [repair for repair in repairs if repair.claim]
        await self._in_groups(claims, self._assign)
        if claims:
            await self._wait_until_serving()
        await self._finish_moves([repair for repair in repairs if repair.move_from is not None])
        await self._in_groups([each for each in repairs if each.yielding and not each.claim], self._assign)
        await self._in_groups(repairs, self._collect)

    async def _in_groups(
        self, repairs: Sequence[Repair], step: Callable[[Sequence[Repair]], Awaitable[None]]
    ) -> None:
        """A step for so many slots at once, but for those that an earlier step failed for."""
        left = [repair for repair in repairs if repair.slot not in self._failed]
        for start in range(0, len(left), _AT_ONCE):
            group = left[start : start + _AT_ONCE]
            try:
                await step(group)
            except ReplyError as failure:
                self.failures.append(failure)
                self._failed.update(repair.slot for repair in group)

    async def _wait_until_serving(self) -> None:
        nodes = self._cluster.view.primaries
        links = {node.address: self._cluster.connection(node.id) for node in nodes}
        with trio.move_on_after(_SERVING_TIMEOUT):
            await wait_until(links, lambda state: state.get("cluster_state") == "ok")

    async def _finish_moves(self, repairs: Sequence[Repair]) -> None:
        """Carry on what a reshard began."""
        for (source, target), group in _grouped(repairs, lambda each: (each.move_from, each.owner)):
            mover = SlotMover(self._cluster, self._options, self._progress)
            try:
                await mover.carry_out([Move(str(source), str(target), tuple(each.slot for each in group))])
            except CliError as failure:
                self.failures.append(failure)
            self._failed |= mover.remaining[str(target)]
            self.keys_moved += mover.keys_moved

    async def _assign(self, repairs: Sequence[Repair]) -> None:
        """Shelter, claim and tell. Where nobody had keys to yield, the bus tells soon enough."""
        for node, group in _by_node(repairs, lambda each: each.yielding):
            await self._transact(node, [command for repair in group for command in _shelter(repair)])
        for node, group in _by_node(repairs, lambda each: (each.owner,) if each.claim else ()):
            await self._transact(node, self._claim(node, group))
        await self._tell([repair for repair in repairs if repair.yielding])

    def _claim(self, node: str, repairs: Sequence[Repair]) -> list[Command]:
        """A node can only add slots that it believes nobody to have."""
        view = self._cluster.view.find(node).view
        taken = {slot for line in view for slot in slots_in(line.ranges)}
        slots = [repair.slot for repair in repairs]
        busy = [slot for slot in slots if slot in taken]
        commands: list[Command] = [
            ("CLUSTER", "SETSLOT", each.slot, "STABLE") for each in repairs if node in each.close
        ]
        if busy:
            commands.append(("CLUSTER", "DELSLOTS", *busy))
        return [*commands, ("CLUSTER", "ADDSLOTS", *slots), ("CLUSTER", "BUMPEPOCH")]

    async def _collect(self, repairs: Sequence[Repair]) -> None:
        """Gather and close."""
        gathered = [repair for repair in repairs if await self._gather(repair)]
        for node, group in _by_node(gathered, lambda each: (*each.yielding, *each.close)):
            await self._call(node, [("CLUSTER", "SETSLOT", each.slot, "STABLE") for each in group])
        self.slots_repaired += len(gathered)

    async def _transact(self, node: str, commands: Sequence[Command]) -> None:
        """All commands in one transaction. To unassign a slot that is unassigned already is no failure."""
        replies = await self._call(node, [("MULTI",), *commands, ("EXEC",)])
        outcome = replies[-1]
        if not isinstance(outcome, list) or len(outcome) != len(commands):
            raise ReplyError(f"{self._address(node)} refused a transaction: {outcome!r}")
        for command, reply in zip(commands, outcome, strict=True):
            if isinstance(reply, ReplyError) and command[1] != "DELSLOTS":
                raise ReplyError(f"{self._address(node)}: {reply} ({' '.join(map(str, command[:3]))})")

    async def _tell(self, repairs: Sequence[Repair]) -> None:
        """Whoever cannot be told, such as a node that turned into a replica, learns it from the bus."""
        for node in self._cluster.view.primaries:
            commands: list[Command] = [
                ("CLUSTER", "SETSLOT", repair.slot, "NODE", repair.owner)
                for repair in repairs
                if repair.owner != node.id
            ]
            await self._call(node.id, commands)

    async def _gather(self, repair: Repair) -> bool:
        """Fetch what keys other nodes have; False if a conflict forbids it."""
        moved = 0
        for node in repair.yielding:
            route = route_between(self._cluster, node, repair.owner, self._cluster.connection(node))
            try:
                moved += await self._drainer.drain(route, [repair.slot])
            except ReplyError as failure:
                self.failures.append(failure)
                return False
        self.keys_moved += moved
        if moved:
            self._progress.moved([repair.slot], moved, "other nodes", self._address(repair.owner))
        return True

    async def _call(self, node: str, commands: Sequence[Command]) -> list[Reply]:
        return await self._cluster.connection(node).call_many(commands)

    def _address(self, node: str) -> str:
        return str(self._cluster.connection(node).address)


def _shelter(repair: Repair) -> list[Command]:
    """Unassigned already, DELSLOTS is an error, and a welcome one."""
    slot = repair.slot
    return [
        ("CLUSTER", "SETSLOT", slot, "STABLE"),
        ("CLUSTER", "DELSLOTS", slot),
        ("CLUSTER", "SETSLOT", slot, "IMPORTING", repair.owner),
    ]


def _grouped(
    repairs: Iterable[Repair], key: Callable[[Repair], tuple[str | None, str]]
) -> Iterator[tuple[tuple[str | None, str], list[Repair]]]:
    groups: dict[tuple[str | None, str], list[Repair]] = {}
    for repair in repairs:
        groups.setdefault(key(repair), []).append(repair)
    yield from groups.items()


def _by_node(
    repairs: Iterable[Repair], nodes: Callable[[Repair], Iterable[str]]
) -> Iterator[tuple[str, list[Repair]]]:
    """For each node that a step concerns, the repairs it is needed for."""
    groups: dict[str, list[Repair]] = {}
    for repair in repairs:
        for node in nodes(repair):
            groups.setdefault(node, []).append(repair)
    yield from groups.items()
