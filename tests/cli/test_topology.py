"""CLUSTER NODES as nodes write it, and as a hostile one might."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.cli.addresses import Address, parse_address
from shoal.cli.checks import check, find_open_slots
from shoal.cli.creating import find_misseen, is_agreed
from shoal.cli.errors import CliError
from shoal.cli.topology import ClusterView, Node, TopologyError, parse_cluster_nodes

A, B, C = "a" * 40, "b" * 40, "c" * 40
SAMPLE = f"""\
{A} 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5460 5462 [5->-{B}] [5461-<-{B}]
{B} 127.0.0.1:7001@17001,host.example master - 0 1 2 connected 5461 5463-16383
{C} :0@0 slave,fail,noaddr {A} 0 1 1 disconnected
"""


def view_of(*texts: str) -> ClusterView:
    nodes = []
    for text in texts:
        lines = parse_cluster_nodes(text)
        myself = next(line for line in lines if line.is_myself)
        nodes.append(Node(myself, Address(myself.host, myself.port), 0, tuple(lines)))
    return ClusterView(nodes[0].address, tuple(nodes))


def seen_by_b(text: str) -> str:
    """The same picture as drawn by node B."""
    return text.replace("myself,", "").replace(" master - 0 1 2", " myself,master - 0 1 2")


def test_every_field_of_a_line_is_read() -> None:
    first, second, third = parse_cluster_nodes(SAMPLE)
    assert first.is_myself and first.is_primary and first.connected
    assert first.ranges == ((0, 5460), (5462, 5462))
    assert first.migrating == ((5, B),)
    assert first.importing == ((5461, B),)
    assert (second.host, second.port, second.config_epoch) == ("127.0.0.1", 7001, 2)
    assert third.primary_id == A and not third.connected and not third.is_reachable_in_principle


@pytest.mark.parametrize(
    "broken",
    [
        "",
        SAMPLE.replace("myself,", ""),
        SAMPLE.replace("0-5460", "0-16384"),
        SAMPLE.replace("0-5460", "9-3"),
        SAMPLE.replace("0-5460", "0-٣"),
        SAMPLE.replace("[5->-", "[99999->-"),
        SAMPLE.replace(":7000@", ":nonsense@"),
        SAMPLE.replace(A, "xyz"),
        "hello",
    ],
)
def test_nonsense_is_refused_with_a_topology_error(broken: str) -> None:
    with pytest.raises(TopologyError):
        parse_cluster_nodes(broken)


@given(st.text(max_size=300) | st.text(alphabet=SAMPLE, max_size=600))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        assert parse_cluster_nodes(text)
    except TopologyError as refused:
        assert str(refused)


def test_both_marks_of_an_open_slot_are_one_move_and_a_lone_mark_is_told_apart() -> None:
    source = f"{A} h:1@2 myself,master - 0 0 1 connected 0-16383 [7->-{B}] [8->-{B}]\n"
    target = f"{B} h:2@3 myself,master - 0 0 2 connected [7-<-{A}]\n"
    seven, eight = find_open_slots(view_of(source, target))
    assert (seven.slot, seven.source_marked, seven.target_marked) == (7, True, True)
    assert (eight.slot, eight.source_marked, eight.target_marked) == (8, True, False)


def test_the_checks_see_disagreement_holes_and_double_owners() -> None:
    health = check(view_of(SAMPLE, seen_by_b(SAMPLE).replace("5463-16383", "5463-16382")))
    assert len(health.disagreeing) == 1
    assert health.uncovered == ((16383, 16383),)
    assert not health.multiple_owners
    doubled = check(
        view_of(SAMPLE, seen_by_b(SAMPLE).replace("connected 5461 5463", "connected 5460-5461 5463"))
    )
    assert list(doubled.multiple_owners) == [5460]
    assert not doubled.sound


def test_nodes_agree_when_slots_and_roles_do_whatever_handshake_still_lingers() -> None:
    a = parse_cluster_nodes(
        f"{A} h:1@2 myself,master - 0 0 1 connected 0-16383\n{B} h:2@3 slave {A} 0 1 2 connected"
    )
    b = f"{A} h:1@2 master - 0 1 1 connected 0-16383\n{B} h:2@3 myself,slave {A} 0 0 2 connected\n"
    lingering = f"{C} h:1@2 handshake - 0 1 0 connected\n"
    assert is_agreed([a, parse_cluster_nodes(b + lingering)], 2)
    assert not is_agreed([a, parse_cluster_nodes(b)], 3)
    stale = parse_cluster_nodes(b.replace("0-16383", "0-99"))
    assert not is_agreed([a, stale], 2)
    first, second = Address("h", 1), Address("h", 2)
    assert find_misseen({first: a, second: stale}) == [(first, second)]
    assert find_misseen({first: a, second: parse_cluster_nodes(b + lingering)}) == []


def test_a_node_is_found_by_id_or_address_and_an_unknown_name_lists_what_there_is() -> None:
    view = view_of(SAMPLE, seen_by_b(SAMPLE))
    assert view.find(B.upper()).id == view.find("127.0.0.1:7001").id == B
    with pytest.raises(CliError, match=r"127\.0\.0\.1:7000, 127\.0\.0\.1:7001"):
        view.find("127.0.0.1:9")


def test_addresses_are_read_in_every_usual_form() -> None:
    assert parse_address("127.0.0.1:7000") == Address("127.0.0.1", 7000)
    assert parse_address("[::1]:7000@17000") == parse_address("::1:7000") == Address("::1", 7000)
    for wrong in ("7000", ":7000", "h:", "h:0", "h:65536", "h:7_0", "h:" + "9" * 5000):
        with pytest.raises(ValueError, match="HOST:PORT"):
            parse_address(wrong)
