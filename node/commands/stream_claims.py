"""XCLAIM and XAUTOCLAIM: pending entries go to another consumer."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.node.commands.call import Call
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, key_arg, one_key
from shoal.node.commands.stream_deliveries import (
    find_group,
    propagate_claim,
    propagate_group,
    propagate_nothing_else,
    seen_consumer,
)
from shoal.node.commands.stream_ranges import shown
from shoal.node.dataset.numbers import INT64_MAX, as_int64, require_integer
from shoal.node.dataset.stream_groups import Consumer, ConsumerGroup
from shoal.node.dataset.stream_ids import ID_BYTES, format_id, parse_range_start, parse_strict_id
from shoal.node.dataset.streams import Stream
from shoal.node.resp.replies import CommandError, Reply

DEFAULT_AUTOCLAIM_COUNT = 100
LOOKED_AT_PER_CLAIM = 10
ADDRESS_BITS = 47
"""A process has no more memory than these can tell apart."""

"""XAUTOCLAIM looks at so many times as many entries as it is to claim, then it returns."""

_JUST_IDS = Arg("justid", "pure-token", token="JUSTID", optional=True)
_GREATEST_COUNT = INT64_MAX // 16


@dataclass(slots=True)
class _Claim:
    """Who claims from whom, and what becomes of an entry claimed. The consumer is made with the first one."""

    call: Call
    key: bytes
    stream: Stream
    group_name: bytes
    group: ConsumerGroup
    consumer_name: bytes
    min_idle_ms: int
    delivered_ms: int
    deliveries: int | None = None
    """None: as many as there were, and one more unless only ids are returned."""
    just_ids: bool = False
    consumer: Consumer | None = None

    def is_idle(self, entry_id: int) -> bool:
        """Whether a pending entry was not delivered for as long as it takes."""
        pending = self.group.pending[entry_id]
        return not self.min_idle_ms or self.call.now_ms - pending.delivered_ms >= self.min_idle_ms

    def take(self, entry_id: int) -> Reply:
        """Give an entry that is there to the consumer; returns what the client is shown."""
        if self.consumer is None:
            self.consumer = seen_consumer(self.call, self.key, self.group, self.consumer_name)
        pending = self.group.assign(entry_id, self.consumer, self.delivered_ms)
        pending.delivered_ms = self.delivered_ms
        self.consumer.active_ms = self.call.now_ms
        if self.deliveries is not None:
            pending.deliveries = self.deliveries
        elif not self.just_ids:
            pending.deliveries = as_int64(pending.deliveries + 1)
        propagate_claim(self.call, self.key, self.group_name, self.group, entry_id, pending)
        if self.just_ids:
            return format_id(entry_id)
        entry = self.stream.get(entry_id)
        return None if entry is None else shown((entry,))[0]

    def forget(self, entry_id: int) -> None:
        """An entry is gone from the stream: nobody can have it any more."""
        pending = self.group.pending[entry_id]
        propagate_claim(self.call, self.key, self.group_name, self.group, entry_id, pending)
        self.group.forget(entry_id)


@command(
    "XCLAIM",
    arity=-6,
    flags=Flag.WRITE | Flag.FAST,
    group="stream",
    since="5.0.0",
    complexity="O(log(N)) for each entry named, of N pending in the group.",
    summary="Makes entries pending for another consumer, as if they had been delivered to it.",
    keys=one_key(KeyUse.RW | KeyUse.UPDATE),
    arguments=(
        key_arg(),
        Arg("group"),
        Arg("consumer"),
        Arg("min-idle-time"),
        Arg("id", multiple=True),
        Arg("ms", "integer", token="IDLE", optional=True),
        Arg("unix-time-milliseconds", "unix-time", token="TIME", optional=True),
        Arg("count", "integer", token="RETRYCOUNT", optional=True),
        Arg("force", "pure-token", token="FORCE", optional=True),
        _JUST_IDS,
        Arg("id", token="LASTID", optional=True),
    ),
    tips=("nondeterministic_output",),
)
def xclaim(call: Call, key: bytes, name: bytes, consumer: bytes, min_idle_ms: bytes, *words: bytes) -> Reply:
    stream = call.db.change_as(key, Stream)
    group = find_group(stream, key, name)
    assert stream is not None
    idle_ms = max(require_integer(min_idle_ms, "ERR Invalid min-idle-time argument for XCLAIM"), 0)
    ids = _leading_ids(words)
    options = _parse_claim_options(words[len(ids) :], call.now_ms)
    claim = _Claim(call, key, stream, name, group, consumer, idle_ms, options.delivered_ms)
    claim.deliveries, claim.just_ids = options.deliveries, options.just_ids
    propagate_nothing_else(call)
    reaches_further = options.last_id > group.last_id
    if reaches_further:
        group.last_id = options.last_id
    claimed: list[Reply] = []
    for entry_id in ids:
        is_pending = entry_id in group.pending
        if not stream.has(entry_id):
            if is_pending:
                claim.forget(entry_id)
        elif claim.is_idle(entry_id) if is_pending else options.force:
            claimed.append(claim.take(entry_id))
    if reaches_further and not call.propagated:
        propagate_group(call, key, name, group)
    return claimed


def _leading_ids(words: tuple[bytes, ...]) -> list[int]:
    """The ids up to the first word that is none."""
    ids: list[int] = []
    for word in words:
        try:
            ids.append(parse_strict_id(word))
        except CommandError:
            break
    return ids


@dataclass(slots=True)
class _ClaimOptions:
    delivered_ms: int
    deliveries: int | None = None
    last_id: int = 0
    force: bool = False
    just_ids: bool = False


def _parse_claim_options(words: tuple[bytes, ...], now_ms: int) -> _ClaimOptions:
    options = _ClaimOptions(now_ms)
    delivered_ms = -1
    rest = iter(words)
    for word in rest:
        option = word.upper()
        if option == b"FORCE":
            options.force = True
            continue
        if option == b"JUSTID":
            options.just_ids = True
            continue
        value = next(rest, None)
        if value is None or option not in _OPTIONS_WITH_VALUE:
            raise CommandError(b"ERR Unrecognized XCLAIM option '%b'" % word)
        if option == b"LASTID":
            options.last_id = parse_strict_id(value)
            continue
        number = require_integer(value, f"ERR Invalid {option.decode()} option argument for XCLAIM")
        if option == b"RETRYCOUNT":
            options.deliveries = number if number >= 0 else None
        else:
            delivered_ms = now_ms - number if option == b"IDLE" else number
    if 0 <= delivered_ms <= now_ms:
        options.delivered_ms = delivered_ms
    return options


_OPTIONS_WITH_VALUE = frozenset({b"IDLE", b"TIME", b"RETRYCOUNT", b"LASTID"})


@command(
    "XAUTOCLAIM",
    arity=-6,
    flags=Flag.WRITE | Flag.FAST,
    group="stream",
    since="6.2.0",
    complexity="O(log(N)+M) for M entries looked at, of N pending in the group.",
    summary="Makes entries that were idle long enough pending for another consumer, so many at a time.",
    keys=one_key(KeyUse.RW | KeyUse.DELETE),
    arguments=(
        key_arg(),
        Arg("group"),
        Arg("consumer"),
        Arg("min-idle-time"),
        Arg("start"),
        Arg("count", "integer", token="COUNT", optional=True),
        _JUST_IDS,
    ),
    tips=("nondeterministic_output",),
    history=(("7.0.0", "Also returns what it found pending and gone from the stream."),),
)
def xautoclaim(
    call: Call, key: bytes, name: bytes, consumer: bytes, min_idle_ms: bytes, start: bytes, *words: bytes
) -> Reply:
    idle_ms = max(require_integer(min_idle_ms, "ERR Invalid min-idle-time argument for XAUTOCLAIM"), 0)
    first = parse_range_start(start)
    count, just_ids = _parse_autoclaim_options(words)
    stream = call.db.change_as(key, Stream)
    group = find_group(stream, key, name)
    assert stream is not None
    if count * ID_BYTES >> ADDRESS_BITS:  # what Redis then cannot allocate, whatever the machine has
        raise CommandError("ERR Insufficient memory, failed allocating transient memory, COUNT too high.")
    claim = _Claim(call, key, stream, name, group, consumer, idle_ms, call.now_ms, just_ids=just_ids)
    propagate_nothing_else(call)
    claimed: list[Reply] = []
    gone: list[Reply] = []
    attempts = count * LOOKED_AT_PER_CLAIM
    position = group.pending.bisect_left(first)
    while position < len(group.pending) and attempts and len(claimed) + len(gone) < count:
        attempts -= 1
        entry_id = group.pending.peekitem(position)[0]
        if not stream.has(entry_id):
            claim.forget(entry_id)
            gone.append(format_id(entry_id))
            continue
        position += 1
        if claim.is_idle(entry_id):
            claimed.append(claim.take(entry_id))
    following = group.pending.peekitem(position)[0] if position < len(group.pending) else 0
    return [format_id(following), claimed, gone]


def _parse_autoclaim_options(words: tuple[bytes, ...]) -> tuple[int, bool]:
    """COUNT and JUSTID."""
    count, just_ids = DEFAULT_AUTOCLAIM_COUNT, False
    rest = iter(words)
    for word in rest:
        option = word.upper()
        if option == b"COUNT" and (value := next(rest, None)) is not None:
            count = require_integer(value, "ERR COUNT must be > 0")
            if not 1 <= count <= _GREATEST_COUNT:
                raise CommandError("ERR COUNT must be > 0")
        elif option == b"JUSTID":
            just_ids = True
        else:
            raise CommandError(SYNTAX_ERROR)
    return count, just_ids
