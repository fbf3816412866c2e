"""CLUSTER FAILOVER there and at once back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes.nodes import Node, running_cluster, wait_until

pytestmark = pytest.mark.processes


def test_an_old_primary_may_be_told_to_take_its_place_back_as_soon_as_it_follows(tmp_path: Path) -> None:
    with running_cluster(tmp_path, primaries=3, replicas=1) as nodes:
        primary, replica = nodes[0], nodes[3]
        hand_over(primary, replica)
        hand_over(replica, primary)


def hand_over(primary: Node, replica: Node) -> None:
    """Let the replica take over, and wait until it is followed by the old primary and knows it."""
    assert replica.ask("CLUSTER", "FAILOVER") == "OK"
    wait_until(lambda: replica.info("replication")["role"] == "master", "the replica is primary")
    heir = replica.ask("CLUSTER", "MYID")
    wait_until(lambda: len(replica.ask("CLUSTER", "REPLICAS", heir)) == 1, "it knows its replica")
    wait_until(lambda: primary.info("replication").get("master_link_status") == "up", "the old one follows")
