"""A replica's end of its link to a server that runs in the test, and what came over it."""

from __future__ import annotations

from shoal.node.replication.replica import (
    Introduction,
    LinkEvent,
    ReplicaLink,
    SnapshotEnds,
    SnapshotPart,
    StreamPart,
)
from shoal.node.resp.writer import encode_command
from shoal.node.server.server import Server


class ReplicaEnd:
    """It asks for all data, takes bytes when told to, and knows what they mean."""

    def __init__(self, server: Server, port: int = 7000, *introduction: bytes) -> None:
        """What it says of itself, beside what our own replicas say, are options of REPLCONF."""
        self.server = server
        self.session = server.connect(f"127.0.0.1:{port}", "127.0.0.1:6379")
        self.link = ReplicaLink(Introduction(port, "?", -1))
        self.raw = b""
        self.events: list[LinkEvent] = []
        if introduction:
            server.receive(self.session, encode_command((b"REPLCONF", *introduction)))
            self.session.out.clear()
        server.receive(self.session, self.link.open())
        self.take()
        server.receive(self.session, encode_command((b"PSYNC", b"?", b"-1")))

    def take(self) -> None:
        data = b"".join(self.session.out)
        self.session.out.clear()
        self.session.out_bytes = 0
        self.raw += data
        self.events += self.link.feed(data)

    def parts(self, kind: type[SnapshotPart | StreamPart]) -> bytes:
        return b"".join(event.data for event in self.events if isinstance(event, kind))

    @property
    def snapshot(self) -> bytes:
        return self.parts(SnapshotPart)

    @property
    def stream(self) -> bytes:
        return self.parts(StreamPart)

    @property
    def has_all(self) -> bool:
        return any(isinstance(event, SnapshotEnds) for event in self.events)

    @property
    def is_gone(self) -> bool:
        return self.session.id not in self.server.sessions

    def acknowledge(self) -> None:
        self.server.receive(self.session, encode_command((b"REPLCONF", b"ACK", b"1")))

    def leave(self) -> None:
        self.server.disconnect(self.session)
