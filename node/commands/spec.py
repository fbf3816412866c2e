"""What one command says about itself: the declaration from which everything else is read.

Dispatch (arity, flags), slot routing and GETKEYS (key specifications), COMMAND and COMMAND DOCS
(arguments, summary, since, complexity) and ACL categories all come from these values, so nothing about a
command is written down twice. Source of the vocabulary: Redis's COMMAND and COMMAND DOCS pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from functools import cached_property

from shoal.node.dataset.numbers import parse_integer
from shoal.node.resp.replies import Reply


class Flag(IntFlag):
    """Command flags, spelled as COMMAND spells them but for the underscore."""

    NONE = 0
    WRITE = 1 << 0
    READONLY = 1 << 1
    DENYOOM = 1 << 2
    ADMIN = 1 << 3
    PUBSUB = 1 << 4
    NOSCRIPT = 1 << 5
    BLOCKING = 1 << 6
    LOADING = 1 << 7
    STALE = 1 << 8
    SKIP_MONITOR = 1 << 9
    SKIP_SLOWLOG = 1 << 10
    ASKING = 1 << 11
    FAST = 1 << 12
    NO_AUTH = 1 << 13
    MAY_REPLICATE = 1 << 14
    NO_MULTI = 1 << 15
    ALLOW_BUSY = 1 << 16
    NO_ASYNC_LOADING = 1 << 17
    NO_MANDATORY_KEYS = 1 << 18


class KeyUse(IntFlag):
    """What a command does with a key: one of the first four, then what it does with the value."""

    RO = 1
    RW = 2
    OW = 4
    RM = 8
    ACCESS = 16
    UPDATE = 32
    INSERT = 64
    DELETE = 128
    NOT_KEY = 256
    INCOMPLETE = 512
    VARIABLE_FLAGS = 1024


NOWHERE_FIXED = 0
"""`KeySpec.begin` of keys that no position or keyword tells."""


@dataclass(frozen=True, slots=True)
class KeySpec:
    """Where some of a command's keys are.

    They begin at argument `begin` (1 is the first after the name), or after the token `keyword`
    searched for from argument `begin` (from the end backwards if negative). From there, either a range: up
    to `last` (relative to the first; negative counts from the end: -1 is the last argument), every `step`
    arguments, of 1/`limit` of the rest if `limit` > 1; or, if `count_at` is set, as many keys as the number
    at `count_at` says, starting at `first_key` (both relative to where the search began). Keys that are
    NOWHERE_FIXED are what `search` finds in a full argument vector, if anything can. Where the declared place
    is only near the truth, `search` finds the keys as well, and `used_as` tells what a command line does with
    them if that varies.
    """

    use: KeyUse
    begin: int
    last: int = 0
    step: int = 1
    limit: int = 0
    keyword: bytes | None = None
    count_at: int | None = None
    first_key: int = 0
    search: Callable[[Sequence[bytes]], list[int]] | None = None
    used_as: Callable[[Sequence[bytes]], KeyUse] | None = None

    @property
    def is_range(self) -> bool:
        """Whether the keys are at positions that do not depend on other arguments."""
        return self.keyword is None and self.count_at is None and self.begin != NOWHERE_FIXED

    def positions(self, argv: Sequence[bytes]) -> list[int] | None:
        """Positions of the keys in a full argument vector; None if its key count makes no sense."""
        if self.search is not None:
            return self.search(argv)
        if self.begin == NOWHERE_FIXED:
            return []
        start = self._start(argv)
        if start is None or start >= len(argv):
            return []
        if self.count_at is None:
            return list(range(start, self._range_end(start, len(argv)) + 1, self.step))
        count = parse_integer(argv[start + self.count_at])
        first = start + self.first_key
        if count is None or count < 1 or first + count * self.step > len(argv) + self.step - 1:
            return None
        return list(range(first, first + count * self.step, self.step))

    def _start(self, argv: Sequence[bytes]) -> int | None:
        if self.keyword is None:
            return self.begin
        if self.begin > 0:
            candidates = range(self.begin, len(argv) - 1)
        else:
            candidates = range(len(argv) + self.begin, 0, -1)
        for position in candidates:
            if argv[position].upper() == self.keyword:
                return position + 1
        return None

    def _range_end(self, start: int, size: int) -> int:
        if self.last >= 0:
            return min(start + self.last, size - 1)
        if self.limit > 1:
            return start + (size - start) // self.limit + self.last
        return size + self.last


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """The channels a command listens to or publishes on: one argument, or all from there on."""

    begin: int = 1
    several: bool = False
    are_patterns: bool = False

    def positions(self, argv: Sequence[bytes]) -> range:
        """Where they stand in a full argument vector."""
        return range(self.begin, len(argv) if self.several else self.begin + 1)


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument as COMMAND DOCS shows it.

    `type` is one of key, string, integer, double, pattern, unix-time, pure-token, oneof, block.
    """

    name: str
    type: str = "string"
    token: str | None = None
    optional: bool = False
    multiple: bool = False
    multiple_token: bool = False
    key_spec: int | None = None
    since: str | None = None
    arguments: tuple[Arg, ...] = ()


