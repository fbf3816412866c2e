"""When the faults are over, all nodes come to one view, and it is a sound one."""

from __future__ import annotations

from collections.abc import Iterator

from shoal.cluster.invariants import check
from shoal.cluster.slot_sets import ALL_SLOTS
from shoal.cluster.view import ClusterView, Node

Member = tuple[str, bool, str | None, int, int]


def disagreements(views: list[ClusterView], members: set[str]) -> list[str]:
    """Why the nodes have not settled on one sound view of exactly `members`; empty if they have."""
    strangers = [
        f"{_name(view)} knows {sorted(node[:8] for node in view.nodes)} instead of the {len(members)} members"
        for view in views
        if view.nodes.keys() != members
    ]
    return strangers or list(_differences(views)) or [problem for view in views for problem in check(view)]


def _differences(views: list[ClusterView]) -> Iterator[str]:
    reference = _picture(views[0])
    for view in views:
        if (picture := _picture(view)) != reference:
            yield f"{_name(view)} and {_name(views[0])} differ: {_difference(picture, reference)}"
        if not view.state_ok:
            yield f"{_name(view)} holds the cluster to be down"
        yield from (
            f"{_name(view)} suspects {node.id[:8]}" for node in view.nodes.values() if node.is_failing
        )
    yield from _unsound(views[0])


def _unsound(view: ClusterView) -> Iterator[str]:
    if view.assigned_bits != ALL_SLOTS:
        yield f"{(ALL_SLOTS & ~view.assigned_bits).bit_count()} slots have no owner"
    owners = [node for node in view.nodes.values() if node.slot_count]
    if len({node.config_epoch for node in owners}) != len(owners):
        yield f"config epochs of owners collide: {sorted(node.config_epoch for node in owners)}"
    for node in view.nodes.values():
        if node.is_replica and (node.primary is None or not node.primary.is_primary):
            yield f"{node.id[:8]} is a replica of nobody"


def _picture(view: ClusterView) -> list[Member]:
    return sorted(_member(node) for node in view.nodes.values())


def _member(node: Node) -> Member:
    primary = node.primary.id if node.primary else None
    return (node.id, node.is_primary, primary, node.slot_bits, node.config_epoch if node.is_primary else 0)


def _difference(one: list[Member], other: list[Member]) -> str:
    changed = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
    a, b = changed[0]
    fields = ("id", "primary?", "primary", "slots", "config epoch")
    which = [name for name, left, right in zip(fields, a, b, strict=True) if left != right]
    return f"{which} of {a[0][:8]}"


def _name(view: ClusterView) -> str:
    return view.myself.id[:8]
