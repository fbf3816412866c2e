"""`shoal up` as a user runs it, with its nodes within reach: to be killed, and started again as they were."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.ports import HOST, free_ports
from tests.processes.nodes import DEADLINE_SECONDS

CLI = (sys.executable, "-m", "shoal.cli.main")


def shoal(*arguments: object, seconds: float = 4 * DEADLINE_SECONDS) -> subprocess.CompletedProcess[str]:
    """Run a command of `shoal` to its end."""
    command = [*CLI, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


@dataclass
class LocalCluster:
    """A running `shoal up`."""

    process: subprocess.Popen[str]
    document: dict[str, Any]
    restarted: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def ports(self) -> list[int]:
        return [int(node["address"].rpartition(":")[2]) for node in self.document["nodes"]]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        return [(HOST, port) for port in self.ports]

    def node_id(self, port: int) -> str:
        return str(self.document["nodes"][self.ports.index(port)]["id"])

    def directory(self, port: int) -> Path:
        return Path(self.document["directory"]) / str(port)

    def kill(self, port: int) -> tuple[list[str], str]:
        """SIGKILL one node; returns the command line and the folder it ran with.

        For nodes that run with `--set-proc-title no`: a title takes the command line's place.
        """
        pid = self.document["nodes"][self.ports.index(port)]["pid"]
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
        folder = str(Path(f"/proc/{pid}/cwd").readlink())
        os.kill(pid, signal.SIGKILL)
        return [word.decode() for word in words], folder

    def start_again(self, port: int, command: list[str], folder: str) -> None:
        """Start a killed node as it was."""
        self.restarted[port] = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL)

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit status of `shoal up`. No node runs any more then."""
        for child in self.restarted.values():
            child.terminate()
            child.wait(DEADLINE_SECONDS)
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(DEADLINE_SECONDS)

    def end(self) -> None:
        """Leave no process behind."""
        for child in self.restarted.values():
            child.kill()
            child.wait(DEADLINE_SECONDS)
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(DEADLINE_SECONDS)
            self.process.kill()
        self.process.communicate(timeout=DEADLINE_SECONDS)


@contextmanager
def local_cluster(directory: Path, *options: object, port: int | None = None) -> Iterator[LocalCluster]:
    """A cluster that `shoal up` says is ready, ended with the block. The port is that of the first node."""
    first = port or free_ports(6)[0]
    command = [*CLI, "up", "--json", "--port", str(first), "--dir", str(directory)]
    process = subprocess.Popen(
        [*command, *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        cluster = LocalCluster(process, _read_document(process))
    except BaseException:
        process.terminate()
        process.communicate(timeout=DEADLINE_SECONDS)
        raise
    try:
        yield cluster
    finally:
        cluster.end()


def _read_document(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The JSON document that tells the cluster is ready."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line == "}\n":
            found: dict[str, Any] = json.loads(text)
            assert found["ok"], text
            return found
    assert process.stderr is not None
    raise AssertionError(f"shoal up ended with {process.wait()}: {text} {process.stderr.read()}")
