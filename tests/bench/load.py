"""One load on one server: what redis-benchmark saw, and what it cost the server's processor."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass

from tests.peers import REDIS7_BENCHMARK

_PERCENTILE = re.compile(r"^\s*([0-9.]+)% <= ([0-9.]+) milliseconds \(cumulative", re.MULTILINE)
_THROUGHPUT = re.compile(r"throughput summary: ([0-9.]+) requests per second")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Case:
    """A command sent by so many clients with so many requests in flight each."""

    command: str
    in_flight: int
    requests: int
    clients: int = 50
    words: tuple[str, ...] = ()
    """What redis-benchmark is told instead of `-t COMMAND`: options, or the command as it is sent."""


@dataclass(frozen=True, slots=True)
class Result:
    """Latencies are milliseconds as the client sees them; `cpu_us` is server processor time per request."""

    throughput: float
    p50: float
    p99: float
    p999: float
    cpu_us: float


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, user and system."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def run(case: Case, port: int, pid: int) -> Result:
    """Put the load on the server at `port`, whose process is `pid`."""
    command = [
        str(REDIS7_BENCHMARK), "-p", str(port), "-c", str(case.clients), "-n", str(case.requests),
        "-P", str(case.in_flight), *(case.words or ("-t", case.command.lower())),
    ]  # fmt: skip
    before = cpu_seconds(pid)
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    used = cpu_seconds(pid) - before
    throughput = _THROUGHPUT.search(output)
    if throughput is None:
        raise RuntimeError(f"redis-benchmark said nothing about throughput:\n{output[-2000:]}")
    points = [(float(percent), float(ms)) for percent, ms in _PERCENTILE.findall(output)]
    return Result(
        throughput=float(throughput.group(1)),
        p50=_at(points, 50.0),
        p99=_at(points, 99.0),
        p999=_at(points, 99.9),
        cpu_us=used / case.requests * 1e6,
    )


def _at(points: list[tuple[float, float]], percent: float) -> float:
    """The latency within which `percent` of the requests were answered."""
    return next(ms for reached, ms in points if reached >= percent)
