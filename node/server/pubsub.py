"""Who listens to which channel, and how a message gets to them all.

Three kinds of subscription share one mechanism: to a channel, to every channel that matches a pattern, and
to a shard channel, which belongs to a hash slot as a key does. A message is encoded once for all who speak
RESP2 and once for all who speak RESP3, and costs as much as it has receivers, plus one match per pattern.

Nothing is kept for a client that is not connected, and nothing of a message once it is queued.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from enum import Enum
from typing import TYPE_CHECKING

from shoal.cluster.slots import key_slot
from shoal.node.commands.spec import CommandSpec
from shoal.node.dataset.glob import compile_glob
from shoal.node.resp.replies import CommandError, Push, Pushes, Reply
from shoal.node.resp.writer import encode_command

if TYPE_CHECKING:
    from shoal.node.server.client_memory import ClientMemory
    from shoal.node.server.session import Session


class Kind(Enum):
    """What a client can listen to. The value is how the words about it begin: `psubscribe`, `pmessage`."""

    CHANNEL = b""
    PATTERN = b"p"
    SHARD = b"s"


class Subscriptions:
    """What one client listens to, in the order in which it asked."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: dict[Kind, dict[bytes, None]] = {kind: {} for kind in Kind}

    def count(self, kind: Kind) -> int:
        """How many the client is told it has: channels and patterns together, shard channels apart."""
        names = self.names
        if kind is Kind.SHARD:
            return len(names[Kind.SHARD])
        return len(names[Kind.CHANNEL]) + len(names[Kind.PATTERN])

    @property
    def is_empty(self) -> bool:
        return not any(self.names.values())


_WHILE_SUBSCRIBED = frozenset(
    [
        "PING",
        "SUBSCRIBE",
        "PSUBSCRIBE",
        "SSUBSCRIBE",
        "UNSUBSCRIBE",
        "PUNSUBSCRIBE",
        "SUNSUBSCRIBE",
        "QUIT",
        "RESET",
    ]
)


def check_runs_while_subscribed(spec: CommandSpec) -> None:
    """RESP2 cannot tell a message from a reply, so a client that listens may ask for little else."""
    if spec.name not in _WHILE_SUBSCRIBED:
        raise CommandError(
            f"ERR Can't execute '{spec.full_name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT /"
            " RESET are allowed in this context"
        )


Listeners = dict[bytes, dict["Session", None]]
"""By channel or pattern: who listens, in the order of subscription. No name without a listener stays."""


