"""What a node reports has the shape, order and texts of Redis 7.0."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

import pytest

from shoal.cluster.config_file import parse_config
from shoal.cluster.messages import MessageType
from shoal.cluster.reports import (
    LinkBuffer,
    Value,
    cluster_info,
    cluster_links,
    cluster_nodes,
    cluster_replicas,
    cluster_shards,
    cluster_slots,
)
from shoal.cluster.slots import SLOT_COUNT
from shoal.cluster.view import ClusterView, Link, Node, restore_view
from tests.cluster.real_cluster import RealNode, form_cluster, real_nodes, wait_until
from tests.peers import REDIS7_SERVER, needs

ME, PEER, REPLICA = "a" * 40, "b" * 40, "c" * 40


def three_nodes() -> ClusterView:
    me = Node(
        ME, ip="127.0.0.1", tcp_port=7000, bus_port=17000, is_myself=True, is_primary=True, config_epoch=4
    )
    peer = Node(PEER, ip="127.0.0.2", tcp_port=7001, tls_port=7101, bus_port=17001, is_primary=True)
    peer.hostname = "peer.example"
    replica = Node(REPLICA, ip="127.0.0.3", tcp_port=7002, bus_port=17002, replication_offset=77)
    view = ClusterView(me, current_epoch=6)
    view.add(peer)
    view.add(replica)
    view.make_replica(replica, me)
    view.assign((1 << 100) - 1, me)
    view.assign(0b111 << 200 | 1 << (SLOT_COUNT - 1), peer)
    view.migrating[5] = peer
    view.importing[200] = peer
    return view


def test_nodes_are_lines_of_nodes_conf() -> None:
    assert cluster_nodes(three_nodes()).decode().splitlines() == [
        f"{ME} 127.0.0.1:7000@17000 myself,master - 0 0 4 connected 0-99 [5->-{PEER}] [200-<-{PEER}]",
        f"{PEER} 127.0.0.2:7001@17001,peer.example master - 0 0 0 disconnected 200-202 16383",
        f"{REPLICA} 127.0.0.3:7002@17002 slave {ME} 0 0 4 disconnected",
    ]


def test_nodes_show_tls_clients_the_tls_port() -> None:
    assert b" 127.0.0.2:7101@17001,peer.example " in cluster_nodes(three_nodes(), tls=True)


def test_replicas_are_lines_too() -> None:
    view = three_nodes()
    expected = f"{REPLICA} 127.0.0.3:7002@17002 slave {ME} 0 0 4 disconnected".encode()
    assert cluster_replicas(view, view.myself) == [expected]
    assert cluster_replicas(view, view.nodes[PEER]) == []


def test_slots_are_ranges_with_their_nodes_in_order_of_slot() -> None:
    view = three_nodes()
    me: list[Value] = [b"127.0.0.1", 7000, ME.encode(), {}]
    peer: list[Value] = [b"127.0.0.2", 7001, PEER.encode(), {b"hostname": b"peer.example"}]
    replica: list[Value] = [b"127.0.0.3", 7002, REPLICA.encode(), {}]
    assert cluster_slots(view, "ip") == [[0, 99, me, replica], [200, 202, peer], [16383, 16383, peer]]


@pytest.mark.parametrize(
    ("endpoint_type", "endpoint", "others"),
    [
        ("hostname", b"peer.example", {b"ip": b"127.0.0.2"}),
        ("unknown-endpoint", None, {b"ip": b"127.0.0.2", b"hostname": b"peer.example"}),
    ],
)
def test_slots_name_the_preferred_endpoint(
    endpoint_type: str, endpoint: bytes | None, others: dict[bytes, Value]
) -> None:
    view = three_nodes()
    last = cast("list[Value]", cluster_slots(view, endpoint_type)[-1])
    assert last[2] == [endpoint, 7001, PEER.encode(), others]


@pytest.mark.parametrize("trouble", ["failed", "without data"])
def test_slots_leave_out_a_replica_nobody_should_read_from(trouble: str) -> None:
    view = three_nodes()
    if trouble == "failed":
        view.nodes[REPLICA].fail = True
    else:
        view.nodes[REPLICA].replication_offset = 0
    first = cast("list[Value]", cluster_slots(view, "ip")[0])
    assert len(first) == 3


def test_shards_hold_slots_and_nodes_with_their_health() -> None:
    view = three_nodes()
    view.nodes[PEER].fail = True
    view.nodes[REPLICA].replication_offset = 0
    mine, others = cast("list[dict[bytes, list[dict[bytes, Value]]]]", cluster_shards(view, "hostname"))
    assert cast("object", [mine[b"slots"], others[b"slots"]]) == [[0, 99], [200, 202, 16383, 16383]]
    assert mine[b"nodes"] == [
        {
            b"id": ME.encode(),
            b"port": 7000,
            b"ip": b"127.0.0.1",
            b"endpoint": b"?",
            b"role": b"master",
            b"replication-offset": 0,
            b"health": b"online",
        },
        {
            b"id": REPLICA.encode(),
            b"port": 7002,
            b"ip": b"127.0.0.3",
            b"endpoint": b"?",
            b"role": b"replica",
            b"replication-offset": 0,
            b"health": b"loading",
        },
    ]
    assert list(others[b"nodes"][0].items())[1:7] == [
        (b"port", 7001),
        (b"tls-port", 7101),
        (b"ip", b"127.0.0.2"),
        (b"endpoint", b"peer.example"),
        (b"hostname", b"peer.example"),
        (b"role", b"master"),
    ]
    assert others[b"nodes"][0][b"health"] == b"fail"


def test_info_counts_slots_by_the_state_of_their_owner() -> None:
    view = three_nodes()
    view.state_ok = True
    view.nodes[PEER].pfail = True
    view.messages_sent.update({MessageType.PING: 2, MessageType.FAILOVER_AUTH_REQUEST: 1})
    view.messages_received[MessageType.PONG] = 2
    assert cluster_info(view, link_buffer_limit_exceeded=9).decode().split("\r\n") == [
        "cluster_state:ok",
        "cluster_slots_assigned:104",
        "cluster_slots_ok:100",
        "cluster_slots_pfail:4",
        "cluster_slots_fail:0",
        "cluster_known_nodes:3",
        "cluster_size:2",
        "cluster_current_epoch:6",
        "cluster_my_epoch:4",
        "cluster_stats_messages_ping_sent:2",
        "cluster_stats_messages_auth-req_sent:1",
        "cluster_stats_messages_sent:3",
        "cluster_stats_messages_pong_received:2",
        "cluster_stats_messages_received:2",
        "total_cluster_links_buffer_limit_exceeded:9",
        "",
    ]


def test_links_are_those_to_and_from_known_nodes() -> None:
    view = three_nodes()
    peer = view.nodes[PEER]
    view.links = {
        1: Link(1, peer, 1000, connected=True),
        2: Link(2, view.nodes[REPLICA], 1000),
        -1: Link(-1, peer, 2000, connected=True),
        -2: Link(-2, None, 2000, connected=True),
    }
    buffers = {1: LinkBuffer(4096, 100)}
    expected = [(b"to", 1000, b"rw", 4096, 100), (b"from", 2000, b"r", 0, 0)]
    assert cluster_links(view, lambda link: buffers.get(link, LinkBuffer())) == [
        {
            b"direction": direction,
            b"node": PEER.encode(),
            b"create-time": created,
            b"events": events,
            b"send-buffer-allocated": allocated,
            b"send-buffer-used": used,
        }
        for direction, created, events, allocated, used in expected
    ]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    """One node of a real cluster with a replica, a hostname and open slots."""
    options = [("--cluster-announce-hostname", "first.example"), (), (), ()]
    with real_nodes(REDIS7_SERVER, tmp_path_factory.mktemp("real"), options) as nodes:
        form_cluster(nodes)
        nodes[0].run("CLUSTER", "SETSLOT", 7, "MIGRATING", nodes[1].id)
        nodes[0].run("CLUSTER", "SETSLOT", 16000, "IMPORTING", nodes[2].id)
        wait_until(lambda: "loading" not in str(nodes[0].run("CLUSTER", "SHARDS")), "offsets are known")
        nodes[0].run("CLUSTER", "DELSLOTS", 9)
        yield nodes[0]


def view_of(real: RealNode) -> ClusterView:
    """The real node's state, through the file it writes; only offsets are not in there."""
    real.run("CLUSTER", "SAVECONFIG")
    view = restore_view(parse_config(real.config_file.read_bytes()), 0)
    view.state_ok = "cluster_state:ok" in real.text("CLUSTER", "INFO")
    for shard in cast("list[list[list[list[bytes]]]]", real.run("CLUSTER", "SHARDS")):
        for entry in shard[3]:
            fields = dict(zip(entry[::2], entry[1::2], strict=True))
            view.nodes[fields[b"id"].decode()].replication_offset = int(fields[b"replication-offset"])
    return view


