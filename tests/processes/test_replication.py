"""Real processes replicate each other: ours from Redis, Redis from ours, ours from ours."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from tests.peers import REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER, needs
from tests.processes.replication_pairs import (
    OURS,
    change,
    contents,
    fill,
    follow,
    server,
    until_caught_up,
)

pytestmark = pytest.mark.processes
REDIS7 = (str(REDIS7_SERVER),)
REAL = [
    pytest.param(REDIS7, id="redis7", marks=[needs(REDIS7_SERVER), pytest.mark.peers]),
    pytest.param((str(REDIS8_SERVER),), id="redis8", marks=[needs(REDIS8_SERVER), pytest.mark.peers]),
    pytest.param((str(VALKEY8_SERVER),), id="valkey8", marks=[needs(VALKEY8_SERVER), pytest.mark.peers]),
]
OWN = pytest.param(OURS, id="ours")


def full_syncs(client: redis.Redis) -> int:
    return int(client.info("stats")["sync_full"])


@pytest.mark.parametrize("diskless", ["yes", "no"])
@pytest.mark.parametrize("program", [*REAL, OWN])
def test_we_follow_a_primary_through_snapshot_stream_and_a_cut_link(
    program: tuple[str, ...], diskless: str, tmp_path: Path
) -> None:
    with (
        server(program, tmp_path / "primary", "--repl-diskless-sync", diskless) as primary,
        server(OURS, tmp_path / "replica") as replica,
    ):
        fill(primary)
        follow(replica, primary)
        change(primary)
        until_caught_up(replica, primary)
        assert contents(replica) == contents(primary)
        assert primary.execute_command("CLIENT", "KILL", "TYPE", "replica") == 1
        change(primary)
        until_caught_up(replica, primary)
        assert contents(replica) == contents(primary)
        assert full_syncs(primary) == 1


@pytest.mark.parametrize("program", REAL)
def test_a_real_replica_follows_us_through_snapshot_stream_and_a_cut_link(
    program: tuple[str, ...], tmp_path: Path
) -> None:
    with (
        server(OURS, tmp_path / "primary") as primary,
        server(program, tmp_path / "replica") as replica,
    ):
        fill(primary)
        follow(replica, primary)
        change(primary)
        until_caught_up(replica, primary)
        assert contents(replica) == contents(primary)
        assert replica.execute_command("CLIENT", "KILL", "TYPE", "master") == 1
        change(primary)
        until_caught_up(replica, primary)
        assert contents(replica) == contents(primary)
        assert full_syncs(primary) == 1
        assert primary.info("stats")["sync_partial_ok"] == 1
