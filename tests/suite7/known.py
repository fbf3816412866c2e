"""The failures that are expected, each with its reason, and what a run tells apart from them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from tests.suite7.output import Outcome

PATH = Path(__file__).with_name("known_failures.toml")


@dataclass(frozen=True, slots=True)
class Expectation:
    """A file: how many tests redis-server passes in it (counted for the unit suite only), and those we are
    known to fail, with the reason."""

    tests: int
    failures: dict[str, str]
    skipped: dict[str, str] = field(default_factory=dict)
    """Tests that would never end here, each with its reason; they are left out."""
    sometimes: dict[str, str] = field(default_factory=dict)
    """Tests that pass or fail by chance, each with its reason: neither is a surprise."""


def expectations() -> dict[str, Expectation]:
    """By file; every reason is checked to say something."""
    read: dict[str, Expectation] = {}
    for name, entry in tomllib.loads(PATH.read_text()).items():
        lists = [entry.get(kind, {}) for kind in ("failures", "skipped", "sometimes")]
        if not all(isinstance(reason, str) and reason for reasons in lists for reason in reasons.values()):
            raise ValueError(f"{name}: a known failure without a reason")
        read[name] = Expectation(entry.get("tests", 0), *lists)
    return read


def surprises(outcome: Outcome, expected: Expectation) -> list[str]:
    """What is worse than expected, and what is better: the list has to follow."""
    found = [
        f"unexpected failure: {name}: {why}"
        for name, why in outcome.failed.items()
        if name not in expected.failures and name not in expected.sometimes
    ]
    found += [f"unexpected pass: {name}" for name in outcome.passed if name in expected.failures]
    return found
