"""What one run is like: the shape of the cluster, its timing and the faults, all drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from random import Random


@dataclass(frozen=True, slots=True)
class Options:
    """One run. Times are virtual milliseconds.

    `faults` are the kinds of fault that may strike (see faults.py), `admin` whether an operator is at work
    as well; `durable_data` says that data survives a crash (otherwise a node comes back empty).
    """

    primaries: int
    replicas: int
    spare: bool
    node_timeout_ms: int
    manual_timeout_ms: int
    latency_ms: tuple[int, int]
    clock_skew_ms: int
    chaos_ms: int
    fault_every_ms: int
    faults: tuple[str, ...]
    admin: bool
    durable_data: bool
    validity_factor: int
    replica_migration: bool
    full_coverage: bool

    def describe(self) -> str:
        return " ".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))


ALL_FAULTS = ("crash", "torn_step", "pause", "partition", "one_way", "heal", "reset", "slow")


def draw_options(seed: int) -> Options:
    """Three to nine nodes, any subset of the faults."""
    rng = Random(f"options {seed}")
    primaries = rng.choice([3, 3, 3, 4, 5])
    spare = rng.random() < 0.4
    faults = [fault for fault in ALL_FAULTS if rng.random() < 0.7]
    if not {"partition", "one_way"}.isdisjoint(faults) and "heal" not in faults:
        faults.append("heal")
    node_timeout_ms = rng.choice([500, 800, 1000, 1500])
    return Options(
        primaries=primaries,
        replicas=rng.randint(0 if rng.random() < 0.1 else 2, min(9 - primaries - spare, 2 * primaries)),
        spare=spare,
        node_timeout_ms=node_timeout_ms,
        manual_timeout_ms=node_timeout_ms * rng.choice([1, 2, 4]),
        latency_ms=rng.choice([(1, 3), (1, 30), (5, 120)]),
        clock_skew_ms=rng.choice([0, 0, 300]),
        chaos_ms=rng.randint(6_000, 14_000),
        fault_every_ms=rng.choice([300, 600, 1200]),
        faults=tuple(faults) or ("crash",),
        admin=rng.random() < 0.6,
        durable_data=rng.random() < 0.75,
        validity_factor=rng.choice([0, 10]),
        replica_migration=rng.random() < 0.8,
        full_coverage=rng.random() < 0.8,
    )
