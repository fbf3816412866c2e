"""Two replicas, one of them a real Redis, are given one snapshot by us, come what may to the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from tests.peers import REDIS7_SERVER, needs
from tests.processes.replication_pairs import (
    OURS,
    change,
    contents,
    fill,
    port_of,
    server,
    until,
    until_caught_up,
    until_linked,
)

pytestmark = [pytest.mark.processes, pytest.mark.peers, needs(REDIS7_SERVER)]
REDIS = (str(REDIS7_SERVER),)
SHARED = ("--repl-diskless-sync-delay", "60", "--repl-diskless-sync-max-replicas", "2")
"""The delay never passes here: what begins the snapshot is that both are there."""
LOADS_BESIDE = ("--repl-diskless-load", "swapdb", "--loading-process-events-interval-bytes", "1024")
"""And looks at its clients after each kilobyte of a snapshot, rather than after two megabytes."""

LARGE = 8000
"""So many keys of 10 KB are more than sockets hold, so that a snapshot lasts while one side does not read."""


def states(primary: redis.Redis) -> list[str]:
    facts = primary.info("replication")
    return [facts[f"slave{number}"]["state"] for number in range(int(facts["connected_slaves"]))]


def ask_to_follow(replica: redis.Redis, primary: redis.Redis) -> None:
    replica.execute_command("REPLICAOF", "127.0.0.1", port_of(primary))


@contextmanager
def writing(primary: redis.Redis) -> Iterator[None]:
    """Somebody writes all the while."""
    is_over = threading.Event()

    def write() -> None:
        with redis.Redis(port=port_of(primary)) as client:
            while not is_over.is_set():
                change(client, times=1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        is_over.set()
        writer.join()


@contextmanager
def trio_of_servers(folder: Path, *options: str) -> Iterator[tuple[redis.Redis, redis.Redis, redis.Redis]]:
    """A primary of ours with data, a real replica and one of ours."""
    with ExitStack() as stack:
        primary = stack.enter_context(
            server(OURS, folder / "primary", *SHARED, "--enable-debug-command", "yes", *options)
        )
        real = stack.enter_context(server(REDIS, folder / "real", *LOADS_BESIDE))
        ours = stack.enter_context(server(OURS, folder / "ours"))
        fill(primary)
        yield primary, real, ours


def test_a_real_replica_and_one_of_ours_share_a_snapshot_while_clients_write(tmp_path: Path) -> None:
    with trio_of_servers(tmp_path) as (primary, real, ours):
        begun = int(primary.info("stats")["total_forks"])
        ask_to_follow(real, primary)
        until(lambda: states(primary) == ["wait_bgsave"], "the first waits for others")
        assert primary.info("persistence")["rdb_bgsave_in_progress"] == 0
        with writing(primary):
            ask_to_follow(ours, primary)
            for replica in (real, ours):
                until_linked(replica)
            until(lambda: states(primary) == ["online", "online"], "both get the stream")
        for replica in (real, ours):
            until_caught_up(replica, primary)
            assert contents(replica) == contents(primary)
        statistics = primary.info("stats")
        assert int(statistics["total_forks"]) == begun + 1
        assert int(statistics["sync_full"]) == 2


def test_megabytes_written_meanwhile_reach_both_while_clients_go_on_writing(tmp_path: Path) -> None:
    with trio_of_servers(tmp_path, "--rdb-key-save-delay", "10000") as (primary, real, ours):
        for replica in (real, ours):
            ask_to_follow(replica, primary)
        until(lambda: states(primary) == ["send_bulk", "send_bulk"], "the snapshot is on its way")
        pipeline = primary.pipeline(transaction=False)
        for number in range(2000):
            pipeline.set(f"string:{number % 50}", b"%d" % number * 2000)
        pipeline.execute()
        assert states(primary) == ["send_bulk", "send_bulk"]
        assert primary.info("memory")["mem_total_replication_buffers"] > 10_000_000
        primary.config_set("rdb-key-save-delay", 0)
        with writing(primary):
            until(lambda: states(primary) == ["online", "online"], "both get the stream")
        for replica in (real, ours):
            until_caught_up(replica, primary)
            assert contents(replica) == contents(primary)
        assert primary.info("memory")["mem_total_replication_buffers"] < 2_000_000
        assert primary.info("stats")["sync_full"] == 2


@pytest.mark.parametrize("leaves", ["real", "ours"])
def test_one_that_drops_out_in_the_middle_leaves_the_other_unharmed(tmp_path: Path, leaves: str) -> None:
    with trio_of_servers(tmp_path) as (primary, real, ours):
        gone, stays = (real, ours) if leaves == "real" else (ours, real)
        primary.execute_command("DEBUG", "POPULATE", LARGE, "large", 10_000)
        stays.config_set("key-load-delay", 1000)
        ask_to_follow(real, primary)
        ask_to_follow(ours, primary)
        until(lambda: states(primary) == ["send_bulk", "send_bulk"], "the snapshot is on its way")
        gone.shutdown(nosave=True)  # REPLICAOF is refused by a Redis that is loading
        until(lambda: len(states(primary)) == 1, "one is gone")
        assert states(primary) == ["send_bulk"]
        change(primary, times=2)
        stays.config_set("key-load-delay", 0)
        until_linked(stays)
        until_caught_up(stays, primary)
        assert stays.dbsize() == primary.dbsize()
        assert stays.execute_command("GET", "counter") == b"2"
        assert primary.info("stats")["sync_full"] == 2
