"""`python -m tests`: everything that must be green before a change lands, in one command.

Style, types, import contracts and sizes first, since they take seconds; then the simulator's seeds and the
tests. Arguments go to pytest, which then runs alone with the quick checks: `python -m tests -k routing`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKS: tuple[tuple[str, ...], ...] = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
)
SIMULATED_SEEDS = "200"
SIDE_BY_SIDE = ("-n", "2", "--dist", "loadfile")
"""Many tests wait for timeouts of real nodes; two files at a time keep the cores busy meanwhile."""
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def main(pytest_arguments: list[str]) -> int:
    """Run every check, even after one failed; returns the exit status."""
    failed = []
    for words in CHECKS:
        failed += _run([sys.executable, "-m", *words], " ".join(words))
    failed += _run([sys.executable, "-c", LINT_IMPORTS], "import contracts")
    if not pytest_arguments:
        failed += _run([sys.executable, "-m", "tests.sim", "--seeds", SIMULATED_SEEDS], "simulator")
    failed += _run_tests(pytest_arguments) if pytest_arguments else _run_all_tests()
    print(f"FAILED: {', '.join(failed)}" if failed else "all checks passed", flush=True)
    return 1 if failed else 0


def _run_tests(arguments: Sequence[str], name: str = "pytest") -> list[str]:
    return _run([sys.executable, "-m", "pytest", *arguments], name)


def _run_all_tests() -> list[str]:
    """Every test; what fails is told in full, and run once more by itself.

    Real processes with real timeouts, several clusters at a time: on a busy machine some are late, and a test
    of theirs fails that is right. One that fails by itself too is wrong.
    """
    if not _run_tests(SIDE_BY_SIDE):
        return []
    return _run_tests(("--last-failed", "--last-failed-no-failures", "none"), "what failed, by itself")


def _run(command: list[str], name: str) -> list[str]:
    print(f"== {name}", flush=True)
    started = time.monotonic()
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    print(
        f"== {name}: {'ok' if status == 0 else f'exit {status}'}, {time.monotonic() - started:.1f} s",
        flush=True,
    )
    return [] if status == 0 else [name]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
