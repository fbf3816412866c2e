"""Whoever talks nonsense to the bus port, or nothing at all, is hung up on; the node stays as it was."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from struct import pack, pack_into, unpack_from

import pytest

from shoal.cluster.messages import MessageType
from shoal.cluster.wire import HEADER_BYTES, MAX_PACKET_BYTES, PacketReader
from tests.ports import BUS_OFFSET
from tests.processes.nodes import HOST, Node, form_cluster, running_node, wait_until
from tests.processes.test_hostile_clients import MIB, read_to_end, resident_bytes

pytestmark = pytest.mark.processes

RECORDED = sorted((Path(__file__).parent.parent / "cluster" / "vectors").glob("*.bin"))
TYPE_AT = 12
MANY_LINKS = 500


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    folder = tmp_path_factory.mktemp("node")
    with running_node(folder, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000") as running:
        form_cluster([running], primaries=1)
        wait_until(lambda: running.cluster_info()["cluster_state"] == "ok", "the node is ok")
        yield running


@pytest.fixture(autouse=True)
def _unharmed(node: Node) -> Iterator[None]:
    before, known = resident_bytes(node), node.ask("CLUSTER", "MYID")
    yield
    assert node.cluster_info()["cluster_state"] == "ok"
    assert node.ask("CLUSTER", "MYID") == known
    assert node.ask("SET", "k", "v") == "OK"
    assert "Traceback" not in node.log
    wait_until(lambda: node.cluster_info()["cluster_known_nodes"] == "1", "nobody was made a member")
    assert resident_bytes(node) - before < 32 * MIB


@contextmanager
def linked(node: Node) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, node.port + BUS_OFFSET), timeout=30) as link:
        yield link


def say(link: socket.socket, data: bytes) -> None:
    """Send all of it, unless the node hangs up before."""
    try:
        link.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        return


@pytest.mark.parametrize(
    "packet",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        pack(">4sIHHHH", b"RCmb", 15, 1, 0, 0, 0),
        pack(">4sIHHHH", b"RCmb", HEADER_BYTES - 1, 1, 0, 0, 0),
        pack(">4sIHHHH", b"RCmb", MAX_PACKET_BYTES + 1, 1, 0, 0, 0),
        pack(">4sIHHHH", b"RCmb", 0xFFFFFFFF, 1, 0, 0, 0),
        pack(">4sIHHHH", b"RCmb", 15, 1, 0, 0x8000, 0),
    ],
    ids=repr,
)
def test_bytes_that_are_no_packet_end_the_link(node, packet):
    with linked(node) as link:
        say(link, packet + bytes(64))
        assert read_to_end(link) == b""


def test_noise_ends_the_link_or_is_dropped(node):
    rng = Random(7)
    for number in range(100):
        with linked(node) as link:
            say(link, (b"RCmb" if number % 2 else b"") + rng.randbytes(rng.randrange(1, 5000)))
            link.shutdown(socket.SHUT_WR)
            read_to_end(link)


@pytest.mark.parametrize("recording", RECORDED, ids=lambda path: path.stem)
def test_recorded_packets_with_bytes_changed_are_dropped_or_understood(node, recording):
    """Every packet a real node sent, each a few times with a few bytes of it replaced by others."""
    rng = Random(recording.stem)
    with linked(node) as link:
        for packet in PacketReader().feed(recording.read_bytes()):
            for _ in range(10):
                changed = bytearray(packet)
                for _ in range(rng.randrange(1, 6)):
                    changed[rng.randrange(8, len(changed))] = rng.randrange(256)
                if unpack_from(">H", changed, TYPE_AT)[0] == MessageType.MEET:
                    pack_into(">H", changed, TYPE_AT, MessageType.PING)  # nobody is to be sought out
                say(link, bytes(changed))
        link.shutdown(socket.SHUT_WR)
        read_to_end(link)


def test_a_packet_cut_short_is_forgotten_with_its_link(node):
    packet = next(PacketReader().feed(RECORDED[0].read_bytes()))
    for size in (1, 3, 4, 8, 15, 16, 100, HEADER_BYTES, len(packet) - 1):
        with linked(node) as link:
            say(link, packet[:size])


def test_a_packet_announced_as_long_costs_only_what_has_come_of_it(node):
    with ExitStack() as stack:
        for _ in range(50):
            link = stack.enter_context(linked(node))
            say(link, pack(">4sIHHHH", b"RCmb", MAX_PACKET_BYTES, 1, 0, 0, 0) + bytes(100_000))
        assert node.ask("PING") == "PONG"


def test_links_that_say_nothing_are_closed_and_cost_no_client_its_place(node):
    with ExitStack() as stack:
        links = [stack.enter_context(linked(node)) for _ in range(MANY_LINKS)]
        for _ in range(20):
            assert node.ask("PING") == "PONG"
        assert node.info("clients")["connected_clients"] == "1"
        for link in links:
            assert read_to_end(link) == b""
