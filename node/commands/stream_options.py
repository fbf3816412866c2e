"""What XADD and XTRIM are asked for: which id, what to trim, and what of it is propagated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shoal.node.commands.call import Call
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.spec import Arg, block, one_of, token
from shoal.node.dataset.numbers import require_integer
from shoal.node.dataset.stream_ids import (
    SEQUENCE_BITS,
    SEQUENCE_MAX,
    format_id,
    make_id,
    next_id,
    parse_strict_id,
)
from shoal.node.dataset.streams import Stream, Trim
from shoal.node.resp.replies import CommandError

# --- the id of a new entry -----------------------------------------------------------------------------

_TOO_SMALL = "ERR The ID specified in XADD is equal or smaller than the target stream top item"


class NewId(NamedTuple):
    """The id asked for: `ms-seq`, `ms-*` (no sequence) or `*` (neither)."""

    milliseconds: int | None = None
    sequence: int | None = None

    def following(self, last_id: int, now_ms: int) -> int:
        """The id as given, or the least that fits; CommandError unless it is greater than the last one."""
        automatic, _ = next_id(last_id, now_ms)
        if self.milliseconds is None:
            return automatic
        if self.sequence is not None:
            new_id = make_id(self.milliseconds, self.sequence)
        elif self.milliseconds == last_id >> SEQUENCE_BITS and last_id & SEQUENCE_MAX < SEQUENCE_MAX:
            new_id = last_id + 1
        else:
            new_id = make_id(self.milliseconds, 0)
        if new_id <= last_id:
            raise CommandError(_TOO_SMALL)
        return new_id


AUTOMATIC = NewId()


def parse_new_id(text: bytes) -> NewId:
    """Read an id as XADD takes it."""
    if text == b"*":
        return AUTOMATIC
    milliseconds, _, sequence = text.partition(b"-")
    if sequence == b"*":
        return NewId(parse_strict_id(milliseconds) >> SEQUENCE_BITS)
    entry_id = parse_strict_id(text)
    return NewId(entry_id >> SEQUENCE_BITS, entry_id & SEQUENCE_MAX)


# --- trimming ------------------------------------------------------------------------------------------

NODES_TRIMMED_AT_ONCE = 100
"""How many full nodes an approximate trim drops at most, unless LIMIT says otherwise."""
ENTRIES_TRIMMED_AT_ONCE = 10_000
"""The same where nodes may have any number of entries."""
MOST_TRIMMED_AT_ONCE = 1_000_000

_BOTH_STRATEGIES = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"


def trim_args(*, optional: bool) -> Arg:
    """`MAXLEN | MINID [= | ~] threshold [LIMIT count]` as COMMAND DOCS shows it."""
    return block(
        "trim",
        one_of("strategy", token("MAXLEN"), Arg("minid", "pure-token", token="MINID", since="6.2.0")),
        one_of(
            "operator",
            Arg("equal", "pure-token", token="="),
            Arg("approximately", "pure-token", token="~"),
            optional=True,
        ),
        Arg("threshold"),
        Arg("count", "integer", token="LIMIT", optional=True, since="6.2.0"),
        optional=optional,
    )


@dataclass(slots=True)
class TrimOptions:
    """What XADD or XTRIM was asked to drop, and where in its words that stands."""

    strategy: bytes | None = None
    approximate: bool = False
    max_length: int = 0
    min_id: int = 0
    limit: int | None = None
    threshold_at: int = 0
    """The place of the number or id, to be rewritten; the operator stands before it."""
    create: bool = True
    """False after NOMKSTREAM."""
    size: int = 0
    """How many words were options."""

    def trim(self, call: Call) -> Trim | None:
        """What to do with a stream, if anything; CommandError if LIMIT stands where nothing is approximate.

        What a primary sent is done to the end: it trimmed as far as its own limits let it, and says exactly
        how far that was.
        """
        if self.strategy is None and self.limit is None:
            return None
        limit = self.limit or 0
        if call.obeys_stream:
            limit = 0
        elif self.limit is not None and not self.approximate:
            raise CommandError("ERR syntax error, LIMIT cannot be used without the special ~ option")
        elif self.limit is None and self.approximate:
            entries = NODES_TRIMMED_AT_ONCE * call.encoding_limits.stream_nodes.max_entries
            limit = min(entries or ENTRIES_TRIMMED_AT_ONCE, MOST_TRIMMED_AT_ONCE)
        by_length = self.max_length if self.strategy == b"MAXLEN" else None
        return Trim(by_length, self.min_id, self.approximate, limit)

    def rewritten(self, words: Sequence[bytes], stream: Stream) -> list[bytes]:
        """The words with what an approximate trim came to, for replicas, whose nodes may be others."""
        exact = list(words)
        if self.approximate:
            exact[self.threshold_at - 1] = b"="
            by_length = self.strategy == b"MAXLEN"
            exact[self.threshold_at] = b"%d" % len(stream) if by_length else format_id(stream.trimmed_to)
        return exact


def parse_trim_options(words: Sequence[bytes], *, for_xadd: bool) -> TrimOptions:
    """Read the options at the beginning of XADD's words up to its id, or all of XTRIM's."""
    options = TrimOptions()
    position = 0
    while position < len(words):
        word, has_more = words[position].upper(), position + 1 < len(words)
        if word in (b"MAXLEN", b"MINID") and has_more:
            position = _parse_strategy(options, words, position)
        elif word == b"LIMIT" and has_more:
            position += 1
            options.limit = require_integer(words[position])
            if options.limit < 0:
                raise CommandError("ERR The LIMIT argument must be >= 0.")
        elif word == b"NOMKSTREAM" and for_xadd:
            options.create = False
        elif for_xadd:
            break
        else:
            raise CommandError(SYNTAX_ERROR)
        position += 1
    options.size = position
    return options


NO_TRIMMING = TrimOptions()


def check_trim_strategy(options: TrimOptions, *, needed: bool) -> None:
    """CommandError for a limit of nothing, or where nothing says what to trim though it must."""
    if options.limit and options.strategy is None:
        raise CommandError("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
    if needed and options.strategy is None:
        raise CommandError("ERR syntax error, XTRIM must be called with a trimming strategy")


def _parse_strategy(options: TrimOptions, words: Sequence[bytes], position: int) -> int:
    """Read `MAXLEN [= | ~] count` or `MINID [= | ~] id`; returns where the threshold stands."""
    if options.strategy is not None:
        raise CommandError(_BOTH_STRATEGIES)
    strategy = words[position].upper()
    position += 1
    options.approximate = words[position] == b"~" and position + 1 < len(words)
    if words[position] in (b"~", b"=") and position + 1 < len(words):
        position += 1
    if strategy == b"MINID":
        options.min_id = parse_strict_id(words[position])
    else:
        options.max_length = require_integer(words[position])
        if options.max_length < 0:
            raise CommandError("ERR The MAXLEN argument must be >= 0.")
    options.strategy, options.threshold_at = strategy, position
    return position
