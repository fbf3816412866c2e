"""The same broken cluster twice: `redis-cli --cluster` mends one, `shoal` the other, and they are compared.

What must be equal: the exit status and verdicts of check, then after fix who owns each slot, which marks are
left, where every key is, and the exit status. Where we do better than redis-cli the situation says so.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import Outcome, shoal
from tests.cli.twins import FIRST_SLOT, State, Twin, running_twins
from tests.peers import REDIS7_CLI, REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, pytest.mark.processes, needs(REDIS7_SERVER, REDIS7_CLI)]

SLOT = FIRST_SLOT
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Situation:
    """How a cluster is broken, and what is known to come out differently."""

    name: str
    arrange: Callable[[Twin], None]
    options: tuple[str, ...] = ()
    anyone_may_own: bool = False
    redis_cli_leaves_keys: bool = False
    may_settle_by_itself: bool = False


def migrating(twin: Twin) -> None:
    twin.put(0, SLOT, range(3))
    twin.mark(0, SLOT, "MIGRATING", 1)


def importing(twin: Twin) -> None:
    twin.put(0, SLOT, range(3))
    twin.mark(1, SLOT, "IMPORTING", 0)


def importing_with_more_keys(twin: Twin) -> None:
    importing(twin)
    twin.put(1, SLOT, range(3, 10))


def importing_with_fewer_keys(twin: Twin) -> None:
    importing(twin)
    twin.put(1, SLOT, range(3, 5))


def both_ends(twin: Twin) -> None:
    migrating(twin)
    twin.mark(1, SLOT, "IMPORTING", 0)


def both_ends_half_moved(twin: Twin) -> None:
    both_ends(twin)
    twin.put(1, SLOT, range(3, 10))


def several_slots(twin: Twin) -> None:
    for slot in range(SLOT, SLOT + 4):
        twin.put(0, slot, range(2))
        twin.mark(0, slot, "MIGRATING", 1)
        if slot % 2:
            twin.mark(1, slot, "IMPORTING", 0)


def third_party(twin: Twin) -> None:
    migrating(twin)
    twin.mark(2, SLOT, "IMPORTING", 0)


def several_importing(twin: Twin) -> None:
    both_ends(twin)
    twin.mark(2, SLOT, "IMPORTING", 0)


def uncovered(twin: Twin) -> None:
    for number in range(3):
        twin.node(number, "CLUSTER DELSLOTS", SLOT)


def uncovered_keys_on_one(twin: Twin) -> None:
    twin.put(1, SLOT, range(3))
    uncovered(twin)


def uncovered_keys_on_two(twin: Twin) -> None:
    twin.put(1, SLOT, range(3))
    twin.put(2, SLOT, range(10, 15))
    uncovered(twin)


def stray_keys(twin: Twin) -> None:
    twin.put(0, SLOT, range(3))
    twin.put(1, SLOT, range(5, 7))


def many_stray_keys(twin: Twin) -> None:
    twin.put(0, SLOT, range(3))
    twin.put(1, SLOT, range(5, 15))


def two_claimants(twin: Twin) -> None:
    twin.node(1, "CLUSTER DELSLOTS", SLOT)
    twin.node(1, "CLUSTER ADDSLOTS", SLOT)


def conflict(twin: Twin) -> None:
    importing(twin)
    twin.put(1, SLOT, range(2), "other")


def same_values(twin: Twin) -> None:
    importing(twin)
    twin.put(1, SLOT, range(2))


SEARCH = ("--search-multiple-owners",)
SITUATIONS = (
    Situation("healthy", lambda twin: None),
    Situation("open, migrating only", migrating),
    Situation("open, importing only", importing),
    Situation("open, importing only, more keys there", importing_with_more_keys),
    Situation("open, importing only, fewer keys there", importing_with_fewer_keys),
    Situation("open, both ends", both_ends),
    Situation("open, both ends, half moved", both_ends_half_moved),
    Situation("open, several slots", several_slots),
    Situation("open, importing on a third party", third_party),
    Situation("open, importing on two", several_importing),
    Situation("uncovered, no keys", uncovered, anyone_may_own=True),
    Situation("uncovered, keys on one node", uncovered_keys_on_one),
    Situation("uncovered, keys on two nodes", uncovered_keys_on_two),
    Situation("keys on a wrong node", stray_keys, SEARCH, redis_cli_leaves_keys=True),
    Situation("more keys on a wrong node", many_stray_keys, SEARCH, redis_cli_leaves_keys=True),
    Situation("two claimants", two_claimants, SEARCH, anyone_may_own=True, may_settle_by_itself=True),
    Situation("different values", conflict),
    Situation("different values, replace", conflict, ("--replace",)),
    Situation("equal values", same_values),
)


@pytest.fixture(scope="module")
def twins(server_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Twin, Twin]]:
    with running_twins(
        server_program, tmp_path_factory.mktemp("twins"), "--enable-debug-command", "yes"
    ) as pair:
        yield pair


def redis_cli(command: str, twin: Twin, *options: str) -> Outcome:
    words = [option.replace("--", "--cluster-", 1) for option in options]
    done = subprocess.run(
        [str(REDIS7_CLI), "--cluster", command, twin.addresses[0], *words],
        input="yes\n" * 8, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return Outcome(done.returncode, _COLOUR.sub("", done.stdout), done.stderr)


def verdicts(outcome: Outcome, twin: Twin) -> list[str]:
    """The lines scripts look for, nodes named by number."""
    lines = [line for line in outcome.lines if line.startswith(("[OK]", "[ERR]", "[WARNING]", ">>>"))]
    for number, address in enumerate(twin.addresses):
        lines = [line.replace(address, f"node{number}") for line in lines]
    return sorted(line for line in lines if "slots are open" not in line)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_check_says_and_fix_does_what_redis_cli_does(twins: tuple[Twin, Twin], situation: Situation) -> None:
    theirs, ours = twins
    for twin in twins:
        twin.tidy()
    for twin in twins:
        situation.arrange(twin)
    before = ours.state().all_keys
    if not situation.may_settle_by_itself:
        search = [option for option in situation.options if option in SEARCH]
        expected = redis_cli("check", theirs, *search)
        found = shoal("check", ours.addresses[0], *search)
        assert verdicts(found, ours) == verdicts(expected, theirs)
        assert found.status == expected.status
    expected = redis_cli("fix", theirs, *situation.options)
    done = shoal("fix", ours.addresses[0], "--yes", *situation.options)
    result, reference = ours.state(), theirs.state()
    assert result.all_keys == before, "no key is lost"
    if situation.redis_cli_leaves_keys:
        assert done.status == 0, done
        (owner,) = result.owners[SLOT]
        assert set(result.keys[owner]) == before, "all keys are with the owner"
        assert result.owners == reference.owners
    else:
        compare(result, reference, anyone_may_own=situation.anyone_may_own)
        assert done.status == (0 if situation.may_settle_by_itself else expected.status), done


def compare(result: State, reference: State, *, anyone_may_own: bool) -> None:
    """That redis-cli has lost a key is no difference.

    To whom most keys are it gives the slot first, and fetches the others then; the former owner deletes its
    own if it hears of that in between.
    """
    assert result.marks == reference.marks
    left = reference.all_keys
    assert {
        number: {key: value for key, value in keys.items() if key in left}
        for number, keys in result.keys.items()
    } == reference.keys
    if anyone_may_own:
        assert set(result.owners) == set(reference.owners)
        assert all(len(owners) == 1 for owners in result.owners.values())
    else:
        assert result.owners == reference.owners


def test_rebalance_leaves_each_node_as_many_slots_as_redis_cli_does(twins: tuple[Twin, Twin]) -> None:
    """Who gets what rounding leaves over depends on the order of node ids, which differs."""
    theirs, ours = twins
    for twin in twins:
        twin.tidy()
    given = [
        ["--weight", *(f"{name}={weight}" for name, weight in zip(twin.ids, ("2", "1", "0.5"), strict=True))]
        for twin in twins
    ]
    expected = redis_cli("rebalance", theirs, *given[0])
    done = shoal("rebalance", ours.addresses[0], *given[1])
    assert done.status == expected.status == 0, done
    for number in range(3):
        counts = [
            sum(owners == [number] for owners in twin.state().owners.values()) for twin in (theirs, ours)
        ]
        assert abs(counts[0] - counts[1]) <= 2
