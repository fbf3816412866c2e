"""One node and one cluster for all client tests, emptied before each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.processes.nodes import Node, running_cluster, running_node

PRIMARIES = 3


@pytest.fixture(scope="session")
def session_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running_node(tmp_path_factory.mktemp("node")) as node:
        yield node
        assert "Traceback" not in node.log, node.log_tail


@pytest.fixture(scope="session")
def session_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Three primaries, then a replica of each."""
    with running_cluster(tmp_path_factory.mktemp("cluster"), PRIMARIES, replicas=1) as nodes:
        yield nodes
        for node in nodes:
            assert "Traceback" not in node.log, node.log_tail


@pytest.fixture
def node(session_node: Node) -> Node:
    session_node.ask("FLUSHALL")
    return session_node


@pytest.fixture
def cluster(session_cluster: list[Node]) -> list[Node]:
    for primary in session_cluster[:PRIMARIES]:
        primary.ask("FLUSHALL")
    return session_cluster


@pytest.fixture
def primaries(cluster: list[Node]) -> list[Node]:
    return cluster[:PRIMARIES]