def flat(value: Value) -> object:
    """A reply as RESP2 carries it: maps are flat lists."""
    if isinstance(value, dict):
        return [item for key, inner in value.items() for item in (key, flat(inner))]
    return [flat(item) for item in value] if isinstance(value, list) else value


@pytest.mark.peers
@needs(REDIS7_SERVER)
def test_nodes_read_like_those_of_a_real_node(real: RealNode) -> None:
    def without_times(text: str) -> list[list[str]]:
        lines = [line.split(" ") for line in text.splitlines()]
        return sorted([*words[:4], words[6], *words[8:]] for words in lines)

    assert without_times(cluster_nodes(view_of(real)).decode()) == without_times(
        real.text("CLUSTER", "NODES")
    )


@pytest.mark.peers
@needs(REDIS7_SERVER)
@pytest.mark.parametrize("endpoint_type", ["ip", "hostname", "unknown-endpoint"])
def test_slots_and_shards_read_like_those_of_a_real_node(real: RealNode, endpoint_type: str) -> None:
    real.run("CONFIG", "SET", "cluster-preferred-endpoint-type", endpoint_type)
    view = view_of(real)
    assert flat(cluster_slots(view, endpoint_type)) == real.run("CLUSTER", "SLOTS")

    def comparable(reply: object) -> list[str]:
        return sorted(
            re.sub(r"(b'replication-offset'), \d+", r"\1", repr(shard))
            for shard in cast("list[object]", reply)
        )

    assert comparable(flat(cluster_shards(view, endpoint_type))) == comparable(real.run("CLUSTER", "SHARDS"))


