"""`python -m tests.bench`: Shoal and redis-server 7.0 in turn, on this machine, in one run.

Every figure is taken several times, the two servers taking turns so that a busy moment of the machine
hits both, and the median counts. The bars are on processor time per request, which a busy machine moves
less than latency.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from statistics import median

from tests.bench.load import Case, Result, run
from tests.bench.servers import REDIS, SHOAL, started

COMMANDS = ("GET", "SET", "INCR")
IN_FLIGHT = (1, 16)
BARS = {("GET", 1): 1.5, ("SET", 1): 1.7, ("GET", 16): 3.0, ("SET", 16): 4.0}
"""The most processor time per request, as a multiple of Redis's."""


def main() -> int:
    """Print the table; exit status 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=100_000, help="requests per figure at 1 in flight")
    parser.add_argument("--rounds", type=int, default=3, help="how often each figure is taken")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    measured = measure(options.requests, options.rounds)
    missed = [key for key, bar in BARS.items() if ratio(measured[key]) > bar]
    if options.json:
        print(json.dumps([{"command": c, "in_flight": f, "shoal": asdict(o), "redis": asdict(t)}
                          for (c, f), (o, t) in measured.items()], indent=2))  # fmt: skip
    else:
        print_table(measured)
        for command, in_flight in missed:
            print(f"missed: {command} at {in_flight} in flight, bar {BARS[command, in_flight]}x")
    return 1 if missed else 0


Measured = dict[tuple[str, int], tuple[Result, Result]]


def measure(requests: int, rounds: int) -> Measured:
    """For each command and depth the median figures of ours and of Redis."""
    measured: Measured = {}
    with started(SHOAL) as (our_port, our_pid), started(REDIS) as (their_port, their_pid):
        for in_flight in IN_FLIGHT:
            for command in COMMANDS:
                case = Case(command, in_flight, requests * (5 if in_flight > 1 else 1))
                ours, theirs = [], []
                for _ in range(rounds):
                    theirs.append(run(case, their_port, their_pid))
                    ours.append(run(case, our_port, our_pid))
                measured[command, in_flight] = median_of(ours), median_of(theirs)
    return measured


def median_of(results: Sequence[Result]) -> Result:
    """The median of each figure."""
    return Result(
        throughput=median(result.throughput for result in results),
        p50=median(result.p50 for result in results),
        p99=median(result.p99 for result in results),
        p999=median(result.p999 for result in results),
        cpu_us=median(result.cpu_us for result in results),
    )


def ratio(pair: tuple[Result, Result]) -> float:
    """Our processor time per request over Redis's."""
    ours, theirs = pair
    return ours.cpu_us / theirs.cpu_us


def print_table(measured: Measured) -> None:
    """As it stands in the README."""
    machine = f"{platform.machine()}, {cpu_model()}, Python {platform.python_version()}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}, 50 clients, medians\n")
    columns = (
        "command",
        "in flight",
        "server",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "CPU µs",
        "ratio",
    )
    print(f"| {' | '.join(columns)} |")
    print(f"|{'---|' * len(columns)}")
    for (command, in_flight), (ours, theirs) in measured.items():
        for name, result in (("Shoal", ours), ("Redis 7.0", theirs)):
            shown = f"{ratio((ours, theirs)):.2f}" if result is ours else ""
            print(
                f"| {command} | {in_flight} | {name} | {result.throughput:,.0f} | {result.p50:.2f} "
                f"| {result.p99:.2f} | {result.p999:.2f} | {result.cpu_us:.2f} | {shown} |"
            )


def cpu_model() -> str:
    """The processor's name, where the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"


if __name__ == "__main__":
    sys.exit(main())
