"""`python -m tests.bench.scripts`: what a script costs that calls GET and SET, beside the two by themselves.

Shoal and redis-server run it in turn, in one run, by EVALSHA; the bar is on processor time per request.
"""

from __future__ import annotations

import argparse
import sys
from hashlib import sha1
from statistics import median

from tests.bench.load import Case, run
from tests.bench.servers import REDIS, SHOAL, started

SCRIPT = """
local old = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1])
return old
"""
LOOPING_SCRIPT = """
local old
for i, key in ipairs(KEYS) do
    old = redis.call('GET', key)
    redis.call('SET', key, ARGV[i])
end
return old
"""
"""The same in a loop. A script that may run long pays for being able to be suspended."""

BAR = 4.0
"""The most processor time per EVALSHA of either at 1 in flight, as a multiple of Redis's."""

BARRED = ("EVALSHA", "EVALSHA of a loop")


def main() -> int:
    """Print the table; exit status 1 if the bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scripts")
    parser.add_argument("--requests", type=int, default=50_000, help="requests per figure")
    parser.add_argument("--rounds", type=int, default=3, help="how often each figure is taken")
    options = parser.parse_args()
    digest, looping_digest = (sha1(script.encode()).hexdigest() for script in (SCRIPT, LOOPING_SCRIPT))
    loads = {
        "EVAL": ("EVAL", SCRIPT, "1", "key", "value"),
        "EVAL of a loop": ("EVAL", LOOPING_SCRIPT, "1", "key", "value"),
        "EVALSHA": ("EVALSHA", digest, "1", "key", "value"),
        "EVALSHA of a loop": ("EVALSHA", looping_digest, "1", "key", "value"),
        "GET": ("GET", "key"),
        "SET": ("SET", "key", "value"),
    }
    ratios = {}
    print("| command | in flight | Shoal CPU µs | Redis CPU µs | ratio |\n|---|---|---|---|---|")
    with started(SHOAL) as ours, started(REDIS) as theirs:
        for command, words in loads.items():
            for in_flight in (1, 16):
                case = Case(command, in_flight, options.requests, words=words)
                taken = [(run(case, *ours), run(case, *theirs)) for _ in range(options.rounds)]
                mine, real = (
                    median(result.cpu_us for result in results) for results in zip(*taken, strict=True)
                )
                ratios[command, in_flight] = mine / real
                print(
                    f"| {command} | {in_flight} | {mine:.2f} | {real:.2f} | {mine / real:.2f} |", flush=True
                )
    missed = [command for command in BARRED if ratios[command, 1] > BAR]
    for command in missed:
        print(f"missed: {command} at 1 in flight, bar {BAR}x")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
