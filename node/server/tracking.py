"""Client-side caching: who may hold which key in its own memory, and who is told that it changed.

A client that asks for it (CLIENT TRACKING) is remembered with every key it reads, and told once when such a
key changes; after that it may not hold the key any more, so there is nothing left to remember. In BCAST mode
nothing is remembered: the client names prefixes, and is told of every changed key that begins with one.

When a client is told. Of a key it read: at once, in the midst of the command that changes the key, unless the
command is its own. A message in the midst of its own EXEC's array could not be told from an element, so
what a client's own command invalidates waits until its reply is queued. By prefix: at the end of the turn,
all keys of a prefix in one message.

What is remembered is a client's id, and a client that has gone or tracks no more is not taken out of the
table: that would cost as much as all it ever read. Its id is found useless when the key changes.

While nobody tracks, the keyspace calls nobody, and there is no table.

Source: Redis's "Client-side caching reference" page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from shoal.node.commands.spec import Flag
from shoal.node.dataset.table import Table
from shoal.node.resp.replies import Push
from shoal.node.resp.writer import encode

if TYPE_CHECKING:
    from shoal.node.server.entries import Entry
    from shoal.node.server.server import Server
    from shoal.node.server.session import Session

CHANNEL = b"__redis__:invalidate"
"""Where a client that speaks RESP2 hears of the keys of those who redirect to it."""

EVICTED_AT_ONCE = 1000
"""By how many keys the table is made smaller in one go."""

_READONLY, _PUBSUB = int(Flag.READONLY), int(Flag.PUBSUB)


class Invalidation:
    """Keys that have changed (None: all there were), encoded once per protocol for whoever is told."""

    def __init__(self, keys: list[bytes] | None) -> None:
        self.keys = keys

    @cached_property
    def push(self) -> bytes:
        """For a client that speaks RESP3."""
        return encode(Push([b"invalidate", self.keys]), 3)

    @cached_property
    def message(self) -> bytes:
        """For a subscriber that speaks RESP2."""
        return encode([b"message", CHANNEL, self.keys], 2)


@dataclass(slots=True, eq=False)
class Tracker:
    """A client that has its keys tracked, and how."""

    session: Session
    redirect: int = 0
    """The id of the client that is told in its place; 0: none."""
    prefixes: set[bytes] | None = None
    """BCAST: which keys it wants to hear of."""
    opt_in: bool = False
    """Only what is read right after CLIENT CACHING YES is remembered."""
    opt_out: bool = False
    """All but what is read right after CLIENT CACHING NO is remembered."""
    no_loop: bool = False
    """It need not be told of its own changes."""
    caching: bool = False
    """CLIENT CACHING was given for the next command or transaction."""
    is_broken: bool = False
    """There was something to tell, and the client redirected to is gone."""
    pending: list[Invalidation] = field(default_factory=list)
    """What its own running command has invalidated."""
    alone: frozenset[int] = frozenset()
    """The holders of a key that it alone has read: one object for all of these keys."""

    def __post_init__(self) -> None:
        self.alone = frozenset([self.session.id])

    @property
    def remembers(self) -> bool:
        """Whether what the client reads now is to be remembered."""
        if self.prefixes is not None:
            return False
        return self.caching if self.opt_in else not (self.opt_out and self.caching)


class _Audience:
    """Those who want to hear of a prefix, and what they are to hear of at the end of the turn."""

    __slots__ = ("changed", "trackers")

    def __init__(self) -> None:
        self.trackers: dict[Tracker, None] = {}
        self.changed: dict[bytes, Session | None] = {}
        """The keys, and who changed each of them last."""


class Tracking:
    """Everything one server knows about its clients' caches."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.trackers: dict[int, Tracker] = {}
        """By the client's id."""
        self.items = 0
        """Pairs of a key and a client that read it."""
        self.running: Session | None = None
        """Whose command is being run, if it is run with care; a client that tracks always is."""
        self.has_news = False
        """Whether there is something to broadcast."""
        self._holders: Table[set[int] | frozenset[int]] = Table()
        """By key: who read it since it last changed."""
        self._audiences: dict[bytes, _Audience] = {}

    @property
    def keys(self) -> int:
        """How many keys are remembered."""
        return len(self._holders)

    @property
    def prefixes(self) -> int:
        """How many prefixes somebody wants to hear of."""
        return len(self._audiences)

    # --- who tracks --------------------------------------------------------------------------------

    def begin(self, session: Session) -> Tracker:
        """The client's tracking, which begins now unless it has begun."""
        if session.tracker is None:
            session.tracker = self.trackers[session.id] = Tracker(session)
            session.refresh_plain()
            self.server.keyspace.tell_changes(self._key_changed)
        return session.tracker

    def redirect(self, tracker: Tracker, target: Session | None) -> None:
        """Tell another client in its place from now on."""
        tracker.redirect = target.id if target is not None else 0
        tracker.is_broken = False
        if target is not None:
            target.hears_for_others = True
            target.refresh_plain()

    def broadcast_to(self, tracker: Tracker, prefixes: Iterable[bytes]) -> None:
        """Have a client hear of these prefixes beside those it hears of already."""
        if tracker.prefixes is None:
            tracker.prefixes = set()
        for prefix in prefixes:
            tracker.prefixes.add(prefix)
            self._audiences.setdefault(prefix, _Audience()).trackers[tracker] = None

    def end(self, session: Session) -> None:
        """The client tracks no more, or is gone."""
        tracker = self.trackers.pop(session.id, None)
        if tracker is None:
            return
        session.tracker = None
        session.refresh_plain()
        for prefix in tracker.prefixes or ():
            audience = self._audiences[prefix]
            del audience.trackers[tracker]
            if not audience.trackers:
                del self._audiences[prefix]
        if not self.trackers:
            self.server.keyspace.tell_changes(None)
            self._forget_keys()

    # --- what is read ------------------------------------------------------------------------------

    def command_ran(self, tracker: Tracker, entry: Entry, argv: Sequence[bytes]) -> None:
        """A client's command ran: remember the keys that it read. What a script reads is told apart."""
        if not tracker.remembers or not entry.flag_bits & _READONLY:
            return
        if entry.script_at or entry.flag_bits & _PUBSUB:
            return
        self.remember(tracker, [argv[position] for position in entry.spec.key_positions(argv)])

    def script_called(self, tracker: Tracker, entry: Entry, declared_keys: Sequence[bytes]) -> None:
        """A client's script ran a command: if it reads, all keys given to the script count as read."""
        if entry.flag_bits & _READONLY and tracker.remembers:
            self.remember(tracker, declared_keys)

    def remember(self, tracker: Tracker, keys: Sequence[bytes]) -> None:
        """From now on the client may hold these keys."""
        client = tracker.session.id
        for key in keys:
            holders = self._holders.get(key)
            if holders is None:
                self._holders.put(key, tracker.alone)
            elif client in holders:
                continue
            elif isinstance(holders, set):
                holders.add(client)
            else:
                self._holders.put(key, {client, *holders})
            self.items += 1
        self.limit_table()

    def limit_table(self) -> None:
        """With more keys than allowed, forget some drawn at random: nobody may hold those any more."""
        limit = self.server.config.tracking_table_max_keys
        if not limit:
            return
        for _ in range(min(len(self._holders) - limit, EVICTED_AT_ONCE)):
            self._invalidate(self._holders.random_key(self.server.rng), None)

    # --- what changes ------------------------------------------------------------------------------

    def _key_changed(self, key: bytes | None, *, by_command: bool) -> None:
        """See `Keyspace.tell_changes`."""
        if key is None:
            self._all_gone()
            return
        changer = self.running if by_command else None
        for prefix, audience in self._audiences.items():
            if key.startswith(prefix):
                audience.changed[key] = changer
                self.has_news = True
        if key in self._holders:
            self._invalidate(key, changer)

    def _invalidate(self, key: bytes, changer: Session | None) -> None:
        """Tell whoever may hold a key, and forget that they may."""
        holders = self._holders[key]
        self._holders.discard(key)
        self.items -= len(holders)
        news = Invalidation([key])
        for client in holders:
            tracker = self.trackers.get(client)
            if tracker is None or tracker.prefixes is not None:
                continue
            if not (tracker.no_loop and tracker.session is changer):
                self._tell_in_time(tracker, news)

    def _all_gone(self) -> None:
        """The data were flushed, or others have taken their place."""
        news = Invalidation(None)
        for tracker in list(self.trackers.values()):
            self._tell_in_time(tracker, news)
        self._forget_keys()

    def _forget_keys(self) -> None:
        self._holders = Table()
        self.items = 0

    # --- telling -----------------------------------------------------------------------------------

    def _tell_in_time(self, tracker: Tracker, news: Invalidation) -> None:
        if tracker.session is self.running:
            tracker.pending.append(news)
        else:
            self._tell(tracker, news)

    def tell_pending(self, tracker: Tracker) -> None:
        """The client's reply is queued: now it may hear what its command invalidated."""
        pending, tracker.pending = tracker.pending, []
        for news in pending:
            self._tell(tracker, news)

    def broadcast(self) -> None:
        """Tell of the keys that changed in this turn, prefix by prefix."""
        self.has_news = False
        for prefix in sorted(self._audiences):
            audience = self._audiences[prefix]
            changed, audience.changed = audience.changed, {}
            news = Invalidation(sorted(changed))
            for tracker in list(audience.trackers):
                if not tracker.no_loop:
                    told = news
                else:
                    told = Invalidation(sorted(key for key in changed if changed[key] is not tracker.session))
                if told.keys:
                    self._tell(tracker, told)

    def _tell(self, tracker: Tracker, news: Invalidation) -> None:
        """Send a message to the client itself, or to the one it redirects to, if that can take it."""
        receiver = tracker.session
        if tracker.redirect:
            target = self.server.sessions.get(tracker.redirect)
            if target is None or target.closing:
                tracker.is_broken = True
                if receiver.resp == 3:
                    receiver.send(Push([b"tracking-redir-broken", tracker.redirect]))
                return
            receiver = target
        if receiver.closing:
            return
        if receiver.resp == 3:
            receiver.send_bytes(news.push)
        elif tracker.redirect and receiver.subscriptions is not None:
            receiver.send_bytes(news.message)
        if self.server.client_memory.limit:
            self.server.client_memory.touched.add(receiver)
