"""`python -m tests.bench.saving`: a million keys saved, loaded and copied, and what clients see of it.

The first table is how long a SAVE, a start from its file and a full synchronisation take, ours and
redis-server's in turn. The second is 50 clients that SET at random: while nothing else goes on, while BGSAVE
does, and while a replica is given its copy. It shows latency as they see it, the longest time that one turn
of the node held up all others, for how much of that it had the processor (a busy machine takes it away), and
the most resident memory, with what of it are writes that wait for a replica: those are the load's own. The
replica, which would be on another machine, gets the processor only when neither clients nor primary want it,
and is a redis-server, which wants little of it. What a Shoal node in its place takes from them is shown too.
At the end redis-server loads the file. Its digest must be that of the dataset when BGSAVE began.
With `--under-load` only the second table is made.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shutil import copy
from statistics import median

from tests.bench.load import Case, run
from tests.bench.memory import connected, send_all
from tests.bench.servers import REDIS, SHOAL, started
from tests.processes.nodes import ask, wait_until

PATIENCE_SECONDS = 300.0
LOOK_SECONDS, POLL_SECONDS = 0.25, 0.02
DEBUG = ("--enable-debug-command", "yes")
AT_ONCE = ("--repl-diskless-sync-delay", "0")
P99_BAR, STEP_BAR_MS, MEMORY_BAR = 2.0, 10.0, 1.10
BGSAVE, SYNC, SYNC_BESIDE = "BGSAVE", "full synchronisation", "the same, of a Shoal node on the same cores"
BARRED = (BGSAVE, SYNC)


def main() -> int:
    """Print both tables; exit status 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.saving")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--under-load", action="store_true", help="the second table only")
    options = parser.parse_args()
    if not options.under_load:
        print_speeds(options.keys)
    return int(not under_load(options.keys))


def print_speeds(keys: int) -> None:
    """Print the first table."""
    ours, theirs = speeds(SHOAL, keys), speeds(REDIS, keys)
    print(f"| {keys:,} keys | Shoal s | Redis s | ratio |\n|---|---|---|---|")
    for what in ours:
        ratio = ours[what] / theirs[what]
        print(f"| {what} | {ours[what]:.2f} | {theirs[what]:.2f} | {ratio:.2f} |", flush=True)


def fill(port: int, keys: int) -> None:
    """The keys that redis-benchmark picks at random, each with ten bytes."""
    with connected(port) as connection:
        send_all(connection, ([b"SET", b"key:%012d" % n, b"value:%04d" % (n % 10000)] for n in range(keys)))


def speeds(server: tuple[str, ...], keys: int) -> dict[str, float]:
    """Seconds for each of the three."""
    with tempfile.TemporaryDirectory() as folder, started(server, *AT_ONCE) as (port, _):
        fill(port, keys)
        taken = {"SAVE": timed(lambda: ask(port, "SAVE"))}
        copy(Path(ask(port, "CONFIG", "GET", "dir")[1]) / "dump.rdb", folder)
        began = time.monotonic()
        with started(server, "--dir", folder) as (loaded, _):
            wait_until(lambda: ask(loaded, "DBSIZE") == keys, "loaded", PATIENCE_SECONDS)
            taken["start from the file"] = time.monotonic() - began
        with started(server) as (replica, _):
            ask(replica, "REPLICAOF", "127.0.0.1", port)
            taken["full synchronisation"] = timed(lambda: wait_until_copied(replica))
            assert ask(replica, "DBSIZE") == keys
    return taken


def timed(action: Callable[[], object]) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    action()
    return time.monotonic() - began


def wait_until_copied(replica: int, load: Load | None = None) -> None:
    """Until a replica has its primary's data, with a look now and then at what waits for it."""
    while "master_link_status:up" not in ask(replica, "INFO", "replication"):
        if load is not None:
            load.look_at_writes()
        time.sleep(LOOK_SECONDS if load is not None else POLL_SECONDS)


# --- under load ----------------------------------------------------------------------------------------


