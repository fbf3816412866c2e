"""The server's side of the cluster: what of the bus reaches the machine."""

from __future__ import annotations

from random import Random

from shoal.cluster.events import MessageReceived
from shoal.cluster.messages import MessageType, Publish
from shoal.cluster.settings import ClusterSettings
from shoal.node.server.cluster_bridge import ClusterBridge
from tests.unit.server.client import NOW_MS, World


def test_packets_of_a_type_are_lost_while_the_filter_is_set() -> None:
    world = World(cluster_enabled=True, enable_debug_command="yes")
    world.server.cluster = ClusterBridge(world.server, ClusterSettings(), Random(7), None, NOW_MS)
    client, received = world.client(), world.server.cluster.view.messages_received
    publish = MessageReceived(-1, Publish(None, b"channel", b"message", False), "127.0.0.1", "127.0.0.1")
    client("DEBUG", "DROP-CLUSTER-PACKET-FILTER", int(MessageType.PUBLISH))
    world.server.cluster.step(publish)
    assert received[MessageType.PUBLISH] == 0
    client("DEBUG", "DROP-CLUSTER-PACKET-FILTER", -1)
    world.server.cluster.step(publish)
    assert received[MessageType.PUBLISH] == 1