_GROUP_CATEGORIES = {
    "bitmap": "bitmap",
    "connection": "connection",
    "generic": "keyspace",
    "geo": "geo",
    "hash": "hash",
    "hyperloglog": "hyperloglog",
    "list": "list",
    "scripting": "scripting",
    "set": "set",
    "sorted-set": "sortedset",
    "stream": "stream",
    "string": "string",
    "transactions": "transaction",
}
"""The ACL category that follows from a command's group."""

_OUR_PACKAGE = __name__.partition(".")[0]

Handler = Callable[..., Reply]
"""`handler(call, *arguments)`: the arguments after the command's (or subcommand's) name, as bytes."""


@dataclass(frozen=True)
class CommandSpec:
    """One command, or one subcommand (`CONFIG|GET`), or a container of subcommands (no handler)."""

    name: str
    arity: int
    flags: Flag
    group: str
    since: str
    complexity: str
    summary: str
    keys: tuple[KeySpec, ...] = ()
    channels: ChannelSpec | None = None
    """Those a user must be allowed to use."""
    arguments: tuple[Arg, ...] = ()
    acl: frozenset[str] = frozenset()
    tips: tuple[str, ...] = ()
    history: tuple[tuple[str, str], ...] = ()
    deprecated_since: str | None = None
    replaced_by: str | None = None
    internal: bool = False
    """Sent by nodes and tools, not by applications: COMMAND DOCS marks it `syscmd`."""
    handler: Handler | None = None
    subcommands: dict[bytes, CommandSpec] = field(default_factory=dict)

    @cached_property
    def full_name(self) -> str:
        """As COMMAND INFO and error texts spell it: `get`, `config|get`."""
        return self.name.lower()

    @cached_property
    def plug_in(self) -> str | None:
        """The module that declares it, unless that is one of ours."""
        if self.handler is None or self.handler.__module__.partition(".")[0] == _OUR_PACKAGE:
            return None
        return self.handler.__module__

    @cached_property
    def is_write(self) -> bool:
        return bool(self.flags & Flag.WRITE)

    @cached_property
    def min_args(self) -> int:
        """The least number of words, the name included."""
        return abs(self.arity)

    @cached_property
    def max_args(self) -> int:
        """The greatest number of words, the name included."""
        return self.arity if self.arity > 0 else 1 << 31

    @cached_property
    def acl_categories(self) -> frozenset[str]:
        """Every ACL category the command is in, without the `@`.

        The group's category gives way to one that `acl` names: SORT is generic, but no keyspace command.
        """
        found = set(self.acl)
        own = _GROUP_CATEGORIES.get(self.group)
        if own is not None and self.handler is not None and not found & set(_GROUP_CATEGORIES.values()):
            found.add(own)
        if self.flags & Flag.WRITE:
            found.add("write")
        if self.flags & Flag.READONLY and self.group != "scripting":
            found.add("read")
        if self.flags & Flag.ADMIN:
            found |= {"admin", "dangerous"}
        if self.flags & Flag.PUBSUB:
            found.add("pubsub")
        if self.flags & Flag.BLOCKING:
            found.add("blocking")
        found.add("fast" if self.flags & Flag.FAST else "slow")
        return frozenset(found)

    @cached_property
    def key_range(self) -> tuple[int, int, int]:
        """First key, last key and step as COMMAND gives them for clients that know no key specifications.

        Several specifications are shown as one range as long as they follow on each other.
        """
        fixed = [spec for spec in self.keys if spec.is_range]
        if len(self.keys) == 1 and fixed:
            return (fixed[0].begin, _last_position(fixed[0]), fixed[0].step)
        first = last = 0
        for spec in fixed:
            if spec.step != 1 or (first and spec.begin != last + 1):
                continue
            first = first or spec.begin
            last = _last_position(spec)
        return (first, last, 1) if first else (0, 0, 0)

    @cached_property
    def doc_flags(self) -> tuple[str, ...]:
        """The `doc_flags` of COMMAND DOCS."""
        return (*(("deprecated",) if self.deprecated_since else ()), *(("syscmd",) if self.internal else ()))

    @cached_property
    def has_movable_keys(self) -> bool:
        """Whether finding the keys takes more than the positions COMMAND gives."""
        return any(not spec.is_range or spec.use & KeyUse.INCOMPLETE for spec in self.keys)

    @cached_property
    def names_shard_channels(self) -> bool:
        """Whether what stands in the place of keys are channels of sharded Pub/Sub."""
        return any(spec.use & KeyUse.NOT_KEY for spec in self.keys)

    def routed_positions(self, argv: Sequence[bytes]) -> list[int]:
        """Positions of the words whose slot says where the command runs: its keys, or its shard channels."""
        if len(self.keys) == 1:
            return self.keys[0].positions(argv) or []
        if self.names_shard_channels:
            return [position for spec in self.keys for position in spec.positions(argv) or ()]
        return self.key_positions(argv)

    def key_positions(self, argv: Sequence[bytes]) -> list[int]:
        """Positions of every key in a full argument vector (not of channels, which only look like keys).

        A line in which the number of keys makes no sense has none at all, also none at a fixed place: the
        command itself refuses it.
        """
        found: list[int] = []
        for spec in self._real_keys:
            positions = spec.positions(argv)
            if positions is None:
                return []
            found += positions
        return found

    def key_uses(self, argv: Sequence[bytes]) -> list[tuple[int, KeyUse]]:
        """`key_positions`, each with what this command line does with the key."""
        found: list[tuple[int, KeyUse]] = []
        for spec in self._real_keys:
            positions = spec.positions(argv)
            if positions is None:
                return []
            use = spec.use if spec.used_as is None else spec.used_as(argv)
            found += [(position, use & ~KeyUse.INCOMPLETE) for position in positions]
        return found

    @cached_property
    def _real_keys(self) -> tuple[KeySpec, ...]:
        return tuple(spec for spec in self.keys if not spec.use & KeyUse.NOT_KEY)


