"""A tool that is killed in the middle of its work: the same command, or fix, goes on, and no key is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import pytest

from tests.cli.conftest import ask, eventually, node_id, shoal_command, shoal_process
from tests.cli.test_resharding import fill, keys_in_slots, read
from tests.cli.twins import Twin
from tests.peers import REDIS7_CLI, REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, pytest.mark.processes, needs(REDIS7_SERVER, REDIS7_CLI)]

SLOTS = range(12)
KEYS = keys_in_slots(SLOTS, 150)


def kill_when(command: Sequence[str], address: str, keys: int) -> None:
    """SIGKILL a command once a node holds so many keys."""
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: ask(address, "DBSIZE") >= keys or running.poll() is not None, "keys arrive")
    finally:
        running.kill()
        running.wait(30)


def require_sound(cluster: list[str]) -> None:
    """One owner for each slot, none open, every key there and with its slot's owner."""
    checked = shoal_process("check", cluster[1], "--search-multiple-owners")
    assert checked.status == 0, checked
    assert sum(ask(address, "DBSIZE") for address in cluster) == len(KEYS)


@pytest.mark.parametrize("moved", [1, 700, 1500])
def test_a_reshard_killed_anywhere_is_finished_by_the_same_command(cluster: list[str], moved: int) -> None:
    fill(cluster[0], KEYS)
    ranges = f"{SLOTS.start}-{SLOTS.stop - 1}"
    words = ("reshard", cluster[0], "--to", cluster[1], "--ranges", ranges, "--pipeline", 2, "--yes")
    kill_when(shoal_command(*words), cluster[1], moved)
    again = shoal_process(*words)
    assert again.status == 0, again
    require_sound(cluster)
    assert read(cluster[1], KEYS)


@pytest.mark.parametrize("tool", ["shoal", "redis-cli"])
def test_fix_finishes_a_reshard_that_was_killed(cluster: list[str], tool: str) -> None:
    fill(cluster[0], KEYS)
    source, target = node_id(cluster[0]), node_id(cluster[1])
    options = ["--from", source, "--to", target, "--slots", str(len(SLOTS)), "--pipeline", "1", "--yes"]
    if tool == "shoal":
        command = shoal_command("reshard", cluster[0], *options)
    else:
        theirs = [option.replace("--", "--cluster-", 1) for option in options]
        command = [str(REDIS7_CLI), "--cluster", "reshard", cluster[0], *theirs]
    kill_when(command, cluster[1], 500)
    planned = shoal_process("fix", cluster[2], "--dry-run", "--json")
    fixed = shoal_process("fix", cluster[2], "--yes")
    assert fixed.status == 0, fixed
    assert planned.status == (1 if planned.document["repairs"] else 0)
    require_sound(cluster)
    again = shoal_process("fix", cluster[2], "--json")
    assert (again.status, again.document["repairs"]) == (0, [])


def test_fix_killed_in_the_middle_is_finished_by_fix(cluster: list[str]) -> None:
    """Keys of a slot without owner are on two nodes, and the gathering is cut short."""
    keys = keys_in_slots(range(100, 101), 3000)
    fill(cluster[0], keys[:1600])
    Twin(cluster, [node_id(address) for address in cluster]).put_all(1, 100, keys[1600:])
    for address in cluster:
        ask(address, "CLUSTER DELSLOTS", 100)
    kill_when(shoal_command("fix", cluster[2], "--pipeline", "1", "--yes"), cluster[0], 1700)
    fixed = shoal_process("fix", cluster[2], "--yes")
    assert fixed.status == 0, fixed
    assert sum(ask(address, "DBSIZE") for address in cluster) == len(keys)
    assert shoal_process("check", cluster[1], "--search-multiple-owners").status == 0
