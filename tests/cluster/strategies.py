"""Random messages of the cluster bus, for tests that hold for every one of them."""

from __future__ import annotations

from hypothesis import strategies as st

from shoal.cluster.messages import (
    Extensions,
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    ForgottenNode,
    GossipEntry,
    Header,
    ManualFailoverStart,
    Message,
    MessageFlag,
    MessageType,
    Module,
    NodeFlag,
    Ping,
    Publish,
    Update,
)
from shoal.cluster.slots import slots_to_bitmap

u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
epochs = st.integers(0, (1 << 63) - 1)
node_ids = st.text("0123456789abcdef", min_size=40, max_size=40)
addresses = st.sampled_from(
    ["", "127.0.0.1", "10.0.0.255", "::1", "2001:db8::8:800:200c:417a", "redis-3.example"]
)
hostnames = st.none() | st.from_regex(r"[A-Za-z0-9._-]{1,255}", fullmatch=True)
bitmaps = st.sets(st.integers(0, 16383), max_size=40).map(slots_to_bitmap)
node_flags = st.integers(0, int(~NodeFlag(0))).map(NodeFlag)
message_flags = st.integers(0, 7).map(MessageFlag)

headers = st.builds(
    Header,
    sender=node_ids,
    current_epoch=epochs,
    config_epoch=epochs,
    replication_offset=st.integers(0, (1 << 64) - 1),
    slots=bitmaps,
    replica_of=st.none() | node_ids,
    ip=addresses,
    port=u16,
    bus_port=u16,
    secondary_port=u16,
    flags=node_flags,
    cluster_ok=st.booleans(),
    message_flags=message_flags.map(lambda flags: flags | MessageFlag.EXT_DATA),
)
gossip_entries = st.builds(
    GossipEntry,
    node=node_ids,
    ping_sent=u32,
    pong_received=u32,
    ip=addresses,
    port=u16,
    bus_port=u16,
    flags=node_flags,
    secondary_port=u16,
)
extensions = st.builds(
    Extensions,
    hostname=hostnames,
    human_name=hostnames,
    shard_id=st.none() | node_ids,
    forgotten=st.lists(st.builds(ForgottenNode, node_ids, epochs), max_size=3).map(tuple),
)
pings = st.builds(
    Ping,
    kind=st.sampled_from([MessageType.PING, MessageType.PONG, MessageType.MEET]),
    header=headers,
    gossip=st.lists(gossip_entries, max_size=4).map(tuple),
    extensions=extensions,
)
publishes = st.builds(
    Publish,
    header=headers,
    channel=st.binary(max_size=50),
    payload=st.binary(max_size=200),
    sharded=st.booleans(),
)
modules = st.builds(
    Module,
    header=headers,
    module=st.integers(0, (1 << 64) - 1),
    kind=st.integers(0, 255),
    payload=st.binary(max_size=200),
)
messages: st.SearchStrategy[Message] = st.one_of(
    pings,
    st.builds(Fail, headers, node_ids),
    publishes,
    modules,
    st.builds(FailoverAuthRequest, headers),
    st.builds(FailoverAuthAck, headers),
    st.builds(Update, headers, epochs, node_ids, bitmaps),
    st.builds(ManualFailoverStart, headers),
)