def _last_position(spec: KeySpec) -> int:
    return spec.begin + spec.last if spec.last >= 0 else spec.last


def key_at(position: int, use: KeyUse, *, last: int = 0, step: int = 1, limit: int = 0) -> KeySpec:
    """Keys at a fixed position: one, or a range up to `last`."""
    return KeySpec(use, position, last, step, limit)


def one_key(use: KeyUse, *, used_as: Callable[[Sequence[bytes]], KeyUse] | None = None) -> tuple[KeySpec]:
    """The commonest case: the first argument is the only key."""
    return (KeySpec(use, 1, used_as=used_as),)


def all_keys(use: KeyUse, *, step: int = 1) -> tuple[KeySpec]:
    """Every argument is a key, or every `step`th, as in MSET."""
    return (KeySpec(use, 1, last=-1, step=step),)


def counted_keys(use: KeyUse, *, count_at: int) -> KeySpec:
    """`numkeys key [key …]`, the number at position `count_at`."""
    return KeySpec(use, count_at, count_at=0, first_key=1)


def key_arg(name: str = "key", *, spec: int = 0, multiple: bool = False, optional: bool = False) -> Arg:
    return Arg(name, "key", key_spec=spec, multiple=multiple, optional=optional)


def token(name: str, *, optional: bool = False, since: str | None = None) -> Arg:
    """A bare word, such as NX."""
    return Arg(name.lower().replace(" ", "-"), "pure-token", token=name, optional=optional, since=since)


def one_of(name: str, *choices: Arg, optional: bool = False, since: str | None = None) -> Arg:
    return Arg(name, "oneof", optional=optional, since=since, arguments=choices)


def block(
    name: str, *parts: Arg, token: str | None = None, optional: bool = False, multiple: bool = False
) -> Arg:
    """Arguments that come together."""
    return Arg(name, "block", token=token, optional=optional, multiple=multiple, arguments=parts)
