"""Commands on a stream's entries: adding, counting, deleting, trimming."""

from __future__ import annotations

from shoal.node.commands.call import Call
from shoal.node.commands.options import SYNTAX_ERROR
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, block, key_arg, one_key, one_of
from shoal.node.commands.stream_options import (
    AUTOMATIC,
    NO_TRIMMING,
    NewId,
    check_trim_strategy,
    parse_new_id,
    parse_trim_options,
    trim_args,
)
from shoal.node.dataset.numbers import require_integer
from shoal.node.dataset.stream_ids import format_id, parse_strict_id
from shoal.node.dataset.streams import Stream
from shoal.node.resp.replies import OK, CommandError, Reply

_ZERO = NewId(0, 0)


@command(
    "XADD",
    arity=-5,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="stream",
    since="5.0.0",
    complexity="O(1), and O(N) where N entries are trimmed.",
    summary="Appends an entry to a stream, and trims it if asked to.",
    keys=one_key(KeyUse.RW | KeyUse.UPDATE),
    arguments=(
        key_arg(),
        Arg("nomkstream", "pure-token", token="NOMKSTREAM", optional=True, since="6.2.0"),
        trim_args(optional=True),
        one_of("id_or_auto", Arg("auto_id", "pure-token", token="*"), Arg("id")),
        block("field_value", Arg("field"), Arg("value"), multiple=True),
    ),
    tips=("nondeterministic_output",),
    history=(
        ("6.2.0", "Knows `NOMKSTREAM`, `MINID` and `LIMIT`."),
        ("7.0.0", "Takes ids such as `ms-*`."),
    ),
)
def xadd(call: Call, key: bytes, id_or_option: bytes, *pairs: bytes) -> Reply:
    """Nearly every one has the next id and no options: those take two thirds of the time of the others."""
    if id_or_option != b"*" or len(pairs) % 2:
        return _add_as_asked(call, key, (id_or_option, *pairs))
    db = call.db
    stream = db.change_as(key, Stream)
    if stream is None:
        stream = Stream()
        db.set(key, stream)
    keyspace = db.keyspace
    text = stream.append_next(keyspace.now_ms, pairs, call.encoding_limits.stream_nodes)
    keyspace.changes += 1  # `changed`, on the spot
    if keyspace.is_heard or db.watchers:
        db.announce(key, "xadd")
    if keyspace.is_repeated:
        call.propagate(b"XADD", key, text, *pairs)
    return text


def _add_as_asked(call: Call, key: bytes, words: tuple[bytes, ...]) -> Reply:
    """XADD with any id and options."""
    options = NO_TRIMMING if words[0][:1].isdigit() else parse_trim_options(words, for_xadd=True)
    given = parse_new_id(words[options.size]) if options.size < len(words) else AUTOMATIC
    check_trim_strategy(options, needed=False)
    trim = options.trim(call)
    pairs = words[options.size + 1 :]
    if not pairs or len(pairs) % 2:
        raise CommandError("ERR wrong number of arguments for 'xadd' command")
    if given == _ZERO:
        raise CommandError("ERR The ID specified in XADD must be greater than 0-0")
    stream = call.db.change_as(key, Stream)
    if stream is None and not options.create:
        return None
    entry_id = given.following(0 if stream is None else stream.last_id, call.now_ms)
    if stream is None:
        stream = Stream()
        call.db.set(key, stream)
    stream.append(entry_id, pairs, call.encoding_limits.stream_nodes)
    call.db.changed(key, "xadd")
    if trim is not None and stream.trim(trim):
        call.db.announce(key, "xtrim")
    text = format_id(entry_id)
    if call.keyspace.is_repeated and (options.approximate or given.sequence is None):
        exact = options.rewritten(words[: options.size], stream)
        call.propagate(b"XADD", key, *exact, text, *pairs)
    return text


@command(
    "XLEN",
    arity=2,
    flags=Flag.READONLY | Flag.FAST,
    group="stream",
    since="5.0.0",
    complexity="O(1)",
    summary="Returns how many entries a stream has.",
    keys=one_key(KeyUse.RO),
    arguments=(key_arg(),),
)
def xlen(call: Call, key: bytes) -> Reply:
    stream = call.db.read_as(key, Stream)
    return 0 if stream is None else len(stream)


