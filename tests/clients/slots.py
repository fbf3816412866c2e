"""Give a key's slot to another node, as an operator does by resharding or a failover, and give it back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

from shoal.cluster.slots import key_slot
from tests.processes.nodes import HOST, Node, tells_of, wait_until

EVERY_NODE_KEYS = [f"key:{number}" for number in range(300)]
"""Keys in so many slots that each of three primaries has many of them."""


def owner(primaries: list[Node], key: str) -> Node:
    """The primary that the first primary says owns the key's slot."""
    slot = key_slot(key.encode())
    for first, last, (_, port, *_), *_ in primaries[0].ask("CLUSTER", "SLOTS"):
        if first <= slot <= last:
            return next(node for node in primaries if node.port == port)
    raise AssertionError(f"nobody owns slot {slot}")


def other_than(node: Node, primaries: list[Node]) -> Node:
    return next(primary for primary in primaries if primary is not node)


@contextlib.contextmanager
def elsewhere(key: str, primaries: list[Node]) -> Iterator[None]:
    """Inside, the key's slot with its keys is at another primary than before."""
    home = owner(primaries, key)
    away = other_than(home, primaries)
    move(key, home, away, primaries)
    try:
        yield
    finally:
        move(key, away, home, primaries)


@contextlib.contextmanager
def halfway(key: str, primaries: list[Node]) -> Iterator[None]:
    """Inside, the key's slot is on its way: the key at its old home is gone, and asked for at the new one."""
    home = owner(primaries, key)
    away = other_than(home, primaries)
    open_slot(key, home, away)
    send_keys(key, home, away)
    try:
        yield
    finally:
        assign(key, away, primaries)
        move(key, away, home, primaries)


@contextlib.contextmanager
def failed_over(key: str, cluster: list[Node]) -> Iterator[None]:
    """Inside, the replica of the key's primary has taken its place."""
    primaries = cluster[: len(cluster) // 2]
    home = owner(primaries, key)
    replica = cluster[len(primaries) + primaries.index(home)]
    take_over(key, replica, home, cluster)
    try:
        yield
    finally:
        take_over(key, home, replica, cluster)


def take_over(key: str, heir: Node, old: Node, cluster: list[Node]) -> None:
    """Have a replica take its primary's place; return when all agree and the old primary follows it.

    By TAKEOVER, since nobody votes twice about one primary within two node timeouts.
    """
    offset = int(old.info("replication")["master_repl_offset"])
    wait_until(lambda: int(heir.info("replication")["master_repl_offset"]) >= offset, "the heir has it all")
    heir.ask("CLUSTER", "FAILOVER", "TAKEOVER")
    for node in cluster:
        wait_until(partial(_agrees, node, key, heir, cluster), f"node {node.port} knows of the new primary")
    wait_until(lambda: old.info("replication").get("master_link_status") == "up", "the old primary follows")
    for node in cluster:
        wait_until(partial(tells_of, node, len(cluster)), f"node {node.port} tells clients of every node")


def move(key: str, source: Node, target: Node, primaries: list[Node]) -> None:
    open_slot(key, source, target)
    send_keys(key, source, target)
    assign(key, target, primaries)


def open_slot(key: str, source: Node, target: Node) -> None:
    slot = key_slot(key.encode())
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ask("CLUSTER", "MYID"))
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.ask("CLUSTER", "MYID"))


def send_keys(key: str, source: Node, target: Node) -> None:
    keys = source.ask("CLUSTER", "GETKEYSINSLOT", key_slot(key.encode()), 1000)
    if keys:
        source.ask("MIGRATE", HOST, target.port, "", 0, 10_000, "KEYS", *keys)


def assign(key: str, target: Node, primaries: list[Node]) -> None:
    """Tell the new owner first, then the others; return when all agree."""
    slot = key_slot(key.encode())
    target_id = target.ask("CLUSTER", "MYID")
    for node in sorted(primaries, key=lambda node: node is not target):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id)
    for node in primaries:
        wait_until(partial(_agrees, node, key, target, primaries), f"node {node.port} knows of the new owner")


def _agrees(node: Node, key: str, target: Node, primaries: list[Node]) -> bool:
    rest = [primary for primary in primaries if primary is not node]
    return owner([node, *rest], key) is target
