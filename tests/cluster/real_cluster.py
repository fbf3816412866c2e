"""A few real Redis or Valkey servers in cluster mode, on loopback, for tests and for the recorder."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis

from tests.ports import free_port

DEADLINE_S = 30.0


def wait_until(condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Poll until `condition` holds. Raises AssertionError naming what never happened."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        with contextlib.suppress(redis.RedisError):
            if condition():
                return
        time.sleep(0.05)
    raise AssertionError(f"not within {deadline_s} s: {what}")


@dataclass
class RealNode:
    """One server process and its directory, which outlives it."""

    program: Path
    directory: Path
    port: int
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    client: redis.Redis = field(init=False)

    def __post_init__(self) -> None:
        self.client = redis.Redis("127.0.0.1", self.port, socket_timeout=10, protocol=2)

    @property
    def config_file(self) -> Path:
        return self.directory / "nodes.conf"

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        fixed = f"--port {self.port} --cluster-enabled yes --cluster-node-timeout 1500 --appendonly no"
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.program), *fixed.split(), "--save", "", "--bind", "127.0.0.1", *self.options],
                cwd=self.directory,
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers, f"the server on port {self.port} answers")

    def _answers(self) -> object:
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "log").read_text()
        return self.client.ping()

    def run(self, *words: str | int) -> object:
        """The reply to a command, as plain bytes, integers and lists."""
        connection = self.client.connection_pool.get_connection()
        try:
            connection.send_command(*words)  # type: ignore[no-untyped-call]
            reply: object = connection.read_response()
        finally:
            self.client.connection_pool.release(connection)
        return reply

    def text(self, *words: str | int) -> str:
        reply = self.run(*words)
        assert isinstance(reply, bytes)
        return reply.decode()

    @property
    def id(self) -> str:
        return self.text("CLUSTER", "MYID")

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self.client.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None


@contextlib.contextmanager
def real_nodes(
    program: Path, directory: Path, options: list[tuple[str, ...]], ports: list[int] | None = None
) -> Iterator[list[RealNode]]:
    """Start one server per entry of `options`; all are ended on the way out."""
    ports = ports or [free_port() for _ in options]
    nodes = [
        RealNode(program, directory / str(index), port, extra)
        for index, (port, extra) in enumerate(zip(ports, options, strict=True))
    ]
    try:
        for node in nodes:
            node.start()
        yield nodes
    finally:
        for node in nodes:
            node.kill()


def form_cluster(nodes: list[RealNode], primaries: int = 3, bus_ports: list[int] | None = None) -> None:
    """Join the nodes: the first `primaries` share the slots, the others follow the first one."""
    for index, node in enumerate(nodes[:primaries]):
        first, last = 16384 * index // primaries, 16384 * (index + 1) // primaries - 1
        node.run("CLUSTER", "ADDSLOTSRANGE", first, last)
        node.run("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
    for index, node in enumerate(nodes[1:], 1):
        bus_port = bus_ports[index] if bus_ports else node.port + 10000
        nodes[0].run("CLUSTER", "MEET", "127.0.0.1", node.port, bus_port)
    wait_until(
        lambda: all(f"cluster_known_nodes:{len(nodes)}" in n.text("CLUSTER", "INFO") for n in nodes),
        "all nodes know each other",
    )
    for node in nodes[primaries:]:
        node.run("CLUSTER", "REPLICATE", nodes[0].id)
    wait_until(lambda: all(map(is_ok, nodes)), "every node sees the cluster ok")
    wait_until(lambda: all(map(is_synced, nodes[primaries:])), "the replicas are in sync")


def is_ok(node: RealNode) -> bool:
    return "cluster_state:ok" in node.text("CLUSTER", "INFO")


def is_synced(node: RealNode) -> bool:
    return "master_link_status:up" in node.text("INFO", "replication")
