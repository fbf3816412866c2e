"""Plans: whatever goes in, slots are neither lost nor doubled, and no better placement was within reach."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.cli.addresses import Address
from shoal.cli.errors import CliError
from shoal.cli.planning import (
    Move,
    Shard,
    even_ranges,
    plan_cluster,
    plan_named_slots,
    plan_rebalance,
    plan_reshard,
    share_out,
)
from shoal.cluster.slots import SLOT_COUNT

addresses = st.lists(
    st.builds(Address, st.sampled_from(["h1", "h2", "h3", "h4"]), st.integers(7000, 7020)),
    min_size=1,
    max_size=16,
    unique=True,
)


@st.composite
def owners(draw: st.DrawFn) -> dict[str, list[int]]:
    """All slots dealt out to a few nodes, some of which may have none."""
    names = [f"node{number}" for number in range(draw(st.integers(1, 6)))]
    edges = sorted(
        draw(st.lists(st.integers(0, SLOT_COUNT), min_size=len(names) - 1, max_size=len(names) - 1))
    )
    bounds = [0, *edges, SLOT_COUNT]
    return {name: list(range(bounds[i], bounds[i + 1])) for i, name in enumerate(names)}


def after(slots: dict[str, list[int]], moves: list[Move]) -> dict[str, set[int]]:
    result = {name: set(own) for name, own in slots.items()}
    for move in moves:
        assert result[move.source] >= set(move.slots), "a move takes only what its source has"
        result[move.source] -= set(move.slots)
        result[move.target] |= set(move.slots)
    assert sum(map(len, result.values())) == sum(map(len, slots.values()))
    return result


@given(addresses, st.integers(0, 3))
def test_a_new_cluster_uses_every_node_once_and_covers_every_slot_once(
    nodes: list[Address], replicas: int
) -> None:
    if len(nodes) < replicas + 1:
        with pytest.raises(CliError, match="too few"):
            plan_cluster(nodes, replicas)
        return
    shards = plan_cluster(nodes, replicas)
    used = [address for shard in shards for address in (shard.primary, *shard.replicas)]
    assert sorted(used) == sorted(nodes)
    assert [slot for shard in shards for slot in range(shard.first, shard.last + 1)] == list(
        range(SLOT_COUNT)
    )
    sizes = [shard.last - shard.first + 1 for shard in shards]
    assert max(sizes) - min(sizes) <= 1
    assert all(len(shard.replicas) >= replicas for shard in shards)


@given(addresses.filter(lambda nodes: len(nodes) >= 2))
def test_no_exchange_of_two_replicas_would_part_more_nodes_of_one_host(nodes: list[Address]) -> None:
    shards = plan_cluster(nodes, 1)
    cost = sum(shard.shared_hosts for shard in shards)
    for left, right in permutations(range(len(shards)), 2):
        for i in range(len(shards[left].replicas)):
            for j in range(len(shards[right].replicas)):
                a, b = list(shards[left].replicas), list(shards[right].replicas)
                a[i], b[j] = b[j], a[i]
                changed = dict(enumerate(shards))
                changed[left] = Shard(shards[left].primary, 0, 0, tuple(a))
                changed[right] = Shard(shards[right].primary, 0, 0, tuple(b))
                assert sum(shard.shared_hosts for shard in changed.values()) >= cost


@given(st.integers(2, 5), st.integers(1, 6), st.integers(1, 4))
def test_with_enough_even_hosts_no_shard_shares_one(hosts: int, per_host: int, replicas: int) -> None:
    nodes = [Address(f"h{host}", 7000 + number) for host in range(hosts) for number in range(per_host)]
    if hosts == replicas + 1:
        assert not any(shard.shared_hosts for shard in plan_cluster(nodes, replicas))


def test_a_twice_named_node_is_refused() -> None:
    with pytest.raises(CliError, match="twice"):
        plan_cluster([Address("h", 1), Address("h", 1)], 0)


def test_three_primaries_get_the_ranges_redis_gives_them() -> None:
    assert even_ranges(3) == [(0, 5460), (5461, 10922), (10923, 16383)]


@given(st.integers(0, 20000), st.lists(st.fractions(0, 100), min_size=1, max_size=8))
def test_shares_add_up_and_are_less_than_one_from_exact(total: int, weights: list[Fraction]) -> None:
    if not any(weights):
        with pytest.raises(CliError):
            share_out(total, weights)
        return
    shares = share_out(total, weights)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - Fraction(total) * weight / sum(weights)) < 1


@given(owners(), st.integers(0, SLOT_COUNT))
def test_a_reshard_moves_exactly_what_was_asked_in_proportion(
    slots: dict[str, list[int]], count: int
) -> None:
    givers = {name: own for name, own in slots.items() if name != "node0"}
    available = sum(map(len, givers.values()))
    if count > available:
        with pytest.raises(CliError, match="ask for less"):
            plan_reshard(givers, "node0", count)
        return
    moves = plan_reshard(givers, "node0", count)
    assert len(after(slots, moves)["node0"]) == len(slots["node0"]) + count
    for move in moves:
        assert abs(len(move.slots) - count * len(givers[move.source]) / available) < 1


@given(owners(), st.sets(st.integers(0, SLOT_COUNT - 1), max_size=50))
def test_named_slots_end_at_the_target_and_naming_them_again_moves_nothing(
    slots: dict[str, list[int]], wanted: set[int]
) -> None:
    moves = plan_named_slots(slots, "node0", sorted(wanted))
    moved = {name: sorted(own) for name, own in after(slots, moves).items()}
    assert set(moved["node0"]) == set(slots["node0"]) | wanted
    assert plan_named_slots(moved, "node0", sorted(wanted)) == []


def test_a_named_slot_without_owner_is_an_error() -> None:
    with pytest.raises(CliError, match="slot 7 has no owner"):
        plan_named_slots({"a": [1], "b": [2]}, "a", [2, 7])


@given(owners(), st.data())
def test_a_rebalance_gives_each_its_share_moves_least_and_is_then_done(
    slots: dict[str, list[int]], data: st.DataObject
) -> None:
    weights = {name: data.draw(st.fractions(0, 10), label=name) for name in slots}
    if not any(weights.values()):
        return
    moves = plan_rebalance(slots, weights, 0.0)
    result = after(slots, moves)
    total = sum(weights.values())
    takers = {move.target for move in moves}
    givers = {move.source for move in moves}
    for name, own in result.items():
        share = int(SLOT_COUNT * weights[name] / total)
        assert name not in givers or len(own) == share, "who gives keeps its share rounded down"
        assert abs(len(own) - share) < len(slots)
    assert not takers & givers, "nobody both gives and takes"
    assert plan_rebalance({name: sorted(own) for name, own in result.items()}, weights, 0.0) == []


def test_within_the_threshold_nothing_moves() -> None:
    slots = {"a": list(range(8200)), "b": list(range(8200, SLOT_COUNT))}
    weights = {"a": Fraction(1), "b": Fraction(1)}
    assert plan_rebalance(slots, weights, 2.0) == []
    assert [len(move.slots) for move in plan_rebalance(slots, weights, 0.05)] == [8]
