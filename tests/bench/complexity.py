"""`python -m tests.bench.complexity`: how each command's time grows while its collections double and double.

One server without sockets for each size; the commands of `complexity_cases.py`; the shortest of several
calls counts, in processor time. What else runs on the machine still takes caches away, so a command that
grows too much is measured again, and counts if it does so three times.

From the smallest dataset to the largest, eight times its size, the time of a command that promises O(1) or
O(log N) may at most double, of one that promises O(N) or O(N log N) become 24 times as long (the smallest
lies in the processor's caches, the largest does not; O(N^2) would be 64 times). Where a pattern and the text
are both of that size, and the promise is their product, it may become 100 times as long. What a command costs
before it looks at any data is the same at each size and is not taken off. So some growth may hide in a short
command, but none that would matter at these sizes.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterator
from itertools import count
from random import Random

from shoal.node import builtin_commands
from shoal.node.commands.registry import COMMANDS
from shoal.node.dataset.glob import compile_glob
from shoal.node.resp.writer import encode_command
from shoal.node.server.config import Config
from shoal.node.server.server import Server
from tests.bench.complexity_cases import DATASET, GROWS, MULTIPLIES, STAYS

SIZES = (4_000, 8_000, 16_000, 32_000)
MOST = {"stays": 2.0, "grows": 24.0, "multiplies": 100.0}
ATTEMPTS = 3
CALLS = {"stays": 200, "grows": 5, "multiplies": 3}
GROUPS = frozenset(
    {"string", "bitmap", "list", "set", "hash", "sorted-set", "stream", "geo", "hyperloglog", "generic"}
)
NOT_MEASURED = {
    "lcs": "O(N*M): of short strings only",
    "migrate": "needs another node",
    "object": "by its subcommands",
    "pfdebug": "a tool for tests",
    "pfselftest": "a tool for tests",
    "restore": "DUMP's payload would have to be made for each size",
    "waitaof": "needs an append-only file",
    "xgroup": "by its subcommands",
    "xinfo": "by its subcommands",
}


class Dataset:
    """A server whose every collection holds `size` elements, and a client of it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.server = Server(
            Config(), Random(1), time.perf_counter_ns, now_ms=1_700_000_000_000, run_id="a" * 40
        )
        self.server.begin_turn(1_700_000_000_000)
        self.session = self.server.connect("127.0.0.1:1", "127.0.0.1:2")
        self._numbers = count(1)
        for line in DATASET:
            self.run(line)
        listener = self.server.connect("127.0.0.1:3", "127.0.0.1:4")
        self.server.receive(listener, encode_command(self.words("PSUBSCRIBE {stars} {classes} {escapes}")))

    def words(self, line: str) -> list[bytes]:
        """A command's words."""
        words: list[str] = []
        for word in line.split():
            if word in _MANY:
                words += _MANY[word](self.size)
            else:
                words.append(
                    word.format(
                        half=self.size // 2, last=self.size - 1, count=self.size, i=next(self._numbers)
                    )
                )
        return [word.encode() for word in words]

    def run(self, line: str) -> float:
        """Run a command; the seconds of processor time it took. RuntimeError if it is refused."""
        if line == "{entries}":
            return sum(self.run(f"XADD stream {number}-1 f v") for number in range(1, self.size + 1))
        data = encode_command(self.words(line))
        began = time.thread_time()
        self.server.receive(self.session, data)
        took = time.thread_time() - began
        answer = b"".join(self.session.out)
        self.session.out.clear()
        self.session.out_bytes = 0
        self.server.outgoing.clear()
        compile_glob.cache_clear()
        self.server.take_effects()
        if answer.startswith(b"-") or self.session.blocked is not None:
            raise RuntimeError(f"{line}: {answer[:200]!r}")
        return took

    def measure(self, case: str, calls: int) -> float:
        """The shortest of so many calls, in seconds."""
        *before, timed = case.split(" => ")
        self.run("DEL tmp")
        best = float("inf")
        for _ in range(calls):
            for line in before:
                self.run(line)
            best = min(best, self.run(timed))
        return best


_MANY = {
    "{all}": lambda size: [str(n) for n in range(size)],
    "{words}": lambda size: [f"w:{n}" for n in range(size)],
    "{pairs}": lambda size: [word for n in range(size) for word in (str(n), f"w:{n}")],
    "{zeros}": lambda size: [word for n in range(size) for word in ("0", f"w:{n:06}")],
    "{fields}": lambda size: [word for n in range(size) for word in (f"f:{n}", "v")],
    "{keys}": lambda size: [word for n in range(size) for word in (f"key:{n}", "v")],
    "{ids}": lambda size: [f"{n}-1" for n in range(1, size + 1)],
    "{bytes}": lambda size: ["\x55" * size],
    "{text}": lambda size: ["a" * size],
    "{stars}": lambda size: ["a*" * 999 + "b"],
    "{any}": lambda size: ["*?" * 1000],
    "{classes}": lambda size: ["*" + "[^b]" * (size // 2) + "*c"],
    "{escapes}": lambda size: ["*" + "\\a" * (size // 2) + "b*"],
    "{~classes}": lambda size: ["~*" + "[^b]" * (size // 2) + "*c"],
    "{places}": lambda size: [
        word for n in range(size) for word in (f"{14 + n % 100 / 100}", f"{36 + n // 100 / 400}", f"w:{n}")
    ],
}


def measure_growth(datasets: list[Dataset], case: str, kind: str) -> list[float]:
    """The seconds a command takes at each size, measured again while they grow too much."""
    times = [float("inf")] * len(datasets)
    for _ in range(ATTEMPTS):
        times = [
            min(best, dataset.measure(case, CALLS[kind]))
            for best, dataset in zip(times, datasets, strict=True)
        ]
        if times[-1] <= MOST[kind] * times[0]:
            break
    return times


def cases(text: str) -> Iterator[str]:
    """The commands of a table."""
    for line in text.strip().splitlines():
        yield from (case.strip() for case in line.split(";") if case.strip())


def main() -> int:
    """Print each command that grows too much, or all with `--all`; exit status 1 if one does."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.complexity")
    parser.add_argument("--all", action="store_true", help="print every command's growth")
    show_all = parser.parse_args().all
    builtin_commands.load()
    tables = {"stays": list(cases(STAYS)), "grows": list(cases(GROWS)), "multiplies": list(cases(MULTIPLIES))}
    _check_that_all_are_there([case for table in tables.values() for case in table])
    datasets = [Dataset(size) for size in SIZES]
    gc.collect()
    gc.freeze()
    gc.disable()
    missed = 0
    for kind, table in tables.items():
        for case in table:
            times = measure_growth(datasets, case, kind)
            growth = times[-1] / times[0]
            missed += growth > MOST[kind]
            if show_all or growth > MOST[kind]:
                shown = "  ".join(f"{seconds * 1e6:.1f}" for seconds in times)
                print(f"{growth:6.2f}x (at most {MOST[kind]:.0f}x)  {case}  {shown}", flush=True)
    measured = sum(map(len, tables.values()))
    print(f"{measured} cases, {missed} grow faster than they promise")
    return int(missed > 0)


def _check_that_all_are_there(measured: list[str]) -> None:
    names = {case.split(" => ")[-1].split()[0].lower() for case in measured}
    known = {name.decode() for name, spec in COMMANDS.items() if spec.group in GROUPS}
    missing = known - names - NOT_MEASURED.keys()
    if missing:
        raise SystemExit(f"no case for {', '.join(sorted(missing))}")


if __name__ == "__main__":
    sys.exit(main())
