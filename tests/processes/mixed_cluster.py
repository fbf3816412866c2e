"""Our nodes and real ones in one cluster, and what each of them says about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import hiredis

from shoal.cluster.slots import SLOT_COUNT
from shoal.node.resp.writer import encode_command
from tests.peers import REDIS7_SERVER
from tests.processes.cluster_load import Connection
from tests.processes.nodes import HOST, SHOAL, Node, wait_until

NODE_TIMEOUT_MS = 1000
OPTIONS = (
    *("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT_MS)),
    *("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"),
    *("--cluster-allow-replica-migration", "no", "--enable-debug-command", "local"),
    *("--cluster-preferred-endpoint-type", "ip", "--appendonly", "no"),
)


@contextmanager
def started(directory: Path, commands: list[tuple[str, ...]], *directives: str) -> Iterator[list[Node]]:
    """Nodes with a host name each, in the order of `commands`, that know nobody yet; killed at the end.

    Those that know of names for humans (Redis 7.0 does not) have one, too.
    """
    nodes = []
    try:
        for number, command in enumerate(commands):
            announced = ("--cluster-announce-hostname", f"node-{number}.shoal.example")
            if command != (str(REDIS7_SERVER),):
                announced += ("--cluster-announce-human-nodename", f"name-{number}")
            node = Node(
                directory / str(number), directives=(*OPTIONS, *announced, *directives), command=command
            )
            nodes.append(node)
            node.launch()
        for node in nodes:
            node.wait_ready()
        yield nodes
    finally:
        for node in nodes:
            node.kill()


def is_ours(node: Node) -> bool:
    return node.command == SHOAL


def id_of(node: Node) -> str:
    return str(node.ask("CLUSTER", "MYID"))


def introduce(nodes: list[Node]) -> None:
    """Let each node meet the next one, and wait until all know all."""
    for node, other in pairwise(nodes):
        node.ask("CLUSTER", "MEET", HOST, other.port)
    for node in nodes:
        wait_until(partial(_knows, node, len(nodes)), f"node {node.port} knows all others")


def _knows(node: Node, count: int) -> bool:
    known = [line for line in node.ask("CLUSTER", "NODES").splitlines() if "handshake" not in line]
    return len(known) == count


def share_slots(primaries: list[Node]) -> None:
    """Divide the slots evenly between empty nodes that do not know each other yet."""
    for index, node in enumerate(primaries):
        count = len(primaries)
        first, last = SLOT_COUNT * index // count, SLOT_COUNT * (index + 1) // count - 1
        node.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
        node.ask("CLUSTER", "SET-CONFIG-EPOCH", index + 1)


def replicate(replica: Node, primary: Node) -> None:
    """Make one follow the other and wait until it holds the other's data."""
    replica.ask("CLUSTER", "REPLICATE", id_of(primary))
    wait_until(partial(follows, replica, primary), f"node {replica.port} follows node {primary.port}")


def role(node: Node) -> str:
    return str(node.ask("ROLE")[0])


def follows(node: Node, primary: Node) -> bool:
    """Whether its link is up, and the primary knows it as its replica."""
    linked = bool(node.ask("ROLE")[:4] == ["slave", HOST, primary.port, "connected"])
    return linked and any(id_of(node) in line for line in primary.ask("CLUSTER", "REPLICAS", id_of(primary)))


def is_calm(node: Node) -> bool:
    """It serves and holds nobody for failing."""
    flags = [line.split()[2] for line in node.ask("CLUSTER", "NODES").splitlines()]
    return node.cluster_info()["cluster_state"] == "ok" and not any("fail" in each for each in flags)


# Data


def accepts(node: Node, key: str, value: str) -> bool:
    """Whether the node takes this write, now."""
    try:
        return bool(node.ask("SET", key, value) == "OK")
    except hiredis.ReplyError as error:
        assert str(error).split()[0] in {"MOVED", "CLUSTERDOWN", "ASK"}, error
        return False


