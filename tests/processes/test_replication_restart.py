"""A restart costs no copy of the data: what was saved says how far in the stream it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from tests.processes.replication_pairs import (
    OURS,
    change,
    contents,
    fill,
    follow,
    offset,
    port_of,
    server,
    until,
    until_caught_up,
)

pytestmark = pytest.mark.processes


def syncs(client: redis.Redis) -> tuple[int, int]:
    """How many full and partial synchronizations this primary gave."""
    statistics = client.info("stats")
    return int(statistics["sync_full"]), int(statistics["sync_partial_ok"])


def second_database(client: redis.Redis) -> redis.Redis:
    return redis.Redis(port=port_of(client), db=1)


def test_a_replica_restarted_with_its_snapshot_goes_on_from_there(tmp_path: Path) -> None:
    with server(OURS, tmp_path / "primary") as primary, second_database(primary) as in_second:
        fill(primary)
        with server(OURS, tmp_path / "replica") as replica:
            follow(replica, primary)
            change(primary)
            in_second.incr("counter")
            until_caught_up(replica, primary)
            replica.save()
        in_second.incr("counter")
        change(primary)
        options = ("--dir", str(tmp_path / "replica"), "--replicaof", f"127.0.0.1 {port_of(primary)}")
        with server(OURS, tmp_path / "again", *options) as replica, second_database(replica) as copy:
            until_caught_up(replica, primary)
            assert contents(replica) == contents(primary) and contents(copy) == contents(in_second)
            assert syncs(primary) == (1, 1)


def test_a_replica_goes_on_after_its_primary_was_restarted_with_its_snapshot(tmp_path: Path) -> None:
    with server(OURS, tmp_path / "replica") as replica:
        with server(OURS, tmp_path / "primary") as primary:
            fill(primary)
            follow(replica, primary)
            change(primary)
            primary.shutdown(save=True)
        with server(OURS, tmp_path / "again", "--dir", str(tmp_path / "primary")) as primary:
            replica.execute_command("REPLICAOF", "127.0.0.1", port_of(primary))
            change(primary)
            until_caught_up(replica, primary)
            assert contents(replica) == contents(primary)
            assert syncs(primary) == (0, 1)


def test_what_a_primary_wrote_after_its_snapshot_is_not_mistaken_for_what_it_writes_now(
    tmp_path: Path,
) -> None:
    with server(OURS, tmp_path / "replica") as replica:
        with server(OURS, tmp_path / "primary") as primary:
            fill(primary)
            follow(replica, primary)
            primary.save()
            primary.set("lost", "by the primary alone")
            until_caught_up(replica, primary)
        with server(OURS, tmp_path / "again", "--dir", str(tmp_path / "primary")) as primary:
            replica.execute_command("REPLICAOF", "127.0.0.1", port_of(primary))
            primary.set("found", "instead")
            until(lambda: replica.get("found") == b"instead", "the replica has the new write")
            until_caught_up(replica, primary)
            assert contents(replica) == contents(primary) and offset(replica) > 0
            assert syncs(primary) == (1, 0)
