"""DEBUG: for tests, of this server and of its clients. Refused unless `enable-debug-command` allows it."""

from __future__ import annotations

from collections.abc import Callable

from shoal.cluster.effects import Level, Note
from shoal.cluster.slots import key_slot
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Flag
from shoal.node.dataset.digest import keyspace_digest, value_digest
from shoal.node.dataset.encodings import encoding_of
from shoal.node.dataset.glob import glob_match
from shoal.node.dataset.numbers import INT64_MAX, parse_float, require_integer
from shoal.node.dataset.snapshot import SlotWalk
from shoal.node.dataset.usage import idle_seconds
from shoal.node.persistence.dump_payload import dump
from shoal.node.persistence.rdb_loader import RdbLoader
from shoal.node.persistence.rdb_reader import RdbReader
from shoal.node.persistence.rdb_writer import RdbWriter
from shoal.node.replication.history import NO_REPLID
from shoal.node.replication.stream import render
from shoal.node.resp.replies import (
    NO_REPLY,
    OK,
    BigNumber,
    CommandError,
    Pairs,
    Push,
    Reply,
    SetReply,
    Status,
    Verbatim,
    quoted,
)
from shoal.node.server.admin.config import rewrite_config
from shoal.node.server.blocking import Blocked, BlockReason
from shoal.node.server.effects import LoadLog, LoadSnapshot, ReplaceSnapshot
from shoal.node.server.session import Session

_DUMP_FOOTER_BYTES = 10
_RELOAD_SLICE = 1 << 20
_NO_SUCH_TYPE = (
    "ERR Wrong protocol type name. Please use one of the following: "
    "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
)

Subcommand = Callable[..., Reply]


@command(
    "DEBUG",
    arity=-2,
    flags=Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE,
    group="server",
    since="1.0.0",
    complexity="Depends on subcommand.",
    summary="Looks into a server and makes it misbehave, for tests.",
    internal=True,
)
def debug(session: Session, name: bytes, *words: bytes) -> Reply:
    session.require_permission("DEBUG", session.server.config.enable_debug_command)
    found = _SUBCOMMANDS.get(name.lower())
    if found is None or not found[1] <= len(words) <= found[2]:
        raise CommandError(
            b"ERR unknown subcommand or wrong number of arguments for '%b'. Try DEBUG HELP." % quoted(name)
        )
    return found[0](session, *words)


def _sleep(session: Session, seconds: bytes) -> Reply:
    length = max(parse_float(seconds) or 0.0, 0.0)
    session.server.host.sleep(length)
    if not session.is_script:
        session.keyspace.now_ms += int(length * 1000)  # the turn goes on at the time it is by now
    return OK


def _segfault(session: Session) -> Reply:
    session.server.host.fault()
    return OK


def _set_active_expire(session: Session, switch: bytes) -> Reply:
    session.server.active_expiry.is_on = switch != b"0"
    return OK


def _pause_cron(session: Session, switch: bytes) -> Reply:
    session.server.cron_is_paused = switch != b"0"
    return OK


def _disable_deny_scripts(session: Session, switch: bytes) -> Reply:
    session.server.scripts.may_run_any_command = switch != b"0"
    return OK


def _drop_cluster_packets(session: Session, kind: bytes) -> Reply:
    """Lose every packet of one type on arrival, as a network might; -1 ends it."""
    number = require_integer(kind)
    if session.server.cluster is not None:
        session.server.cluster.dropped_message_type = number if number >= 0 else None
    return OK


def _rewrite_whole_config(session: Session) -> Reply:
    """CONFIG REWRITE with every directive, so that a restart shows whether each is read as it is written."""
    return rewrite_config(session.server, with_defaults=True)


def _digest(session: Session) -> Reply:
    return Status(keyspace_digest(session.keyspace).hex().encode())


def _digest_value(session: Session, *keys: bytes) -> Reply:
    return [Status(value_digest(session.db, key).hex().encode()) for key in keys]


