"""Keyspace notifications: what happens to keys, published to the clients of this node alone.

Each event is a message twice: on `__keyspace@<database>__:<key>` with its name, and on
`__keyevent@<database>__:<name>` with the key. The directive `notify-keyspace-events` says which of the two,
and which classes of events, each by a letter. While it is empty the keyspace calls nobody.

Source: Redis's "Keyspace notifications" page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.node.server.pubsub import PubSub
    from shoal.node.server.server import Server

_EVENTS_BY_CLASS = {
    "g": "del expire persist rename_from rename_to move_from move_to copy_to restore",
    "$": "set setrange append incrby incrbyfloat setbit pfadd",
    "l": "lpush rpush lpop rpop linsert lset lrem ltrim sortstore",
    "s": "sadd srem spop sinterstore sunionstore sdiffstore",
    "h": "hset hdel hincrby hincrbyfloat hexpire hexpired hpersist",
    "z": (
        "zadd zincr zrem zremrangebyrank zremrangebyscore zremrangebylex zpopmin zpopmax zrangestore"
        " zunionstore zinterstore zdiffstore geosearchstore georadiusstore"
    ),
    "t": (
        "xadd xdel xtrim xsetid xgroup-create xgroup-setid xgroup-destroy xgroup-createconsumer"
        " xgroup-delconsumer"
    ),
    "x": "expired",
    "e": "evicted",
    "m": "keymiss",
    "n": "new",
}
_PLUG_IN = "d"
CLASS_OF = {event: letter for letter, events in _EVENTS_BY_CLASS.items() for event in events.split()}
"""The class of each event; one that is not here is a plug-in's, class `d`."""


class KeyspaceNotifier:
    """Publishes the events of the wanted classes."""

    def __init__(self, pubsub: PubSub, classes: str) -> None:
        self.pubsub = pubsub
        self.classes = classes
        self.to_keyspace = "K" in classes
        self.to_keyevent = "E" in classes

    def event(self, database: int, event: str, key: bytes) -> None:
        """Something happened to a key."""
        if self.pubsub.has_listeners and CLASS_OF.get(event, _PLUG_IN) in self.classes:
            self._publish(database, event.encode(), key)

    def new_key(self, database: int, key: bytes) -> None:
        """A key came into being."""
        self.event(database, "new", key)

    def miss(self, database: int, key: bytes) -> None:
        """A read did not find its key."""
        self.event(database, "keymiss", key)

    def _publish(self, database: int, event: bytes, key: bytes) -> None:
        if self.to_keyspace:
            self.pubsub.publish(b"__keyspace@%d__:%b" % (database, key), event)
        if self.to_keyevent:
            self.pubsub.publish(b"__keyevent@%d__:%b" % (database, event), key)


def notify_as_configured(server: Server) -> None:
    """Have the keyspace tell of what `notify-keyspace-events` asks for, and of nothing else."""
    classes = server.config.notify_keyspace_events
    notifier = KeyspaceNotifier(server.pubsub, classes)
    is_on = notifier.to_keyspace or notifier.to_keyevent
    keyspace = server.keyspace
    keyspace.tell_events(notifier.event if is_on and set(classes) - set("KEmn") else None)
    keyspace.on_new_key = notifier.new_key if is_on and "n" in classes else None
    keyspace.on_miss = notifier.miss if is_on and "m" in classes else None