@dataclass
class Load:
    """Fifty clients that SET at random, so many requests at a time, until told to stop."""

    port: int
    pid: int
    keys: int
    requests: int = 10_000
    chunks: list[tuple[float, float]] = field(default_factory=list)
    """When each so many requests began, and the latency that 99 % of them kept, in milliseconds."""
    resident: list[tuple[float, float]] = field(default_factory=list)
    """When it was looked at, and the resident memory in megabytes."""
    kept: list[tuple[float, float]] = field(default_factory=list)
    """When it was looked at, and the writes kept for replicas, in megabytes."""

    @contextmanager
    def running(self) -> Iterator[Load]:
        stop = threading.Event()
        threads = [threading.Thread(target=work, args=(stop,)) for work in (self._send, self._look)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _send(self, stop: threading.Event) -> None:
        words = ("-r", str(self.keys), "-d", "10", "-t", "set")
        while not stop.is_set():
            began = time.monotonic()
            result = run(Case("SET", 1, self.requests, words=words), self.port, self.pid)
            self.chunks.append((began, result.p99))

    def _look(self, stop: threading.Event) -> None:
        while not stop.wait(0.05):
            with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
                pages = int(file.read().split()[1])
            self.resident.append((time.monotonic(), pages * 4096 / 1e6))

    def look_at_writes(self) -> None:
        """Note how much of what was written is kept for replicas. (INFO of memory would hold up clients.)"""
        kept = ask(self.port, "INFO", "replication").partition("repl_backlog_histlen:")[2]
        self.kept.append((time.monotonic(), int(kept.partition("\r")[0]) / 1e6))

    def p99(self, began: float, ended: float) -> float:
        """The median over those that began within these moments."""
        return median(p99 for start, p99 in self.chunks if began <= start <= ended)

    def peak(self, began: float, ended: float) -> float:
        """The most resident memory between these moments."""
        return max(megabytes for at, megabytes in self.resident if began <= at <= ended)

    def most_kept(self, began: float, ended: float) -> float:
        """The most of it that were writes for replicas."""
        return max((megabytes for at, megabytes in self.kept if began <= at <= ended), default=0.0)


def under_load(keys: int) -> bool:
    """Print the second table; whether every bar was reached."""
    phases: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "steps"
        watched = (sys.executable, "-m", "tests.bench.watched", str(notes))
        with (
            started(watched, *DEBUG, *AT_ONCE) as (port, pid),
            started(REDIS) as (theirs, their_pid),
            started(SHOAL) as (ours, our_pid),
        ):
            for replica_pid in (their_pid, our_pid):
                os.sched_setscheduler(replica_pid, os.SCHED_IDLE, os.sched_param(0))
            fill(port, keys)
            with Load(port, pid, keys).running() as load:
                phases["load alone"] = during(lambda: time.sleep(15))
                digest = digest_and_bgsave(port)
                phases[BGSAVE] = during(lambda: wait_until_saved(port))
                copy(Path(ask(port, "CONFIG", "GET", "dir")[1]) / "dump.rdb", folder)
                for name, replica in ((SYNC, theirs), (SYNC_BESIDE, ours)):
                    time.sleep(3)
                    ask(replica, "REPLICAOF", "127.0.0.1", port)
                    phases[name] = during(partial(wait_until_copied, replica, load))
                    ask(replica, "REPLICAOF", "NO", "ONE")
        with started(REDIS, "--dir", folder, *DEBUG) as (redis, _):
            same = ask(redis, "DEBUG", "DIGEST") == digest
        steps = [tuple(map(float, line.split())) for line in notes.read_text().splitlines()]
    return report(load, phases, steps, same=same)


def during(action: Callable[[], object]) -> tuple[float, float]:
    """When it began and ended."""
    began = time.monotonic()
    action()
    return began, time.monotonic()


def digest_and_bgsave(port: int) -> str:
    """The digest of the dataset as BGSAVE finds it: writes are held back until it has begun."""
    with connected(port) as connection:
        connection.settimeout(PATIENCE_SECONDS)
        connection.sendall(b"CLIENT PAUSE 300000 WRITE\r\nDEBUG DIGEST\r\nBGSAVE\r\n")
        answers = b""
        while answers.count(b"\r\n") < 3:
            answers += connection.recv(1000)
        connection.sendall(b"CLIENT UNPAUSE\r\n")
        _, digest, begun = answers.decode().split("\r\n")[:3]
        assert digest.startswith("+") and begun.startswith("+Background saving started"), answers
        return digest.removeprefix("+")


def wait_until_saved(port: int) -> None:
    """Until a BGSAVE has ended, asking seldom: whoever asks takes the others' time."""
    while "rdb_bgsave_in_progress:0" not in ask(port, "INFO", "persistence"):
        time.sleep(LOOK_SECONDS)


def report(
    load: Load, phases: dict[str, tuple[float, float]], steps: list[tuple[float, ...]], *, same: bool
) -> bool:
    """Print what was measured; whether every bar was reached."""
    print(
        "\n| while | seconds | p99 ms | longest turn ms | processor in it ms | resident MB | kept writes MB |"
    )
    print("|---|---|---|---|---|---|---|")
    alone = phases["load alone"]
    reached = same
    for name, (began, ended) in phases.items():
        within = [step for step in steps if began <= step[0] <= ended]
        longest, busiest = (max((step[at] for step in within), default=0.0) * 1e3 for at in (1, 2))
        p99, peak, kept = load.p99(began, ended), load.peak(began, ended), load.most_kept(began, ended)
        times = f"{ended - began:.1f} | {p99:.2f} | {longest:.1f} | {busiest:.1f}"
        print(f"| {name} | {times} | {peak:.0f} | {kept:.1f} |")
        if name in BARRED:
            reached &= p99 <= P99_BAR * load.p99(*alone) and busiest <= STEP_BAR_MS
            reached &= peak - kept <= MEMORY_BAR * load.peak(*alone)
    print(f"the file {'is' if same else 'is NOT'} the dataset of the moment when BGSAVE began")
    if not reached:
        print(f"missed: p99 {P99_BAR}x, turns {STEP_BAR_MS} ms, memory {MEMORY_BAR}x, or the file")
    return reached


if __name__ == "__main__":
    sys.exit(main())
