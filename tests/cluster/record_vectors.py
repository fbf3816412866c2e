"""Record what real servers say on the bus, and the nodes.conf they write.

Run as `python -m tests.cluster.record_vectors [name...]`; needs a C compiler, for `telling_module.c`.

Four nodes of one version (three primaries, a replica; one with a hostname, one with a human-readable name)
live through joining, PUBLISH, a module's message, a manual failover, a crash with an election, a return and a
FORGET. Each announces the port of a relay as its bus port, so every packet passes here. One packet of each
shape (type, extensions, role of the sender, flags) is kept in `vectors/<name>.bin`, end to end as on a link,
and a nodes.conf with open slots in `vectors/<name>.conf`. The recordings are committed: no test needs this
script.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from shoal.cluster.messages import MessageFlag, Ping, Unknown
from shoal.cluster.slots import key_slot
from shoal.cluster.wire import MalformedPacket, PacketReader, decode
from tests.cluster.real_cluster import form_cluster, is_ok, is_synced, real_nodes, wait_until
from tests.peers import REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER
from tests.ports import free_ports

HERE = Path(__file__).parent
VECTORS = HERE / "vectors"
PEERS = {"redis-7.0": REDIS7_SERVER, "redis-8.0": REDIS8_SERVER, "valkey-8.1": VALKEY8_SERVER}
MOST_PINGS = 10
KNOWS_EXTENSIONS = ("redis-8.0", "valkey-8.1")


class Recording:
    """One packet of each shape, in the order they were first seen."""

    def __init__(self) -> None:
        self.packets: dict[tuple[object, ...], bytes] = {}
        self._lock = threading.Lock()

    def has(self, kind: str) -> bool:
        return any(shape[0] == kind for shape in self.packets)

    def add(self, packet: bytes) -> None:
        with self._lock:
            shape = shape_of(packet)
            ordinary = sum(shape[0] == "ordinary Ping" for shape in self.packets)
            if shape[0] != "ordinary Ping" or ordinary < MOST_PINGS:
                self.packets.setdefault(shape, packet)


def shape_of(packet: bytes) -> tuple[object, ...]:
    try:
        message = decode(packet)
    except MalformedPacket as problem:
        return ("malformed", str(problem))
    if isinstance(message, Unknown):
        return ("Unknown", message.type)
    header = message.header
    if header is None:
        return (type(message).__name__, "light", getattr(message, "sharded", None))
    if isinstance(message, Ping):
        return shape_of_ping(message)
    return (type(message).__name__, getattr(message, "sharded", None), header.message_flags)


def shape_of_ping(message: Ping) -> tuple[object, ...]:
    header, extensions = message.header, message.extensions
    if extensions.forgotten:
        return ("forgetting Ping",)
    if header.message_flags & MessageFlag.PAUSED:
        return ("paused Ping",)
    if header.ip:
        return ("Ping with an address",)
    return (
        "ordinary Ping",
        message.kind,
        header.replica_of is not None,
        bool(message.gossip),
        header.message_flags,
        extensions.hostname is not None,
        extensions.human_name is not None,
        extensions.shard_id is not None,
    )


class Relay:
    """Passes bus connections on to the real port and hands every packet to the recording."""

    def __init__(self, port: int, target: int, recording: Recording) -> None:
        self.target = target
        self.recording = recording
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                incoming, _ = self.listener.accept()
            except OSError:
                return
            try:
                outgoing = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                incoming.close()
                continue
            for source, sink in ((incoming, outgoing), (outgoing, incoming)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        reader = PacketReader()
        try:
            while data := source.recv(65536):
                for packet in reader.feed(data):
                    self.recording.add(packet)
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                end.close()


def record(name: str, directory: Path) -> bool:
    """Record one version. False if the returning node heard the news before it could be sent an UPDATE."""
    recording = Recording()
    ports, relays = list(free_ports(4)), list(free_ports(4))
    for port, relay in zip(ports, relays, strict=True):
        Relay(relay, port + 10000, recording)
    module = directory / "module.so"
    compiler = ["cc", "-shared", "-fPIC", "-o", module, HERE / "telling_module.c"]
    subprocess.run(compiler, check=True)
    options: list[tuple[str, ...]] = [
        ("--cluster-announce-bus-port", str(relay), "--loadmodule", str(module)) for relay in relays
    ]
    options[0] += ("--cluster-announce-hostname", "first.shoal.example")
    if name in KNOWS_EXTENSIONS:
        options[1] += ("--cluster-announce-human-nodename", "second-node")
    if name == "valkey-8.1":
        options[1] += ("--cluster-announce-client-ipv4", "127.0.0.1", "--cluster-announce-client-ipv6", "::1")
    options[2] += ("--cluster-announce-ip", "127.0.0.1")
    with real_nodes(PEERS[name], directory, options, ports) as nodes:
        first, second, third, replica = nodes
        form_cluster(nodes, bus_ports=relays)
        for node in nodes:
            node.run("PUBLISH", "news", "hello from " + name)
            node.run("telltales.tell")
        first.run(
            "SPUBLISH", next(c for c in map(str, range(100)) if key_slot(c.encode()) < 5461), "to the shard"
        )
        replica.run("CLUSTER", "FAILOVER")
        wait_until(lambda: is_synced(first), "the first primary follows its former replica")
        replica.kill()
        wait_until(
            lambda: "role:master" in first.text("INFO", "replication") and is_ok(first), "the election is won"
        )
        replica.start()
        wait_until(lambda: is_synced(replica), "the returned node follows")
        second.run("CLUSTER", "SETSLOT", 6000, "MIGRATING", third.id)
        second.run("CLUSTER", "SETSLOT", 1, "IMPORTING", first.id)
        second.run("CLUSTER", "SAVECONFIG")
        (VECTORS / f"{name}.conf").write_bytes(second.config_file.read_bytes())
        forgotten = replica.id
        second.run("CLUSTER", "FORGET", forgotten)
        wait_until(lambda: forgotten not in second.text("CLUSTER", "NODES"), "the node is forgotten")
        if name in KNOWS_EXTENSIONS:
            wait_until(lambda: recording.has("forgetting Ping"), "FORGET is gossiped")
    (VECTORS / f"{name}.bin").write_bytes(b"".join(recording.packets.values()))
    for shape in recording.packets:
        sys.stdout.write(f"{name} {shape}\n")
    return recording.has("Update")


def main() -> None:
    VECTORS.mkdir(exist_ok=True)
    for name in sys.argv[1:] or PEERS:
        complete = False
        while not complete:
            with tempfile.TemporaryDirectory() as directory:
                complete = record(name, Path(directory))


if __name__ == "__main__":
    main()
