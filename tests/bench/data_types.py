"""`python -m tests.bench.data_types`: commands of every data type, Shoal and redis-server 7.0 in one run.

As in `python -m tests.bench` the servers take turns, medians count, and the bars are on processor time
per request. A command that takes away follows the one that puts in, so that it finds something each time.
"""

from __future__ import annotations

import argparse
import sys

from tests.bench.__main__ import Measured, median_of, print_table, ratio
from tests.bench.load import Case, Result, run
from tests.bench.memory import connected
from tests.bench.servers import REDIS, SHOAL, started

_RANDOM = ("-r", "1000000")
WORDS: dict[str, tuple[str, ...]] = {
    "LPUSH": ("-t", "lpush"),
    "RPOP": ("-t", "rpop"),
    "LRANGE_100": ("lrange", "long", "0", "99"),
    "LRANGE_600": ("lrange", "long", "0", "599"),
    "SADD": (*_RANDOM, "-t", "sadd"),
    "SPOP": ("-t", "spop"),
    "HSET": (*_RANDOM, "-t", "hset"),
    "ZADD": (*_RANDOM, "-t", "zadd"),
    "ZRANGE_100": ("zrange", "scores", "100", "(200", "byscore"),
    "ZPOPMIN": ("-t", "zpopmin"),
    "XADD": ("xadd", "mystream", "*", "field", "value"),
    "MSET_10": (*_RANDOM, "-t", "mset"),
}
"""What redis-benchmark is told for each."""
LONG_REPLIES = ("LRANGE_100", "LRANGE_600", "ZRANGE_100", "MSET_10")
"""Commands that are many times the work of the others; fewer of them are sent."""
BARS = {1: 2.0, 16: 4.0}
"""The most processor time per request, as a multiple of Redis's, by requests in flight."""


def main() -> int:
    """Print the table; exit status 1 if a bar is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.data_types", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--requests", type=int, default=50_000, help="requests per figure at 1 in flight")
    parser.add_argument("--rounds", type=int, default=3, help="how often each figure is taken")
    parser.add_argument("--only", nargs="*", default=list(WORDS), choices=list(WORDS), help="these alone")
    options = parser.parse_args()
    measured = measure(options.only, options.requests, options.rounds)
    print_table(measured)
    missed = [(command, depth) for (command, depth), pair in measured.items() if ratio(pair) > BARS[depth]]
    for command, in_flight in missed:
        print(f"missed: {command} at {in_flight} in flight, bar {BARS[in_flight]}x")
    return 1 if missed else 0


def measure(commands: list[str], requests: int, rounds: int) -> Measured:
    """For each command and depth the median figures of ours and of Redis."""
    measured: Measured = {}
    with started(SHOAL) as ours, started(REDIS) as theirs:
        for port, _ in (ours, theirs):
            _fill(port)
        for in_flight in BARS:
            taken: dict[str, list[tuple[Result, Result]]] = {command: [] for command in commands}
            for _ in range(rounds):
                for command in commands:
                    times = (4 if in_flight > 1 else 1) / (5 if command in LONG_REPLIES else 1)
                    case = Case(command, in_flight, int(requests * times), words=WORDS[command])
                    taken[command].append((run(case, *ours), run(case, *theirs)))
            for command, pairs in taken.items():
                mine, real = zip(*pairs, strict=True)
                measured[command, in_flight] = median_of(mine), median_of(real)
    return measured


def _fill(port: int) -> None:
    """A list and a sorted set of a thousand elements each, for the commands that read ranges."""
    members = " ".join(str(number) for number in range(1000))
    scored = " ".join(f"{number} member:{number:04}" for number in range(1000))
    with connected(port) as connection:
        connection.sendall(f"RPUSH long {members}\r\nZADD scores {scored}\r\n".encode())
        answers = b""
        while answers.count(b"\r\n") < 2:
            answers += connection.recv(100)
    assert answers == b":1000\r\n:1000\r\n", answers


if __name__ == "__main__":
    sys.exit(main())
