"""XREAD and XREADGROUP: what is new in several streams, for a client alone or for a consumer of a group."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from shoal.node.commands.call import Call, KeyWait
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeySpec, KeyUse, block, key_arg
from shoal.node.commands.stream_deliveries import (
    find_group,
    propagate_claim,
    propagate_group,
    propagate_nothing_else,
    seen_consumer,
)
from shoal.node.commands.stream_ranges import shown
from shoal.node.commands.stream_read_options import (
    NEW_ENTRIES,
    ReadRequest,
    id_read_last,
    id_to_read_for_group,
    parse_read,
)
from shoal.node.dataset.numbers import as_int64
from shoal.node.dataset.stream_groups import Consumer
from shoal.node.dataset.stream_ids import format_id
from shoal.node.dataset.streams import Stream
from shoal.node.resp.replies import NO_REPLY, NULL_ARRAY, ByKey, CommandError, Reply

_COUNT = Arg("count", "integer", token="COUNT", optional=True)
_BLOCK = Arg("milliseconds", "integer", token="BLOCK", optional=True)
_STREAMS = block("streams", key_arg(multiple=True), Arg("id", multiple=True), token="STREAMS")

COUNT_AFTER_WAIT = 1000
"""How many entries a client gets at most that had to wait for them, unless COUNT says otherwise."""

_KEY_GONE = "UNBLOCKED the stream key no longer exists"
_GROUP_GONE = "NOGROUP the consumer group this client was blocked on no longer exists"


@command(
    "XREAD",
    arity=-4,
    flags=Flag.READONLY | Flag.BLOCKING,
    group="stream",
    since="5.0.0",
    complexity="O(log(N)+M) for each stream, of N entries, and M of them returned.",
    summary="Returns the entries of several streams behind the ids given, and may wait for some.",
    keys=(KeySpec(KeyUse.RO | KeyUse.ACCESS, 1, last=-1, limit=2, keyword=b"STREAMS"),),
    arguments=(_COUNT, _BLOCK, _STREAMS),
)
def xread(call: Call, *words: bytes) -> Reply:
    request = parse_read(words, "XREAD", call.now_ms)
    read_last: dict[bytes, int] = {}
    found: list[tuple[Reply, Reply]] = []
    for key, text in zip(request.keys, request.texts, strict=True):
        stream = call.db.read_as(key, Stream)
        after = id_read_last(text, stream)
        read_last.setdefault(key, after)
        if stream is not None and stream.top_id > after:
            found.append((key, shown(stream.entries(after + 1), request.count)))
    if found:
        return ByKey(found)

    def serve(key: bytes) -> Reply:
        stream = call.db.read_as(key, Stream)
        if stream is None or stream.top_id <= read_last[key]:
            return NO_REPLY
        return ByKey([(key, shown(stream.entries(read_last[key] + 1), request.count or COUNT_AFTER_WAIT))])

    return _wait(call, request, serve, gone=None)


@command(
    "XREADGROUP",
    arity=-7,
    flags=Flag.WRITE | Flag.BLOCKING,
    group="stream",
    since="5.0.0",
    complexity="O(log(N)+M*log(P)) for each stream, of N entries, P of them pending and M returned.",
    summary="Gives a consumer entries no other of its group has, or its unacknowledged ones again.",
    keys=(KeySpec(KeyUse.RO | KeyUse.ACCESS, 4, last=-1, limit=2, keyword=b"STREAMS"),),
    arguments=(
        block("group_consumer", Arg("group"), Arg("consumer"), token="GROUP"),
        _COUNT,
        _BLOCK,
        Arg("noack", "pure-token", token="NOACK", optional=True),
        _STREAMS,
    ),
)
def xreadgroup(call: Call, *words: bytes) -> Reply:
    request = parse_read(words, "XREADGROUP", call.now_ms)
    for key, text in zip(request.keys, request.texts, strict=True):
        find_group(call.db.read_as(key, Stream), key, request.group, "in XREADGROUP with GROUP option")
        request.ids.append(id_to_read_for_group(text))
    propagate_nothing_else(call)
    found: list[tuple[Reply, Reply]] = []
    for key, after in zip(request.keys, request.ids, strict=True):
        stream = call.db.change_as(key, Stream)
        entries = None if stream is None else _read_for_group(call, request, key, stream, after)
        if entries is not None:
            found.append((key, entries))
    if found:
        return ByKey(found)

    def serve(key: bytes) -> Reply:
        stream = call.db.change_as(key, Stream)
        if stream is None:
            return NO_REPLY
        if request.group not in stream.groups:
            raise CommandError(_GROUP_GONE)
        propagate_nothing_else(call)
        request.count = request.count or COUNT_AFTER_WAIT
        entries = _read_for_group(call, request, key, stream, NEW_ENTRIES)
        return NO_REPLY if entries is None else ByKey([(key, entries)])

    return _wait(call, request, serve, gone=CommandError(_KEY_GONE))


def _wait(
    call: Call, request: ReadRequest, serve: Callable[[bytes], Reply], *, gone: CommandError | None
) -> Reply:
    """Nothing is new: wait, if BLOCK says so. Later entries are looked for behind the ids of now."""
    if request.block_ms is None:
        return NULL_ARRAY
    return call.wait_for_keys(KeyWait(tuple(request.keys), Stream, serve, request.block_ms, gone=gone))


def _read_for_group(
    call: Call, request: ReadRequest, key: bytes, stream: Stream, after: int
) -> list[Reply] | None:
    """New entries of one stream, if there are any, or those this consumer has not acknowledged."""
    name = request.group
    group = stream.groups[name]
    if after == NEW_ENTRIES and stream.top_id <= group.last_id:
        return None
    is_new = request.consumer not in group.consumers
    consumer = seen_consumer(call, key, group, request.consumer)
    if is_new and request.no_ack:
        call.propagate(b"XGROUP", b"CREATECONSUMER", key, name, request.consumer)
    if after != NEW_ENTRIES:
        call.db.changed_unwatched(key)
        return _unacknowledged(call, stream, consumer, after, request.count)
    entries = list(islice(stream.entries(group.last_id + 1), request.count))
    for entry_id, _ in entries:
        stream.deliver(group, entry_id)
        if not request.no_ack:
            pending = group.assign(entry_id, consumer, call.now_ms)
            pending.delivered_ms, pending.deliveries = call.now_ms, 1
            propagate_claim(call, key, name, group, entry_id, pending)
    if not request.no_ack:
        consumer.active_ms = call.now_ms
    else:
        propagate_group(call, key, name, group)
    return shown(entries)


def _unacknowledged(
    call: Call, stream: Stream, consumer: Consumer, after: int, count: int | None
) -> list[Reply]:
    """What is pending for a consumer behind an id, each once more delivered; null where the entry is gone."""
    found: list[Reply] = []
    for entry_id in consumer.pending.irange(minimum=after + 1):
        entry = stream.get(entry_id)
        if entry is None:
            found.append([format_id(entry_id), NULL_ARRAY])
        else:
            pending = consumer.pending[entry_id]
            pending.delivered_ms = call.now_ms
            pending.deliveries = as_int64(pending.deliveries + 1)
            found += shown((entry,))
        if len(found) == count:
            break
    if found:
        consumer.active_ms = call.now_ms
    return found
