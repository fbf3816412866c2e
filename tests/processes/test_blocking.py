"""Clients that wait in a cluster are told where to go, or that nobody serves what they wait for."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import hiredis
import pytest

from shoal.cluster.slots import key_slot
from shoal.node.resp.writer import encode_command
from tests.processes.nodes import DEADLINE_SECONDS, HOST, Node, running_cluster, wait_until

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Two primaries, each of which goes on where the other is gone."""
    directory = tmp_path_factory.mktemp("cluster")
    with running_cluster(directory, 2, 0, "--cluster-require-full-coverage", "no") as nodes:
        yield nodes


class Waiter:
    """A connection whose command waits."""

    def __init__(self, node: Node, *words: str) -> None:
        self.socket = socket.create_connection((HOST, node.port), timeout=DEADLINE_SECONDS)
        self.socket.sendall(encode_command([word.encode() for word in words]))
        wait_until(partial(_has_waiting, node), "the client waits")

    def reply(self) -> object:
        reader = hiredis.Reader(encoding="utf-8")
        while (reply := reader.gets()) is False:
            reader.feed(self.socket.recv(65536))
        return str(reply) if isinstance(reply, hiredis.ReplyError) else reply


def _has_waiting(node: Node) -> bool:
    return node.info("clients")["blocked_clients"] == "1"


@contextmanager
def waiter(node: Node, *words: str) -> Iterator[Waiter]:
    one = Waiter(node, *words)
    try:
        yield one
    finally:
        one.socket.close()
        wait_until(lambda: not _has_waiting(node), "nobody waits")


def test_who_waits_for_a_key_of_a_slot_that_moves_is_sent_after_it(nodes: list[Node]) -> None:
    source, target = nodes
    slot = key_slot(b"k")
    with waiter(source, "BLPOP", "k", "0") as client:
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ask("CLUSTER", "MYID"))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.ask("CLUSTER", "MYID"))
        assert _has_waiting(source)
        for node in (target, source):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.ask("CLUSTER", "MYID"))
        assert client.reply() == f"MOVED {slot} {target.address}"


def test_who_waits_for_a_key_of_a_slot_that_nobody_serves_is_told(nodes: list[Node]) -> None:
    slot = key_slot(b"c")
    with waiter(nodes[0], "BZPOPMIN", "c", "0") as client:
        nodes[0].ask("CLUSTER", "DELSLOTS", slot)
        assert client.reply() == "CLUSTERDOWN Hash slot not served"
    nodes[0].ask("CLUSTER", "ADDSLOTS", slot)


def test_who_waits_where_the_cluster_goes_down_is_told(nodes: list[Node]) -> None:
    first, second = nodes
    with waiter(first, "BLPOP", "c", "0") as client:
        second.kill()
        first.ask("CONFIG", "SET", "cluster-node-timeout", "500")
        assert client.reply() == "CLUSTERDOWN The cluster is down"
