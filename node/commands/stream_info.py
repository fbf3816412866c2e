"""XINFO: streams, groups and consumers from the inside."""

from __future__ import annotations

from itertools import islice

from shoal.node.commands.call import Call
from shoal.node.commands.help import help_command
from shoal.node.commands.registry import command, container
from shoal.node.commands.spec import Arg, Flag, KeyUse, block, key_arg, key_at, token
from shoal.node.commands.stream_ranges import shown
from shoal.node.dataset.numbers import as_int64, require_integer
from shoal.node.dataset.stream_groups import Consumer, ConsumerGroup
from shoal.node.dataset.stream_ids import format_id
from shoal.node.dataset.streams import Stream
from shoal.node.resp.replies import CommandError, Reply, quoted

DEFAULT_FULL_COUNT = 10
_WRONG_FULL = "ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP."
_KEY = (key_at(2, KeyUse.RO | KeyUse.ACCESS),)

container("XINFO", group="stream", since="5.0.0", summary="Holds the commands that look into streams.")
help_command("XINFO", since="5.0.0")


@command(
    "XINFO|STREAM",
    arity=-3,
    flags=Flag.READONLY,
    group="stream",
    since="5.0.0",
    complexity="O(1); with FULL, O(N) where N entries, groups, consumers and pending entries are shown.",
    summary="Tells about a stream, with FULL also about its groups and their consumers.",
    keys=_KEY,
    arguments=(
        key_arg(),
        block(
            "full-block",
            token("FULL"),
            Arg("count", "integer", token="COUNT", optional=True),
            optional=True,
        ),
    ),
    history=(
        ("6.0.0", "Knows `FULL`."),
        (
            "7.0.0",
            "Tells what was added and deleted, the first id, and how far groups are.",
        ),
        ("7.2.0", "Tells `active-time`."),
    ),
)
def xinfo_stream(call: Call, key: bytes, *words: bytes) -> Reply:
    stream = _existing_stream(call, key)
    count = _parse_full(words) if words else None
    about: dict[bytes, Reply] = {
        b"length": len(stream),
        b"radix-tree-keys": len(stream.nodes),
        b"radix-tree-nodes": stream.radix_nodes,
        b"last-generated-id": format_id(stream.last_id),
        b"max-deleted-entry-id": format_id(stream.max_deleted_id),
        b"entries-added": as_int64(stream.entries_added),
        b"recorded-first-entry-id": format_id(stream.first_id),
    }
    if count is None:
        about[b"groups"] = len(stream.groups)
        about[b"first-entry"] = next(iter(shown(stream.entries(), 1)), None)
        about[b"last-entry"] = next(iter(shown(stream.entries_backwards(), 1)), None)
    else:
        most = count or None
        about[b"entries"] = shown(stream.entries(), most)
        about[b"groups"] = [
            _full_group(stream, name, group, most) for name, group in sorted(stream.groups.items())
        ]
    return about


def _parse_full(words: tuple[bytes, ...]) -> int:
    """`FULL [COUNT count]`: how many of everything to show, 0 for all."""
    if words[0].upper() != b"FULL" or len(words) not in (1, 3):
        raise CommandError(_WRONG_FULL)
    if len(words) == 1:
        return DEFAULT_FULL_COUNT
    if words[1].upper() != b"COUNT":
        raise CommandError(_WRONG_FULL)
    count = require_integer(words[2])
    return DEFAULT_FULL_COUNT if count < 0 else count


def _full_group(stream: Stream, name: bytes, group: ConsumerGroup, count: int | None) -> Reply:
    pending: list[Reply] = [
        [format_id(entry_id), entry.consumer.name, entry.delivered_ms, entry.deliveries]
        for entry_id, entry in islice(group.pending.items(), count)
    ]
    return {
        b"name": name,
        b"last-delivered-id": format_id(group.last_id),
        b"entries-read": group.entries_read,
        b"lag": stream.lag(group),
        b"pel-count": len(group.pending),
        b"pending": pending,
        b"consumers": [_full_consumer(consumer, count) for consumer in group.by_name()],
    }


def _full_consumer(consumer: Consumer, count: int | None) -> Reply:
    pending: list[Reply] = [
        [format_id(entry_id), entry.delivered_ms, entry.deliveries]
        for entry_id, entry in islice(consumer.pending.items(), count)
    ]
    return {
        b"name": consumer.name,
        b"seen-time": consumer.seen_ms,
        b"active-time": -1 if consumer.active_ms is None else consumer.active_ms,
        b"pel-count": len(consumer.pending),
        b"pending": pending,
    }


@command(
    "XINFO|GROUPS",
    arity=3,
    flags=Flag.READONLY,
    group="stream",
    since="5.0.0",
    complexity="O(N*log(N)) for N groups.",
    summary="Tells about the groups of a stream.",
    keys=_KEY,
    arguments=(key_arg(),),
    history=(("7.0.0", "Tells `entries-read` and `lag`."),),
)
def xinfo_groups(call: Call, key: bytes) -> Reply:
    stream = _existing_stream(call, key)
    return [
        {
            b"name": name,
            b"consumers": len(group.consumers),
            b"pending": len(group.pending),
            b"last-delivered-id": format_id(group.last_id),
            b"entries-read": group.entries_read,
            b"lag": stream.lag(group),
        }
        for name, group in sorted(stream.groups.items())
    ]


@command(
    "XINFO|CONSUMERS",
    arity=4,
    flags=Flag.READONLY,
    group="stream",
    since="5.0.0",
    complexity="O(N*log(N)) for N consumers.",
    summary="Tells about the consumers of a group.",
    keys=_KEY,
    arguments=(key_arg(), Arg("group")),
    tips=("nondeterministic_output",),
    history=(("7.2.0", "Tells `inactive`."),),
)
def xinfo_consumers(call: Call, key: bytes, name: bytes) -> Reply:
    group = _existing_stream(call, key).groups.get(name)
    if group is None:
        raise CommandError(
            b"NOGROUP No such consumer group '%b' for key name '%b'" % (quoted(name), quoted(key))
        )
    return [
        {
            b"name": consumer.name,
            b"pending": len(consumer.pending),
            b"idle": max(call.now_ms - consumer.seen_ms, 0),
            b"inactive": -1 if consumer.active_ms is None else max(call.now_ms - consumer.active_ms, 0),
        }
        for consumer in group.by_name()
    ]


def _existing_stream(call: Call, key: bytes) -> Stream:
    stream = call.db.read_as(key, Stream)
    if stream is None:
        raise CommandError("ERR no such key")
    return stream
