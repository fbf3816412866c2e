"""create, check, info, call, add-node and del-node on real processes, compared with redis-cli."""

from __future__ import annotations

import re
import subprocess
from functools import partial
from pathlib import Path

import pytest

from shoal.cli.topology import parse_cluster_nodes
from tests.cli.conftest import Nodes, ask, client, eventually, node_id, shoal, shoal_process
from tests.peers import REDIS7_CLI, REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, pytest.mark.processes, needs(REDIS7_SERVER, REDIS7_CLI)]

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def redis_cli(subcommand: str, *arguments: str) -> tuple[int, list[str]]:
    """Exit status and lines of `redis-cli --cluster`, colours taken off."""
    command = [str(REDIS7_CLI), "--cluster", subcommand, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, _COLOUR.sub("", done.stdout).splitlines()


def verdicts(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith(("[OK]", "[ERR]", "[WARNING]", ">>>"))]


def follows(address: str) -> bool:
    with client(address) as connection:
        return bool(connection.info("replication").get("master_link_status") == "up")


def test_create_gives_each_primary_its_replica_and_serves_at_once(nodes: Nodes) -> None:
    addresses = nodes.start(6)
    made = shoal("create", *addresses, "--cluster-replicas", "1", "--cluster-yes")
    assert made.status == 0, made
    assert "[OK] All 16384 slots covered." in made.lines
    with client(addresses[0]) as first:
        assert first.set("{06S}key", "value")  # slot 0
    for address in addresses[3:]:
        eventually(partial(follows, address), f"{address} follows")
    status, lines = redis_cli("check", addresses[0])
    assert status == 0, lines


def test_create_asks_and_anything_but_yes_changes_nothing(nodes: Nodes) -> None:
    addresses = nodes.start(3)
    refused = shoal("create", *addresses, input="y\n")
    assert refused.status == 1
    assert all(len(parse_cluster_nodes(nodes_text(address))) == 1 for address in addresses)
    assert shoal("create", *addresses, input="yes\n").status == 0


def nodes_text(address: str) -> str:
    """CLUSTER NODES as text, which redis-py would parse."""
    with client(address) as connection:
        connection.set_response_callback("CLUSTER NODES", lambda text, **_: text)
        return str(connection.execute_command("CLUSTER NODES"))


def test_create_refuses_nodes_that_are_used_already(cluster: list[str]) -> None:
    refused = shoal("create", *cluster, "--yes")
    assert refused.status == 1
    assert "is not empty" in refused.err


def test_create_if_needed_makes_a_cluster_once(nodes: Nodes) -> None:
    addresses = nodes.start(6)
    command = ("create", *addresses, "--replicas", "1", "--yes", "--if-needed")
    assert shoal(*command).status == 0
    ids = [node_id(address) for address in addresses]
    again = shoal(*command)
    assert again.status == 0, again
    assert ">>> These 6 nodes are one cluster already: waiting until it serves..." in again.lines
    assert [node_id(address) for address in addresses] == ids


def test_create_if_needed_reunites_nodes_that_all_came_back_elsewhere(nodes: Nodes) -> None:
    addresses = nodes.start(3)
    assert shoal("create", *addresses, "--yes").status == 0
    ids = [node_id(address) for address in addresses]
    moved = nodes.move()
    assert all("cluster_state:fail" in ask(address, "CLUSTER", "INFO") for address in moved)
    again = shoal("create", *moved, "--yes", "--if-needed")
    assert again.status == 0, again
    assert [node_id(address) for address in moved] == ids
    assert "[OK] All 16384 slots covered." in again.lines


def test_create_if_needed_refuses_nodes_of_different_clusters(cluster: list[str], nodes: Nodes) -> None:
    stranger = nodes.start(1)
    refused = shoal("create", *cluster, *stranger, "--yes", "--if-needed")
    assert refused.status == 1
    assert "is not empty" in refused.err


def test_check_says_line_by_line_what_redis_cli_says(cluster: list[str]) -> None:
    def compare(expected_status: int, *options: str) -> list[str]:
        ours = shoal("check", cluster[0], *options)
        status, theirs = redis_cli("check", cluster[0], *options)
        assert (ours.status, verdicts(ours.lines)) == (status, verdicts(theirs))
        assert ours.status == expected_status
        shown = {line for line in ours.lines if line.startswith(("M:", "   slots:", "127."))}
        assert shown == {line.rstrip() for line in theirs if line.startswith(("M:", "   slots:", "127."))}
        return ours.lines

    compare(0, "--cluster-search-multiple-owners")
    ask(cluster[0], "CLUSTER SETSLOT", 7, "MIGRATING", node_id(cluster[1]))
    ask(cluster[1], "CLUSTER SETSLOT", 7, "IMPORTING", node_id(cluster[0]))
    assert "[WARNING] The following slots are open: 7." in compare(1)
    for address in cluster[:2]:
        ask(address, "CLUSTER SETSLOT", 7, "STABLE")
    ask(cluster[0], "CLUSTER DELSLOTS", 1)
    lines = compare(1)
    assert "[ERR] Nodes don't agree about configuration!" in lines
    assert "[ERR] Not all 16384 slots are covered by nodes." in lines


def test_check_as_json_names_the_trouble(cluster: list[str]) -> None:
    sound = shoal("check", cluster[1], "--json")
    assert sound.status == 0
    assert sound.document["ok"] and sound.document["sound"]
    assert sum(node["slot_count"] for node in sound.document["nodes"]) == 16384
    ask(cluster[2], "CLUSTER DELSLOTS", 16383)
    broken = shoal("check", cluster[1], "--json")
    assert broken.status == 1
    assert broken.document["uncovered"] == [[16383, 16383]]
    assert not broken.document["ok"]


def test_a_killed_primary_is_reported_with_the_slots_it_leaves_uncovered(
    cluster: list[str], nodes: Nodes
) -> None:
    nodes.kill(int(cluster[2].rpartition(":")[2]))
    found = shoal("check", cluster[0])
    assert found.status == 1
    assert f"[WARNING] Node did not answer: {cluster[2]}" in found.out
    assert "   not covered: [10923-16383]" in found.lines


def test_info_counts_keys_as_redis_cli_does(cluster: list[str]) -> None:
    with client(cluster[0]) as first:
        for number in range(5):
            first.set(f"{{06S}}{number}", "x")
    ours = shoal("info", cluster[2])
    _, theirs = redis_cli("info", cluster[2])
    assert ours.status == 0
    assert sorted(ours.lines) == sorted(theirs)
    assert "[OK] 5 keys in 3 masters." in ours.lines


def test_call_reaches_every_node_and_an_error_of_one_is_status_one(cluster: list[str]) -> None:
    called = shoal("call", cluster[0], "config", "get", "port", "--cluster-only-masters")
    assert called.status == 0
    for address in cluster:
        assert f"{address}: port" in called.lines
    failed = shoal("call", "--json", cluster[0], "nonsense")
    assert failed.status == 1
    assert "unknown command" in failed.document["replies"][cluster[0]]["error"]
    assert shoal("call", "--only-replicas", cluster[0], "dbsize").lines == [">>> Calling dbsize"]


def test_a_value_with_control_sequences_is_printed_escaped(cluster: list[str]) -> None:
    ask(cluster[0], "SET", "{06S}", "\x1b[2Jgone")
    called = shoal("call", cluster[0], "get", "{06S}")
    assert f"{cluster[0]}: \\x1b[2Jgone" in called.lines
    assert "\x1b" not in called.out


def test_nodes_join_as_primary_and_as_replica_and_leave_again(cluster: list[str], nodes: Nodes) -> None:
    primary, replica = nodes.start(2)
    added = shoal("add-node", primary, cluster[0])
    assert (added.status, added.lines[-1]) == (0, "[OK] New node added correctly."), added
    added = shoal("add-node", replica, cluster[1], "--replica", "--master-id", node_id(primary))
    assert added.status == 0, added
    eventually(partial(follows, replica), "the replica follows")
    with client(replica) as connection:
        assert connection.info("replication")["master_port"] == int(primary.rpartition(":")[2])

    refused = shoal("del-node", cluster[0], node_id(cluster[1]))
    assert refused.status == 1
    assert refused.err == f"[ERR] Node {cluster[1]} is not empty! Reshard data away and try again.\n"
    removed = shoal("del-node", cluster[0], primary)
    assert removed.status == 0, removed
    assert f"as replica of {cluster[0]}" in removed.out, "its replica was given another primary"
    eventually(lambda: shoal("check", cluster[0]).status == 0, "the rest is sound")
    known = parse_cluster_nodes(nodes_text(cluster[0]))
    assert len(known) == 4 and node_id(primary) not in {line.id for line in known}
    removed = shoal("del-node", cluster[2], node_id(replica))
    assert removed.status == 0, removed
    assert len(parse_cluster_nodes(nodes_text(replica))) == 1


def test_a_new_primary_gets_the_functions_the_others_have(cluster: list[str], nodes: Nodes) -> None:
    if ask(cluster[0], "COMMAND INFO", "function") == [None]:
        pytest.skip("this server has no functions")
    code = "#!lua name=lib\nredis.register_function('f', function() return 1 end)"
    for address in cluster:
        ask(address, "FUNCTION LOAD", code)
    (new,) = nodes.start(1)
    assert shoal("add-node", new, cluster[0]).status == 0
    assert ask(new, "FCALL", "f", 0) == 1


def test_a_dead_replica_can_be_removed(cluster: list[str], nodes: Nodes) -> None:
    (replica,) = nodes.start(1)
    assert shoal("add-node", replica, cluster[0], "--slave").status == 0
    lost = node_id(replica)
    nodes.kill(int(replica.rpartition(":")[2]))
    removed = shoal("del-node", cluster[0], lost, "--json")
    assert removed.status == 0, removed
    assert removed.document["removed"] == lost
    assert all(lost not in nodes_text(address) for address in cluster)


def test_passwords_are_sent_and_a_missing_one_is_explained(nodes: Nodes) -> None:
    addresses = nodes.start(3, "--requirepass", "secret", "--masterauth", "secret")
    refused = shoal_process("create", *addresses, "--yes", env={"REDISCLI_AUTH": ""})
    assert refused.status == 1
    missing = shoal("check", addresses[0])
    assert (missing.status, "password" in missing.err) == (1, True)
    assert shoal("create", *addresses, "--yes", "-a", "secret").status == 0
    assert shoal("check", addresses[0], "--user", "default", "--pass", "secret").status == 0
    assert shoal_process("check", addresses[0], env={"REDISCLI_AUTH": "secret"}).status == 0


def test_a_server_outside_cluster_mode_is_named(tmp_path: Path, nodes: Nodes) -> None:
    (plain,) = nodes.start(1, "--cluster-enabled", "no")
    tried = shoal("check", plain)
    assert tried.status == 1
    assert "not in cluster mode" in tried.err
