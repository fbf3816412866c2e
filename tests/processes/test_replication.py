"""Real processes replicate each other: ours from Redis, Redis from ours, ours from ours."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from tests.peers import REDIS7_CLI, REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER, needs
from tests.processes.replication_pairs import (
    OURS,
    change,
    contents,
    fill,
    follow,
    port_of,
    server,
    until,
    until_caught_up,
    until_linked,
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


@pytest.mark.parametrize("program", [*REAL, OWN])
def test_a_primary_followed_before_its_first_write_is_counted_as_it_counts(
    program: tuple[str, ...], tmp_path: Path
) -> None:
    with (
        server(program, tmp_path / "primary") as primary,
        server(OURS, tmp_path / "replica") as replica,
    ):
        follow(replica, primary)
        change(primary)
        until_caught_up(replica, primary)
        assert primary.execute_command("CLIENT", "KILL", "TYPE", "replica") == 1
        change(primary)
        until_caught_up(replica, primary)
        assert contents(replica) == contents(primary) and full_syncs(primary) == 1


@pytest.mark.parametrize("program", [*REAL, OWN])
def test_a_replica_follows_us_through_snapshot_stream_and_a_cut_link(
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


def test_a_snapshot_is_consistent_while_its_keys_are_written(tmp_path: Path) -> None:
    with server(OURS, tmp_path / "primary") as primary, server(OURS, tmp_path / "replica") as replica:
        fill(primary)
        pipeline = primary.pipeline(transaction=False)
        for number in range(30_000):
            pipeline.set(f"bulk:{number}", b"v" * 100)
        pipeline.execute()
        replica.execute_command("REPLICAOF", "127.0.0.1", port_of(primary))
        until(lambda: primary.info("stats")["sync_full"] == 1, "the snapshot has begun")
        assert "state=online" not in str(primary.execute_command("INFO", "replication"))
        change(primary, times=100)
        primary.execute_command("FLUSHDB")
        change(primary, times=100)
        until_linked(replica)
        until_caught_up(replica, primary)
        assert contents(replica) == contents(primary)


def test_a_replica_refuses_writes_and_answers_reads(tmp_path: Path) -> None:
    with server(OURS, tmp_path / "primary") as primary, server(OURS, tmp_path / "replica") as replica:
        primary.set("key", "value")
        follow(replica, primary)
        assert replica.get("key") == b"value"
        with pytest.raises(redis.exceptions.ReadOnlyError, match="against a read only replica"):
            replica.set("key", "other")
        with pytest.raises(redis.exceptions.ResponseError, match="WAIT cannot be used with replica"):
            replica.execute_command("WAIT", 0, 0)
        port = port_of(primary)
        assert replica.execute_command("ROLE")[:4] == [b"slave", b"127.0.0.1", port, b"connected"]
        assert primary.execute_command("ROLE")[0] == b"master"


@pytest.mark.parametrize("program", [REAL[0], OWN])
def test_wait_returns_once_the_replica_has_the_write(program: tuple[str, ...], tmp_path: Path) -> None:
    with server(OURS, tmp_path / "primary") as primary, server(program, tmp_path / "replica") as replica:
        assert primary.execute_command("WAIT", 0, 0) == 0
        follow(replica, primary)
        connection = primary.client()
        for number in range(20):
            connection.set("key", number)
            assert connection.execute_command("WAIT", 1, 10_000) == 1
            assert replica.get("key") == b"%d" % number
        assert connection.execute_command("WAIT", 2, 50) == 1
        connection.close()


def test_after_a_failover_everybody_goes_on_without_a_snapshot(tmp_path: Path) -> None:
    """The promoted replica's second ID lets its sibling, its sub-replica and its old primary continue."""
    with ExitStack() as stack:
        names = ("old primary", "promoted", "sibling", "below")
        old, promoted, sibling, below = (stack.enter_context(server(OURS, tmp_path / name)) for name in names)
        fill(old)
        follow(promoted, old)
        follow(sibling, old)
        follow(below, promoted)
        change(old)
        for replica in (promoted, sibling, below):
            until_caught_up(replica, old)
        snapshots = full_syncs(old) + full_syncs(promoted)
        promoted.execute_command("REPLICAOF", "NO", "ONE")
        follow(sibling, promoted)
        follow(old, promoted)
        change(promoted)
        for replica in (old, sibling, below):
            until_linked(replica)
            until_caught_up(replica, promoted)
            assert contents(replica) == contents(promoted)
        assert full_syncs(old) + full_syncs(promoted) == snapshots
        ids = {client.info("replication")["master_replid"] for client in (old, promoted, sibling, below)}
        assert len(ids) == 1