def _object(session: Session, key: bytes) -> Reply:
    value = session.db.tables[key_slot(key)].get(key)  # whether its time has come or not
    if value is None:
        raise CommandError("ERR no such key")
    idle = idle_seconds(session.db, key)
    encoding = encoding_of(value, session.encoding_limits).decode()
    return Status(
        f"Value at:{id(value):#x} refcount:1 encoding:{encoding}"
        f" serializedlength:{len(dump(value)) - 1 - _DUMP_FOOTER_BYTES}"
        f" lru:{(session.now_ms // 1000 - idle) & 0xFFFFFF} lru_seconds_idle:{idle}".encode()
    )


def _populate(session: Session, count: bytes, prefix: bytes = b"key", size: bytes = b"0") -> Reply:
    length = _positive(size)
    for number in range(_positive(count)):
        key = b"%b:%d" % (prefix, number)
        if session.db.peek(key) is None:
            text = b"value:%d" % number
            session.db.set(key, text[:length].ljust(length, b"\0") if length else text)
            session.db.changed(key, "set")
    session.propagated = []  # every server is populated by itself, as in Redis
    return OK


def _positive(text: bytes) -> int:
    number = require_integer(text)
    if not 0 <= number <= INT64_MAX:
        raise CommandError("ERR value is out of range, must be positive")
    return number


def _log(session: Session, message: bytes) -> Reply:
    text = f"DEBUG LOG: {message.decode('utf-8', 'replace')}"
    session.server.effects.append(Note(Level.WARNING, text))
    return OK


def _error(session: Session, message: bytes) -> Reply:
    raise CommandError(message)


def _change_replication_id(session: Session) -> Reply:
    """Replicas that come back after this need everything anew."""
    history = session.server.replication.history
    history.replid = session.rng.randbytes(20).hex()
    history.second_replid = NO_REPLID
    return OK


