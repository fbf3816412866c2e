"""Directives with a syntax of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shoal.node.dataset.numbers import parse_float, parse_integer
from shoal.node.resp.floats import format_float
from shoal.node.server.parameters import WRONG_COUNT, DirectiveError, Parameter, Words, memory_size

MAX_BIND_ADDRESSES = 16


class BindAddresses(Words):
    """`bind`: addresses to listen on; one with a leading `-` may be missing; `*` is every IPv4 address.

    None at all means that nobody gets in over TCP.
    """

    def read(self, words: Sequence[str], current: tuple[str, ...]) -> tuple[str, ...]:
        if len(words) > MAX_BIND_ADDRESSES:
            raise DirectiveError("Too many bind addresses specified.")
        return super().read(words, current)


SaveRules = tuple[tuple[int, int], ...]
"""(seconds, changes): save when so many changes are at least so old."""


class SavePoints(Parameter[SaveRules]):
    """`save <seconds> <changes> …`; an empty word means never."""

    several = True

    def read(self, words: Sequence[str], current: SaveRules) -> SaveRules:
        if list(words) == [""]:
            return ()
        numbers = [_whole(word) for word in words]
        if len(numbers) % 2:
            raise DirectiveError("Invalid save parameters")
        rules: list[tuple[int, int]] = []
        for seconds, changes in zip(numbers[::2], numbers[1::2], strict=True):
            if seconds is None or changes is None or seconds < 1 or changes < 0:
                raise DirectiveError("Invalid save parameters")
            rules.append((seconds, changes))
        return tuple(rules)

    def joined(self, earlier: SaveRules, later: SaveRules) -> SaveRules:
        """Each `save` line adds a rule, and an empty one drops those before it."""
        return earlier + later if later else ()

    def show(self, value: SaveRules) -> str:
        return " ".join(f"{seconds} {changes}" for seconds, changes in value)

    def file_lines(self, value: SaveRules) -> list[str]:
        return [f"{seconds} {changes}" for seconds, changes in value] or ['""']


@dataclass(frozen=True, slots=True)
class BufferLimit:
    """How much output may wait for a client: at once, or for `soft_seconds` without a break. 0: no limit."""

    hard_bytes: int
    soft_bytes: int
    soft_seconds: int

    @property
    def sizes(self) -> tuple[int, int]:
        """Both limits."""
        return self.hard_bytes, self.soft_bytes


BufferLimits = dict[str, BufferLimit]
"""By class of client: normal, replica, pubsub."""


class OutputBufferLimits(Parameter[BufferLimits]):
    """`client-output-buffer-limit <class> <hard> <soft> <seconds> …`; classes not named keep theirs."""

    several = True

    def read(self, words: Sequence[str], current: BufferLimits) -> BufferLimits:
        if len(words) % 4:
            raise DirectiveError("Wrong number of arguments in buffer limit configuration.")
        limits = dict(current)
        for start in range(0, len(words), 4):
            client_class = _CLIENT_CLASSES.get(words[start].lower())
            if client_class is None:
                raise DirectiveError("Invalid client class specified in buffer limit configuration.")
            hard, soft = memory_size(words[start + 1]), memory_size(words[start + 2])
            seconds = _whole(words[start + 3])
            if hard is None or soft is None or seconds is None or seconds < 0:
                raise DirectiveError(
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration."
                )
            limits[client_class] = BufferLimit(hard, soft, seconds)
        return limits

    def show(self, value: BufferLimits) -> str:
        return " ".join(self.file_lines(value))

    def file_lines(self, value: BufferLimits) -> list[str]:
        return [
            f"{'slave' if name == 'replica' else name}"
            f" {limit.hard_bytes} {limit.soft_bytes} {limit.soft_seconds}"
            for name, limit in value.items()
        ]


_CLIENT_CLASSES = {"normal": "normal", "slave": "replica", "replica": "replica", "pubsub": "pubsub"}


class OomScores(Parameter[tuple[int, ...]]):
    """`oom-score-adj-values <primary> <replica> <background child>`."""

    several = True

    def read(self, words: Sequence[str], current: tuple[int, ...]) -> tuple[int, ...]:
        if len(words) != 3:
            raise DirectiveError(WRONG_COUNT)
        scores: list[int] = []
        for word in words:
            score = _whole(word)
            if score is None or not -2000 <= score <= 2000:
                raise DirectiveError("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
            scores.append(score)
        return tuple(scores)

    def show(self, value: tuple[int, ...]) -> str:
        return " ".join(map(str, value))

    def file_lines(self, value: tuple[int, ...]) -> list[str]:
        return [self.show(value)]


ALL_EVENT_CLASSES = "g$lshzxetd"
"""What `A` stands for."""

_OTHER_EVENT_CLASSES = "KEm"
_NEW_KEY_CLASS = "n"


class KeyspaceEvents(Parameter[str]):
    """`notify-keyspace-events`: classes of events, one letter each, held with `A` spelled out."""

    def parse(self, word: str) -> str:
        wanted = set(word.replace("A", ALL_EVENT_CLASSES))
        known = ALL_EVENT_CLASSES + _NEW_KEY_CLASS + _OTHER_EVENT_CLASSES
        if not wanted <= set(known):
            raise DirectiveError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        return "".join(letter for letter in known if letter in wanted)

    def show(self, value: str) -> str:
        if set(ALL_EVENT_CLASSES) <= set(value):
            return "A" + "".join(letter for letter in value if letter not in ALL_EVENT_CLASSES)
        return value


PrimaryAddress = tuple[str, int] | None


class PrimaryOf(Parameter[PrimaryAddress]):
    """`replicaof <host> <port>`, or `no one`."""

    several = True

    def read(self, words: Sequence[str], current: PrimaryAddress) -> PrimaryAddress:
        if len(words) != 2:
            raise DirectiveError(WRONG_COUNT)
        if [word.lower() for word in words] == ["no", "one"]:
            return None
        port = _whole(words[1])
        if port is None or not 0 <= port <= 65535:
            raise DirectiveError("Invalid master port")
        return words[0], port

    def show(self, value: PrimaryAddress) -> str:
        return "" if value is None else f"{value[0]} {value[1]}"

    def file_lines(self, value: PrimaryAddress) -> list[str]:
        return [] if value is None else [self.show(value)]


class Percentiles(Parameter[tuple[float, ...]]):
    """`latency-tracking-info-percentiles`: which percentiles INFO latencystats prints."""

    several = True

    def read(self, words: Sequence[str], current: tuple[float, ...]) -> tuple[float, ...]:
        if list(words) == [""]:
            return ()
        percentiles: list[float] = []
        for word in words:
            percentile = parse_float(word.encode("utf-8", "surrogateescape"))
            if percentile is None:
                raise DirectiveError("Invalid latency-tracking-info-percentiles parameters")
            if not 0 <= percentile <= 100:
                raise DirectiveError(
                    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
                )
            percentiles.append(percentile)
        return tuple(percentiles)

    def show(self, value: tuple[float, ...]) -> str:
        return " ".join(format_float(percentile).decode() for percentile in value)

    def file_lines(self, value: tuple[float, ...]) -> list[str]:
        return [self.show(value) or '""']


def _whole(word: str) -> int | None:
    return parse_integer(word.encode("utf-8", "surrogateescape"))
