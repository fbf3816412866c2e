"""OBJECT, DUMP and RESTORE: a key's value from the inside, and as bytes that travel."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.node.commands.call import Call
from shoal.node.commands.expiry import has_passed
from shoal.node.commands.help import help_command
from shoal.node.commands.keys import place
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command, container
from shoal.node.commands.spec import Arg, Flag, KeyUse, key_arg, key_at, one_key, token
from shoal.node.dataset.encodings import encoding_of
from shoal.node.dataset.numbers import INT64_MAX, require_integer
from shoal.node.dataset.usage import frequency, idle_seconds, note_frequency, note_idle
from shoal.node.persistence import dump_payload
from shoal.node.resp.replies import OK, CommandError, Reply

NO_LFU = (
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when"
    " switching between policies at runtime LRU and LFU data will take some time to adjust."
)
NO_LRU = (
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between"
    " policies at runtime LRU and LFU data will take some time to adjust."
)
SECOND_WORD = (key_at(2, KeyUse.RO),)
NONDETERMINISTIC = ("nondeterministic_output",)

# --- OBJECT --------------------------------------------------------------------------------------------

container("OBJECT", group="generic", since="2.2.3", summary="Looks at a value from the inside.")
help_command("OBJECT", since="6.2.0")


@command(
    "OBJECT|ENCODING",
    arity=3,
    flags=Flag.READONLY,
    group="generic",
    since="2.2.3",
    complexity="O(1)",
    summary="Names the encoding Redis would choose for a key's value.",
    keys=SECOND_WORD,
    arguments=(key_arg(),),
    tips=NONDETERMINISTIC,
)
def object_encoding(call: Call, key: bytes) -> Reply:
    value = call.db.peek(key)
    return None if value is None else encoding_of(value, call.encoding_limits)


@command(
    "OBJECT|REFCOUNT",
    arity=3,
    flags=Flag.READONLY,
    group="generic",
    since="2.2.3",
    complexity="O(1)",
    summary="Returns how often a key's value is referred to: once.",
    keys=SECOND_WORD,
    arguments=(key_arg(),),
    tips=NONDETERMINISTIC,
)
def object_refcount(call: Call, key: bytes) -> Reply:
    return None if call.db.peek(key) is None else 1


@command(
    "OBJECT|IDLETIME",
    arity=3,
    flags=Flag.READONLY,
    group="generic",
    since="2.2.3",
    complexity="O(1)",
    summary="Returns how many seconds ago a key was last used.",
    keys=SECOND_WORD,
    arguments=(key_arg(),),
    tips=NONDETERMINISTIC,
)
def object_idletime(call: Call, key: bytes) -> Reply:
    if call.db.peek(key) is None:
        return None
    if frequency(call.db, key) is not None:
        raise CommandError(NO_LRU)
    return idle_seconds(call.db, key)


@command(
    "OBJECT|FREQ",
    arity=3,
    flags=Flag.READONLY,
    group="generic",
    since="4.0.0",
    complexity="O(1)",
    summary="Returns how often a key is used; needs an LFU eviction policy.",
    keys=SECOND_WORD,
    arguments=(key_arg(),),
    tips=NONDETERMINISTIC,
)
def object_freq(call: Call, key: bytes) -> Reply:
    if call.db.peek(key) is None:
        return None
    count = frequency(call.db, key)
    if count is None:
        raise CommandError(NO_LFU)
    return count


# --- DUMP and RESTORE ----------------------------------------------------------------------------------


@command(
    "DUMP",
    arity=2,
    flags=Flag.READONLY,
    group="generic",
    since="2.6.0",
    complexity="O(N) for a value of N bytes.",
    summary="Returns a key's value in a form that RESTORE takes.",
    keys=one_key(KeyUse.RO | KeyUse.ACCESS),
    arguments=(key_arg(),),
    tips=NONDETERMINISTIC,
)
def dump(call: Call, key: bytes) -> Reply:
    value = call.db.read(key)
    return None if value is None else dump_payload.dump(value)


RESTORE_ARGS = (
    key_arg(),
    Arg("ttl", "integer"),
    Arg("serialized-value"),
    token("REPLACE", optional=True, since="3.0.0"),
    token("ABSTTL", optional=True, since="5.0.0"),
    Arg("seconds", "integer", token="IDLETIME", optional=True, since="5.0.0"),
    Arg("frequency", "integer", token="FREQ", optional=True, since="5.0.0"),
)
RESTORE_HISTORY = (
    ("3.0.0", "The option `REPLACE`."),
    ("5.0.0", "The option `ABSTTL`."),
    ("5.0.0", "The options `IDLETIME` and `FREQ`."),
)


@command(
    "RESTORE",
    arity=-4,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="generic",
    since="2.6.0",
    complexity="O(N) for a value of N bytes, O(N*log(N)) for a sorted set.",
    summary="Creates a key from what DUMP returned.",
    keys=one_key(KeyUse.OW | KeyUse.UPDATE),
    arguments=RESTORE_ARGS,
    acl={"keyspace", "dangerous"},
    history=RESTORE_HISTORY,
)
def restore(call: Call, key: bytes, ttl: bytes, payload: bytes, *words: bytes) -> Reply:
    db = call.db
    options = _parse_restore_options(words)
    if not options.replace and db.peek(key) is not None:
        raise CommandError(dump_payload.BUSY_KEY)
    lifetime = require_integer(ttl)
    if lifetime < 0:
        raise CommandError(dump_payload.INVALID_TTL)
    value = dump_payload.restore(payload, trusted=call.keyspace.trusts_payloads)
    expiry = min(lifetime + (0 if options.absolute else call.now_ms), INT64_MAX) if lifetime else None
    if expiry is not None and has_passed(call, expiry):
        if db.delete(key):
            db.changed(key, "del")
            call.propagate(b"DEL", key)
        return OK
    place(db, key, value, expiry)
    if options.idle_seconds is not None:
        note_idle(db, key, options.idle_seconds)
    if options.frequency is not None:
        note_frequency(db, key, options.frequency)
    db.changed(key, "restore")
    if expiry is not None and not options.absolute:
        call.propagate(b"RESTORE", key, b"%d" % expiry, payload, *words, b"ABSTTL")
    return OK


@command(
    "RESTORE-ASKING",
    arity=-4,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.ASKING,
    group="server",
    since="3.0.0",
    complexity="As RESTORE.",
    summary="RESTORE into a slot that is being imported; MIGRATE sends it.",
    keys=one_key(KeyUse.OW | KeyUse.UPDATE),
    arguments=RESTORE_ARGS,
    acl={"keyspace", "dangerous"},
    history=RESTORE_HISTORY,
    internal=True,
)
def restore_asking(call: Call, key: bytes, ttl: bytes, payload: bytes, *words: bytes) -> Reply:
    return restore(call, key, ttl, payload, *words)


@dataclass(slots=True)
class _RestoreOptions:
    replace: bool = False
    absolute: bool = False
    idle_seconds: int | None = None
    frequency: int | None = None


def _parse_restore_options(words: tuple[bytes, ...]) -> _RestoreOptions:
    options = _RestoreOptions()
    rest = iter(words)
    for word in rest:
        match word.upper():
            case b"REPLACE":
                options.replace = True
            case b"ABSTTL":
                options.absolute = True
            case b"IDLETIME" if options.frequency is None and (seconds := next(rest, None)) is not None:
                options.idle_seconds = require_integer(seconds)
                if options.idle_seconds < 0:
                    raise CommandError("ERR Invalid IDLETIME value, must be >= 0")
            case b"FREQ" if options.idle_seconds is None and (frequency := next(rest, None)) is not None:
                options.frequency = require_integer(frequency)
                if not 0 <= options.frequency <= 255:
                    raise CommandError("ERR Invalid FREQ value, must be >= 0 and <= 255")
            case _:
                raise CommandError(SYNTAX_ERROR)
    return options
