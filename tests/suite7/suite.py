"""A copy of the suite in a temporary folder, and running single files of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.peers import ROOT
from tests.suite7.output import Outcome, cluster_outcome, unit_outcome

SUITE = ROOT / "suite7"
TOOLS = ("redis-cli", "redis-benchmark", "redis-check-rdb", "redis-check-aof")
UNIT_SECONDS = 600
CLUSTER_SECONDS = 900
PORTS_APART = 500
UNIT_BASE_PORT = 21000
CLUSTER_BASE_PORT = 13000
"""Below the ports that the system gives to connections, which would be in the way; so are the bus ports."""


@dataclass(frozen=True, slots=True)
class Run:
    """One file's run."""

    name: str
    outcome: Outcome
    seconds: float
    text: str


def shoal_server() -> Path:
    """The command under test: the one that belongs to this Python."""
    return Path(sys.executable).with_name("shoal-server")


class Suite:
    """One copy; runs one file at a time, at ports of its own."""

    def __init__(self, folder: Path, number: int, server: Path) -> None:
        self.path = folder / f"suite-{number}"
        self.number = number
        shutil.copytree(SUITE, self.path, symlinks=True, ignore=shutil.ignore_patterns(".git*", "deps"))
        source = self.path / "src"
        self._link(source / "redis-server", server)
        for tool in TOOLS:
            self._link(source / tool, ROOT / "redis7" / "bin" / tool)
        instances = self.path / "tests" / "instances.tcl"
        port = CLUSTER_BASE_PORT + number * PORTS_APART
        instances.write_text(
            instances.read_text().replace("redis_base_port 30000", f"redis_base_port {port}")
        )

    def _link(self, place: Path, target: Path) -> None:
        place.unlink(missing_ok=True)
        place.symlink_to(target)

    def run(self, name: str, skipped: Iterable[str] = ()) -> Run:
        """Run a file of either suite to its end, without the tests of the unit suite that are skipped."""
        started = time.monotonic()
        if name[0].isdigit():
            text = self._execute(CLUSTER_SECONDS, "./runtest-cluster", "--single", f"/{name}.tcl")
            outcome = cluster_outcome(text)
        else:
            port = UNIT_BASE_PORT + self.number * PORTS_APART
            options = ["--clients", "1", "--baseport", str(port), "--single", name]
            for test in skipped:
                options += ["--skiptest", test]
            text = self._execute(UNIT_SECONDS, "./runtest", *options)
            outcome = unit_outcome(text)
        return Run(name, outcome, time.monotonic() - started, text)

    def _execute(self, seconds: float, *command: str) -> str:
        """Run a command in a session of its own, which ends with it: the suite leaves servers behind."""
        output = self.path / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=self.path,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                file.write(f"\n[exception]: not done after {seconds} s\n".encode())
            finally:
                _end_session(process)
        return output.read_text(errors="replace")


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a process's session, by ids: its group, and servers that left the group."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == process.pid:
            try:
                os.kill(int(status.parent.name), 9)
            except ProcessLookupError:
                continue
    process.wait()
