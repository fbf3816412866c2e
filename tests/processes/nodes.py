"""Real `shoal-server` processes on loopback: started on free ports, waited for, ended by pid.

with running_node(directory) as node:
    assert node.ask("PING") == "PONG"

with running_cluster(directory, primaries=3, replicas=1) as nodes:
    ...
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import hiredis

from shoal.cluster.slots import SLOT_COUNT
from shoal.node.resp.writer import encode_command
from tests.ports import HOST, free_port

DEADLINE_SECONDS = 30.0
SHOAL = (sys.executable, "-m", "shoal.node.runtime.main")


def wait_until(condition: Callable[[], object], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Poll until `condition` holds; a refused or broken connection counts as not yet.

    Raises AssertionError naming what never happened.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if condition():
                return
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


def ask(port: int, *words: str | int | bytes) -> Any:
    """One command on a connection of its own: the reply, texts decoded (bytes that are none, escaped).

    Raises hiredis.ReplyError when the reply is an error.
    """
    reader = hiredis.Reader(encoding="utf-8", errors="surrogateescape")
    with socket.create_connection((HOST, port), timeout=DEADLINE_SECONDS) as connection:
        connection.sendall(encode_command([w if isinstance(w, bytes) else str(w).encode() for w in words]))
        while (reply := reader.gets()) is False:
            data = connection.recv(65536)
            if not data:
                raise ConnectionResetError(
                    f"port {port} closed the connection instead of answering {words[0]!r}"
                )
            reader.feed(data)
    if isinstance(reply, hiredis.ReplyError):
        raise reply
    return reply


@dataclass
class Node:
    """One server process. Its directory, with the log, outlives it."""

    directory: Path
    port: int = field(default_factory=free_port)
    directives: tuple[str, ...] = ()
    command: tuple[str, ...] = SHOAL
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None, f"node {self.port} does not run"
        return self.process.pid

    @property
    def log(self) -> str:
        """All that the process wrote, to its standard output and error."""
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def log_tail(self) -> str:
        return "\n".join(self.log.splitlines()[-40:])

    def start(self) -> None:
        """Begin the process and return once it answers."""
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Begin the process without waiting for it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        fixed = ("--port", str(self.port), "--bind", HOST, "--dir", str(self.directory), "--save", "")
        fixed += ("--repl-diskless-sync-delay", "0")
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, *fixed, *self.directives],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_ready(self) -> None:
        """Return once the node answers PING, be it by asking for a password.

        Raises AssertionError with the end of its log if it does not.
        """
        try:
            wait_until(self._answers, f"node {self.port} answers")
        except AssertionError as error:
            raise AssertionError(f"{error}; its log ends:\n{self.log_tail}") from None

    def _answers(self) -> bool:
        assert self.process is not None
        status = self.process.poll()
        assert status is None, f"node {self.port} ended with status {status}"
        try:
            return bool(self.ask("PING") == "PONG")
        except hiredis.ReplyError as error:
            return str(error).startswith("NOAUTH")

    def ask(self, *words: str | int | bytes) -> Any:
        """One command; raises hiredis.ReplyError for an error."""
        return ask(self.port, *words)

    def info(self, section: str = "default") -> dict[str, str]:
        """The fields of INFO."""
        return _fields(self.ask("INFO", section))

    def calls(self, command: str) -> int:
        """How often a command has run, as INFO commandstats tells."""
        counted = self.info("commandstats").get(f"cmdstat_{command}", "calls=0")
        return int(counted.split(",")[0].removeprefix("calls="))

    def cluster_info(self) -> dict[str, str]:
        return _fields(self.ask("CLUSTER", "INFO"))

    def stop(self) -> int:
        """Ask the process to end (SIGTERM); returns its exit status. Kills it if it does not."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"node {self.port} ignored SIGTERM; its log ends:\n{self.log_tail}"
            ) from None
        finally:
            self.process = None

    def kill(self) -> None:
        """End the process at once, as a crash would; nothing happens if it does not run."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(DEADLINE_SECONDS)
            self.process = None


def _fields(text: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


@contextlib.contextmanager
def running_node(directory: Path, *directives: str, command: tuple[str, ...] = SHOAL) -> Iterator[Node]:
    """One node that answers; killed on the way out."""
    with running_nodes(directory, 1, *directives, command=command) as nodes:
        yield nodes[0]


@contextlib.contextmanager
def running_nodes(
    directory: Path, count: int, *directives: str, command: tuple[str, ...] = SHOAL
) -> Iterator[list[Node]]:
    """Nodes that answer, each in its own folder below `directory`; killed on the way out."""
    with ExitStack() as stack:
        nodes = []
        for number in range(count):
            node = Node(directory / str(number), directives=directives, command=command)
            node.launch()
            stack.callback(node.kill)
            nodes.append(node)
        for node in nodes:
            node.wait_ready()
        yield nodes


@contextlib.contextmanager
def running_cluster(
    directory: Path, primaries: int = 3, replicas: int = 0, *directives: str, command: tuple[str, ...] = SHOAL
) -> Iterator[list[Node]]:
    """A cluster that is ok everywhere: the primaries first, then so many replicas of each, in turn."""
    fixed = ("--cluster-enabled", "yes", "--cluster-node-timeout", "5000")
    options = (*fixed, *directives)
    with running_nodes(directory, primaries * (1 + replicas), *options, command=command) as nodes:
        form_cluster(nodes, primaries)
        yield nodes


def form_cluster(nodes: list[Node], primaries: int) -> None:
    """Join empty nodes: the first `primaries` share the slots evenly, the others follow them in turn."""
    for index, node in enumerate(nodes[:primaries]):
        first, last = SLOT_COUNT * index // primaries, SLOT_COUNT * (index + 1) // primaries - 1
        node.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
        node.ask("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
    for node in nodes[1:]:
        node.ask("CLUSTER", "MEET", HOST, nodes[0].port)
    _wait_for_all(nodes, "cluster_known_nodes", str(len(nodes)))
    for index, node in enumerate(nodes[primaries:]):
        node.ask("CLUSTER", "REPLICATE", nodes[index % primaries].ask("CLUSTER", "MYID"))
    _wait_for_all(nodes, "cluster_state", "ok")
    _wait_for_replicas(nodes, primaries)


def _wait_for_replicas(nodes: list[Node], primaries: int) -> None:
    """Return once every replica is in sync and every node tells clients of all of them.

    CLUSTER SLOTS leaves out a replica whose offset, as its pings tell it, is still zero; so something is
    written first.
    """
    for node in nodes[primaries:]:
        wait_until(partial(_follows, node), f"the replica {node.port} is in sync")
    if len(nodes) > primaries:
        for node in nodes[:primaries]:
            node.ask("FLUSHALL")
    for node in nodes:
        wait_until(partial(tells_of, node, len(nodes)), f"node {node.port} tells clients of every node")


def _wait_for_all(nodes: list[Node], field_name: str, value: str) -> None:
    for node in nodes:
        wait_until(partial(_sees, node, field_name, value), f"node {node.port} sees {field_name}:{value}")


def _sees(node: Node, field_name: str, value: str) -> bool:
    return node.cluster_info()[field_name] == value


def _follows(node: Node) -> bool:
    return node.info("replication").get("master_link_status") == "up"


def tells_of(node: Node, count: int) -> bool:
    """Whether CLUSTER SLOTS of this node names so many nodes."""
    told = {port for _, _, *servers in node.ask("CLUSTER", "SLOTS") for _, port, *_ in servers}
    return len(told) == count
