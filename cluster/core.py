"""What every rule works with: the view, the settings, this step's effects, and how to speak.

A rule is a function that takes the `Core`, changes the view, and appends effects. The core keeps the two
promises no rule may break: a message is built from the view as it stands when it is sent, and nothing that
depends on unsaved state leaves before the save (see `persist`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from shoal.cluster.effects import Effect, Level, Note, PersistConfig, Send
from shoal.cluster.messages import (
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    Header,
    ManualFailoverStart,
    Message,
    MessageFlag,
    MessageType,
    Module,
    Ping,
    Publish,
    Update,
)
from shoal.cluster.settings import ClusterSettings, Dataset
from shoal.cluster.view import ClusterView, Link, Node

_TYPE_OF = {
    Fail: MessageType.FAIL,
    FailoverAuthRequest: MessageType.FAILOVER_AUTH_REQUEST,
    FailoverAuthAck: MessageType.FAILOVER_AUTH_ACK,
    Update: MessageType.UPDATE,
    ManualFailoverStart: MessageType.MFSTART,
    Module: MessageType.MODULE,
}


def message_type(message: Message) -> MessageType | None:
    """The type of a packet as the message counters know it; None for one this version does not know."""
    if isinstance(message, Ping):
        return message.kind
    if isinstance(message, Publish):
        return MessageType.PUBLISHSHARD if message.sharded else MessageType.PUBLISH
    return _TYPE_OF.get(type(message))


class AdminError(Exception):
    """An administrative request is refused with nothing changed. After `ERR ` comes this text."""


@dataclass(slots=True)
class Election:
    """A replica's attempt to replace its failed primary. `started_ms` is 0 while there is none.

    `jitter_ms` is drawn once; the rest of the delay is recomputed while waiting. `epoch` and `votes`
    mean something once `requested`.
    """

    started_ms: int = 0
    jitter_ms: int = 0
    rank: int = 0
    requested_ms: int = 0
    epoch: int = 0
    votes: set[str] = field(default_factory=set)

    @property
    def requested(self) -> bool:
        return self.requested_ms > 0


@dataclass(slots=True)
class ManualFailover:
    """A CLUSTER FAILOVER in progress. On the primary `replica` is set, on the replica it is None."""

    until_ms: int = 0
    replica: Node | None = None
    offset_is_final: bool = False
    primary_offset: int | None = None
    can_start: bool = False

    @property
    def active(self) -> bool:
        return self.until_ms > 0


class Core:
    """One node's cluster state plus the means to act on it. Lives as long as the machine."""

    def __init__(self, view: ClusterView, settings: ClusterSettings, rng: Random, dataset: Dataset) -> None:
        self.view = view
        self.settings = settings
        self.rng = rng
        self.dataset = dataset
        self.now_ms = 0
        self.effects: list[Effect] = []

        self.offset = 0
        self.primary_link_up = False
        self.primary_last_seen_ms: int | None = None

        self.election = Election()
        self.manual = ManualFailover()
        self.reason_noted = ""
        self.reason_noted_ms = 0
        self.forgotten_told: dict[str, set[str]] = {}

        self.minority_seen_ms = 0
        self.not_writable_until_ms = 0
        self.awaiting_failover_until_ms = 0
        self.news_sent_ms = 0
        self.last_link = 0

        self.has_news = False
        self.topology_changed = False
        self._save_needed = False
        self._barrier_at: int | None = None

    @property
    def myself(self) -> Node:
        return self.view.myself

    # Steps

    def begin(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.effects = []
        self.topology_changed = False
        self._save_needed = False
        self._barrier_at = None

    def finish(self) -> list[Effect]:
        """The step's effects with its one save put where it belongs."""
        effects, self.effects = self.effects, []
        if self._barrier_at is not None:
            effects.insert(self._barrier_at, PersistConfig(fsync=True))
        elif self._save_needed:
            effects.append(PersistConfig(fsync=False))
        return effects

    def emit(self, effect: Effect) -> None:
        self.effects.append(effect)

    def note(self, level: Level, text: str) -> None:
        self.effects.append(Note(level, text))

    def persist(self, *, fsync: bool = False) -> None:
        """Save the configuration in this step.

        A save writes the state as it is when the step has ended, so one is enough however many changes
        ask for it. It stands where the first change that must be durable happened: what was sent
        before was built from the older state, what is sent after waits for the disk.
        """
        if not fsync:
            self._save_needed = True
        elif self._barrier_at is None:
            self._barrier_at = len(self.effects)

    def changed(self, *, news: bool = False) -> None:
        """Routing tables are stale; with `news`, other nodes should hear from us soon as well."""
        self.topology_changed = True
        self.has_news = self.has_news or news

    # Speaking

    def header(self, message_flags: MessageFlag = MessageFlag.NONE) -> Header:
        """Who we are right now. A replica speaks of its primary's slots and config epoch."""
        me, settings = self.view.myself, self.settings
        primary = me.shard_primary
        if self.manual.offset_is_final and me.is_primary:
            message_flags |= MessageFlag.PAUSED
        return Header(
            sender=me.id,
            current_epoch=self.view.current_epoch,
            config_epoch=primary.config_epoch,
            replication_offset=self.offset,
            slots=primary.bitmap,
            replica_of=me.primary.id if me.primary is not None else None,
            ip=settings.announce_ip,
            port=settings.tls_port if settings.tls_cluster else settings.tcp_port,
            bus_port=settings.bus_port,
            secondary_port=settings.tcp_port if settings.tls_cluster else settings.tls_port,
            flags=me.flags,
            cluster_ok=self.view.state_ok,
            message_flags=message_flags | MessageFlag.EXT_DATA,
        )

    def send(self, link: Link | None, message: Message) -> None:
        """Send unless there is no usable link, or this node is lying low (see health.py)."""
        if link is None or not link.connected or self.view.awaiting_failover:
            return
        kind = message_type(message)
        if kind is not None:
            self.view.messages_sent[kind] += 1
        self.effects.append(Send(link.id, message))

    def broadcast(self, message: Message) -> None:
        """Send to every node with a link whose identity is known."""
        for node in self.view.nodes.values():
            if node.link is not None and not node.handshake:
                self.send(node.link, message)

    def random_id(self) -> str:
        """A fresh 40-character node id."""
        return f"{self.rng.getrandbits(160):040x}"


def name_of(node: Node) -> str:
    """A node as log lines call it: its id and, in brackets, the name a human gave it."""
    return f"{node.id} ({node.human_name})"
