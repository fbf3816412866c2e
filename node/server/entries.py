"""One command as one server has it in its table."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.cluster.slots import SLOT_COUNT, key_slot
from shoal.node.commands.spec import CommandSpec, Flag, Handler, KeyUse

NO_SINGLE_KEY = -1
"""`Entry.key_position` of a command that names several keys, or finds them by its other arguments."""

HISTOGRAM_BUCKETS = 64

NOT_SERVED, SERVED_IF_ASKED, SERVED = range(3)
"""Whom a node serves a key of this slot without a closer look: nobody; of an arriving slot those who ask for
it (ASKING); of a slot that is its own, and neither leaves nor arrives, everybody."""

ANY_SLOT, SEVERAL_SLOTS = SLOT_COUNT, SLOT_COUNT + 1
"""Where commands belong that name no key, and are served, or keys of several slots, and are not."""


READS, WRITES = range(2)
"""The gates to the short way, see `Server.open_for`."""


def nothing_served() -> bytearray:
    """A node's table of how it serves each slot, before it has any."""
    served = bytearray(SLOT_COUNT + 2)
    served[ANY_SLOT] = SERVED
    return served


class Entry:
    """A command in one server's table: its declaration, unpacked for speed, and what was counted of it."""

    __slots__ = (
        "changes_data",
        "count_position",
        "failed_calls",
        "flag_bits",
        "gate",
        "handler",
        "histogram_ns",
        "is_write",
        "key_position",
        "key_slice",
        "looks_beyond_keys",
        "max_args",
        "min_args",
        "names_keys",
        "nanoseconds",
        "needs_slot",
        "rejected_calls",
        "runs_in_scripts",
        "script_at",
        "shares_clock",
        "skip",
        "spec",
    )

    def __init__(self, spec: CommandSpec, handler: Handler) -> None:
        self.spec = spec
        self.handler = handler
        self.skip = 2 if "|" in spec.name else 1
        self.min_args = spec.min_args
        self.max_args = spec.max_args
        self.shares_clock = True
        """See `Stopwatch.settle`."""
        self.is_write = bool(spec.flags & (Flag.WRITE | Flag.MAY_REPLICATE))
        self.gate = WRITES if self.is_write or spec.flags & Flag.NO_ASYNC_LOADING else READS
        """Which gate must be open for it to take the short way. On a replica that of writes is closed."""
        self.key_position = _single_key_position(spec)
        """Where its only key or shard channel stands: 0 without one, NO_SINGLE_KEY if that takes a look."""
        self.count_position = _count_position(spec)
        """Where the number of its keys stands, which follow on it; 0 if there is no such number."""
        self.key_slice = _key_slice(spec)
        """Where its keys stand if nothing but the number of its words tells; None if that takes a look."""
        self.names_keys = bool(spec.keys)
        self.needs_slot = SERVED_IF_ASKED if spec.flags & Flag.ASKING else SERVED
        """How its key's slot must at least be served here for the command to take the short way."""
        self.flag_bits = int(spec.flags)
        """The flags as a plain number, which is quicker to test than an enumeration."""
        self.changes_data = bool(spec.flags & Flag.WRITE)
        self.runs_in_scripts = not spec.flags & Flag.NOSCRIPT
        self.script_at = 1 if spec.group == "scripting" and spec.keys else 0
        """Where the script or function stands that it runs; 0 if it runs none."""
        self.looks_beyond_keys = not spec.keys or bool(self.script_at)
        """Whether it may look at more than its keys hold, such as how far the stream of changes is."""
        self.reset_statistics()

    def slot(self, argv: Sequence[bytes]) -> int:
        """The slot of all keys or shard channels that a command names."""
        count_at = self.count_position
        position = count_at + 1 if count_at and argv[count_at] == b"1" else self.key_position
        if 0 < position < len(argv):
            return key_slot(argv[position])
        if self.key_slice is not None:
            keys = argv[self.key_slice]
        else:
            keys = [argv[position] for position in self.spec.routed_positions(argv)]
        if not keys:
            return ANY_SLOT
        slot = key_slot(keys[0])
        for key in keys[1:]:
            if key_slot(key) != slot:
                return SEVERAL_SLOTS
        return slot

    def reset_statistics(self) -> None:
        """Count from zero."""
        self.histogram_ns = [0] * HISTOGRAM_BUCKETS
        """How many calls took less than 2**n nanoseconds, but not less than 2**(n-1)."""
        self.nanoseconds = 0
        self.rejected_calls = 0
        self.failed_calls = 0

    @property
    def histogram(self) -> list[int]:
        """How many calls took less than 2**n microseconds (of 1024 ns), but not less than 2**(n-1)."""
        return [sum(self.histogram_ns[:11]), *self.histogram_ns[11:]]

    @property
    def microseconds(self) -> int:
        """How long all calls took together."""
        return self.nanoseconds // 1000

    @property
    def calls(self) -> int:
        """How often the command ran."""
        return sum(self.histogram_ns)


def _count_position(spec: CommandSpec) -> int:
    if len(spec.keys) != 1 or (count_at := spec.keys[0].count_at) is None:
        return 0
    keys = spec.keys[0]
    follow = keys.keyword is None and keys.search is None and keys.first_key == count_at + 1
    return keys.begin + count_at if follow else 0


def _key_slice(spec: CommandSpec) -> slice | None:
    if len(spec.keys) != 1:
        return None
    keys = spec.keys[0]
    if not keys.is_range or keys.search is not None or keys.limit > 1 or keys.last >= 0:
        return None
    return slice(keys.begin, keys.last + 1 or None, keys.step)


def _single_key_position(spec: CommandSpec) -> int:
    if not spec.keys:
        return 0
    first = spec.keys[0]
    is_single = (
        len(spec.keys) == 1
        and first.last == 0
        and first.keyword is None
        and first.count_at is None
        and not first.use & KeyUse.INCOMPLETE
    )
    return first.begin if is_single else NO_SINGLE_KEY


UNKNOWN = Entry(CommandSpec("UNKNOWN", -(1 << 31), Flag(0), "", "", "", ""), lambda: None)
"""Stands for a name that no command has, or only with another word. No number of words is enough for it."""
