"""A real redis-server that is told exactly these bytes."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from tests.peers import REDIS7_SERVER

_PREFIX = b"-ERR Protocol error: "


class RedisServer:
    """One server on a unix socket in a folder of the test's."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.path = str(folder / "socket")
        self.command = [str(REDIS7_SERVER), "--port", "0", "--unixsocket", self.path, "--save", "", *options]
        self.folder = folder

    def __enter__(self) -> RedisServer:
        self.process = subprocess.Popen(
            [*self.command, "--dir", str(self.folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + 10
        while not Path(self.path).exists():
            assert time.monotonic() < end, "redis-server does not come up"
            time.sleep(0.02)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()

    def protocol_error(self, stream: bytes) -> str | None:
        """The text it closes the connection with after these bytes, or None if it waits for more.

        That it waits is known when another client, which asked later, has been answered twice:
        a turn of the server lies between, in which it has read all there was.
        """
        with socket.socket(socket.AF_UNIX) as client, socket.socket(socket.AF_UNIX) as other:
            client.settimeout(10)
            client.connect(self.path)
            client.sendall(stream)
            other.connect(self.path)
            for _ in range(8):
                other.sendall(b"PING\r\n")
                assert other.recv(100)
            client.setblocking(False)
            answer = b""
            try:
                while part := client.recv(65536):
                    answer += part
            except BlockingIOError:
                return None
        line = answer.rstrip(b"\r\n").rpartition(b"\r\n")[2]
        assert line.startswith(_PREFIX), answer
        return line.removeprefix(_PREFIX).decode("latin-1")
