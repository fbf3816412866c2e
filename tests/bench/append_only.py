"""`python -m tests.bench.append_only`: what SET costs with an append-only file, and without one.

Each server runs once for each `appendfsync`; the figures of one round are taken in turn.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from statistics import median

from tests.bench.load import Case, run
from tests.bench.servers import REDIS, SHOAL, started

ON = ("--appendonly", "yes", "--auto-aof-rewrite-percentage", "0", "--appendfsync")
SETTINGS = {"no file": (), "no": (*ON, "no"), "everysec": (*ON, "everysec"), "always": (*ON, "always")}
IN_FLIGHT = (1, 16)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.append_only")
    parser.add_argument("--requests", type=int, default=50_000, help="requests per figure at 1 in flight")
    parser.add_argument("--rounds", type=int, default=3, help="how often each figure is taken")
    options = parser.parse_args()
    print("| in flight | appendfsync | Shoal CPU µs | Redis CPU µs | Shoal requests/s | Redis requests/s |")
    print("|---|---|---|---|---|---|")
    with ExitStack() as stack:
        servers = {
            (name, setting): stack.enter_context(started(command, *words))
            for name, command in (("Shoal", SHOAL), ("Redis", REDIS))
            for setting, words in SETTINGS.items()
        }
        for in_flight in IN_FLIGHT:
            case = Case("SET", in_flight, options.requests * (5 if in_flight > 1 else 1))
            taken = [
                {key: run(case, *server) for key, server in servers.items()} for _ in range(options.rounds)
            ]
            for setting in SETTINGS:
                ours, theirs = ([one[name, setting] for one in taken] for name in ("Shoal", "Redis"))
                figures = [median(result.cpu_us for result in results) for results in (ours, theirs)]
                rates = [median(result.throughput for result in results) for results in (ours, theirs)]
                shown = [f"{figure:.2f}" for figure in figures] + [f"{rate:,.0f}" for rate in rates]
                print(f"| {in_flight} | {setting} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
