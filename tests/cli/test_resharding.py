"""reshard and rebalance on real processes: no key is lost, what was interrupted can be continued."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from itertools import count

import pytest

from shoal.cli.batching import BatchSize, group_slots, take_keys
from shoal.cluster.slots import key_slot
from tests.cli.conftest import Nodes, ask, client, eventually, node_id, shoal, shoal_command
from tests.cli.test_commands import redis_cli
from tests.peers import REDIS7_CLI, REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, pytest.mark.processes, needs(REDIS7_SERVER, REDIS7_CLI)]


def keys_in_slots(slots: range, each: int) -> list[str]:
    """`each` keys for each slot of a range, made by hash tags."""
    tags: dict[int, str] = {}
    for number in count():
        tags.setdefault(key_slot(b"%d" % number), str(number))
        if all(slot in tags for slot in slots):
            return [f"{{{tags[slot]}}}{index}" for slot in slots for index in range(each)]
    raise AssertionError("unreachable")


def fill(address: str, keys: Sequence[str], size: int = 10) -> None:
    with client(address) as connection, connection.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.set(key, key * size)
        pipeline.execute()


def read(address: str, keys: Sequence[str], size: int = 10) -> bool:
    """All keys are there with their values."""
    with client(address) as connection, connection.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.get(key)
        return bool(pipeline.execute() == [key * size for key in keys])


def test_slots_move_with_all_their_keys_and_everybody_knows_at_the_end(cluster: list[str]) -> None:
    keys = keys_in_slots(range(20), 10)
    fill(cluster[0], keys)
    moved = shoal("reshard", cluster[2], "--from", cluster[0], "--to", cluster[1], "--slots", 20, "--yes")
    assert moved.status == 0, moved
    assert moved.lines[-1].startswith("[OK] Moved 20 slots with 200 keys")
    assert read(cluster[1], keys)
    assert ask(cluster[0], "DBSIZE") == 0
    status, lines = redis_cli("check", cluster[2])
    assert status == 0, lines


def test_one_slot_with_many_keys_moves_in_batches(cluster: list[str]) -> None:
    keys = [f"{{06S}}{number}" for number in range(5000)]
    fill(cluster[0], keys)
    to = node_id(cluster[2])
    moved = shoal("reshard", cluster[0], "--to", to, "--ranges", "0", "--pipeline", 7, "--yes", "--json")
    assert moved.status == 0, moved
    assert (moved.document["moved_slots"], moved.document["moved_keys"]) == (1, 5000)
    assert read(cluster[2], keys)


def test_the_same_named_slots_again_are_nothing_to_do(cluster: list[str]) -> None:
    words = ["reshard", cluster[0], "--to", cluster[1], "--ranges", "3-5,5461", "--yes"]
    assert "[OK] Moved 3 slots" in shoal(*words).out
    assert "[OK] Nothing to move" in shoal(*words).out


def test_without_yes_it_asks_and_no_answer_moves_nothing(cluster: list[str]) -> None:
    words = ["reshard", cluster[0], "--from", "all", "--to", cluster[1], "--slots", "10"]
    asked = shoal(*words)
    assert asked.status == 1
    assert "Ready to move 10 slots." in asked.lines
    assert shoal("check", cluster[0], "--json").document["nodes"][0]["slot_count"] == 5461
    assert shoal(*words, input="yes\n").status == 0


def test_a_key_the_target_already_has_stops_with_advice_and_replace_goes_on(cluster: list[str]) -> None:
    ask(cluster[0], "SET", "{06S}", "from the source")
    ask(cluster[1], "CLUSTER SETSLOT", 0, "IMPORTING", node_id(cluster[0]))
    with client(cluster[1]) as target:
        target.execute_command("ASKING")
        target.set("{06S}", "stray")
    words = ["reshard", cluster[0], "--to", cluster[1], "--ranges", "0", "--yes"]
    stopped = shoal(*words)
    assert stopped.status == 1
    assert "--replace" in stopped.err and "BUSYKEY" in stopped.err
    assert f"to move them: shoal {words[0]} {words[1]} --to {node_id(cluster[1])} --ranges 0" in stopped.err
    assert shoal(*words, "--replace").status == 0
    assert ask(cluster[1], "GET", "{06S}") == "from the source"


def test_a_killed_reshard_is_continued_by_running_it_again(cluster: list[str]) -> None:
    keys = keys_in_slots(range(4), 2000)
    fill(cluster[0], keys, size=200)
    words = ["reshard", cluster[0], "--to", cluster[1], "--ranges", "0-3", "--pipeline", "1", "--yes"]
    running = subprocess.Popen(shoal_command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: ask(cluster[1], "DBSIZE") > 100, "some keys have moved")
    finally:
        running.kill()
        running.wait(30)
    assert shoal("check", cluster[0]).status == 1
    eventually(
        lambda: ask(cluster[0], "DBSIZE") + ask(cluster[1], "DBSIZE") == len(keys),
        "what was under way when the command was killed has arrived, and left",
    )
    left = ask(cluster[0], "DBSIZE")
    assert left > 0, "the kill came too late to prove anything"
    words[words.index("--pipeline") + 1] = "100"
    again = shoal(*words, "--json")
    assert again.status == 0, again
    assert again.document["moved_keys"] == left
    assert read(cluster[1], keys, size=200)
    assert shoal("check", cluster[0]).status == 0


def test_an_interrupt_says_how_to_move_the_rest(cluster: list[str]) -> None:
    fill(cluster[0], keys_in_slots(range(4), 2000), size=200)
    words = ["reshard", cluster[0], "--to", cluster[1], "--ranges", "0-3", "--pipeline", "1", "--yes"]
    running = subprocess.Popen(
        shoal_command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        eventually(lambda: ask(cluster[1], "DBSIZE") > 100, "some keys have moved")
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 130
    advice = next(line for line in told.splitlines() if "to move them: shoal " in line)
    rest = advice.partition("to move them: shoal ")[2].split()
    assert shoal(*rest).status == 0
    assert shoal("check", cluster[0]).status == 0
    assert ask(cluster[0], "DBSIZE") == 0


@pytest.mark.parametrize("marks", [("source",), ("target",), ("source", "target")])
def test_a_slot_left_open_is_continued_first_and_counts(cluster: list[str], marks: tuple[str, ...]) -> None:
    source, target = node_id(cluster[0]), node_id(cluster[1])
    if "target" in marks:
        ask(cluster[1], "CLUSTER SETSLOT", 100, "IMPORTING", source)
    if "source" in marks:
        ask(cluster[0], "CLUSTER SETSLOT", 100, "MIGRATING", target)
    words = ["reshard", cluster[0], "--from", source, "--to", target, "--slots", "2", "--yes", "--json"]
    moved = shoal(*words)
    assert moved.status == 0, moved
    assert [move["slots"] for move in moved.document["moves"]] == [[[100, 100]], [[0, 0]]]
    assert shoal("check", cluster[0]).status == 0


def test_a_cluster_with_holes_is_left_alone(cluster: list[str]) -> None:
    for address in cluster:
        ask(address, "CLUSTER DELSLOTS", 9)
    refused = shoal("reshard", cluster[0], "--from", "all", "--to", cluster[1], "--slots", 1, "--yes")
    assert refused.status == 1
    assert "Please fix your cluster problems" in refused.err


def test_rebalance_fills_an_empty_primary_and_then_finds_nothing_to_do(
    cluster: list[str], nodes: Nodes
) -> None:
    keys = keys_in_slots(range(40), 3)
    fill(cluster[0], keys)
    (new,) = nodes.start(1)
    assert shoal("add-node", new, cluster[0]).status == 0
    idle = shoal("rebalance", cluster[0])
    assert (idle.status, "*** No rebalancing needed!" in idle.out) == (0, True), "empty primaries stay out"
    small = ["--use-empty-masters", "--weight", f"{new}=0.02"]
    planned = shoal("rebalance", cluster[0], *small, "--simulate")
    assert planned.status == 0
    assert sum(line.startswith("Moving ") for line in planned.lines) == 3
    assert slot_count(cluster[0], new) == 0
    done = shoal("rebalance", cluster[0], *small)
    assert done.status == 0, done
    assert slot_count(cluster[0], new) == 109, "16384 * 0.02 / 3.02"
    assert sum(ask(address, "DBSIZE") for address in [*cluster, new]) == len(keys)
    assert "*** No rebalancing needed!" in shoal("rebalance", cluster[0], *small, "--threshold", 0).out


def slot_count(seed: str, address: str) -> int:
    nodes = shoal("check", seed, "--json").document["nodes"]
    return int(next(node["slot_count"] for node in nodes if node["address"] == address))


def test_weight_zero_empties_a_node_which_can_then_leave(cluster: list[str], nodes: Nodes) -> None:
    (leaving,) = nodes.start(1)
    assert shoal("add-node", leaving, cluster[0]).status == 0
    assert shoal("reshard", cluster[0], "--to", leaving, "--ranges", "0-49,16383", "--yes").status == 0
    done = shoal("rebalance", cluster[0], "--weight", f"{leaving}=0")
    assert done.status == 0, done
    assert slot_count(cluster[0], leaving) == 0
    assert shoal("del-node", cluster[0], leaving).status == 0
    assert shoal("check", cluster[0]).status == 0


def test_keys_travel_to_a_target_that_wants_a_password(nodes: Nodes) -> None:
    addresses = nodes.start(3, "--requirepass", "secret", "--masterauth", "secret")
    assert shoal("create", *addresses, "--yes", "-a", "secret").status == 0
    with client(addresses[0], password="secret") as first:
        first.set("{06S}", "x")
    words = ["reshard", addresses[0], "--to", addresses[1], "--ranges", "0", "--yes", "-a", "secret"]
    assert shoal(*words).status == 0
    assert shoal(*words[:3], addresses[2], *words[4:], "--user", "default").status == 0
    with client(addresses[2], password="secret") as last:
        assert last.get("{06S}") == "x"


def test_slots_are_opened_together_only_while_they_hold_little() -> None:
    assert list(group_slots([1, 2, 3, 4], [600, 600, 5, 5000])) == [[1], [2, 3], [4]]
    assert [len(group) for group in group_slots(range(300), [0] * 300)] == [128, 128, 44]


def test_a_batch_takes_keys_of_several_slots_up_to_its_size() -> None:
    waiting = {1: [b"a", b"b"], 2: [b"c", b"d"], 3: [b"e"]}
    assert list(take_keys(waiting, 3)) == [(1, [b"a", b"b"]), (2, [b"c"])]


def test_batches_grow_while_quick_shrink_when_slow_and_stay_as_told() -> None:
    adapting = BatchSize(None)
    before = adapting.keys
    adapting.learn(before, before, 0.001)
    assert adapting.keys == adapting.names == before * 2
    adapting.learn(1, 1, 0.001)
    assert adapting.keys == before * 2, "a batch that was not full teaches nothing"
    for _ in range(20):
        adapting.learn(1, 1, 1.0)
    assert adapting.keys == 1
    fixed = BatchSize(10)
    fixed.learn(10, 300, 1.0)
    assert fixed.keys == fixed.names == 10


def test_where_more_goes_along_than_was_named_few_names_are_enough() -> None:
    size = BatchSize(None)
    size.learn(size.keys, 300, 0.001)
    assert size.names == BatchSize.FEW < size.keys
    for _ in range(20):
        size.learn(size.keys, size.keys, 1.0)
    assert size.names == size.keys == BatchSize.FEW
