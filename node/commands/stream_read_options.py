"""What XREAD and XREADGROUP are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.timeouts import parse_timeout_ms
from shoal.node.dataset.numbers import require_integer
from shoal.node.dataset.stream_ids import MAX_ID, parse_strict_id
from shoal.node.dataset.streams import Stream
from shoal.node.resp.replies import CommandError

NEW_ENTRIES = MAX_ID
"""What stands for the id `>`."""


@dataclass(slots=True)
class ReadRequest:
    """What one XREAD or XREADGROUP asks for. `ids` are those read last: what follows is new."""

    count: int | None = None
    block_ms: int | None = None
    has_group: bool = False
    group: bytes = b""
    consumer: bytes = b""
    no_ack: bool = False
    """Nothing becomes pending."""
    keys: Sequence[bytes] = ()
    texts: Sequence[bytes] = ()
    ids: list[int] = field(default_factory=list)


def parse_read(words: Sequence[bytes], command_name: str, now_ms: int) -> ReadRequest:
    """Read the options, up to the keys and as many ids behind STREAMS."""
    request = ReadRequest()
    is_group = command_name == "XREADGROUP"
    position = 0
    while position < len(words):
        word, left = words[position].upper(), len(words) - position - 1
        if word == b"BLOCK" and left:
            request.block_ms = parse_timeout_ms(words[position + 1], now_ms)
            position += 1
        elif word == b"COUNT" and left:
            request.count = max(require_integer(words[position + 1]), 0) or None
            position += 1
        elif word == b"STREAMS" and left:
            if left % 2:
                raise CommandError(_UNBALANCED.format(command_name, ">" if is_group else "$"))
            middle = position + 1 + left // 2
            request.keys, request.texts = words[position + 1 : middle], words[middle:]
            if is_group and not request.has_group:
                raise CommandError("ERR Missing GROUP option for XREADGROUP")
            return request
        elif word == b"GROUP" and left >= 2:
            if not is_group:
                raise CommandError(_ONLY_FOR_GROUPS.format("GROUP"))
            request.group, request.consumer = words[position + 1], words[position + 2]
            request.has_group = True
            position += 2
        elif word == b"NOACK":
            if not is_group:
                raise CommandError(_ONLY_FOR_GROUPS.format("NOACK"))
            request.no_ack = True
        else:
            break
        position += 1
    raise CommandError(SYNTAX_ERROR)


def id_read_last(text: bytes, stream: Stream | None) -> int:
    """The id behind which XREAD reads."""
    if text == b"$":
        return 0 if stream is None else stream.last_id
    if text == b"+":
        return id_before_last(stream)
    if text == b">":
        raise CommandError(_NEW_FOR_XREAD)
    return parse_strict_id(text)


def id_before_last(stream: Stream | None) -> int:
    """What `+` stands for, the last entry itself: all up to the one before it. Is there none, the next."""
    if stream is None:
        return 0
    return stream.top_id - 1 if len(stream) else stream.last_id


def id_to_read_for_group(text: bytes) -> int:
    """The id behind which a consumer reads what it has not acknowledged, or NEW_ENTRIES."""
    if text in (b"$", b"+"):
        raise CommandError(_NO_HISTORY_FOR_GROUP.replace("$", text.decode()))
    return NEW_ENTRIES if text == b">" else parse_strict_id(text)


_ONLY_FOR_GROUPS = "ERR The {} option is only supported by XREADGROUP. You called XREAD instead."
_UNBALANCED = "ERR Unbalanced {} list of streams: for each stream key an ID or '{}' must be specified."
_NEW_FOR_XREAD = (
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
)
_NO_HISTORY_FOR_GROUP = (
    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer"
    " by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty"
    " result set."
)
