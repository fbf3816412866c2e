"""The redirection decision, step by step and in its order.

Node names: `me` is this node, `peer` another primary. `{a}` and `{b}` are keys of two slots.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from shoal.cluster.routing import (
    SERVE,
    Ask,
    Decision,
    Moved,
    Refusal,
    Request,
    address_of,
    port_of,
    route,
    route_blocked,
)
from shoal.cluster.settings import ClusterSettings
from shoal.cluster.slots import key_slot
from shoal.cluster.view import ClusterView, Node

A, A2, B, UNBOUND = b"{a}1", b"{a}2", b"{b}", b"{nobody}"
SLOT = key_slot(A)


@dataclass
class Case:
    """One row: the request, what makes the situation, and the verdict."""

    keys: tuple[bytes, ...]
    expected: Callable[[ClusterView], Decision]
    owner: str = "me"
    replica_of: str | None = None
    migrating: bool = False
    importing: bool = False
    here: tuple[bytes, ...] = ()
    down: bool = False
    reads_when_down: bool = False
    pubsub_when_down: bool = True
    request: Request = field(default_factory=lambda: Request(()))


def cluster(case: Case) -> ClusterView:
    me = Node("m" * 40, is_myself=True, is_primary=True, ip="127.0.0.1", tcp_port=7000)
    peer = Node("p" * 40, is_primary=True, ip="127.0.0.1", tcp_port=7001)
    third = Node("t" * 40, is_primary=True, ip="127.0.0.1", tcp_port=7002)
    view = ClusterView(me)
    view.add(peer)
    view.add(third)
    named = {"me": me, "peer": peer, "third": third}
    if case.replica_of:
        view.make_replica(me, named[case.replica_of])
    bits = 1 << SLOT | 1 << key_slot(B)
    if case.owner in named:
        view.assign(bits, named[case.owner])
    if case.migrating:
        view.migrating[SLOT] = third
    if case.importing:
        view.importing[SLOT] = peer
    view.state_ok = not case.down
    return view


def serve(_view: ClusterView) -> Decision:
    return SERVE


def refuse(refusal: Refusal) -> Callable[[ClusterView], Decision]:
    return lambda _view: refusal


def moved(name: str) -> Callable[[ClusterView], Decision]:
    return lambda view: Moved(SLOT, view.nodes[name * 40])


def ask(view: ClusterView) -> Decision:
    return Ask(SLOT, view.nodes["t" * 40])


WRITE = Request((), is_write=True)
READONLY = Request((), readonly=True)
ASKING = Request((), asking=True)
MIGRATE = Request((), is_migrate=True, is_write=True)
SHARD_PUBSUB = Request((), is_shard_pubsub=True)

CASES = {
    # No keys: always here.
    "no keys": Case((), serve),
    "no keys, cluster down": Case((), serve, down=True),
    "no keys, slot elsewhere": Case((), serve, owner="peer"),
    # 1. The first key's slot has no owner.
    "unbound": Case((UNBOUND,), refuse(Refusal.UNBOUND)),
    "unbound before cross slot": Case((UNBOUND, A), refuse(Refusal.UNBOUND)),
    "unbound before down": Case((UNBOUND,), refuse(Refusal.UNBOUND), down=True),
    "unbound although importing and asking": Case(
        (A,), refuse(Refusal.UNBOUND), owner="nobody", importing=True, request=ASKING
    ),
    # 2. Keys of different slots.
    "cross slot": Case((A, B), refuse(Refusal.CROSS_SLOT)),
    "cross slot, second unbound": Case((A, UNBOUND), refuse(Refusal.CROSS_SLOT)),
    "cross slot before moved": Case((A, B), refuse(Refusal.CROSS_SLOT), owner="peer"),
    "cross slot before down": Case((A, B), refuse(Refusal.CROSS_SLOT), down=True),
    "cross slot before ask": Case((A, B), refuse(Refusal.CROSS_SLOT), migrating=True),
    # 5. The cluster is down.
    "down": Case((A,), refuse(Refusal.DOWN), down=True),
    "down before moved": Case((A,), refuse(Refusal.DOWN), owner="peer", down=True),
    "down before ask": Case((A,), refuse(Refusal.DOWN), migrating=True, down=True),
    "down before MIGRATE": Case((A,), refuse(Refusal.DOWN), migrating=True, down=True, request=MIGRATE),
    "down, reads allowed": Case((A,), serve, down=True, reads_when_down=True),
    "down, reads allowed, not mine": Case((A,), moved("p"), owner="peer", down=True, reads_when_down=True),
    "down, write": Case(
        (A,), refuse(Refusal.DOWN_FOR_WRITES), down=True, reads_when_down=True, request=WRITE
    ),
    "down, shard channel": Case((A,), serve, down=True, request=SHARD_PUBSUB),
    "down, shard channel refused": Case(
        (A,), refuse(Refusal.DOWN), down=True, pubsub_when_down=False, request=SHARD_PUBSUB
    ),
    # 6. MIGRATE works where it is sent while the slot is open.
    "MIGRATE out of an open slot": Case((A,), serve, migrating=True, request=MIGRATE),
    "MIGRATE of half a set": Case((A, A2), serve, migrating=True, here=(A,), request=MIGRATE),
    "MIGRATE in an importing slot": Case((A,), serve, owner="peer", importing=True, request=MIGRATE),
    "MIGRATE of a foreign stable slot": Case((A,), moved("p"), owner="peer", request=MIGRATE),
    # 7. Migrating away.
    "migrating, key here": Case((A,), serve, migrating=True, here=(A,)),
    "migrating, key gone": Case((A,), ask, migrating=True),
    "migrating, key gone, write": Case((A,), ask, migrating=True, request=WRITE),
    "migrating, all gone": Case((A, A2), ask, migrating=True),
    "migrating, half gone": Case((A, A2), refuse(Refusal.TRY_AGAIN), migrating=True, here=(A2,)),
    "migrating, all here": Case((A, A2), serve, migrating=True, here=(A, A2)),
    "migrating, shard channel stays": Case((A,), serve, migrating=True, request=SHARD_PUBSUB),
    "migrating, although asking": Case((A,), ask, migrating=True, request=ASKING),
    "migrating a slot that is not mine": Case((A,), moved("p"), owner="peer", migrating=True),
    # 8. Importing, for a client that was sent by ASK.
    "importing and asking, key here": Case(
        (A,), serve, owner="peer", importing=True, here=(A,), request=ASKING
    ),
    "importing and asking, one key missing": Case(
        (A,), serve, owner="peer", importing=True, request=ASKING
    ),
    "importing and asking, one key twice": Case(
        (A, A), serve, owner="peer", importing=True, request=ASKING
    ),
    "importing and asking, half arrived": Case(
        (A, A2), refuse(Refusal.TRY_AGAIN), owner="peer", importing=True, here=(A,), request=ASKING
    ),
    "importing and asking, none arrived": Case(
        (A, A2), refuse(Refusal.TRY_AGAIN), owner="peer", importing=True, request=ASKING
    ),
    "importing and asking, all arrived": Case(
        (A, A2), serve, owner="peer", importing=True, here=(A, A2), request=ASKING
    ),
    "importing without asking": Case((A,), moved("p"), owner="peer", importing=True, here=(A,)),
    "asking for a stable slot": Case((A,), moved("p"), owner="peer", request=ASKING),
    # 9. Reads at a replica.
    "replica, readonly": Case((A,), serve, owner="peer", replica_of="peer", request=READONLY),
    "replica, not readonly": Case((A,), moved("p"), owner="peer", replica_of="peer"),
    "replica, readonly, write": Case(
        (A,), moved("p"), owner="peer", replica_of="peer", request=replace(READONLY, is_write=True)
    ),
    "replica of another, readonly": Case(
        (A,), moved("p"), owner="peer", replica_of="third", request=READONLY
    ),
    "replica, shard channel": Case((A,), serve, owner="peer", replica_of="peer", request=SHARD_PUBSUB),
    "replica, readonly, migrating, key gone": Case(
        (A,), ask, owner="peer", replica_of="peer", migrating=True, request=READONLY
    ),
    "replica, migrating, key gone": Case(
        (A,), moved("p"), owner="peer", replica_of="peer", migrating=True
    ),
    "primary, readonly": Case((A,), moved("p"), owner="peer", request=READONLY),
    # 10. Somebody else's, or mine.
    "moved": Case((A,), moved("p"), owner="peer"),
    "mine": Case((A, A2), serve),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_decision(name: str) -> None:
    case = CASES[name]
    view = cluster(case)
    settings = ClusterSettings(
        allow_reads_when_down=case.reads_when_down, allow_pubsubshard_when_down=case.pubsub_when_down
    )
    decision = route(replace(case.request, keys=case.keys), view, settings, case.here.__contains__)
    assert decision == case.expected(view)


def test_keys_are_looked_up_only_while_their_slot_is_open() -> None:
    def never(key: bytes) -> bool:
        raise AssertionError(f"{key!r} was looked up")

    for case in (Case((A, A2), serve), Case((A,), moved("p"), owner="peer")):
        view = cluster(case)
        assert route(Request(case.keys), view, ClusterSettings(), never) == case.expected(view)


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (Refusal.UNBOUND, "CLUSTERDOWN Hash slot not served"),
        (Refusal.DOWN, "CLUSTERDOWN The cluster is down"),
        (Refusal.DOWN_FOR_WRITES, "CLUSTERDOWN The cluster is down and only accepts read commands"),
        (Refusal.CROSS_SLOT, "CROSSSLOT Keys in request don't hash to the same slot"),
        (Refusal.TRY_AGAIN, "TRYAGAIN Multiple keys request during rehashing of slot"),
    ],
)
def test_refusals_have_the_texts_clients_match(decision: Refusal, text: str) -> None:
    assert decision.error_text("ip") == text


@pytest.mark.parametrize(
    ("endpoint_type", "hostname", "expected"),
    [
        ("ip", "node.example", "127.0.0.1:6381"),
        ("hostname", "node.example", "node.example:6381"),
        ("hostname", "", "?:6381"),
        ("unknown-endpoint", "node.example", ":6381"),
    ],
)
def test_redirections_name_the_preferred_endpoint(endpoint_type: str, hostname: str, expected: str) -> None:
    node = Node("p" * 40, ip="127.0.0.1", tcp_port=6381, hostname=hostname)
    assert Moved(3999, node).error_text(endpoint_type) == f"MOVED 3999 {expected}"
    assert Ask(3999, node).error_text(endpoint_type) == f"ASK 3999 {expected}"


def test_tls_clients_are_sent_to_the_tls_port_where_there_is_one() -> None:
    both = Node("p" * 40, ip="::1", tcp_port=6381, tls_port=6391)
    assert address_of(both, "ip", tls=True) == "::1:6391"
    assert [
        port_of(Node("p" * 40, tcp_port=1), tls=True),
        port_of(Node("p" * 40, tls_port=2), tls=False),
    ] == [1, 2]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (Case((A,), serve), serve),
        (Case((A,), serve, down=True), refuse(Refusal.DOWN)),
        (Case((UNBOUND,), serve), refuse(Refusal.UNBOUND)),
        (Case((A,), serve, owner="peer"), moved("p")),
        (Case((A,), serve, owner="peer", importing=True), serve),
        (Case((A,), serve, owner="peer", replica_of="peer", request=READONLY), serve),
        (Case((A,), serve, owner="peer", replica_of="peer"), moved("p")),
        (
            Case((A,), serve, owner="peer", replica_of="peer", request=replace(READONLY, is_write=True)),
            moved("p"),
        ),
    ],
)
def test_a_blocked_client_waits_only_where_its_key_can_come(
    case: Case, expected: Callable[[ClusterView], Decision]
) -> None:
    view = cluster(case)
    request = case.request
    decision = route_blocked(case.keys[0], readonly=request.readonly, is_write=request.is_write, view=view)
    assert decision == expected(view)
