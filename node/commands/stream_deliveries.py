"""What commands of consumer groups have in common: who reads, what becomes pending, how replicas hear of it.

A command that gives entries to a consumer depends on the time and on what was there, so it is propagated as
what it came to: an XCLAIM for each entry, that forces it to be pending with this time and this count, and
names the group's last id besides.
"""

from __future__ import annotations

from shoal.node.commands.call import Call
from shoal.node.dataset.stream_groups import Consumer, ConsumerGroup, PendingEntry
from shoal.node.dataset.stream_ids import format_id
from shoal.node.dataset.streams import Stream
from shoal.node.resp.replies import CommandError, quoted


def find_group(stream: Stream | None, key: bytes, name: bytes, where: str = "") -> ConsumerGroup:
    """A group that must be there, as must its stream. `where` ends the error's text."""
    group = None if stream is None else stream.groups.get(name)
    if group is None:
        text = b"NOGROUP No such key '%b' or consumer group '%b'" % (quoted(key), quoted(name))
        raise CommandError(b"%b %b" % (text, where.encode()) if where else text)
    return group


def seen_consumer(call: Call, key: bytes, group: ConsumerGroup, name: bytes) -> Consumer:
    """The consumer of this name, which is there from now on and was just seen."""
    consumer = group.consumers.get(name)
    if consumer is None:
        return add_consumer(call, key, group, name)
    consumer.seen_ms = call.now_ms
    return consumer


def add_consumer(call: Call, key: bytes, group: ConsumerGroup, name: bytes) -> Consumer:
    """A new consumer."""
    call.db.changed_unwatched(key, "xgroup-createconsumer")
    return group.add_consumer(name, call.now_ms)


def propagate_nothing_else(call: Call) -> None:
    """Send replicas what is propagated from here on, but not the command itself."""
    call.propagated = []


def propagate_claim(
    call: Call, key: bytes, name: bytes, group: ConsumerGroup, entry_id: int, pending: PendingEntry
) -> None:
    """An entry is pending as it says."""
    call.db.changed_unwatched(key)
    call.propagate(
        *(b"XCLAIM", key, name, pending.consumer.name, b"0", format_id(entry_id)),
        *(b"TIME", b"%d" % pending.delivered_ms, b"RETRYCOUNT", b"%d" % pending.deliveries),
        *(b"FORCE", b"JUSTID", b"LASTID", format_id(group.last_id)),
    )


def propagate_group(call: Call, key: bytes, name: bytes, group: ConsumerGroup) -> None:
    """A group has read up to its last id, and nothing became pending."""
    call.db.changed_unwatched(key)
    read = -1 if group.entries_read is None else group.entries_read
    call.propagate(b"XGROUP", b"SETID", key, name, format_id(group.last_id), b"ENTRIESREAD", b"%d" % read)
