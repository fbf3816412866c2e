"""Several clients of ours and of a real Redis, told the same line by line: each is sent the same bytes.

In a line, `@a` stands for the id of client `a`, and so it does in what clients are sent.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from contextlib import suppress

from shoal.node.resp.writer import encode_command
from tests.differential.executor import RealServer
from tests.unit.server.client import World

Line = tuple[str, list[str]]
"""Which client, and what it says. The client `wait` lets so many milliseconds pass instead, or 5."""

WAIT_MS = 5


def parse(script: str) -> list[Line]:
    words = [line.split() for line in script.strip().splitlines()]
    return [(client, rest) for client, *rest in words]


def with_ids(words: list[str], ids: dict[str, int]) -> list[bytes]:
    """A line's words, with the id of the client for `@` and its name."""
    return [
        b"%d" % ids[word[1:]] if word.startswith("@") and word[1:] in ids else word.encode() for word in words
    ]


def without_ids(data: bytes, ids: dict[str, int]) -> bytes:
    """What was sent, with the clients' names in place of their ids wherever these stand as integers."""
    for name, number in ids.items():
        data = data.replace(b":%d\r\n" % number, b":@%b\r\n" % name.encode())
    return data


class OurClients:
    """Clients of a server without sockets."""

    def __init__(self, names: str) -> None:
        self.world = World(enable_debug_command="yes")
        self.world.server.next_session_id = 1000  # no number that a command answers with
        self.clients = {name: self.world.client() for name in names}
        self.ids = {name: client.session.id for name, client in self.clients.items()}

    def tell(self, name: str, words: list[str]) -> None:
        server = self.world.server
        server.receive(self.clients[name].session, encode_command(with_ids(words, self.ids)))
        if server.tracking.has_news:
            server.tracking.broadcast()

    def wait(self, milliseconds: int) -> None:
        self.world.pass_time(milliseconds)

    def heard(self, name: str) -> bytes:
        """All that a client was sent since the last time."""
        out = self.clients[name].session.out
        data = b"".join(out)
        out.clear()
        return data


class RedisClients:
    """Clients of a real server."""

    def __init__(self, address: str, names: str) -> None:
        self.control = RealServer(address)
        self.control.run("CONFIG", "SET", "notify-keyspace-events", "")
        self.control.run("FLUSHALL")
        self.sockets = {name: socket.socket(socket.AF_UNIX) for name in names}
        for connection in self.sockets.values():
            connection.connect(address)
            connection.setblocking(False)
        self.ids = dict.fromkeys(names, 0)
        for name in names:
            self.tell(name, ["CLIENT", "ID"])
            self.ids[name] = int(self.heard(name)[1:])

    def tell(self, name: str, words: list[str]) -> None:
        """Returns when the server has done it and sent everybody what follows from it.

        It takes clients in the order in which they spoke, so the first PING is answered in the same turn or
        a later one; and it ends one turn's sending before the next.
        """
        self.sockets[name].sendall(encode_command(with_ids(words, self.ids)))
        self.control.run("PING")
        self.control.run("PING")

    def wait(self, milliseconds: int) -> None:
        time.sleep(milliseconds / 1000)

    def heard(self, name: str) -> bytes:
        """All that a client was sent since the last time, up to the answer to what it was told last."""
        data = b""
        with suppress(BlockingIOError):
            while part := self.sockets[name].recv(65536):
                data += part
        return data

    def close(self) -> None:
        self.control.run("CONFIG", "SET", "notify-keyspace-events", "")
        self.control.close()
        for connection in self.sockets.values():
            connection.close()


def check_same(
    address: str,
    lines: list[Line],
    resp: int | Mapping[str, int],
    names: str = "abc",
    *,
    show_ids: bool = False,
) -> None:
    """Tell both servers' clients the same, line by line, and compare what each client is sent after each.

    `resp` is the protocol that all speak, or of each the one it speaks. With `show_ids` integers that are a
    client's id count as that client's name.
    """
    ours, theirs = OurClients(names), RedisClients(address, names)
    both = (ours, theirs)
    try:
        for name in names:
            for clients in both:
                clients.tell(name, ["HELLO", str(resp if isinstance(resp, int) else resp[name])])
                assert clients.heard(name)  # it names the client's id, which differs
        for line in lines:
            who, words = line
            for clients in both:
                if who == "wait":
                    clients.wait(int(words[0]) if words else WAIT_MS)
                else:
                    clients.tell(who, words)
            for name in names:
                mine, real = ours.heard(name), theirs.heard(name)
                if show_ids:
                    mine, real = without_ids(mine, ours.ids), without_ids(real, theirs.ids)
                assert mine == real, (line, name)
    finally:
        theirs.close()
