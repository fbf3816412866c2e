"""Run the cluster simulator: `python -m tests.sim --seeds 200`, or one run again with `--seed 17`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.sim.checkers import Violation
from tests.sim.world import World


def run_seed(seed: int, *, trace: int = 0) -> str | None:
    """One run; returns a line about what went wrong, or None."""
    world = World(seed)
    problem = None
    try:
        world.run()
    except Violation as violation:
        problem = f"python -m tests.sim --seed {seed}  # {violation} [{world.options.describe()}]"
    if trace:
        print(*list(world.lines)[-trace:], sep="\n")
        print(f"seed {seed}: {world.steps} steps, {world.scheduler.now} ms, digest {world.digest}")
    return problem


def timed_run(seed: int) -> tuple[str | None, float]:
    """One run without a trace, and the CPU seconds it took."""
    started = time.process_time()
    return run_seed(seed), time.process_time() - started


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds to run")
    parser.add_argument("--start", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="run this one only and print its trace")
    parser.add_argument("--trace", type=int, default=60, help="how many last lines of the trace to print")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        problem = run_seed(arguments.seed, trace=arguments.trace)
        print(problem or "all invariants held")
        return 1 if problem else 0
    failures, spent = 0, 0.0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        seeds = range(arguments.start, arguments.start + arguments.seeds)
        for problem, seconds in pool.map(timed_run, seeds):
            spent += seconds
            if problem:
                failures += 1
                print(problem, flush=True)
    print(f"{arguments.seeds} seeds, {failures} failed, {spent:.1f} s of CPU")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
