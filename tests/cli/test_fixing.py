"""What fix tells before it acts, what it refuses, and how it tells whether two values are the same."""

from __future__ import annotations

from functools import partial

import pytest

from shoal.cli.addresses import Address
from shoal.cli.backing_up import snapshot_name
from shoal.cli.topology import Node, parse_cluster_nodes
from tests.cli.conftest import Nodes, ask, client, eventually, node_id, shoal
from tests.cli.twins import FIRST_SLOT, Twin, nodes_text, own_line, tag
from tests.peers import REDIS7_CLI, REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, pytest.mark.processes, needs(REDIS7_SERVER, REDIS7_CLI)]

SLOT = FIRST_SLOT


@pytest.fixture
def twin(cluster: list[str]) -> Twin:
    return Twin(cluster, [node_id(address) for address in cluster])


def test_a_dry_run_tells_the_plan_and_changes_nothing(twin: Twin) -> None:
    twin.put(0, SLOT, range(3))
    twin.mark(0, SLOT, "MIGRATING", 1)
    twin.mark(1, SLOT, "IMPORTING", 0)
    for number in range(3):
        twin.node(number, "CLUSTER DELSLOTS", 9)
    before = twin.state()
    told = shoal("fix", twin.addresses[0], "--dry-run")
    assert told.status == 1
    assert "Slot [9]: no owner and no keys" in told.lines
    assert f"   finish the move from {twin.addresses[0]} to {twin.addresses[1]}" in told.lines
    document = shoal("fix", twin.addresses[0], "--dry-run", "--json").document
    assert [repair["slot"] for repair in document["repairs"]] == [9, SLOT]
    assert document["repairs"][1]["owner"] == twin.ids[1]
    assert twin.state() == before
    declined = shoal("fix", twin.addresses[0], input="no\n")
    assert (declined.status, twin.state()) == (1, before)
    done = shoal("fix", twin.addresses[0], input="yes\n")
    assert done.status == 0, done.out + done.err
    assert twin.state().owners[SLOT] == [1]


def test_slots_of_a_primary_that_is_gone_are_given_away_only_when_told(twin: Twin, nodes: Nodes) -> None:
    nodes.kill(int(twin.addresses[2].rpartition(":")[2]))
    refused = shoal("fix", twin.addresses[0], "--yes")
    assert refused.status == 1
    assert "--fix-with-unreachable-masters" in refused.out
    assert not has_all_slots(twin.addresses[0]) or own_line(twin.addresses[0]).endswith(" 0-5460")
    fixed = shoal("fix", twin.addresses[0], "--yes", "--cluster-fix-with-unreachable-primaries")
    assert fixed.status == 0, fixed
    for address in twin.addresses[:2]:
        eventually(partial(has_all_slots, address), "all slots are assigned")
    counts = [node["slot_count"] for node in shoal("check", twin.addresses[0], "--json").document["nodes"]]
    assert sorted(counts) == [8192, 8192]


def has_all_slots(address: str) -> bool:
    return "cluster_slots_assigned:16384" in ask(address, "CLUSTER", "INFO")


def test_a_node_that_takes_another_for_the_owner_is_told(twin: Twin) -> None:
    """Gossip might tell it too, but not if the one it takes for the owner has the greater epoch, as here."""
    twin.mark(2, SLOT, "NODE", 1)
    fixed = shoal("fix", twin.addresses[0], "--yes")
    assert fixed.status == 0, fixed
    assert twin.agrees()
    assert twin.state().owners[SLOT] == [0]


VALUES = {
    "string": ("SET", "%s", "x"),
    "list": ("RPUSH", "%s", *"abc"),
    "set": ("SADD", "%s", *map(str, range(600))),
    "hash": ("HSET", "%s", *map(str, range(600))),
    "zset": ("ZADD", "%s", *(word for number in range(300) for word in (str(number), f"m{number}"))),
}


def write(twin: Twin, number: int, key: str, value: tuple[str, ...]) -> None:
    with client(twin.addresses[number]) as node:
        node.execute_command("ASKING")
        node.execute_command(*(word.replace("%s", key) for word in value))


def test_equal_values_of_every_type_are_recognised_where_debug_is_not_allowed(twin: Twin) -> None:
    twin.mark(1, SLOT, "IMPORTING", 0)
    for name, value in VALUES.items():
        write(twin, 0, f"{tag(SLOT)}{name}", value)
        pairs = value[2:]
        if name in ("hash", "zset"):
            halves = [pairs[index : index + 2] for index in range(0, len(pairs), 2)]
            pairs = tuple(word for pair in reversed(halves) for word in pair)
        elif name == "set":
            pairs = tuple(reversed(pairs))
        write(twin, 1, f"{tag(SLOT)}{name}", (*value[:2], *pairs))
    fixed = shoal("fix", twin.addresses[0], "--yes")
    assert fixed.status == 0, fixed
    assert (twin.node(0, "DBSIZE"), twin.node(1, "DBSIZE")) == (5, 0)


@pytest.mark.parametrize("other", [("SET", "%s", "y"), ("RPUSH", "%s", "x"), ("SET", "%s", "x", "EX", "999")])
def test_a_key_with_two_values_is_left_on_both_nodes_and_named(twin: Twin, other: tuple[str, ...]) -> None:
    twin.mark(1, SLOT, "IMPORTING", 0)
    key = f"{tag(SLOT)}key"
    write(twin, 0, key, VALUES["string"])
    write(twin, 1, key, other)
    twin.put(1, SLOT + 1, range(3))
    twin.mark(1, SLOT + 1, "IMPORTING", 0)
    stopped = shoal("fix", twin.addresses[0], "--yes")
    assert stopped.status == 1
    assert f"   - {key}" in stopped.lines
    state = twin.state()
    assert (key in state.keys[0], key in state.keys[1]) == (True, True)
    assert state.marks == [(1, SLOT, "importing")], "the other slot was repaired all the same"
    assert shoal("fix", twin.addresses[0], "--yes", "--replace").status == 0
    assert key not in twin.state().keys[1]


def test_a_cluster_whose_making_was_cut_short_is_completed(nodes: Nodes) -> None:
    addresses = nodes.start(3)
    for address in addresses[1:]:
        ask(address, "CLUSTER MEET", *addresses[0].split(":"))
    ask(addresses[0], "CLUSTER ADDSLOTSRANGE", 0, 5460)
    for address in addresses:
        eventually(lambda at=address: nodes_text(at).count("connected") == 3, "all have met")
    fixed = shoal("fix", addresses[1], "--yes")
    assert fixed.status == 0, fixed
    counts = [node["slot_count"] for node in shoal("check", addresses[0], "--json").document["nodes"]]
    assert sorted(counts) == [5461, 5461, 5462]


def test_a_folder_is_never_left_by_the_name_of_a_snapshot() -> None:
    line = parse_cluster_nodes(f"{'a' * 40} :1@1 myself,master - 0 0 1 connected")[0]
    assert "/" not in snapshot_name(Node(line, Address("../../etc", 1), 0, (line,)))
