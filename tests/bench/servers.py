"""The servers that are compared, each started alone on a free port and ended with its block."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.peers import REDIS7_SERVER
from tests.ports import free_port

SHOAL = (sys.executable, "-m", "shoal.node.runtime.main")
REDIS = (str(REDIS7_SERVER),)
READY_WITHIN_SECONDS = 20


@contextmanager
def started(command: tuple[str, ...], *options: str) -> Iterator[tuple[int, int]]:
    """Run a server with these options; gives (port, pid)."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--dir", folder, "--save", "", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until_ready(port, process)
            yield port, process.pid
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                if connection.recv(16).startswith(b"+PONG"):
                    return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"the server on port {port} did not become ready")