def _reload(session: Session, *options: bytes) -> Reply:
    """Turn all data into a snapshot and back in memory, as a restart would; with options, by the file.

    NOSAVE takes the file as it is, NOFLUSH adds to the data there are, and MERGE lets it replace some.
    """
    words = {option.lower() for option in options}
    if not words <= {b"nosave", b"noflush", b"merge"}:
        raise CommandError("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
    if words:
        _wait_for_loading(session)
        session.server.effects.append(
            LoadSnapshot(
                session,
                save=b"nosave" not in words,
                flush=b"noflush" not in words,
                merge=b"merge" in words,
            )
        )
        return NO_REPLY
    session.server.effects.append(ReplaceSnapshot())
    keyspace = session.keyspace
    writer = RdbWriter()
    writer.header({})
    walk = SlotWalk(keyspace, writer)
    while not walk.step(_RELOAD_SLICE):
        pass
    writer.end()
    fresh = keyspace.empty_twin()
    RdbLoader(fresh).apply(RdbReader().feed(writer.take()))
    keyspace.flush()
    keyspace.merge(fresh)
    session.propagated = []
    return OK


def _wait_for_loading(session: Session) -> None:
    """Let a client wait for a loading it asked for. One at a time: two would mix their data."""
    if session.server.loading:
        raise CommandError("LOADING Redis is loading the dataset in memory")
    session.server.blocked.block(session, Blocked(BlockReason.RUNTIME))


def _load_append_only(session: Session) -> Reply:
    _wait_for_loading(session)
    session.server.effects.append(LoadLog(session))
    return NO_REPLY


def _append_only_flush_sleep(session: Session, microseconds: bytes) -> Reply:
    session.server.aof.flush_sleep_seconds = require_integer(microseconds) / 1_000_000
    return OK


def _skip_checksums(session: Session, switch: bytes) -> Reply:
    session.keyspace.trusts_payloads = switch != b"0"
    return OK


def _replicate(session: Session, *words: bytes) -> Reply:
    """Tell replicas of a command that did not run here, be there such a command or not."""
    replication = session.server.replication
    if replication.has_stream:
        operations = [(session.db.index, words)]
        replication.append(operations, render(operations))
    return OK


def _accept(session: Session, *words: bytes) -> Reply:
    """For switches of Redis's internals that have no counterpart here, so that its tests can run."""
    return OK


def _stringmatch_len(session: Session, length: bytes, pattern: bytes) -> Reply:
    """Match a pattern against so many a's: a matcher that backtracks is seen to hang."""
    return int(glob_match(pattern, b"a" * _positive(length)))


def _protocol(session: Session, name: bytes) -> Reply:
    kind = name.lower()
    if kind == b"push":
        if session.resp == 2:
            raise CommandError("ERR RESP2 is not supported by this command")
        session.send(Push([b"server-cpu-usage", 42]))
        return b"Some real reply following the push reply"
    if kind == b"attrib":
        if session.resp == 3:
            session.send_bytes(_ATTRIBUTE)
        return b"Some real reply following the attribute"
    if kind not in _SAMPLES:
        raise CommandError(_NO_SUCH_TYPE)
    return _SAMPLES[kind]


_SAMPLES: dict[bytes, Reply] = {
    b"string": b"Hello World",
    b"integer": 12345,
    b"double": 3.141,
    b"bignum": BigNumber(b"1234567999999999999999999999999999999"),
    b"null": None,
    b"array": [0, 1, 2],
    b"set": SetReply([0, 1, 2]),
    b"map": Pairs([(0, False), (1, True), (2, False)]),
    b"verbatim": Verbatim(b"This is a verbatim\nstring"),
    b"true": True,
    b"false": False,
}
"""One of each kind of reply, for the parsers of client libraries."""

_ATTRIBUTE = b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n"


def _help(session: Session) -> Reply:
    lines = [b"DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    lines += [name.upper() + usage.encode() for name, (_, _, _, usage) in sorted(_SUBCOMMANDS.items())]
    return [Status(line) for line in lines]


_MANY = 1 << 31
_SUBCOMMANDS: dict[bytes, tuple[Subcommand, int, int, str]] = {
    b"aof-flush-sleep": (_append_only_flush_sleep, 1, 1, " <microseconds>"),
    b"change-repl-id": (_change_replication_id, 0, 0, ""),
    b"config-rewrite-force-all": (_rewrite_whole_config, 0, 0, ""),
    b"digest": (_digest, 0, 0, ""),
    b"digest-value": (_digest_value, 0, _MANY, " [<key> ...]"),
    b"drop-cluster-packet-filter": (_drop_cluster_packets, 1, 1, " <packet type, -1 for none>"),
    b"error": (_error, 1, 1, " <message>"),
    b"help": (_help, 0, 0, ""),
    b"loadaof": (_load_append_only, 0, 0, ""),
    b"log": (_log, 1, 1, " <message>"),
    b"object": (_object, 1, 1, " <key>"),
    b"pause-cron": (_pause_cron, 1, 1, " <0|1>"),
    b"populate": (_populate, 1, 3, " <count> [<prefix>] [<size>]"),
    b"protocol": (_protocol, 1, 1, " <type>"),
    b"quicklist-packed-threshold": (_accept, 1, 1, " <size> (accepted, does nothing)"),
    b"reload": (_reload, 0, 3, " [MERGE] [NOFLUSH] [NOSAVE]"),
    b"replybuffer": (_accept, 2, 2, " <peak-reset-time|resizing> <value> (accepted, does nothing)"),
    b"replicate": (_replicate, 1, _MANY, " <command> [<arg> ...]"),
    b"segfault": (_segfault, 0, 0, ""),
    b"set-active-expire": (_set_active_expire, 1, 1, " <0|1>"),
    b"set-disable-deny-scripts": (_disable_deny_scripts, 1, 1, " <0|1>"),
    b"set-skip-checksum-validation": (_skip_checksums, 1, 1, " <0|1>"),
    b"sleep": (_sleep, 1, 1, " <seconds>"),
    b"stringmatch-len": (_stringmatch_len, 2, 2, " <length> <pattern>"),
}
"""By name: what it does, the least and most arguments, and how these are written."""