class PubSub:
    """All subscriptions of one server."""

    def __init__(self, memory: ClientMemory) -> None:
        self.memory = memory
        self.channels: Listeners = {}
        self.patterns: Listeners = {}
        self.shard_channels: Listeners = {}
        self._listeners = {
            Kind.CHANNEL: self.channels,
            Kind.PATTERN: self.patterns,
            Kind.SHARD: self.shard_channels,
        }
        self._matches: dict[bytes, Callable[[bytes], bool]] = {}
        """Every pattern with a listener, made ready to match channels."""
        self._channels_of_slot: dict[int, set[bytes]] = {}
        """Shard channels with a listener, by slot."""

    # --- subscribing -------------------------------------------------------------------------------

    def subscribe(self, session: Session, kind: Kind, names: Sequence[bytes]) -> Pushes:
        """Let a client listen to each of these, and tell it so once for each, new or not."""
        subscriptions = session.subscriptions
        if subscriptions is None:
            subscriptions = session.subscriptions = Subscriptions()
            session.refresh_plain()
        told: list[list[Reply]] = []
        for name in names:
            subscriptions.names[kind][name] = None
            self._listeners[kind].setdefault(name, {})[session] = None
            if kind is Kind.SHARD:
                self._channels_of_slot.setdefault(key_slot(name), set()).add(name)
            elif kind is Kind.PATTERN and name not in self._matches:
                self._matches[name] = compile_glob(name)
            told.append([kind.value + b"subscribe", name, subscriptions.count(kind)])
        return Pushes(told)

    def unsubscribe(self, session: Session, kind: Kind, names: Sequence[bytes]) -> Pushes:
        """Let a client listen to these no more, or with no names to anything of the kind, and tell it so.

        A client that listened to nothing is told as well: it waits for an answer.
        """
        subscriptions = session.subscriptions or Subscriptions()
        word = kind.value + b"unsubscribe"
        told: list[list[Reply]] = []
        for name in names or list(subscriptions.names[kind]):
            if name in subscriptions.names[kind]:
                self._remove(session, subscriptions, kind, name)
            told.append([word, name, subscriptions.count(kind)])
        if not told:
            told.append([word, None, subscriptions.count(kind)])
        self._end_if_empty(session)
        return Pushes(told)

    def forget(self, session: Session) -> None:
        """The client is gone or wants to begin anew: it listens to nothing, and is told nothing."""
        subscriptions = session.subscriptions
        if subscriptions is None:
            return
        for kind in Kind:
            for name in list(subscriptions.names[kind]):
                self._remove(session, subscriptions, kind, name)
        self._end_if_empty(session)

    def leave_slots(self, is_ours: Callable[[int], bool]) -> None:
        """End every subscription to a shard channel whose slot has gone to other nodes.

        Its messages are published there from now on. The client learns of it as of an unsubscription it
        asked for, and looks for the slot's new owner.
        """
        for slot in [slot for slot in self._channels_of_slot if not is_ours(slot)]:
            for channel in list(self._channels_of_slot[slot]):
                for session in list(self.shard_channels[channel]):
                    assert session.subscriptions is not None
                    self._remove(session, session.subscriptions, Kind.SHARD, channel)
                    left = session.subscriptions.count(Kind.SHARD)
                    session.send(Push([b"sunsubscribe", channel, left]))
                    self._end_if_empty(session)

    def _remove(self, session: Session, subscriptions: Subscriptions, kind: Kind, name: bytes) -> None:
        del subscriptions.names[kind][name]
        listeners = self._listeners[kind]
        del listeners[name][session]
        if listeners[name]:
            return
        del listeners[name]
        if kind is Kind.PATTERN:
            del self._matches[name]
        elif kind is Kind.SHARD:
            slot = key_slot(name)
            self._channels_of_slot[slot].discard(name)
            if not self._channels_of_slot[slot]:
                del self._channels_of_slot[slot]

    def _end_if_empty(self, session: Session) -> None:
        if session.subscriptions is not None and session.subscriptions.is_empty:
            session.subscriptions = None
            session.refresh_plain()

    # --- publishing --------------------------------------------------------------------------------

    @property
    def has_listeners(self) -> bool:
        """Whether a message could reach anybody here."""
        return bool(self.channels or self.patterns)

    def publish(self, channel: bytes, message: bytes) -> int:
        """Deliver a message to the clients of this node. Returns how often it was delivered."""
        delivered = 0
        listeners = self.channels.get(channel)
        if listeners:
            delivered = self._deliver(listeners, (b"message", channel, message))
        for pattern, matches in self._matches.items():
            if matches(channel):
                words = (b"pmessage", pattern, channel, message)
                delivered += self._deliver(self.patterns[pattern], words)
        return delivered

    def publish_sharded(self, channel: bytes, message: bytes) -> int:
        """`publish` to a shard channel; patterns do not see it."""
        listeners = self.shard_channels.get(channel)
        return self._deliver(listeners, (b"smessage", channel, message)) if listeners else 0

    def _deliver(self, listeners: Collection[Session], words: tuple[bytes, ...]) -> int:
        array = encode_command(words)
        push = b""
        for session in listeners:
            if session.closing:
                continue
            if session.resp == 3:
                push = push or b">" + array[1:]
                session.send_bytes(push)
            else:
                session.send_bytes(array)
        if self.memory.limit:
            self.memory.touched.update(listeners)
        return len(listeners)