def read(node: Node, key: str) -> Any:
    """What the node holds, be it a replica or not."""
    with closing(Connection((HOST, node.port))) as connection:
        connection.send(encode_command((b"READONLY",)) + encode_command((b"GET", key.encode())))
        connection.receive()
        value = connection.receive()
        return value.decode() if isinstance(value, bytes) else value


def key_of(node: Node) -> str:
    """A key in a slot that this primary owns."""
    return next(f"k{n}" for n in range(10_000) if accepts(node, f"k{n}", ""))


def have_equal_data(node: Node, other: Node) -> bool:
    return bool(node.ask("DEBUG", "DIGEST") == other.ask("DEBUG", "DIGEST"))


# Views: each a value that must be the same on every node


def nodes_view(node: Node) -> dict[str, tuple[str, ...]]:
    """CLUSTER NODES without what only its teller knows: address, role, primary, epoch, slots of each node."""
    view = {}
    for line in node.ask("CLUSTER", "NODES").splitlines():
        name, address, flags, primary, _ping, _pong, epoch, _link, *slots = line.split(" ")
        settled = ",".join(sorted(set(flags.split(",")) - {"myself", "nofailover"}))
        owned = [part for part in slots if not part.startswith("[")]
        view[name] = (address, settled, primary, epoch, *owned)
    return view


def shards_of(view: dict[str, tuple[str, ...]]) -> dict[frozenset[str], tuple[str, ...]]:
    """Which nodes stand together, and for which slots, whoever of them leads."""
    members: dict[str, set[str]] = {}
    for name, (_address, _flags, primary, _epoch, *_slots) in view.items():
        members.setdefault(name if primary == "-" else primary, set()).add(name)
    return {frozenset(names): view[primary][4:] for primary, names in members.items()}


def slots_view(node: Node) -> dict[tuple[int, int], list[tuple[Any, ...]]]:
    """CLUSTER SLOTS, replicas in a fixed order."""
    view = {}
    for first, last, primary, *replicas in node.ask("CLUSTER", "SLOTS"):
        view[first, last] = [_entry(server) for server in (primary, *sorted(replicas, key=lambda r: r[2]))]
    return view


def _entry(server: list[Any]) -> tuple[Any, ...]:
    endpoint, port, name, metadata = server
    return endpoint, port, name, tuple(metadata)


def shards_view(node: Node) -> dict[str, tuple[Any, ...]]:
    """CLUSTER SHARDS: what it tells of each node, offsets aside, with the slots of the node's shard."""
    view = {}
    for shard in map(_pairs, node.ask("CLUSTER", "SHARDS")):
        for member in map(_pairs, shard["nodes"]):
            told = {name: member[name] for name in ("port", "ip", "endpoint", "hostname", "role", "health")}
            view[member["id"]] = (tuple(shard["slots"]), *told.items())
    return view


def _pairs(flat: list[Any]) -> dict[str, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def saved(node: Node, wanted: str) -> dict[str, str]:
    """An auxiliary field, shard-id or nodename, of each node in this one's nodes.conf that has it there."""
    node.ask("CLUSTER", "SAVECONFIG")
    found = {}
    for line in (node.directory / "nodes.conf").read_text().splitlines():
        name, address, *_ = line.split(" ")
        for auxiliary in address.split(",")[2:]:
            field, _, value = auxiliary.partition("=")
            if field == wanted:
                found[name] = value
    return found


def agree(nodes: list[Node]) -> bool:
    """Whether all nodes say the same."""
    for view in (nodes_view, slots_view, shards_view):
        first, *others = [view(node) for node in nodes]
        if any(other != first for other in others):
            return False
    return True


def wait_for_agreement(nodes: list[Node]) -> None:
    """Until all are calm and say the same; tells what they differ in if that never comes."""
    for node in nodes:
        wait_until(partial(is_calm, node), f"node {node.port} is calm")
    with suppress(AssertionError):
        wait_until(partial(agree, nodes), "all say the same")
        return
    for view in (nodes_view, slots_view, shards_view):
        first, *others = [view(node) for node in nodes]
        for node, other in zip(nodes[1:], others, strict=True):
            assert other == first, f"node {node.port} differs in its {view.__name__}"
