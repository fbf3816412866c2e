"""Moving a slot between our nodes key by key: what goes along, what stays, and who is told what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from shoal.cluster.slots import key_slot
from tests.peers import REDIS7_SERVER, needs
from tests.processes.nodes import HOST, SHOAL, Node, form_cluster, running_cluster, running_nodes

pytestmark = pytest.mark.processes

SLOT = key_slot(b"t")
KEYS = [f"{{t}}{number}" for number in range(100)]
TIMEOUT_MS = 5000


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    with running_cluster(tmp_path_factory.mktemp("nodes"), 2) as nodes:
        yield nodes


@pytest.fixture
def ends(cluster: list[Node]) -> tuple[Node, Node]:
    """Owner of the slot, which holds the keys, and the node it is open towards."""
    source, target = sorted(cluster, key=lambda node: not owns(node))
    for node in cluster:
        node.ask("CLUSTER", "SETSLOT", SLOT, "STABLE")
        node.ask("FLUSHALL")
    fill(source)
    open_slot(source, target)
    return source, target


def owns(node: Node) -> bool:
    mine = next(line for line in node.ask("CLUSTER", "NODES").splitlines() if "myself" in line)
    ranges = [word.split("-") for word in mine.split()[8:] if not word.startswith("[")]
    return any(int(bounds[0]) <= SLOT <= int(bounds[-1]) for bounds in ranges)


def fill(node: Node) -> None:
    for index, key in enumerate(KEYS):
        if index % 10:
            node.ask("SET", key, "x" * index)
        else:
            node.ask("RPUSH", key, *range(index + 1))
    node.ask("PEXPIRE", KEYS[1], 1_000_000)


def open_slot(source: Node, target: Node) -> None:
    target.ask("CLUSTER", "SETSLOT", SLOT, "IMPORTING", source.ask("CLUSTER", "MYID"))
    source.ask("CLUSTER", "SETSLOT", SLOT, "MIGRATING", target.ask("CLUSTER", "MYID"))


def client_of(node: Node) -> redis.Redis:
    return redis.Redis(HOST, node.port, single_connection_client=True, decode_responses=True)


def listed(client: redis.Redis, count: int = 10) -> list[str]:
    keys: list[str] = client.execute_command("CLUSTER GETKEYSINSLOT", SLOT, count)
    return keys


def move(client: redis.Redis, target: Node, keys: list[str], *options: str) -> str:
    words = ("MIGRATE", HOST, target.port, "", 0, TIMEOUT_MS, *options, "KEYS", *keys)
    try:
        return str(client.execute_command(*words))
    except redis.ResponseError as error:
        return str(error)


def count(node: Node) -> int:
    number: int = node.ask("CLUSTER", "COUNTKEYSINSLOT", SLOT)
    return number


def empty(source: Node, target: Node) -> int:
    """As redis-cli does it: ask for keys and move them until there are none; how many moves it took."""
    moves = 0
    with client_of(source) as client:
        while keys := listed(client):
            assert move(client, target, keys) in ("OK", "True")
            moves += 1
    return moves


def contents(node: Node) -> dict[str, bytes]:
    """What each key holds, at a node that may have to be asked twice."""
    found = {}
    with redis.Redis(HOST, node.port, single_connection_client=True) as client:
        for key in KEYS:
            client.execute_command("ASKING")
            found[key] = client.dump(key)
    return found


def test_who_empties_a_slot_has_the_rest_of_it_taken_along(ends: tuple[Node, Node]) -> None:
    source, target = ends
    before = contents(source)
    # One move finds out that the target is one of ours, the next takes everything along.
    assert empty(source, target) <= 2
    assert (count(source), count(target)) == (0, len(KEYS))
    assert contents(target) == before
    with client_of(target) as client:
        client.execute_command("ASKING")
        assert 900_000 < int(client.execute_command("PTTL", KEYS[1])) <= 1_000_000


def test_who_picks_keys_moves_only_these(ends: tuple[Node, Node]) -> None:
    source, target = ends
    with client_of(source) as client:
        for number in range(3):
            assert move(client, target, KEYS[10 * number : 10 * number + 10]) in ("OK", "True")
        listed(client)
        assert move(client, target, KEYS[50:60]) in ("OK", "True")
    assert (count(source), count(target)) == (60, 40)


def test_a_copy_takes_nothing_along(ends: tuple[Node, Node]) -> None:
    source, target = ends
    with client_of(source) as client:
        for _ in range(2):
            assert move(client, target, listed(client), "COPY", "REPLACE") in ("OK", "True")
    assert (count(source), count(target)) == (100, 10)


def test_where_nothing_is_to_be_taken_along_nothing_is(ends: tuple[Node, Node]) -> None:
    source, target = ends
    source.ask("CONFIG", "SET", "cluster-migrate-ahead", "no")
    try:
        assert empty(source, target) == 10
    finally:
        source.ask("CONFIG", "SET", "cluster-migrate-ahead", "yes")


def test_a_key_that_is_there_already_is_told_only_when_it_is_named(ends: tuple[Node, Node]) -> None:
    source, target = ends
    with client_of(source) as client, client_of(target) as other:
        assert move(client, target, KEYS[:2]) in ("OK", "True")  # the target is known from now on
        keys = listed(client, 100)
        other.execute_command("ASKING")
        other.execute_command("SET", keys[-1], "theirs")
        assert move(client, target, listed(client)) in ("OK", "True")
        left = listed(client, 100)
        assert keys[-1] in left and len(left) < len(keys)
        answer = move(client, target, left)
        assert answer.startswith("Target instance replied with error: BUSYKEY")
        assert listed(client) == [keys[-1]]  # the others arrived all the same
        assert move(client, target, [keys[-1]], "REPLACE") in ("OK", "True")
    assert (count(source), count(target)) == (0, len(KEYS))


def test_what_is_taken_along_overwrites_nothing(ends: tuple[Node, Node]) -> None:
    source, target = ends
    with client_of(source) as client, client_of(target) as other:
        assert move(client, target, KEYS[:2]) in ("OK", "True")
        keys = listed(client, 100)
        other.execute_command("ASKING")
        other.execute_command("SET", keys[-1], "theirs")
        assert move(client, target, listed(client), "REPLACE") in ("OK", "True")
        assert keys[-1] in listed(client, 100)
        other.execute_command("ASKING")
        assert other.execute_command("GET", keys[-1]) == "theirs"


def test_what_was_taken_along_is_asked_for_where_it_went(ends: tuple[Node, Node]) -> None:
    source, target = ends
    assert empty(source, target) <= 2
    with client_of(source) as client, pytest.raises(redis.exceptions.AskError):
        client.execute_command("GET", KEYS[1])
    with client_of(target) as other:
        other.execute_command("ASKING")
        assert other.execute_command("GET", KEYS[42]) == "x" * 42


@pytest.mark.peers
@needs(REDIS7_SERVER)
def test_a_target_that_is_no_shoal_node_gets_what_is_named(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    options = ("--cluster-enabled", "yes")
    with (
        running_nodes(tmp_path / "ours", 1, *options, command=SHOAL) as ours,
        running_nodes(tmp_path / "theirs", 1, *options, command=(str(REDIS7_SERVER),)) as theirs,
    ):
        nodes = [*theirs, *ours]
        form_cluster(nodes, 2)
        source, target = ours[0], theirs[0]
        assert owns(source)
        fill(source)
        open_slot(source, target)
        assert empty(source, target) == 10
        assert (count(source), count(target)) == (0, len(KEYS))
