"""ioredis and node-redis: a node alone, and the cluster."""

from __future__ import annotations

import pytest

from tests.clients.javascript import passed_scenarios
from tests.clients.packages import needs_javascript_client
from tests.processes.nodes import Node

pytestmark = pytest.mark.processes
SCRIPTS = [
    pytest.param("ioredis.mjs", id="ioredis", marks=needs_javascript_client("ioredis")),
    pytest.param("node_redis.mjs", id="node-redis", marks=needs_javascript_client("redis")),
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_node_alone(script: str, node: Node) -> None:
    assert len(passed_scenarios(script, "alone", [node], [])) == 7


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_cluster(script: str, cluster: list[Node], primaries: list[Node]) -> None:
    before = sum(node.calls("get") for node in cluster[3:])
    assert len(passed_scenarios(script, "cluster", cluster, primaries)) == 6
    assert sum(node.calls("get") for node in cluster[3:]) > before
