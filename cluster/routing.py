"""Whether this node serves a command, or where a client has to go instead.

`route` is the whole decision, in the order in which real servers take it, for the cases a quick look at
"is it one stable slot of mine" cannot settle. It is called with plain facts and answers with a value;
the value knows the exact error text that cluster clients match.
Source: Redis Cluster specification, "MOVED redirection", "ASK redirection" and "Multiple keys operations".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from shoal.cluster.slots import key_slot
from shoal.cluster.view import ClusterView, Node


class RoutingSettings(Protocol):
    """The three directives routing reads; `ClusterSettings` has them."""

    allow_reads_when_down: bool
    allow_pubsubshard_when_down: bool
    preferred_endpoint_type: str


@dataclass(frozen=True, slots=True)
class Request:
    """What routing has to know about one command.

    `keys` are those the command names (for EXEC those of all queued commands). `is_write` is EXEC's too
    when a queued command writes. `asking` is the client's one-shot ASKING flag or a command that carries
    its own (RESTORE-ASKING). `readonly` is the session's READONLY flag.
    """

    keys: Sequence[bytes]
    is_write: bool = False
    is_migrate: bool = False
    is_shard_pubsub: bool = False
    asking: bool = False
    readonly: bool = False


@dataclass(frozen=True, slots=True)
class Serve:
    """Carry the command out here."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The slot belongs to another node: ask there, and remember it."""

    slot: int
    node: Node

    def error_text(self, preferred_endpoint_type: str, *, tls: bool = False) -> str:
        return f"MOVED {self.slot} {address_of(self.node, preferred_endpoint_type, tls=tls)}"


@dataclass(frozen=True, slots=True)
class Ask:
    """The key may already have moved: ask there this once, after ASKING, and remember nothing."""

    slot: int
    node: Node

    def error_text(self, preferred_endpoint_type: str, *, tls: bool = False) -> str:
        return f"ASK {self.slot} {address_of(self.node, preferred_endpoint_type, tls=tls)}"


class Refusal(Enum):
    """No node can serve the command as it stands; the value is the error text."""

    UNBOUND = "CLUSTERDOWN Hash slot not served"
    DOWN = "CLUSTERDOWN The cluster is down"
    DOWN_FOR_WRITES = "CLUSTERDOWN The cluster is down and only accepts read commands"
    CROSS_SLOT = "CROSSSLOT Keys in request don't hash to the same slot"
    TRY_AGAIN = "TRYAGAIN Multiple keys request during rehashing of slot"

    def error_text(self, preferred_endpoint_type: str = "ip", *, tls: bool = False) -> str:
        """The text of the error; it names no node, so the arguments change nothing."""
        return self.value


Decision = Serve | Moved | Ask | Refusal

SERVE = Serve()


@dataclass(frozen=True, slots=True)
class _Presence:
    """Which of a request's keys are here, counted only while their slot is open."""

    missing: int = 0
    existing: int = 0


def route(
    request: Request, view: ClusterView, settings: RoutingSettings, exists: Callable[[bytes], bool]
) -> Decision:
    """Decide about a command. `exists` says whether a key is here, without touching it or expiring it.

    The order matters and clients see it: that keys span slots is told before who owns them, that the
    cluster is down before a redirection, and a half-moved set of keys neither here nor there is TRYAGAIN.
    """
    keys = request.keys
    if not keys:
        return SERVE
    slot = key_slot(keys[0])
    owner = view.slot_owner[slot]
    if owner is None:
        return Refusal.UNBOUND
    if any(key_slot(key) != slot for key in keys[1:]):
        return Refusal.CROSS_SLOT
    migrating_to, is_importing = _open_slot(slot, owner, request, view)
    is_open = migrating_to is not None or is_importing

    if not view.state_ok and (refusal := _refusal_when_down(request, settings)):
        return refusal
    if is_open and request.is_migrate and view.myself.is_primary:
        return SERVE
    presence = _count_keys(keys, exists) if is_open and not request.is_shard_pubsub else _Presence()
    if migrating_to is not None and presence.missing:
        return Refusal.TRY_AGAIN if presence.existing else Ask(slot, migrating_to)
    if is_importing and request.asking:
        half_arrived = presence.missing and len(set(keys)) > 1
        return Refusal.TRY_AGAIN if half_arrived else SERVE
    if owner is view.myself or _replica_may_serve(request, owner, view):
        return SERVE
    return Moved(slot, owner)


def route_blocked(key: bytes, *, readonly: bool, is_write: bool, view: ClusterView) -> Decision:
    """Decide whether a client blocked on `key` may go on waiting here (Serve) or is sent away.

    To be asked again whenever the topology changes. The down state sends every waiting client away even
    where reads are allowed, since the write it waits for may never come.
    """
    if not view.state_ok:
        return Refusal.DOWN
    slot = key_slot(key)
    owner = view.slot_owner[slot]
    if owner is view.myself or slot in view.importing:
        return SERVE
    if owner is None:
        return Refusal.UNBOUND
    if _replica_may_serve(Request((key,), is_write=is_write, readonly=readonly), owner, view):
        return SERVE
    return Moved(slot, owner)


def address_of(node: Node, preferred_endpoint_type: str, *, tls: bool = False) -> str:
    """`host:port` as redirections print it."""
    return f"{endpoint_of(node, preferred_endpoint_type)}:{port_of(node, tls=tls)}"


def endpoint_of(node: Node, preferred_endpoint_type: str) -> str:
    """The host clients should use: `?` is an unset hostname, empty means "the one you used for me"."""
    match preferred_endpoint_type:
        case "hostname":
            return node.hostname or "?"
        case "unknown-endpoint":
            return ""
    return node.ip


def port_of(node: Node, *, tls: bool) -> int:
    """The client port of the wanted kind, or the other one where a node has only that."""
    return (node.tls_port or node.tcp_port) if tls else (node.tcp_port or node.tls_port)


def _open_slot(slot: int, owner: Node, request: Request, view: ClusterView) -> tuple[Node | None, bool]:
    """The node the slot is migrating to, if it is leaving this shard, and whether it is being imported.

    On a replica an open slot counts only for a READONLY client: any other is sent to the owner anyway.
    """
    if not (view.myself.is_primary or request.readonly):
        return None, False
    if owner is view.myself.shard_primary and slot in view.migrating:
        return view.migrating[slot], False
    return None, slot in view.importing


def _count_keys(keys: Sequence[bytes], exists: Callable[[bytes], bool]) -> _Presence:
    existing = sum(map(exists, keys))
    return _Presence(len(keys) - existing, existing)


def _refusal_when_down(request: Request, settings: RoutingSettings) -> Refusal | None:
    if request.is_shard_pubsub:
        return None if settings.allow_pubsubshard_when_down else Refusal.DOWN
    if not settings.allow_reads_when_down:
        return Refusal.DOWN
    return Refusal.DOWN_FOR_WRITES if request.is_write else None


def _replica_may_serve(request: Request, owner: Node, view: ClusterView) -> bool:
    """A replica serves reads of its primary's slots to clients that said READONLY."""
    myself = view.myself
    return (
        (request.readonly or request.is_shard_pubsub)
        and not request.is_write
        and myself.is_replica
        and myself.primary is owner
    )