@command(
    "XDEL",
    arity=-3,
    flags=Flag.WRITE | Flag.FAST,
    group="stream",
    since="5.0.0",
    complexity="O(log(N)) for each entry named, in a stream of N.",
    summary="Deletes entries and returns how many there were.",
    keys=one_key(KeyUse.RW | KeyUse.DELETE),
    arguments=(key_arg(), Arg("id", multiple=True)),
)
def xdel(call: Call, key: bytes, *ids: bytes) -> Reply:
    stream = call.db.change_as(key, Stream)
    if stream is None:
        return 0
    wanted = [parse_strict_id(text) for text in ids]
    deleted = sum(stream.delete(entry_id) for entry_id in wanted)
    if deleted:
        call.db.changed(key, "xdel")
    return deleted


@command(
    "XTRIM",
    arity=-4,
    flags=Flag.WRITE,
    group="stream",
    since="5.0.0",
    complexity="O(N) where N entries are dropped, most of them whole nodes at a time.",
    summary="Drops a stream's oldest entries.",
    keys=one_key(KeyUse.RW | KeyUse.DELETE),
    arguments=(key_arg(), trim_args(optional=False)),
    tips=("nondeterministic_output",),
    history=(("6.2.0", "Knows `MINID` and `LIMIT`."),),
)
def xtrim(call: Call, key: bytes, *words: bytes) -> Reply:
    options = parse_trim_options(words, for_xadd=False)
    check_trim_strategy(options, needed=True)
    trim = options.trim(call)
    assert trim is not None
    stream = call.db.change_as(key, Stream)
    if stream is None:
        return 0
    dropped = stream.trim(trim)
    if dropped:
        call.db.changed(key, "xtrim")
        if options.approximate:
            call.propagate(b"XTRIM", key, *options.rewritten(words, stream))
    return dropped


@command(
    "XSETID",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="stream",
    since="5.0.0",
    complexity="O(1)",
    summary="Sets what a stream knows of its past: its last id and its counters. For replication.",
    keys=one_key(KeyUse.RW | KeyUse.UPDATE),
    arguments=(
        key_arg(),
        Arg("last-id"),
        Arg("entries_added", "integer", token="ENTRIESADDED", optional=True, since="7.0.0"),
        Arg("max_deleted_entry_id", token="MAXDELETEDID", optional=True, since="7.0.0"),
    ),
    history=(("7.0.0", "Knows `ENTRIESADDED` and `MAXDELETEDID`."),),
)
def xsetid(call: Call, key: bytes, last_id: bytes, *words: bytes) -> Reply:
    new_id = parse_strict_id(last_id)
    entries_added, max_deleted_id = _parse_setid_options(new_id, words)
    stream = call.db.change_as(key, Stream)
    if stream is None:
        raise CommandError("ERR no such key")
    if len(stream):
        if new_id < stream.top_id:
            raise CommandError("ERR The ID specified in XSETID is smaller than the target stream top item")
        if entries_added is not None and entries_added < len(stream):
            raise CommandError(
                "ERR The entries_added specified in XSETID is smaller than the target stream length"
            )
    stream.set_last_id(new_id)
    if entries_added is not None:
        stream.entries_added = entries_added
    stream.max_deleted_id = max_deleted_id or stream.max_deleted_id
    call.db.changed_unwatched(key, "xsetid")
    return OK


def _parse_setid_options(new_id: int, words: tuple[bytes, ...]) -> tuple[int | None, int]:
    """ENTRIESADDED, None if it is not given, and MAXDELETEDID, 0 if it is not given."""
    entries_added: int | None = None
    max_deleted_id = 0
    rest = iter(words)
    for word in rest:
        name, value = word.upper(), next(rest, None)
        if name == b"ENTRIESADDED" and value is not None:
            entries_added = require_integer(value)
            if entries_added < 0:
                raise CommandError("ERR entries_added must be positive")
        elif name == b"MAXDELETEDID" and value is not None:
            max_deleted_id = parse_strict_id(value)
            if new_id < max_deleted_id:
                raise CommandError(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
                )
        else:
            raise CommandError(SYNTAX_ERROR)
    return entries_added, max_deleted_id
