"""What `shoal up` records in its directory, so that a later command finds the cluster and can stop it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from shoal.cli.addresses import Address
from shoal.cli.errors import CliError

STATE_FILE = "cluster.json"
LOG_FILE = "node.log"
OUTPUT_FILE = "output.log"
CONFIG_FILE = "nodes.conf"


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process as it is told from a later one with the same pid: when it started, in the system's words."""

    pid: int
    started: str

    def is_alive(self) -> bool:
        return start_of(self.pid) == self.started

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process is gone or its pid belongs to somebody else by now."""
        if self.is_alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """The shape of a local cluster. `formed` is set once its nodes have joined for the first time."""

    host: str
    ports: tuple[int, ...]
    primaries: int
    replicas: int
    formed: bool = False
    processes: tuple[ProcessIdentity, ...] = field(default=())

    @property
    def addresses(self) -> list[Address]:
        return [Address(self.host, port) for port in self.ports]

    @property
    def alive(self) -> list[ProcessIdentity]:
        return [process for process in self.processes if process.is_alive()]

    def same_shape(self, other: LocalCluster) -> bool:
        return (self.host, self.ports, self.primaries, self.replicas) == (
            other.host, other.ports, other.primaries, other.replicas
        )  # fmt: skip

    def started_as(self, processes: Sequence[ProcessIdentity]) -> LocalCluster:
        return replace(self, processes=tuple(processes))


def default_directory(port: int) -> Path:
    """`$XDG_STATE_HOME/shoal/<port>`, or the same under ~/.local/state."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "shoal" / str(port)


def load_state(directory: Path) -> LocalCluster | None:
    """The recorded cluster, or None if there is none. Raises CliError if the record cannot be read."""
    path = directory / STATE_FILE
    try:
        fields = json.loads(path.read_text())
        processes = tuple(ProcessIdentity(int(p["pid"]), str(p["started"])) for p in fields["processes"])
        return LocalCluster(
            host=str(fields["host"]),
            ports=tuple(int(port) for port in fields["ports"]),
            primaries=int(fields["primaries"]),
            replicas=int(fields["replicas"]),
            formed=bool(fields["formed"]),
            processes=processes,
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise CliError(f"cannot read {path} ({problem!r}); move it away or use another --dir") from problem


def save_state(directory: Path, cluster: LocalCluster) -> None:
    """Write the record in one step, so that a reader never sees half of it."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / STATE_FILE
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(asdict(cluster), indent=2) + "\n")
    draft.replace(path)


def start_of(pid: int) -> str | None:
    """When a process started, or None if there is none (one that ended but was not reaped counts as gone)."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _start_by_ps(pid)
    except OSError:
        return None
    # The program's name, in parentheses, may itself hold spaces and parentheses.
    fields = status.rpartition(")")[2].split()
    state, ticks = fields[0], fields[19]
    if state in "ZX":
        return None
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}:{ticks}"


def _start_by_ps(pid: int) -> str | None:
    """The same where there is no /proc."""
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split(maxsplit=1)
    return answer[1].strip() if len(answer) == 2 and not answer[0].startswith("Z") else None


def node_directory(directory: Path, port: int) -> Path:
    return directory / str(port)


def log_tail(directory: Path, port: int, lines: int = 15) -> list[str]:
    """The last lines a node wrote, to its log or, when it ended before it had one, to its output."""
    tail: list[str] = []
    for name in (OUTPUT_FILE, LOG_FILE):
        path = node_directory(directory, port) / name
        if path.exists():
            tail += path.read_text(errors="replace").splitlines()[-lines:]
    return tail[-lines:]
