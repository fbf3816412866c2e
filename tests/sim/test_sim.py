"""The simulator: some seeds pass, a seed is one exact run, and planted faults in the rules are found."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shoal.cluster import election, epochs, failure, manual_failover
from shoal.cluster.core import Core
from shoal.cluster.messages import Header
from shoal.cluster.view import Node, SavedConfig
from tests.sim.__main__ import run_seed
from tests.sim.checkers import Violation
from tests.sim.disk import Disk
from tests.sim.world import World

REPOSITORY = Path(__file__).parents[2]
MOST_SEEDS = 60


@pytest.mark.parametrize("seed", range(20))
def test_a_cluster_survives(seed: int) -> None:
    assert run_seed(seed) is None


def test_one_seed_is_one_run() -> None:
    worlds = [World(3), World(3), World(4)]
    for world in worlds:
        world.run()
    assert worlds[0].digest == worlds[1].digest != worlds[2].digest
    assert worlds[0].steps == worlds[1].steps


def test_a_run_does_not_depend_on_the_hash_seed() -> None:
    outputs = set()
    for hash_seed in ("1", "2"):
        finished = subprocess.run(
            [sys.executable, "-m", "tests.sim", "--seed", "5", "--trace", "1000"],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        outputs.add(finished.stdout)
    assert len(outputs) == 1
    assert "digest" in outputs.pop()


def test_a_failing_run_says_how_to_repeat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    never_forgive(monkeypatch)
    line = next(line for seed in range(20) if (line := run_seed(seed)))
    assert line.startswith("python -m tests.sim --seed ")
    assert "suspects" in line
    assert "node_timeout_ms=" in line


def first_violation(first_seed: int, seeds: int = MOST_SEEDS) -> str:
    for seed in range(first_seed, first_seed + seeds):
        try:
            World(seed).run()
        except Violation as violation:
            return str(violation)
    raise AssertionError(f"the planted fault was not found in {seeds} seeds")


# Planted faults: each breaks one rule, and the checker of that rule must notice.


def forget_votes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A voter that does not mind having voted in this epoch."""
    genuine = election._reason_to_refuse

    def lax(core: Core, sender: Node, header: Header) -> str | None:
        remembered, core.view.last_vote_epoch = core.view.last_vote_epoch, 0
        for node in core.view.nodes.values():
            node.voted_about_ms = 0
        try:
            return genuine(core, sender, header)
        finally:
            core.view.last_vote_epoch = remembered

    monkeypatch.setattr(election, "_reason_to_refuse", lax)


def never_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that says it has synced and has not."""
    genuine = Disk.write

    def lazy(disk: Disk, config: SavedConfig, *, fsync: bool) -> None:
        genuine(disk, config, fsync=fsync and disk.durable is None)

    monkeypatch.setattr(Disk, "write", lazy)


def win_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate that is content with a single vote."""
    monkeypatch.setattr("shoal.cluster.view.ClusterView.quorum", property(lambda view: 1))


def keep_collisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Primaries that do not mind having the same config epoch."""
    monkeypatch.setattr(epochs, "resolve_collision", lambda core, sender, config_epoch: None)


def never_forgive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A FAIL that is never taken back."""
    monkeypatch.setattr(failure, "_clear_failed", lambda core, node: None)


def start_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planned failover that does not wait until the replica has everything."""

    def at_once(core: Core) -> None:
        core.manual.can_start = core.manual.primary_offset is not None

    monkeypatch.setattr(manual_failover, "_start_when_caught_up", at_once)


@pytest.mark.parametrize(
    ("plant", "noticed", "first_seed"),
    [
        (forget_votes, "votes in epoch", 20),
        (never_sync, "told others of epochs", 0),
        (win_alone, "was won by", 0),
        (keep_collisions, "config epochs of owners collide", 0),
        (never_forgive, "suspects", 0),
        (start_early, "a planned failover", 0),
    ],
)
def test_a_planted_fault_is_found(
    plant: Callable[[pytest.MonkeyPatch], None],
    noticed: str,
    first_seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch)
    assert noticed in first_violation(first_seed)
