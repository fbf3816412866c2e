"""Who has lost sight of whom, told from what the nodes of a cluster say."""

from __future__ import annotations

from shoal.cli.addresses import Address
from shoal.cli.reuniting import find_apart
from shoal.cli.topology import Node, parse_cluster_nodes

FIRST, SECOND = Address("node-0", 7000), Address("node-1", 7001)


def node(address: Address, me: tuple[str, str], other: tuple[str, str], link: str = "connected") -> Node:
    """What a node says that knows one other; `me` and `other` are the first digit of an id and an ip."""
    lines = [
        f"{me[0] * 40} {me[1]}:{address.port}@17000 myself,master - 0 0 1 connected",
        f"{other[0] * 40} {other[1]}:7000@17000 master - 0 0 2 {link}",
    ]
    view = parse_cluster_nodes("\n".join(lines))
    return Node(view[0], address, 0, tuple(view))


def test_nodes_that_see_each_other_where_they_are_need_nothing() -> None:
    nodes = {
        FIRST: node(FIRST, ("a", "10.0.0.1"), ("b", "10.0.0.2")),
        SECOND: node(SECOND, ("b", "10.0.0.2"), ("a", "10.0.0.1")),
    }
    assert find_apart(nodes) == []


def test_a_node_seeks_the_one_it_is_not_connected_to() -> None:
    nodes = {
        FIRST: node(FIRST, ("a", "10.0.0.1"), ("b", "10.0.0.2"), "disconnected"),
        SECOND: node(SECOND, ("b", "10.0.0.2"), ("a", "10.0.0.1")),
    }
    assert find_apart(nodes) == [(FIRST, SECOND)]


def test_a_node_that_is_wrong_about_its_own_address_is_sought() -> None:
    nodes = {
        FIRST: node(FIRST, ("a", "10.0.0.1"), ("b", "10.0.0.9")),
        SECOND: node(SECOND, ("b", "10.0.0.2"), ("a", "10.0.0.1")),
    }
    assert find_apart(nodes) == [(FIRST, SECOND)]
