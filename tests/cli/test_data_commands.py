"""import, backup and set-timeout on real processes, and what redis-cli makes of the same."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from shoal.cluster.slots import key_slot
from tests.cli.conftest import HOST, Nodes, ask, client, node_id, shoal, shoal_process
from tests.cli.test_commands import redis_cli
from tests.peers import REDIS7_CLI, REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, pytest.mark.processes, needs(REDIS7_SERVER, REDIS7_CLI)]

PLAIN = ("--cluster-enabled", "no")
KEYS = [f"key:{number}" for number in range(300)]


Started = tuple[list[str], str]


@pytest.fixture(scope="module")
def started(
    server_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[list[str], str]]:
    """A cluster of three primaries, and a server outside of it; `made` empties both."""
    with ExitStack() as stack:
        nodes = Nodes(server_program, tmp_path_factory.mktemp("data"), stack)
        addresses = nodes.start(3)
        (outside,) = nodes.start(1, *PLAIN)
        assert shoal("create", *addresses, "--yes").status == 0
        yield addresses, outside


@pytest.fixture
def made(started: Started) -> Started:
    addresses, outside = started
    for address in (*addresses, outside):
        ask(address, "FLUSHALL")
    return started


def fill(outside: str) -> None:
    with client(outside) as connection:
        connection.mset({key: f"value of {key}" for key in KEYS})
        connection.hset("a hash", mapping={"field": "value"})
        connection.set("ephemeral", "x", px=10_000_000)


def read_everything(addresses: list[str]) -> dict[str, str]:
    """The strings of a cluster, each asked for where it must be."""
    found: dict[str, str] = {}
    for address in addresses:
        for key in ask(address, "KEYS", "*"):
            if ask(address, "TYPE", key) == "string":
                found[key] = ask(address, "GET", key)
    return found


def owner_of(addresses: list[str], key: str) -> str:
    return addresses[min(key_slot(key.encode()) * 3 // 16384, 2)]


def test_import_moves_every_key_to_the_owner_of_its_slot(made: Started) -> None:
    addresses, outside = made
    fill(outside)
    done = shoal("import", addresses[1], "--from", outside)
    assert done.status == 0, done
    assert done.lines[-1] == "[OK] Imported 302 keys."
    assert f">>> Importing data from {outside} to cluster {addresses[1]}" in done.lines
    assert ask(outside, "DBSIZE") == 0
    assert read_everything(addresses) == {**{key: f"value of {key}" for key in KEYS}, "ephemeral": "x"}
    assert ask(owner_of(addresses, "ephemeral"), "PTTL", "ephemeral") > 9_000_000


def test_import_copies_and_a_second_time_finds_the_keys_equal(made: Started) -> None:
    addresses, outside = made
    fill(outside)
    words = ("import", addresses[0], "--cluster-from", outside, "--cluster-copy", "--pipeline", 50)
    assert shoal(*words).status == 0
    assert ask(outside, "DBSIZE") == 302
    again = shoal(*words, "--json")
    assert (again.status, again.document["imported_keys"], again.document["conflicts"]) == (0, 302, [])


def test_import_leaves_a_key_with_another_value_alone_unless_told_to_replace(
    made: Started,
) -> None:
    addresses, outside = made
    fill(outside)
    ask(owner_of(addresses, "key:7"), "SET", "key:7", "older")
    stopped = shoal("import", addresses[0], "--from", outside)
    assert stopped.status == redis_cli("import", addresses[0], "--cluster-from", outside)[0] == 1
    assert "key:7" in stopped.out and "--replace" in stopped.out
    assert ask(owner_of(addresses, "key:7"), "GET", "key:7") == "older"
    assert (ask(outside, "DBSIZE"), ask(outside, "GET", "key:7")) == (1, "value of key:7")
    assert shoal("import", addresses[0], "--from", outside, "--replace").status == 0
    assert ask(owner_of(addresses, "key:7"), "GET", "key:7") == "value of key:7"
    assert ask(outside, "DBSIZE") == 0


def test_a_source_in_use_loses_nothing(made: Started) -> None:
    addresses, outside = made
    fill(outside)
    over = threading.Event()
    written: list[str] = []

    def write() -> None:
        with client(outside) as connection:
            while not over.is_set() and len(written) < 2000:
                key = f"new:{len(written)}"
                connection.set(key, key)
                written.append(key)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert shoal_process("import", addresses[0], "--from", outside, "--pipeline", 10).status == 0
    finally:
        over.set()
        writer.join()
    last = shoal("import", addresses[0], "--from", outside)
    assert last.status == 0, last
    found = read_everything(addresses)
    assert {key: found.get(key) for key in written} == {key: key for key in written}


def test_import_refuses_a_node_of_a_cluster(made: Started) -> None:
    addresses, _ = made
    refused = shoal("import", addresses[0], "--from", addresses[1])
    assert (refused.status, refused.err) == (1, "[ERR] The source node should not be a cluster node.\n")


def test_passwords_of_source_and_cluster_may_differ(nodes: Nodes) -> None:
    addresses = nodes.start(3, "--requirepass", "inside", "--masterauth", "inside")
    (outside,) = nodes.start(1, *PLAIN, "--requirepass", "outside")
    assert shoal("create", *addresses, "--yes", "-a", "inside").status == 0
    with client(outside, password="outside") as connection:
        connection.set("key", "value")
    words = ("import", addresses[0], "--from", outside, "-a", "inside")
    assert shoal(*words).status == 1
    done = shoal(*words, "--from-user", "default", "--from-pass", "outside")
    assert done.status == 0, done
    with client(owner_of(addresses, "key"), password="inside") as connection:
        assert connection.get("key") == "value"


def test_a_backup_holds_every_key_and_the_configuration_redis_cli_writes(
    made: Started, tmp_path: Path
) -> None:
    addresses, outside = made
    fill(outside)
    assert shoal("import", addresses[0], "--from", outside).status == 0
    ask(addresses[0], "CLUSTER SETSLOT", 5, "MIGRATING", node_id(addresses[1]))
    ours, theirs = tmp_path / "ours" / "new", tmp_path / "theirs"
    theirs.mkdir()
    try:
        done = shoal("backup", addresses[0], ours)
        status, lines = redis_cli("backup", addresses[0], str(theirs))
    finally:
        ask(addresses[0], "CLUSTER SETSLOT", 5, "STABLE")
    assert (done.status, status) == (0, 0), (done, lines)
    assert done.lines[-1] == f"[OK] Backup created into: {ours}"
    assert sorted(path.name for path in ours.iterdir()) == sorted(path.name for path in theirs.iterdir())
    assert json.loads((ours / "nodes.json").read_text()) == json.loads((theirs / "nodes.json").read_text())
    with ExitStack() as stack:
        count = 0
        for number, path in enumerate(sorted(ours.glob("*.rdb"))):
            home = tmp_path / str(number)
            home.mkdir()
            restored = Nodes(REDIS7_SERVER, home, stack)
            (address,) = restored.start(1, *PLAIN, "--dir", str(ours), "--dbfilename", path.name)
            count += ask(address, "DBSIZE")
    assert count == 302


def test_a_backup_without_an_unreachable_primary_says_so(nodes: Nodes, tmp_path: Path) -> None:
    addresses = nodes.start(3)
    assert shoal("create", *addresses, "--yes").status == 0
    nodes.kill(int(addresses[2].rpartition(":")[2]))
    done = shoal("backup", addresses[0], tmp_path / "backup")
    assert done.status == 1
    assert f"[ERR] The keys of {addresses[2]} are missing from this backup." in done.lines


def test_the_node_timeout_is_set_everywhere(server_program: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        nodes = Nodes(server_program, tmp_path, stack)
        addresses = nodes.start_from_files(3)
        assert shoal("create", *addresses, "--yes").status == 0
        done = shoal("set-timeout", addresses[0], "7000")
        assert done.status == 0, done
        assert done.lines[-1] == ">>> New node timeout set. 3 OK, 0 ERR."
        for address in addresses:
            assert ask(address, "CONFIG", "GET", "cluster-node-timeout")["cluster-node-timeout"] == "7000"
            assert f"*** New timeout set for {address}" in done.lines
        assert "cluster-node-timeout 7000" in (tmp_path / addresses[0][-5:] / "node.conf").read_text()
    assert shoal("set-timeout", f"{HOST}:1", "99").err.startswith(
        "[ERR] Setting a node timeout of less than 100"
    )


def test_a_node_without_a_configuration_file_is_told_of(made: Started) -> None:
    addresses, _ = made
    done = shoal("set-timeout", addresses[0], "5000")
    assert done.status == 1
    assert (
        f"ERR setting node-timeout for {addresses[0]}: ERR The server is running without a config file"
        in done.lines
    )
    assert redis_cli("set-timeout", addresses[0], "5000")[1][-1] == done.lines[-1]
