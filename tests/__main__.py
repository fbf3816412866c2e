"""`python -m tests`: everything that must be green before a change lands, in one command.

Style first, since it takes seconds; then types, import contracts and the simulator's seeds beside the tests.
Arguments go to pytest, which then runs without the simulator: `python -m tests -k routing`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STYLE: tuple[tuple[str, ...], ...] = (("ruff", "check", "."), ("ruff", "format", "--check", "."))
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"
TYPES_AND_CONTRACTS = {"mypy": ("-m", "mypy"), "import contracts": ("-c", LINT_IMPORTS)}
SIMULATOR = {"simulator": ("-m", "tests.sim", "--seeds", "200")}
SIDE_BY_SIDE = ("-n", "4", "--dist", "loadfile", "--no-loadscope-reorder")
"""Many tests wait for timeouts of real nodes; four files at a time keep two cores busy meanwhile.

In the order of tests/conftest.py. (By itself the plug-in ends with the files of fewest tests, of which some
are the longest.)
"""


def main(pytest_arguments: list[str]) -> int:
    """Run every check, even after one failed; returns the exit status."""
    failed = []
    for words in STYLE:
        failed += _run(("-m", *words), " ".join(words))
    beside = TYPES_AND_CONTRACTS if pytest_arguments else TYPES_AND_CONTRACTS | SIMULATOR
    with ThreadPoolExecutor(1) as one_after_the_other:
        others = [one_after_the_other.submit(_run_quietly, *check) for check in beside.items()]
        failed += _run_tests(pytest_arguments) if pytest_arguments else _run_all_tests()
        for other in others:
            failed += other.result()
    print(f"FAILED: {', '.join(failed)}" if failed else "all checks passed", flush=True)
    return 1 if failed else 0


def _run_tests(arguments: Sequence[str], name: str = "pytest") -> list[str]:
    return _run(("-m", "pytest", *arguments), name)


def _run_all_tests() -> list[str]:
    """Every test; what fails is told in full, and run once more by itself.

    Real processes with real timeouts, several clusters at a time: on a busy machine some are late, and a test
    of theirs fails that is right. One that fails by itself too is wrong.
    """
    if not _run_tests(SIDE_BY_SIDE):
        return []
    return _run_tests(("--last-failed", "--last-failed-no-failures", "none"), "what failed, by itself")


def _run(arguments: Sequence[str], name: str) -> list[str]:
    print(f"== {name}", flush=True)
    started = time.monotonic()
    status = subprocess.run([sys.executable, *arguments], cwd=ROOT, check=False).returncode
    print(_outcome(name, status, started), flush=True)
    return [] if status == 0 else [name]


def _run_quietly(name: str, arguments: Sequence[str]) -> list[str]:
    """The same beside something else: what it says comes in one piece, at its end."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(f"\n== {name}\n{done.stdout}{_outcome(name, done.returncode, started)}", flush=True)
    return [] if done.returncode == 0 else [name]


def _outcome(name: str, status: int, started: float) -> str:
    return f"== {name}: {'ok' if status == 0 else f'exit {status}'}, {time.monotonic() - started:.1f} s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
