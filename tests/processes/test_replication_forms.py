"""Every form a copy takes between ours and real servers: by way of disk or not, whole or the rest of it."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import product
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
    offset,
    port_of,
    server,
    until,
    until_caught_up,
)

pytestmark = [pytest.mark.processes, pytest.mark.peers]
Program = tuple[str, ...]
REAL = [
    pytest.param((str(REDIS7_SERVER),), id="redis7", marks=needs(REDIS7_SERVER)),
    pytest.param((str(REDIS8_SERVER),), id="redis8", marks=needs(REDIS8_SERVER)),
    pytest.param((str(VALKEY8_SERVER),), id="valkey8", marks=needs(VALKEY8_SERVER)),
]
LOADS = ("disabled", "on-empty-db", "swapdb")
DEBUGGED = ("--enable-debug-command", "local")
TWO_CHANNELS = {
    str(REDIS8_SERVER): ("--repl-rdb-channel", "yes"),
    str(VALKEY8_SERVER): ("--dual-channel-replication-enabled", "yes"),
}
"""What has newer servers copy and stream over two connections. We use one, and they have to agree to it."""


def syncs(client: redis.Redis) -> tuple[int, int]:
    """How many full and partial synchronizations this primary gave."""
    statistics = client.info("stats")
    return int(statistics["sync_full"]), int(statistics["sync_partial_ok"])


@pytest.mark.parametrize("program", REAL)
def test_real_replicas_load_what_we_send_whichever_way_they_load(program: Program, tmp_path: Path) -> None:
    with ExitStack() as stack:
        primary = stack.enter_context(server(OURS, tmp_path / "primary"))
        fill(primary)
        for diskless, load in (*product(("yes",), LOADS), ("no", "disabled"), ("no", "swapdb")):
            primary.config_set("repl-diskless-sync", diskless)
            options = ("--repl-diskless-load", load, *TWO_CHANNELS.get(program[0], ()))
            replica = stack.enter_context(server(program, tmp_path / f"{load} {diskless}", *options))
            follow(replica, primary)
            change(primary, times=5)
            until_caught_up(replica, primary)
            assert contents(replica) == contents(primary)


@pytest.mark.parametrize("program", REAL)
def test_we_load_what_real_primaries_send_by_way_of_disk_or_not(program: Program, tmp_path: Path) -> None:
    options = (*DEBUGGED, *TWO_CHANNELS.get(program[0], ()))
    with (
        server(program, tmp_path / "primary", *options) as primary,
        server(OURS, tmp_path / "replica", *DEBUGGED) as replica,
    ):
        fill(primary)
        for diskless, load in (("yes", "swapdb"), ("no", "disabled"), ("no", "on-empty-db")):
            primary.config_set("repl-diskless-sync", diskless)
            replica.config_set("repl-diskless-load", load)
            replica.execute_command("REPLICAOF", "NO", "ONE")
            replica.set("of the replica alone", "to be replaced")
            follow(replica, primary)
            change(primary, times=5)
            until_caught_up(replica, primary)
            assert contents(replica) == contents(primary)
        assert syncs(primary) == (3, 0)
        primary.delete("zset of few")  # newer servers digest a score in fewer digits
        until_caught_up(replica, primary)
        assert replica.execute_command("DEBUG", "DIGEST") == primary.execute_command("DEBUG", "DIGEST")


@pytest.mark.parametrize("program", REAL)
def test_a_chain_of_real_and_own_replicas_has_one_offset(program: Program, tmp_path: Path) -> None:
    with (
        server(program, tmp_path / "top") as top,
        server(OURS, tmp_path / "middle") as middle,
        server(program, tmp_path / "bottom") as bottom,
    ):
        fill(top)
        top.execute_command("SELECT", 3)
        follow(middle, top)
        change(top, times=5)
        follow(bottom, middle)
        change(top)
        for replica in (middle, bottom):
            until_caught_up(replica, top)
            replica.execute_command("SELECT", 3)
            assert contents(replica) == contents(top)
        assert offset(top) == offset(middle) == offset(bottom)


def pairs() -> list[object]:
    """(primary, replica) with one of them ours."""
    found: list[object] = []
    for real in REAL:
        found.append(pytest.param(real.values[0], OURS, id=f"{real.id}-to-ours", marks=real.marks))
        found.append(pytest.param(OURS, real.values[0], id=f"ours-to-{real.id}", marks=real.marks))
    return found


@pytest.mark.parametrize(("program", "following"), pairs())
def test_after_a_restart_from_its_file_either_side_goes_on_without_a_copy(
    program: Program, following: Program, tmp_path: Path
) -> None:
    with server(program, tmp_path / "primary") as primary:
        fill(primary)
        with server(following, tmp_path / "replica") as replica:
            follow(replica, primary)
            change(primary, times=5)
            until_caught_up(replica, primary)
            replica.save()
        change(primary, times=5)
        options = ("--dir", str(tmp_path / "replica"), "--replicaof", f"127.0.0.1 {port_of(primary)}")
        with server(following, tmp_path / "replica again", *options) as replica:
            until_caught_up(replica, primary)
            assert contents(replica) == contents(primary)
            assert syncs(primary) == (1, 1)
            primary.shutdown(save=True)
            options = ("--dir", str(tmp_path / "primary"))
            with server(program, tmp_path / "primary again", *options) as primary:
                replica.execute_command("REPLICAOF", "127.0.0.1", port_of(primary))
                change(primary, times=5)
                until_caught_up(replica, primary)
                assert contents(replica) == contents(primary)
                assert syncs(primary) == (0, 1)


@pytest.mark.parametrize(("program", "following"), pairs())
def test_an_announced_replica_is_shown_as_it_announced_itself(
    program: Program, following: Program, tmp_path: Path
) -> None:
    announced = ("--replica-announce-ip", "127.0.0.9", "--replica-announce-port", "4321")
    with (
        server(program, tmp_path / "primary", "--min-replicas-to-write", "1") as primary,
        server(following, tmp_path / "replica", *announced) as replica,
    ):
        follow(replica, primary)
        shown = primary.info("replication")
        assert (shown["slave0"]["ip"], shown["slave0"]["port"]) == ("127.0.0.9", 4321)
        assert shown["min_slaves_good_slaves"] == 1
        assert primary.execute_command("ROLE")[2][0][:2] == [b"127.0.0.9", b"4321"]
        assert primary.set("key", "value")


@needs(REDIS8_SERVER)
@pytest.mark.parametrize("is_ours_primary", [True, False], ids=["to redis8", "from redis8"])
def test_hash_fields_expire_alike_on_both_sides(tmp_path: Path, *, is_ours_primary: bool) -> None:
    """In the copy, in the stream, and when their time has come."""
    programs = [OURS, (str(REDIS8_SERVER),)]
    primary_program, replica_program = programs if is_ours_primary else programs[::-1]
    with (
        server(primary_program, tmp_path / "primary") as primary,
        server(replica_program, tmp_path / "replica") as replica,
    ):
        both = (primary, replica)
        names = ("a", "b", "c", "d", "e")
        times = ("HPEXPIRETIME", "hash", "FIELDS", len(names), *names)
        primary.hset("hash", mapping=dict.fromkeys(names, "value"))
        primary.execute_command("HPEXPIREAT", "hash", 5_000_000_000_000, "FIELDS", 1, "a")
        follow(replica, primary)
        assert replica.execute_command(*times) == [5_000_000_000_000, -1, -1, -1, -1]
        primary.execute_command("HEXPIRE", "hash", 1000, "FIELDS", 1, "b")
        primary.execute_command("HSETEX", "hash", "PX", 20, "FIELDS", 2, "c", "new", "x", "new")
        primary.execute_command("HGETEX", "hash", "EX", 1000, "FIELDS", 1, "d")
        primary.execute_command("HGETDEL", "hash", "FIELDS", 1, "e")
        until(lambda: primary.hlen("hash") == 3, "two fields have expired")
        until_caught_up(replica, primary)
        mine, theirs = (one.execute_command(*times) for one in both)
        assert mine == theirs
        assert mine[2] == mine[4] == -2
        assert replica.hgetall("hash") == primary.hgetall("hash")


def test_a_command_that_the_replica_does_not_know_ends_the_stream_before_it(tmp_path: Path) -> None:
    with (
        server(OURS, tmp_path / "primary") as primary,
        server(OURS, tmp_path / "replica", "--rename-command", "HSET", "") as replica,
    ):
        log = tmp_path / "replica" / "log"
        follow(replica, primary)
        primary.set("key", "before it")
        primary.hset("hash", "field", "value")
        primary.set("key", "after it")
        until(lambda: "a command this version does not know" in log.read_text(), "the command is refused")
        until(lambda: replica.get("key") == b"after it", "all data have come anew")
        assert replica.hgetall("hash") == {b"field": b"value"}
        assert syncs(primary) == (2, 0)
