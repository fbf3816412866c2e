"""Decides which node does what: roles and slots of a new cluster, slots to move in a reshard or rebalance.

Pure functions over ids, hosts and counts. Equal input gives an equal plan, so a plan shown is the plan done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from shoal.cli.addresses import Address
from shoal.cli.errors import CliError
from shoal.cluster.slots import SLOT_COUNT

SAFE_PRIMARIES = 3


@dataclass(frozen=True, slots=True)
class Shard:
    """One primary, its slots from `first` to `last` inclusive, and its replicas."""

    primary: Address
    first: int
    last: int
    replicas: tuple[Address, ...]

    @property
    def shared_hosts(self) -> int:
        """How many nodes of the shard stand on a host that another of its nodes already stands on."""
        hosts = [self.primary.host, *(replica.host for replica in self.replicas)]
        return len(hosts) - len(set(hosts))


@dataclass(frozen=True, slots=True)
class Move:
    """Slots that go from one node to another, ascending. Nodes are ids."""

    source: str
    target: str
    slots: tuple[int, ...]


def plan_cluster(addresses: Sequence[Address], replicas_per_primary: int) -> list[Shard]:
    """Roles for the nodes of a new cluster.

    Primaries are taken from the hosts in turn; replicas go where they share no host with another node of
    their shard, as far as that is possible. Nodes left over become further replicas.
    """
    if len(set(addresses)) != len(addresses):
        raise CliError("an address is given twice; name every node once")
    primary_count = len(addresses) // (replicas_per_primary + 1)
    if primary_count < 1:
        raise CliError(
            f"{len(addresses)} nodes are too few for {replicas_per_primary} replicas per primary; "
            f"give at least {replicas_per_primary + 1}"
        )
    in_turn = _hosts_in_turn(addresses)
    primaries, spare = in_turn[:primary_count], in_turn[primary_count:]
    replicas = _place_replicas(primaries, spare)
    return [
        Shard(primary, *bounds, tuple(replicas[index]))
        for index, (primary, bounds) in enumerate(zip(primaries, even_ranges(primary_count), strict=True))
    ]


def even_ranges(count: int) -> list[tuple[int, int]]:
    """All slots cut into `count` ranges whose sizes differ by at most one."""
    edges = [(2 * SLOT_COUNT * index + count) // (2 * count) for index in range(count + 1)]
    return [(first, following - 1) for first, following in pairwise(edges)]


def _hosts_in_turn(addresses: Sequence[Address]) -> list[Address]:
    """One node of each host, then the next of each, and so on, in the order given."""
    by_host: dict[str, deque[Address]] = {}
    for address in addresses:
        by_host.setdefault(address.host, deque()).append(address)
    order: list[Address] = []
    while len(order) < len(addresses):
        order += [queue.popleft() for queue in by_host.values() if queue]
    return order


def _place_replicas(primaries: Sequence[Address], spare: Sequence[Address]) -> list[list[Address]]:
    """Deal the spare nodes out to the primaries, then exchange pairs while that parts nodes of one host.

    Every exchange lowers the number of shared hosts, which is a count, so this ends.
    """
    shards: list[list[Address]] = [[primary] for primary in primaries]
    for index, address in enumerate(spare):
        shards[index % len(primaries)].append(address)
    while _exchange_once(shards):
        pass
    return [shard[1:] for shard in shards]


def _exchange_once(shards: list[list[Address]]) -> bool:
    """Swap the first pair of replicas whose swap lowers the number of shared hosts."""
    for left in shards:
        if _sharing(left) == 0:
            continue
        for right in shards:
            if right is left:
                continue
            before = _sharing(left) + _sharing(right)
            for i in range(1, len(left)):
                for j in range(1, len(right)):
                    left[i], right[j] = right[j], left[i]
                    if _sharing(left) + _sharing(right) < before:
                        return True
                    left[i], right[j] = right[j], left[i]
    return False


def _sharing(shard: Sequence[Address]) -> int:
    return len(shard) - len({address.host for address in shard})


def share_out(total: int, weights: Sequence[Fraction | int]) -> list[int]:
    """`total` split in proportion to the weights, exact in sum (largest remainder; ties to the first)."""
    whole = sum(weights)
    if whole <= 0:
        raise CliError("all weights are zero; give at least one node a weight above 0")
    exact = [Fraction(total) * weight / whole for weight in weights]
    shares = [int(share) for share in exact]
    by_remainder = sorted(range(len(shares)), key=lambda index: (shares[index] - exact[index], index))
    for index in by_remainder[: total - sum(shares)]:
        shares[index] += 1
    return shares


def plan_reshard(sources: Mapping[str, Sequence[int]], target: str, count: int) -> list[Move]:
    """`count` slots for the target, from each source in proportion to what it has, lowest slots first."""
    available = sum(len(slots) for slots in sources.values())
    if count > available:
        raise CliError(f"the sources have {available} slots, fewer than the {count} asked for; ask for less")
    if count <= 0:
        return []
    shares = share_out(count, [len(slots) for slots in sources.values()])
    return [
        Move(source, target, tuple(sorted(slots)[:share]))
        for (source, slots), share in zip(sources.items(), shares, strict=True)
        if share
    ]


def plan_named_slots(owned: Mapping[str, Sequence[int]], target: str, wanted: Sequence[int]) -> list[Move]:
    """Exactly these slots for the target, from whoever has them. Slots it already has are left out."""
    chosen = set(wanted)
    missing = chosen.difference(*owned.values())
    if missing:
        raise CliError(f"slot {min(missing)} has no owner among the sources; see shoal check")
    return [
        Move(source, target, taken)
        for source, slots in owned.items()
        if source != target and (taken := tuple(sorted(chosen.intersection(slots))))
    ]


def plan_rebalance(
    slots: Mapping[str, Sequence[int]], weights: Mapping[str, Fraction], threshold_percent: float
) -> list[Move]:
    """Moves that bring every weighted node to its share; none if all are within the threshold already.

    `slots` are the slots of each node that takes part, `weights` the weight of each of them. The outcome is
    that of redis-cli: a share is rounded down, who has more gives all beyond it, and what rounding leaves
    over goes one by one, in the order given, to those that have no more than their share. Who is furthest
    below gets from who is furthest above, lowest slots first.
    """
    surplus = _surplus(slots, weights)
    if not any(_is_off(len(slots[node]), surplus[node], threshold_percent, len(slots)) for node in slots):
        return []
    left_over = sum(surplus.values())
    while left_over > 0:
        for node in surplus:
            if surplus[node] <= 0 < left_over:
                surplus[node] -= 1
                left_over -= 1
    order = deque(sorted(surplus, key=lambda node: surplus[node]))
    spare = {node: deque(sorted(slots[node])) for node in slots}
    moves: list[Move] = []
    while len(order) > 1:
        target, source = order[0], order[-1]
        count = min(-surplus[target], surplus[source])
        if count > 0:
            moves.append(Move(source, target, tuple(spare[source].popleft() for _ in range(count))))
            surplus[target] += count
            surplus[source] -= count
        if not surplus[target]:
            order.popleft()
        if order and not surplus[order[-1]]:
            order.pop()
    return moves


def _surplus(slots: Mapping[str, Sequence[int]], weights: Mapping[str, Fraction]) -> dict[str, int]:
    """How many slots each node has beyond its share, rounded down; negative if it lacks some."""
    whole = sum(weights[node] for node in slots)
    if whole <= 0:
        raise CliError("all weights are zero; give at least one node a weight above 0")
    total = sum(len(own) for own in slots.values())
    return {node: len(own) - int(total * weights[node] / whole) for node, own in slots.items()}


def _is_off(count: int, surplus: int, threshold_percent: float, nodes: int) -> bool:
    """Beyond the threshold, which counts in percent of what the node has; at 0, beyond what rounding does."""
    if not threshold_percent:
        return abs(surplus) >= nodes
    if not count:
        return -surplus > 1
    return abs(surplus) * 100 > threshold_percent * count
