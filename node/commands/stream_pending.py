"""Commands on what was delivered to a group's consumers and is not acknowledged yet."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from shoal.node.commands.call import Call
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, block, key_arg, one_key
from shoal.node.commands.stream_deliveries import find_group
from shoal.node.dataset.numbers import require_integer
from shoal.node.dataset.stream_groups import ConsumerGroup
from shoal.node.dataset.stream_ids import format_id, parse_range_end, parse_range_start, parse_strict_id
from shoal.node.dataset.streams import Stream
from shoal.node.resp.replies import NULL_ARRAY, CommandError, Reply


@command(
    "XACK",
    arity=-4,
    flags=Flag.WRITE | Flag.FAST,
    group="stream",
    since="5.0.0",
    complexity="O(log(N)) for each entry named, of N pending.",
    summary="Acknowledges entries, which are pending no more, and returns how many were.",
    keys=one_key(KeyUse.RW | KeyUse.UPDATE),
    arguments=(key_arg(), Arg("group"), Arg("id", multiple=True)),
)
def xack(call: Call, key: bytes, name: bytes, *ids: bytes) -> Reply:
    stream = call.db.change_as(key, Stream)
    group = None if stream is None else stream.groups.get(name)
    if group is None:
        return 0
    acknowledged = sum([group.forget(entry_id) for entry_id in [parse_strict_id(text) for text in ids]])
    if acknowledged:
        call.db.changed_unwatched(key)
    return acknowledged


@command(
    "XPENDING",
    arity=-3,
    flags=Flag.READONLY,
    group="stream",
    since="5.0.0",
    complexity="O(log(N)+M) for M entries returned, or looked at for their idle time, of N pending; "
    "O(C*log(C)) for the summary of C consumers.",
    summary="Returns what is pending in a group, as a summary or entry by entry.",
    keys=one_key(KeyUse.RO | KeyUse.ACCESS),
    arguments=(
        key_arg(),
        Arg("group"),
        block(
            "filters",
            Arg("min-idle-time", "integer", token="IDLE", optional=True, since="6.2.0"),
            Arg("start"),
            Arg("end"),
            Arg("count", "integer"),
            Arg("consumer", optional=True),
            optional=True,
        ),
    ),
    tips=("nondeterministic_output",),
    history=(("6.2.0", "Knows `IDLE`, and ranges may leave out their ends."),),
)
def xpending(call: Call, key: bytes, name: bytes, *words: bytes) -> Reply:
    filters = _parse_filters(words) if words else None
    group = find_group(call.db.read_as(key, Stream), key, name)
    return _summary(group) if filters is None else _listing(call, group, filters)


@dataclass(slots=True)
class _Filters:
    """Which pending entries to list."""

    start: int
    end: int
    count: int
    idle_ms: int
    consumer: bytes | None


def _parse_filters(words: tuple[bytes, ...]) -> _Filters:
    """`[IDLE ms] start end count [consumer]`."""
    if not 3 <= len(words) <= 6:
        raise CommandError(SYNTAX_ERROR)
    idle_ms = 0
    if words[0].upper() == b"IDLE":
        idle_ms = require_integer(words[1])
        if len(words) < 5:
            raise CommandError(SYNTAX_ERROR)
        words = words[2:]
    count = max(require_integer(words[2]), 0)
    start, end = parse_range_start(words[0]), parse_range_end(words[1])
    return _Filters(start, end, count, idle_ms, words[3] if len(words) > 3 else None)


def _summary(group: ConsumerGroup) -> Reply:
    if not group.pending:
        return [0, None, None, NULL_ARRAY]
    first, last = group.pending.peekitem(0)[0], group.pending.peekitem(-1)[0]
    consumers: Reply = [
        [consumer.name, b"%d" % len(consumer.pending)] for consumer in group.by_name() if consumer.pending
    ]
    return [len(group.pending), format_id(first), format_id(last), consumers]


def _listing(call: Call, group: ConsumerGroup, filters: _Filters) -> Reply:
    pending = group.pending
    if filters.consumer is not None:
        consumer = group.consumers.get(filters.consumer)
        if consumer is None:
            return []
        pending = consumer.pending
    wanted = (
        (entry_id, pending[entry_id])
        for entry_id in pending.irange(filters.start, filters.end)
        if not filters.idle_ms or call.now_ms - pending[entry_id].delivered_ms >= filters.idle_ms
    )
    return [
        [
            format_id(entry_id),
            entry.consumer.name,
            max(call.now_ms - entry.delivered_ms, 0),
            entry.deliveries,
        ]
        for entry_id, entry in islice(wanted, filters.count)
    ]