@pytest.mark.peers
@needs(REDIS7_SERVER)
def test_info_has_the_fields_of_a_real_node_in_their_order(real: RealNode) -> None:
    view = view_of(real)
    theirs = dict(line.split(":") for line in real.text("CLUSTER", "INFO").splitlines())
    names = {f"cluster_stats_messages_{kind.name.lower()}_": kind for kind in MessageType}
    for field, count in theirs.items():
        for prefix, kind in names.items():
            if field.startswith(prefix):
                counts = view.messages_sent if field.endswith("_sent") else view.messages_received
                counts[kind] = int(count)
    ours = dict(line.split(":") for line in cluster_info(view).decode().splitlines())
    assert ours == theirs
    assert list(ours) == list(theirs)


@pytest.mark.peers
@needs(REDIS7_SERVER)
def test_links_have_the_fields_of_a_real_node_in_their_order(real: RealNode) -> None:
    view = three_nodes()
    view.links = {1: Link(1, view.nodes[PEER], 1000, connected=True)}
    ours = cast("list[list[object]]", flat(cluster_links(view, lambda _link: LinkBuffer())))
    theirs = cast("list[list[object]]", real.run("CLUSTER", "LINKS"))
    assert ours[0][::2] == theirs[0][::2]
    assert [type(value) for value in ours[0]] == [type(value) for value in theirs[0]]
