"""`python -m tests.suite7`: Redis 7.0.15's own Tcl suites on our server, compared with what is known to fail.

Every file runs by itself, in a copy of the suite that lies under $SHOAL_PEERS. A failure that is not in
known_failures.toml is an error, and so is one of that list that passes: then the list has to follow.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.suite7.files import CLUSTER_FILES, PERSISTENCE_FILES, UNIT_FILES
from tests.suite7.known import Expectation, expectations, surprises
from tests.suite7.suite import SUITE, Run, Suite, shoal_server

MOST_AT_ONCE = 2


def main() -> int:
    """Run the files asked for; exit status 1 for any surprise."""
    parser = argparse.ArgumentParser(prog="python -m tests.suite7", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", help="such as unit/auth or 05-slave-selection; default: all")
    parser.add_argument("--cluster", action="store_true", help="only the cluster suite")
    parser.add_argument("--unit", action="store_true", help="only the other one")
    parser.add_argument("--persistence", action="store_true", help="only its files about disk and replicas")
    parser.add_argument("--clients", type=int, default=1, choices=range(1, MOST_AT_ONCE + 1), help="at once")
    parser.add_argument("--server", type=Path, default=shoal_server(), help="the server under test")
    parser.add_argument("--logs", type=Path, help="a folder for each file's output")
    options = parser.parse_args()
    if not SUITE.exists():
        print(f"the suite is not installed: {SUITE}")
        return 2
    started = subprocess.run([options.server, "--version"], capture_output=True, text=True, check=False)
    if started.returncode:
        print(f"{options.server} does not start:\n{started.stderr}")
        return 2
    names = options.files or list(PERSISTENCE_FILES if options.persistence else ())
    names = names or [
        *([] if options.cluster else UNIT_FILES),
        *([] if options.unit else CLUSTER_FILES),
    ]
    runs = run_all(names, options.server, options.clients, options.logs)
    return report(runs)


def run_all(names: list[str], server: Path, clients: int, logs: Path | None) -> list[Run]:
    """Every file's run, in the order of names; those of the cluster suite one at a time, last."""
    expected = expectations()
    with tempfile.TemporaryDirectory(prefix="suite7-") as folder:
        idle: SimpleQueue[Suite] = SimpleQueue()
        for number in range(clients):
            idle.put(Suite(Path(folder), number, server))

        def run(name: str) -> Run:
            suite = idle.get()
            try:
                done = suite.run(name, expected[name].skipped if name in expected else ())
            finally:
                idle.put(suite)
            show(done)
            if logs is not None:
                logs.mkdir(parents=True, exist_ok=True)
                (logs / f"{name.replace('/', '_')}.log").write_text(done.text)
            return done

        with ThreadPoolExecutor(clients) as pool:
            runs = list(pool.map(run, [name for name in names if not name[0].isdigit()]))
        return runs + [run(name) for name in names if name[0].isdigit()]


def show(run: Run) -> None:
    """One file in a line."""
    outcome = run.outcome
    print(
        f"{run.name:32} passed {len(outcome.passed):3}  failed {len(outcome.failed) - outcome.exceptions:2}"
        f"  exceptions {outcome.exceptions}  {run.seconds:6.1f} s",
        flush=True,
    )


def report(runs: list[Run]) -> int:
    """The totals, and everything that is not as expected."""
    expected = expectations()
    unit = [run for run in runs if not run.name[0].isdigit()]
    cluster = [run for run in runs if run.name[0].isdigit()]
    if unit:
        passed = sum(len(run.outcome.passed) for run in unit)
        tests = sum(tests_of(run, expected.get(run.name, Expectation(0, {}))) for run in unit)
        print(f"{passed} of {tests} tests of {len(unit)} files pass: {100 * passed / max(tests, 1):.1f} %")
    if cluster:
        whole = sum(not run.outcome.failed for run in cluster)
        print(f"{whole} of {len(cluster)} files of the cluster suite pass")
    found = [
        f"{run.name}: {surprise}"
        for run in runs
        for surprise in surprises(run.outcome, expected.get(run.name, Expectation(0, {})))
    ]
    print(*found, sep="\n")
    return 1 if found else 0


def tests_of(run: Run, expected: Expectation) -> int:
    """How many tests a file has: as redis-server counts, or more if some ran more often here."""
    outcome = run.outcome
    ran = len(outcome.passed) + len(outcome.failed) - outcome.exceptions
    return max(expected.tests, ran + len(expected.skipped))


if __name__ == "__main__":
    sys.exit(main())
