"""Real server processes for the commands to work on, ended by pid when a test is done."""

from __future__ import annotations

import contextlib
import io
import json
import os
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

import pytest
import redis
from hypothesis import settings

from shoal.cli.main import main
from tests.peers import REDIS7_SERVER
from tests.ports import HOST, free_ports

# How long an example takes says more about what else the machine is doing than about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

DEADLINE_SECONDS = 30.0
SHOAL_SERVER = Path(sys.executable).with_name("shoal-server")
SERVERS = [pytest.param(REDIS7_SERVER, id="redis7"), pytest.param(SHOAL_SERVER, id="shoal")]


@dataclass(frozen=True)
class Outcome:
    """What a run of `shoal` left behind."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def document(self) -> dict[str, Any]:
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


def shoal(*arguments: object, input: str = "") -> Outcome:
    """Run the command line within this process, which spares starting another."""
    out, err, stdin = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(input)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(list(map(str, arguments)))
    finally:
        sys.stdin = stdin
    return Outcome(status, out.getvalue(), err.getvalue())


def shoal_process(*arguments: object, input: str = "", env: dict[str, str] | None = None) -> Outcome:
    """Run the command line as a user would."""
    done = subprocess.run(
        shoal_command(*arguments),
        input=input,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS * 2,
        env={**os.environ, **(env or {})},
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def shoal_command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "shoal.cli.main", *map(str, arguments)]


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Poll until true; fail after a bounded time."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {DEADLINE_SECONDS} s: {what}")
        time.sleep(0.02)


@dataclass
class Nodes:
    """Server processes in cluster mode, unrelated until a command joins them."""

    program: Path
    root: Path
    stack: ExitStack
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, count: int, *directives: str) -> list[str]:
        """Addresses of `count` fresh nodes that answer already."""
        return self._start(count, lambda port: self.root / str(port), directives)

    def start_from_files(self, count: int) -> list[str]:
        """As `start`, each node with a configuration file, `node.conf`, which it can rewrite."""
        return self._start(count, lambda port: self.root / str(port), (), with_files=True)

    def move(self) -> list[str]:
        """End every node and start it again, with all it knows, at another address."""
        homes = [self.root / str(port) for port in self.processes]
        for port in self.processes:
            self.kill(port)
        remaining = iter(homes)
        return self._start(len(homes), lambda _: next(remaining), ())

    def _start(
        self,
        count: int,
        home: Callable[[int], Path],
        directives: tuple[str, ...],
        *,
        with_files: bool = False,
    ) -> list[str]:
        ports = free_ports(count)
        for port in ports:
            self._start_one(port, home(port), directives, with_file=with_files)
        for port in ports:
            eventually(partial(self._answers, port), f"node {port} answers")
        return [f"{HOST}:{port}" for port in ports]

    def _start_one(self, port: int, home: Path, directives: tuple[str, ...], *, with_file: bool) -> None:
        home.mkdir(exist_ok=True)
        file = [str(home / "node.conf")] if with_file else []
        for path in file:
            Path(path).touch()
        process = subprocess.Popen(
            [
                str(self.program), *file, "--port", str(port), "--bind", HOST, "--dir", str(home),
                "--cluster-enabled", "yes", "--cluster-node-timeout", "5000", "--save", "",
                "--repl-diskless-sync-delay", "0", "--logfile", str(home / "log"), *directives,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.processes[port] = process
        self.stack.callback(self.kill, port)

    def _answers(self, port: int) -> bool:
        status = self.processes[port].poll()
        assert status is None, f"node {port} ended with status {status}"
        return _answers(port)

    def kill(self, port: int) -> None:
        self.processes[port].kill()
        self.processes[port].wait(DEADLINE_SECONDS)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=5) as probe:
            probe.sendall(b"PING\r\n")
            return probe.recv(100).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False


@pytest.fixture(scope="module", params=SERVERS)
def server_program(request: pytest.FixtureRequest) -> Path:
    program: Path = request.param
    if not program.exists():
        pytest.skip(f"{program} is not installed")
    return program


@pytest.fixture
def nodes(server_program: Path, tmp_path: Path) -> Iterator[Nodes]:
    with ExitStack() as stack:
        yield Nodes(server_program, tmp_path, stack)


@pytest.fixture
def cluster(nodes: Nodes) -> list[str]:
    """Three primaries without replicas."""
    addresses = nodes.start(3)
    made = shoal("create", *addresses, "--yes")
    assert made.status == 0, made
    return addresses


def client(address: str, **options: Any) -> redis.Redis:
    host, _, port = address.rpartition(":")
    # No driver information: finding it out anew takes each client longer than all the rest of a command.
    return redis.Redis(host, int(port), decode_responses=True, socket_timeout=10, driver_info=None, **options)


def ask(address: str, *command: object) -> Any:
    """One command to one node, no redirection followed."""
    with client(address) as connection:
        return connection.execute_command(*command)


def node_id(address: str) -> str:
    return str(ask(address, "CLUSTER MYID"))
