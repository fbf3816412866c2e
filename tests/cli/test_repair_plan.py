"""Which node gets a slot that is not in order, and who gives up what."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.cli.addresses import Address
from shoal.cli.errors import CliError
from shoal.cli.repair_plan import (
    Repair,
    SlotFacts,
    describe_problem,
    mistaken_views,
    plan_repair,
    spread_slots,
)
from shoal.cli.topology import ClusterView, Node, parse_cluster_nodes

NODES = ("a", "b", "c", "d")
EPOCHS = {"a": 1, "b": 2, "c": 3, "d": 4}

node = st.sampled_from(NODES)
all_facts = st.builds(
    SlotFacts,
    slot=st.just(7),
    claimants=st.lists(node, unique=True, max_size=3).map(tuple),
    migrating=st.dictionaries(node, node, max_size=3),
    importing=st.dictionaries(node, node, max_size=3),
    keys=st.dictionaries(node, st.integers(1, 9), max_size=4),
)


def plan(facts: SlotFacts) -> Repair:
    return plan_repair(facts, EPOCHS, "d")


@given(all_facts)
def test_after_a_repair_one_node_owns_the_slot_holds_all_its_keys_and_no_mark_is_left(
    facts: SlotFacts,
) -> None:
    repair = plan(facts)
    givers = {*repair.yielding, *([repair.move_from] if repair.move_from else [])}
    assert repair.owner not in givers
    assert set(facts.keys) <= givers | {repair.owner}, "nobody keeps a key but the owner"
    closed_by_move = {repair.move_from, repair.owner} if repair.move_from else set()
    assert facts.marked <= {*repair.yielding, *repair.close, *closed_by_move}
    claims_left = set(facts.claimants) - givers
    assert repair.claim or repair.move_from or claims_left == {repair.owner}


@given(all_facts)
def test_a_slot_in_order_is_left_as_it_is(facts: SlotFacts) -> None:
    if facts.in_order:
        repair = plan(facts)
        assert not (repair.claim or repair.yielding or repair.close or repair.move_from)


def test_an_interrupted_move_is_finished_even_if_most_keys_are_still_at_the_source() -> None:
    repair = plan(SlotFacts(7, ("a",), {"a": "b"}, {"b": "a"}, {"a": 9, "b": 1, "c": 1}))
    assert (repair.move_from, repair.owner, repair.yielding) == ("a", "b", ("c",))
    assert repair.problem.startswith("keys outside its owner")


def test_a_move_whose_ends_differ_goes_to_who_says_it_is_coming() -> None:
    repair = plan(SlotFacts(7, ("a",), {"a": "b"}, {"c": "a"}, {"a": 1}))
    assert (repair.move_from, repair.owner) == ("a", "c")


def test_of_several_that_wait_for_a_slot_the_one_the_owner_names_gets_it_and_the_others_are_closed() -> None:
    repair = plan(SlotFacts(7, ("a",), {"a": "b"}, {"b": "a", "c": "a"}, {"a": 1}))
    assert (repair.move_from, repair.owner, repair.close) == ("a", "b", ("c",))


@pytest.mark.parametrize(("migrating", "importing"), [({"a": "b"}, {}), ({}, {"b": "a"})])
def test_a_slot_marked_at_one_end_only_is_closed(
    migrating: dict[str, str], importing: dict[str, str]
) -> None:
    repair = plan(SlotFacts(7, ("a",), migrating, importing, {"a": 5}))
    assert (repair.owner, repair.claim, repair.yielding) == ("a", False, ())
    assert set(repair.close) == {*migrating, *importing}


def test_a_mark_on_a_node_that_gave_its_slot_away_is_closed() -> None:
    repair = plan(SlotFacts(7, ("b",), {"a": "b"}, {}, {"b": 5}))
    assert (repair.owner, repair.claim, repair.close) == ("b", False, ("a",))


def test_who_has_most_keys_gets_the_slot() -> None:
    repair = plan(SlotFacts(7, ("a",), {}, {}, {"a": 2, "b": 3, "c": 1}))
    assert (repair.owner, repair.claim, set(repair.yielding)) == ("b", True, {"a", "c"})


def test_of_equals_a_claimant_gets_it_and_of_claimants_the_one_with_the_later_epoch() -> None:
    assert plan(SlotFacts(7, ("b",), {}, {}, {"a": 2, "b": 2})).owner == "b"
    repair = plan(SlotFacts(7, ("a", "b")))
    assert (repair.owner, repair.claim, repair.yielding) == ("b", True, ("a",))


def test_a_slot_without_owner_goes_to_who_has_its_keys_or_else_to_a_spare() -> None:
    assert plan(SlotFacts(7, keys={"c": 1})).owner == "c"
    assert plan(SlotFacts(7)).owner == "d"
    with pytest.raises(CliError, match="no primary"):
        plan_repair(SlotFacts(7), {}, None)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (SlotFacts(7), "no owner and no keys"),
        (SlotFacts(7, keys={"a": 1}), "no owner but keys on one node"),
        (SlotFacts(7, keys={"a": 1, "b": 1}), "no owner but keys on 2 nodes"),
        (SlotFacts(7, ("a", "b")), "2 owners"),
        (SlotFacts(7, ("a",), keys={"b": 1}), "keys outside its owner"),
        (SlotFacts(7, ("a",), {"a": "b"}, {"b": "a"}), "open, marked as migrating and as importing"),
        (SlotFacts(7, ("a",), {}, {"b": "a"}), "open, marked only as importing"),
    ],
)
def test_a_problem_is_told_in_words(facts: SlotFacts, words: str) -> None:
    assert describe_problem(facts) == words


@given(st.sets(st.integers(0, 16383), max_size=60), st.dictionaries(node, st.integers(0, 40), min_size=1))
def test_spare_slots_make_nodes_as_even_as_they_can(slots: set[int], sizes: dict[str, int]) -> None:
    spread = spread_slots(sorted(slots), sizes)
    assert set(spread) == slots
    given_to = Counter(spread.values())
    after = {name: size + given_to[name] for name, size in sizes.items()}
    for receiver in given_to:
        assert after[receiver] <= min(after.values()) + 1


def test_a_view_is_mistaken_where_it_differs_from_what_the_owner_alone_claims() -> None:
    first, second = "a" * 40, "b" * 40

    def sees(myself: str, own: str, other: str) -> Node:
        text = (
            f"{myself} 127.0.0.1:1@2 myself,master - 0 0 1 connected {own}\n"
            f"{second if myself == first else first} 127.0.0.1:3@4 master - 0 0 2 connected {other}\n"
        )
        view = tuple(parse_cluster_nodes(text))
        return Node(view[0], Address("127.0.0.1", 1), 0, view)

    view = ClusterView(Address("127.0.0.1", 1), (sees(first, "0-9 11", "10"), sees(second, "10 11", "0-8")))
    assert mistaken_views(view) == {second: {9: first}}, (
        "slot 11 has two claimants, so nobody is right about it"
    )
