"""Connects to every node of a cluster, starting from any one of them, and reads what each believes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from shoal.cli.addresses import Address
from shoal.cli.client import Connection, Credentials, connect
from shoal.cli.errors import CliError, ConnectionLostError, ReplyError
from shoal.cli.printing import text_of
from shoal.cli.replies import Reply
from shoal.cli.tasks import for_each
from shoal.cli.topology import (
    ClusterView,
    Node,
    NodeLine,
    TopologyError,
    Unreachable,
    node_address,
    parse_cluster_nodes,
)

_AGREEMENT_POLL = 0.05


class Cluster:
    """Open connections to the nodes of one cluster, and the last loaded view."""

    def __init__(self, seed: Address, credentials: Credentials) -> None:
        self.seed = seed
        self.credentials = credentials
        self._connections: dict[str, Connection] = {}
        self.view = ClusterView(seed, ())

    def connection(self, node_id: str) -> Connection:
        return self._connections[node_id]

    async def load(self) -> ClusterView:
        """Ask the seed who is there, then everybody what they think. Raises if the seed is of no use."""
        first, seed = await self._read_seed()
        self._connections[first.id] = seed
        others = [line for line in first.view if not line.is_myself and line.is_reachable_in_principle]
        answers = await for_each(others, lambda line: self._read_other(line, seed.address))
        self.view = ClusterView(
            self.seed,
            (first, *(answer for answer in answers if isinstance(answer, Node))),
            tuple(answer for answer in answers if isinstance(answer, Unreachable)),
        )
        return self.view

    async def wait_for_agreement(self, timeout: float) -> bool:
        """Reload until all nodes tell the same owners; False if they still differ after `timeout` seconds."""
        with trio.move_on_after(timeout):
            while True:
                view = await self.load()
                if len({node.slot_owners() for node in view.nodes}) == 1:
                    return True
                await trio.sleep(_AGREEMENT_POLL)
        return False

    async def aclose(self) -> None:
        for connection in self._connections.values():
            await connection.aclose()

    def _connected_at(self, address: Address) -> Connection | None:
        return next((link for link in self._connections.values() if link.address == address), None)

    async def _read_seed(self) -> tuple[Node, Connection]:
        connected = self._connected_at(self.seed)
        seed = connected or await connect(self.seed, self.credentials)
        try:
            return await read_node(seed), seed
        except BaseException:
            if connected is None:
                await seed.aclose()
            raise

    async def _read_other(self, line: NodeLine, reached_at: Address) -> Node | Unreachable:
        try:
            connection = self._connections.get(line.id)
            if connection is None:
                connection = await connect(node_address(line, reached_at), self.credentials)
                self._connections[line.id] = connection
            node = await read_node(connection)
        except (ConnectionLostError, ReplyError) as failure:
            dropped = self._connections.pop(line.id, None)
            if dropped is not None:
                await dropped.aclose()
            return Unreachable(line, str(failure))
        if node.id != line.id:
            raise TopologyError(
                f"{connection.address} says it is node {node.id}, but {reached_at} knows it as {line.id}; "
                "two nodes announce one address"
            )
        return node


@asynccontextmanager
async def open_cluster(seed: Address, credentials: Credentials) -> AsyncIterator[Cluster]:
    """A loaded `Cluster`, whose connections end with the block."""
    cluster = Cluster(seed, credentials)
    try:
        await cluster.load()
        yield cluster
    finally:
        with trio.CancelScope(shield=True):
            await cluster.aclose()


async def read_node(connection: Connection) -> Node:
    """What one node says of itself and the others. Raises if it is not in cluster mode."""
    nodes, keys = await connection.call_many([("CLUSTER", "NODES"), ("DBSIZE",)])
    if isinstance(nodes, ReplyError):
        if "cluster support disabled" in str(nodes):
            raise CliError(f"{connection.address} is not in cluster mode; start it with cluster-enabled yes")
        raise nodes
    view = parse_cluster_nodes(expect_text(nodes))
    myself = next(line for line in view if line.is_myself)
    return Node(myself, connection.address, keys if isinstance(keys, int) else 0, tuple(view))


def expect_text(reply: Reply) -> str:
    """A reply that must be a string."""
    if not isinstance(reply, bytes):
        raise TopologyError("a server answered with something other than text")
    return text_of(reply)


def expect_ok(reply: Reply, doing: str) -> None:
    """A reply that must be OK; `doing` says what for."""
    if reply != b"OK":
        raise _unexpected(reply, doing)


def expect_integer(reply: Reply, doing: str) -> int:
    """A reply that must be a number."""
    if not isinstance(reply, int):
        raise _unexpected(reply, doing)
    return reply


def expect_list(reply: Reply, doing: str) -> list[Reply]:
    """A reply that must be an array."""
    if not isinstance(reply, list):
        raise _unexpected(reply, doing)
    return reply


def _unexpected(reply: Reply, doing: str) -> CliError:
    """What to raise for another reply than was expected: the server's own words if it refused."""
    if isinstance(reply, ReplyError):
        return ReplyError(f"{reply} ({doing})")
    return CliError(f"unexpected answer while {doing}: {reply!r}")
