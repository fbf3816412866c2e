"""SUBSCRIBE and its kin, PUBLISH, and PUBSUB, which tells who listens."""

from __future__ import annotations

from shoal.node.commands.help import help_command
from shoal.node.commands.registry import command, container
from shoal.node.commands.spec import Arg, ChannelSpec, Flag, KeyUse, all_keys, one_key
from shoal.node.dataset.glob import compile_glob
from shoal.node.resp.replies import CommandError, Reply
from shoal.node.server.pubsub import Kind, Listeners
from shoal.node.server.session import Session

_LISTENING = Flag.PUBSUB | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE
_PUBLISHING = Flag.PUBSUB | Flag.LOADING | Flag.STALE | Flag.FAST | Flag.MAY_REPLICATE
_LOOKING = Flag.PUBSUB | Flag.LOADING | Flag.STALE

# --- listening -----------------------------------------------------------------------------------------


@command(
    "SUBSCRIBE",
    arity=-2,
    flags=_LISTENING,
    group="pubsub",
    since="2.0.0",
    complexity="O(N) where N is the number of channels to subscribe to.",
    summary="Listens to channels.",
    channels=ChannelSpec(several=True),
    arguments=(Arg("channel", multiple=True),),
)
def subscribe(session: Session, *channels: bytes) -> Reply:
    return session.server.pubsub.subscribe(session, Kind.CHANNEL, channels)


@command(
    "UNSUBSCRIBE",
    arity=-1,
    flags=_LISTENING,
    group="pubsub",
    since="2.0.0",
    complexity="O(N) where N is the number of channels to leave.",
    summary="Listens no more to these channels, or to any.",
    arguments=(Arg("channel", optional=True, multiple=True),),
)
def unsubscribe(session: Session, *channels: bytes) -> Reply:
    return session.server.pubsub.unsubscribe(session, Kind.CHANNEL, channels)


@command(
    "PSUBSCRIBE",
    arity=-2,
    flags=_LISTENING,
    group="pubsub",
    since="2.0.0",
    complexity="O(N) where N is the number of patterns to subscribe to.",
    summary="Listens to every channel whose name matches a pattern.",
    channels=ChannelSpec(several=True, are_patterns=True),
    arguments=(Arg("pattern", "block", multiple=True, arguments=(Arg("pattern", "pattern"),)),),
)
def psubscribe(session: Session, *patterns: bytes) -> Reply:
    return session.server.pubsub.subscribe(session, Kind.PATTERN, patterns)


@command(
    "PUNSUBSCRIBE",
    arity=-1,
    flags=_LISTENING,
    group="pubsub",
    since="2.0.0",
    complexity="O(N) where N is the number of patterns to leave.",
    summary="Listens no more to channels that match these patterns, or any.",
    arguments=(Arg("pattern", "pattern", optional=True, multiple=True),),
)
def punsubscribe(session: Session, *patterns: bytes) -> Reply:
    return session.server.pubsub.unsubscribe(session, Kind.PATTERN, patterns)


@command(
    "SSUBSCRIBE",
    arity=-2,
    flags=_LISTENING,
    group="pubsub",
    since="7.0.0",
    complexity="O(N) where N is the number of shard channels to subscribe to.",
    summary="Listens to channels of this shard.",
    keys=all_keys(KeyUse.NOT_KEY),
    channels=ChannelSpec(several=True),
    arguments=(Arg("shardchannel", multiple=True),),
)
def ssubscribe(session: Session, *channels: bytes) -> Reply:
    if session.in_exec:
        raise CommandError("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client")
    return session.server.pubsub.subscribe(session, Kind.SHARD, channels)


@command(
    "SUNSUBSCRIBE",
    arity=-1,
    flags=_LISTENING,
    group="pubsub",
    since="7.0.0",
    complexity="O(N) where N is the number of shard channels to leave.",
    summary="Listens no more to these channels of this shard, or to any.",
    keys=all_keys(KeyUse.NOT_KEY),
    arguments=(Arg("shardchannel", optional=True, multiple=True),),
)
def sunsubscribe(session: Session, *channels: bytes) -> Reply:
    return session.server.pubsub.unsubscribe(session, Kind.SHARD, channels)


# --- publishing ----------------------------------------------------------------------------------------


