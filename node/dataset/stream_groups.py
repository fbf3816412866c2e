"""Consumer groups: how far a group has read a stream, and who was given what and has not acknowledged it.

A pending entry is known to its group and to its consumer, both in the order of ids.
"""

from __future__ import annotations

from collections.abc import Iterator

from sortedcontainers import SortedDict


class PendingEntry:
    """An entry given to a consumer: when the last time, and how often."""

    __slots__ = ("consumer", "delivered_ms", "deliveries")

    def __init__(self, consumer: Consumer, delivered_ms: int, deliveries: int = 1) -> None:
        self.consumer = consumer
        self.delivered_ms = delivered_ms
        self.deliveries = deliveries


class Consumer:
    """One reader of a group. `seen_ms` is when it last asked for something.

    `active_ms` is when it was last given something to acknowledge; None if it never was.
    """

    __slots__ = ("active_ms", "name", "pending", "seen_ms")

    def __init__(self, name: bytes, seen_ms: int) -> None:
        self.name = name
        self.seen_ms = seen_ms
        self.active_ms: int | None = None
        self.pending: SortedDict[int, PendingEntry] = SortedDict()


class ConsumerGroup:
    """One group of a stream: `last_id` was given out last.

    `entries_read` is how many entries were added up to that id, since the stream's beginning; None if nobody
    can tell.
    """

    __slots__ = ("consumers", "entries_read", "last_id", "pending")

    def __init__(self, last_id: int, entries_read: int | None) -> None:
        self.last_id = last_id
        self.entries_read = entries_read
        self.pending: SortedDict[int, PendingEntry] = SortedDict()
        self.consumers: dict[bytes, Consumer] = {}

    def by_name(self) -> Iterator[Consumer]:
        """The consumers in the order of their names."""
        return (self.consumers[name] for name in sorted(self.consumers))

    def add_consumer(self, name: bytes, now_ms: int) -> Consumer:
        """A new consumer; there is none of this name."""
        consumer = self.consumers[name] = Consumer(name, now_ms)
        return consumer

    def delete_consumer(self, consumer: Consumer) -> int:
        """Drop a consumer and what is pending for it; returns how much that was."""
        for entry_id in consumer.pending:
            del self.pending[entry_id]
        del self.consumers[consumer.name]
        return len(consumer.pending)

    def assign(self, entry_id: int, consumer: Consumer, now_ms: int) -> PendingEntry:
        """Make an entry pending for this consumer, whosever it was; a new one counts as delivered once."""
        pending: PendingEntry | None = self.pending.get(entry_id)
        if pending is None:
            pending = self.pending[entry_id] = PendingEntry(consumer, now_ms)
        elif pending.consumer is not consumer:
            del pending.consumer.pending[entry_id]
            pending.consumer = consumer
        consumer.pending[entry_id] = pending
        return pending

    def forget(self, entry_id: int) -> bool:
        """An entry is pending no more: acknowledged, or found to be gone. False if it was not pending."""
        pending: PendingEntry | None = self.pending.pop(entry_id, None)
        if pending is None:
            return False
        del pending.consumer.pending[entry_id]
        return True

    def copy(self) -> ConsumerGroup:
        """A group that shares nothing alterable with this one."""
        other = ConsumerGroup(self.last_id, self.entries_read)
        for consumer in self.consumers.values():
            other.add_consumer(consumer.name, consumer.seen_ms).active_ms = consumer.active_ms
        for entry_id, pending in self.pending.items():
            mine = other.assign(entry_id, other.consumers[pending.consumer.name], pending.delivered_ms)
            mine.deliveries = pending.deliveries
        return other
