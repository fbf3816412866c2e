"""XREAD and XREADGROUP: what is new in several streams, for a client alone or for a consumer of a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from shoal.node.commands.call import Call
from shoal.node.commands.options import SYNTAX_ERROR
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
from shoal.node.dataset.numbers import require_integer
from shoal.node.dataset.stream_groups import Consumer
from shoal.node.dataset.stream_ids import MAX_ID, format_id, parse_strict_id
from shoal.node.dataset.streams import Stream
from shoal.node.resp.replies import NULL_ARRAY, ByKey, CommandError, Reply

_COUNT = Arg("count", "integer", token="COUNT", optional=True)
_BLOCK = Arg("milliseconds", "integer", token="BLOCK", optional=True)
_STREAMS = block("streams", key_arg(multiple=True), Arg("id", multiple=True), token="STREAMS")

NEW_ENTRIES = MAX_ID
"""What stands for the id `>`."""


@dataclass(slots=True)
class ReadRequest:
    """What one XREAD or XREADGROUP asks for. `ids` are those read last: what follows is new."""

    count: int | None = None
    block_ms: int | None = None
    group: bytes | None = None
    consumer: bytes = b""
    no_ack: bool = False
    """Nothing becomes pending."""
    keys: Sequence[bytes] = ()
    texts: Sequence[bytes] = ()
    ids: list[int] = field(default_factory=list)


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
    request = _parse(words, "XREAD")
    for key, text in zip(request.keys, request.texts, strict=True):
        stream = call.db.read_stream(key)
        request.ids.append(_id_read_last(text, stream))
    found: list[tuple[Reply, Reply]] = []
    for key, after in zip(request.keys, request.ids, strict=True):
        stream = call.db.read_stream(key)
        if stream is not None and stream.top_id > after:
            found.append((key, shown(stream.entries(after + 1), request.count)))
    return ByKey(found) if found else NULL_ARRAY


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
    request = _parse(words, "XREADGROUP")
    if request.group is None:
        raise CommandError("ERR Missing GROUP option for XREADGROUP")
    for key, text in zip(request.keys, request.texts, strict=True):
        find_group(call.db.read_stream(key), key, request.group, "in XREADGROUP with GROUP option")
        request.ids.append(_id_to_read_for_group(text))
    propagate_nothing_else(call)
    found: list[tuple[Reply, Reply]] = []
    for key, after in zip(request.keys, request.ids, strict=True):
        entries = _read_for_group(call, request, request.group, key, after)
        if entries is not None:
            found.append((key, entries))
    return ByKey(found) if found else NULL_ARRAY


def _read_for_group(call: Call, request: ReadRequest, name: bytes, key: bytes, after: int) -> Reply | None:
    """New entries of one stream, if there are any, or those this consumer has not acknowledged."""
    stream = call.db.change_stream(key)
    if stream is None:
        return None
    group = stream.groups[name]
    is_new = request.consumer not in group.consumers
    consumer = seen_consumer(call, key, group, request.consumer)
    if is_new and request.no_ack:
        call.propagate(b"XGROUP", b"CREATECONSUMER", key, name, request.consumer)
    if after != NEW_ENTRIES:
        call.db.changed_unwatched(key)
        return _unacknowledged(call, stream, consumer, after, request.count)
    if stream.top_id <= group.last_id:
        return None
    entries = list(islice(stream.entries(group.last_id + 1), request.count))
    for entry_id, _ in entries:
        stream.deliver(group, entry_id)
        if not request.no_ack:
            pending = group.assign(entry_id, consumer, call.now_ms)
            pending.delivered_ms, pending.deliveries = call.now_ms, 1
            propagate_claim(call, key, name, group, entry_id, pending)
    if request.no_ack:
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
            pending.deliveries += 1
            found += shown((entry,))
        if len(found) == count:
            break
    return found


# --- arguments -----------------------------------------------------------------------------------------


def _parse(words: Sequence[bytes], command_name: str) -> ReadRequest:
    """Read the options, up to the keys and as many ids behind STREAMS."""
    request = ReadRequest()
    is_group = command_name == "XREADGROUP"
    position = 0
    while position < len(words):
        word, left = words[position].upper(), len(words) - position - 1
        if word == b"BLOCK" and left:
            request.block_ms = _parse_timeout(words[position + 1])
            position += 1
        elif word == b"COUNT" and left:
            request.count = max(require_integer(words[position + 1]), 0) or None
            position += 1
        elif word == b"STREAMS" and left:
            if left % 2:
                raise CommandError(_UNBALANCED.format(command_name, ">" if is_group else "$"))
            middle = position + 1 + left // 2
            request.keys, request.texts = words[position + 1 : middle], words[middle:]
            return request
        elif word == b"GROUP" and left >= 2:
            if not is_group:
                raise CommandError(_ONLY_FOR_GROUPS.format("GROUP"))
            request.group, request.consumer = words[position + 1], words[position + 2]
            position += 2
        elif word == b"NOACK":
            if not is_group:
                raise CommandError(_ONLY_FOR_GROUPS.format("NOACK"))
            request.no_ack = True
        else:
            break
        position += 1
    raise CommandError(SYNTAX_ERROR)


def _parse_timeout(text: bytes) -> int:
    timeout = require_integer(text, "ERR timeout is not an integer or out of range")
    if timeout < 0:
        raise CommandError("ERR timeout is negative")
    return timeout


def _id_read_last(text: bytes, stream: Stream | None) -> int:
    """The id behind which XREAD reads."""
    if text == b"$":
        return 0 if stream is None else stream.last_id
    if text == b">":
        raise CommandError(_NEW_FOR_XREAD)
    return parse_strict_id(text)


def _id_to_read_for_group(text: bytes) -> int:
    """The id behind which a consumer reads what it has not acknowledged, or NEW_ENTRIES."""
    if text == b"$":
        raise CommandError(_LAST_FOR_GROUP)
    return NEW_ENTRIES if text == b">" else parse_strict_id(text)


_ONLY_FOR_GROUPS = "ERR The {} option is only supported by XREADGROUP. You called XREAD instead."
_UNBALANCED = "ERR Unbalanced {} list of streams: for each stream key an ID or '{}' must be specified."
_NEW_FOR_XREAD = (
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
)
_LAST_FOR_GROUP = (
    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer"
    " by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty"
    " result set."
)