@command(
    "PUBLISH",
    arity=3,
    flags=_PUBLISHING,
    group="pubsub",
    since="2.0.0",
    complexity="O(N+M) where N is the number of clients that listen to the channel, M of all patterns.",
    summary="Sends a message to everybody who listens to a channel, on every node.",
    channels=ChannelSpec(),
    arguments=(Arg("channel"), Arg("message")),
)
def publish(session: Session, channel: bytes, message: bytes) -> Reply:
    receivers = session.server.pubsub.publish(channel, message)
    _carry_on(session, channel, message, sharded=False)
    return receivers


@command(
    "SPUBLISH",
    arity=3,
    flags=_PUBLISHING,
    group="pubsub",
    since="7.0.0",
    complexity="O(N) where N is the number of clients that listen to the shard channel.",
    summary="Sends a message to everybody who listens to a channel of this shard, on its every node.",
    keys=one_key(KeyUse.NOT_KEY),
    channels=ChannelSpec(),
    arguments=(Arg("shardchannel"), Arg("message")),
)
def spublish(session: Session, channel: bytes, message: bytes) -> Reply:
    receivers = session.server.pubsub.publish_sharded(channel, message)
    _carry_on(session, channel, message, sharded=True)
    return receivers


def _carry_on(session: Session, channel: bytes, message: bytes, *, sharded: bool) -> None:
    """To the other nodes: over the bus in a cluster, with the stream to replicas elsewhere."""
    cluster = session.server.cluster
    if cluster is None:
        session.propagate_as_typed()
    else:
        cluster.publish(channel, message, sharded=sharded)


# --- PUBSUB --------------------------------------------------------------------------------------------

container("PUBSUB", group="pubsub", since="2.8.0", summary="Tells who listens to what on this node.")
help_command("PUBSUB", since="6.2.0")


@command(
    "PUBSUB|CHANNELS",
    arity=-2,
    flags=_LOOKING,
    group="pubsub",
    since="2.8.0",
    complexity="O(N) where N is the number of channels somebody listens to",
    summary="Lists the channels that somebody listens to.",
    arguments=(Arg("pattern", "pattern", optional=True),),
)
def pubsub_channels(session: Session, *pattern: bytes) -> Reply:
    return _names(session.server.pubsub.channels, pattern, "CHANNELS")


@command(
    "PUBSUB|SHARDCHANNELS",
    arity=-2,
    flags=_LOOKING,
    group="pubsub",
    since="7.0.0",
    complexity="O(N) where N is the number of shard channels somebody listens to",
    summary="Lists the shard channels that somebody listens to.",
    arguments=(Arg("pattern", "pattern", optional=True),),
)
def pubsub_shardchannels(session: Session, *pattern: bytes) -> Reply:
    return _names(session.server.pubsub.shard_channels, pattern, "SHARDCHANNELS")


def _names(listeners: Listeners, pattern: tuple[bytes, ...], subcommand: str) -> Reply:
    if len(pattern) > 1:
        raise CommandError(
            f"ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try PUBSUB HELP."
        )
    if not pattern:
        return list(listeners)
    matches = compile_glob(pattern[0])
    return [name for name in listeners if matches(name)]


@command(
    "PUBSUB|NUMSUB",
    arity=-2,
    flags=_LOOKING,
    group="pubsub",
    since="2.8.0",
    complexity="O(N) where N is the number of requested channels",
    summary="Counts who listens to each of these channels, patterns aside.",
    arguments=(Arg("channel", optional=True, multiple=True),),
)
def pubsub_numsub(session: Session, *channels: bytes) -> Reply:
    return _counts(session.server.pubsub.channels, channels)


@command(
    "PUBSUB|SHARDNUMSUB",
    arity=-2,
    flags=_LOOKING,
    group="pubsub",
    since="7.0.0",
    complexity="O(N) where N is the number of requested shard channels",
    summary="Counts who listens to each of these shard channels.",
    arguments=(Arg("shardchannel", optional=True, multiple=True),),
)
def pubsub_shardnumsub(session: Session, *channels: bytes) -> Reply:
    return _counts(session.server.pubsub.shard_channels, channels)


def _counts(listeners: Listeners, channels: tuple[bytes, ...]) -> Reply:
    """Channels and counts in turn: a flat array even in RESP3."""
    flat: list[Reply] = []
    for channel in channels:
        flat += [channel, len(listeners.get(channel, ()))]
    return flat


@command(
    "PUBSUB|NUMPAT",
    arity=2,
    flags=_LOOKING,
    group="pubsub",
    since="2.8.0",
    complexity="O(1)",
    summary="Counts the different patterns somebody listens to.",
)
def pubsub_numpat(session: Session) -> Reply:
    return len(session.server.pubsub.patterns)