def test_an_old_primary_that_wrote_on_needs_a_snapshot(tmp_path: Path) -> None:
    with server(OURS, tmp_path / "old") as old, server(OURS, tmp_path / "promoted") as promoted:
        fill(old)
        follow(promoted, old)
        until_caught_up(promoted, old)
        promoted.execute_command("REPLICAOF", "NO", "ONE")
        old.set("lost", "written after the promotion")
        promoted.set("kept", "written by the new primary")
        follow(old, promoted)
        until_caught_up(old, promoted)
        assert contents(old) == contents(promoted)
        assert full_syncs(promoted) == 1
        assert old.exists("lost") == 0


def test_min_replicas_to_write_refuses_writes_without_them(tmp_path: Path) -> None:
    options = ("--min-replicas-to-write", "1")
    with (
        server(OURS, tmp_path / "primary", *options) as primary,
        server(OURS, tmp_path / "replica") as replica,
    ):
        with pytest.raises(redis.exceptions.ResponseError, match="NOREPLICAS Not enough good replicas"):
            primary.set("key", "value")
        follow(replica, primary)
        assert primary.set("key", "value")


def test_a_stale_replica_may_be_told_not_to_answer(tmp_path: Path) -> None:
    with server(OURS, tmp_path / "replica", "--replica-serve-stale-data", "no") as replica:
        replica.set("key", "value")
        replica.execute_command("REPLICAOF", "127.0.0.1", 1)
        with pytest.raises(redis.exceptions.MasterDownError):
            replica.get("key")
        replica.execute_command("REPLICAOF", "NO", "ONE")
        assert replica.get("key") == b"value"


@needs(REDIS7_CLI, REDIS7_SERVER)
@pytest.mark.peers
def test_redis_cli_fetches_a_snapshot_that_redis_loads(tmp_path: Path) -> None:
    target = tmp_path / "dump.rdb"
    with server(OURS, tmp_path / "primary") as primary:
        fill(primary)
        command = [REDIS7_CLI, "-p", str(port_of(primary)), "--rdb", target]
        subprocess.run(command, check=True, capture_output=True, timeout=20)
        expected = contents(primary)
    with server(REDIS7, tmp_path / "loads", "--dir", str(tmp_path)) as loads:
        assert contents(loads) == expected


def test_users_of_a_file_are_there_from_the_start_and_a_replica_logs_in_as_one(tmp_path: Path) -> None:
    users = tmp_path / "users.acl"
    users.write_text(
        "user default on nopass +ping +info +role\nuser copier on >secret +psync +replconf +ping\n"
    )
    options = ("--aclfile", str(users))
    with (
        server(OURS, tmp_path / "replica", "--masteruser", "copier", "--masterauth", "secret") as replica,
        server(OURS, tmp_path / "primary", *options) as primary,
    ):
        with pytest.raises(redis.exceptions.NoPermissionError):
            primary.get("key")
        replica.execute_command("REPLICAOF", "127.0.0.1", port_of(primary))
        until_linked(replica)


@pytest.mark.parametrize("program", [REAL[0], OWN])
def test_a_primary_with_a_password_is_followed_with_masterauth(
    program: tuple[str, ...], tmp_path: Path
) -> None:
    with (
        server(program, tmp_path / "primary") as primary,
        server(OURS, tmp_path / "replica") as replica,
    ):
        primary.set("key", "value")
        primary.config_set("requirepass", "secret")
        primary.execute_command("AUTH", "secret")
        replica.execute_command("REPLICAOF", "127.0.0.1", port_of(primary))
        until(lambda: "NOAUTH" in (tmp_path / "replica" / "log").read_text(), "it was refused")
        replica.config_set("masterauth", "secret")
        until_linked(replica)
        assert replica.get("key") == b"value"
