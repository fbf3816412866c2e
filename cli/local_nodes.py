"""The server processes of one local cluster, as children of this process."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from shoal.cli.addresses import BUS_PORT_OFFSET, MAX_PORT, Address
from shoal.cli.errors import CliError
from shoal.cli.local_state import (
    CONFIG_FILE,
    LOG_FILE,
    OUTPUT_FILE,
    LocalCluster,
    ProcessIdentity,
    log_tail,
    node_directory,
    start_of,
)
from shoal.cli.tasks import POLL_SECONDS, until

STOP_TIMEOUT = 15.0


@dataclass(frozen=True, slots=True)
class ServerCommand:
    """How to start a node: the program, and directives added to each node's own."""

    program: Sequence[str]
    node_timeout_ms: int
    directives: Sequence[str]


class LocalNodes:
    """Starts, watches and stops one process per node."""

    def __init__(self, cluster: LocalCluster, directory: Path, command: ServerCommand) -> None:
        self._cluster = cluster
        self._directory = directory
        self._command = command
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def start(self) -> list[ProcessIdentity]:
        """Raises CliError if the program cannot be run at all."""
        for port in self._cluster.ports:
            try:
                self._children[port] = self._start_one(port)
            except OSError as problem:
                raise CliError(
                    f"cannot run {self._command.program[0]} ({problem.strerror}); "
                    "name the server with --server or SHOAL_SERVER"
                ) from problem
        return [ProcessIdentity(child.pid, start_of(child.pid) or "") for child in self._children.values()]

    def _start_one(self, port: int) -> subprocess.Popen[bytes]:
        home = node_directory(self._directory, port)
        home.mkdir(parents=True, exist_ok=True)
        settings = {
            "port": str(port),
            "bind": self._cluster.host,
            "dir": str(home),
            "logfile": str(home / LOG_FILE),
            "cluster-enabled": "yes",
            "cluster-config-file": CONFIG_FILE,
            "cluster-node-timeout": str(self._command.node_timeout_ms),
            # A replica may attach at once: nobody else is coming with whom it could share the transfer.
            "repl-diskless-sync-delay": "0",
        }
        directives = [word for name, value in settings.items() for word in (f"--{name}", value)]
        with (home / OUTPUT_FILE).open("wb") as output:
            # In a session of its own: Ctrl-C then reaches only this process, which stops the nodes in order.
            return subprocess.Popen(
                [*self._command.program, *directives, *self._command.directives],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=home,
                start_new_session=True,
            )

    def ended(self) -> dict[int, int]:
        """The exit status of every node that has ended, by port; a negative one is a signal."""
        polled = {port: child.poll() for port, child in self._children.items()}
        return {port: status for port, status in polled.items() if status is not None}

    async def fail_when_one_ends(self) -> None:
        """Raises CliError with the end of the log of the first node that ends."""
        await until(lambda: bool(self.ended()))
        port, status = next(iter(self.ended().items()))
        tail = log_tail(self._directory, port)
        below = "the end of its log is below" if tail else "it wrote no log"
        raise CliError(f"node {port} ended during start-up with status {status}; {below}", tail)

    async def until_all_ended(self, report: Callable[[int, int], None]) -> None:
        """Returns when no node is left; reports the port and the exit status of each as it ends."""
        told: set[int] = set()
        while len(told) < len(self._children):
            for port, status in self.ended().items():
                if port not in told:
                    told.add(port)
                    report(port, status)
            await trio.sleep(POLL_SECONDS)

    async def stop(self) -> None:
        """SIGTERM to all, so that they save what they must; SIGKILL to what is left after a bounded time."""
        for child in self._children.values():
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        with trio.CancelScope(shield=True), trio.move_on_after(STOP_TIMEOUT):
            await until(lambda: len(self.ended()) == len(self._children))
        for child in self._children.values():
            if child.poll() is None:
                child.kill()
                child.wait()


def require_free_ports(addresses: Sequence[Address]) -> None:
    """Raises CliError for a port that cannot be had, before anything is started."""
    for address in addresses:
        if address.port + BUS_PORT_OFFSET > MAX_PORT:
            raise CliError(
                f"port {address.port} is too high: its bus port would be {address.port + BUS_PORT_OFFSET}; "
                f"choose a --port below {MAX_PORT - BUS_PORT_OFFSET}"
            )
        for port, use in ((address.port, "port"), (address.port + BUS_PORT_OFFSET, "bus port")):
            _require_free(address.host, port, use)


def _require_free(host: str, port: int, use: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier run that are still fading away do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            raise CliError(
                f"{use} {port} on {host} cannot be used ({problem.strerror}); stop what uses it, or choose "
                "another --port"
            ) from problem
