"""What the suites print, as outcomes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_UNIT_LINE = re.compile(r"^\[(ok|err|exception|ignore|skip)\]: (.*)$")
_TIMING = re.compile(r" \(\d+ ms\)$")
_FILE = re.compile(r" in tests/\S+\.tcl$")
_CLUSTER_LINE = re.compile(r"^\d\d:\d\d:\d\d> (.*)$")

STOPPED = "(the file stops)"
"""Stands for the tests behind an exception: the suite gives up the whole file there."""


@dataclass(slots=True)
class Outcome:
    """One file's tests, by name, and why each failure says it failed."""

    passed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    @property
    def exceptions(self) -> int:
        """1 if the file stopped at an error that is no failed test."""
        return int(STOPPED in self.failed)


def unit_outcome(text: str) -> Outcome:
    """The outcome of one file under `runtest`."""
    outcome, lines = Outcome(), _COLOUR.sub("", text).splitlines()
    for position, line in enumerate(lines):
        found = _UNIT_LINE.match(line)
        if found is None:
            continue
        kind, name = found[1], found[2]
        following = lines[position + 1] if position + 1 < len(lines) else ""
        if kind == "ok":
            outcome.passed.append(_TIMING.sub("", name))
        elif kind == "err":
            outcome.failed[_FILE.sub("", name)] = following
        elif kind == "exception":
            outcome.failed[STOPPED] = name
        else:
            outcome.ignored.append(name)
    if not (outcome.passed or outcome.failed):
        outcome.failed[STOPPED] = lines[-1] if lines else "no output"
    return outcome


def cluster_outcome(text: str) -> Outcome:
    """The outcome of one file under `runtest-cluster`."""
    outcome = Outcome()
    lines = _COLOUR.sub("", text).splitlines()
    for line in lines:
        found = _CLUSTER_LINE.match(line)
        if found is not None:
            name, _, result = found[1].partition(": ")
            if "FAILED" in result:
                outcome.failed[name] = result.partition("FAILED: ")[2]
            elif result.endswith("OK"):
                outcome.passed.append(name)
        elif line.startswith("FAILED: ") or "WARNING: Aborting" in line:
            outcome.failed[STOPPED] = line
    if not any(line.startswith(("GOOD!", "WARNING")) for line in lines):
        outcome.failed[STOPPED] = "the suite did not come to its end"
    return outcome
