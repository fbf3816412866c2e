"""MEMORY: how much of it is used, and by what."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from shoal.node.commands.help import help_command
from shoal.node.commands.registry import command, container
from shoal.node.commands.spec import Arg, Flag, KeyUse, key_arg, key_at
from shoal.node.dataset.numbers import require_integer
from shoal.node.dataset.sizes import key_bytes
from shoal.node.resp.replies import OK, CommandError, Reply, Verbatim
from shoal.node.server.memory_limit import EMPTY_SERVER_BYTES
from shoal.node.server.server import Server
from shoal.node.server.session import Session

SAMPLES_BY_DEFAULT = 5
MUCH_OVERHEAD = 2
_REPORT_TIPS = ("nondeterministic_output", "request_policy:all_shards", "response_policy:special")

container(
    "MEMORY",
    group="server",
    since="4.0.0",
    summary="Holds the commands that find out where memory goes.",
)
help_command("MEMORY", since="4.0.0")


@command(
    "MEMORY|USAGE",
    arity=-3,
    flags=Flag.READONLY,
    group="server",
    since="4.0.0",
    complexity="O(N) where N is the number of samples.",
    summary="Estimates how many bytes a key and its value take.",
    keys=(key_at(2, KeyUse.RO),),
    arguments=(key_arg(), Arg("count", "integer", token="SAMPLES", optional=True)),
)
def memory_usage(session: Session, key: bytes, *options: bytes) -> Reply:
    samples = SAMPLES_BY_DEFAULT
    for name, number in zip_longest(options[::2], options[1::2]):
        if name.lower() != b"samples" or number is None:
            raise CommandError("ERR syntax error")
        samples = require_integer(number)
        if samples < 0:
            raise CommandError("ERR syntax error")
    value = session.db.peek(key)
    if value is None:
        return None
    return key_bytes(key, value, expires=session.db.expiry(key) is not None, samples=samples)


@command(
    "MEMORY|STATS",
    arity=2,
    flags=Flag.NONE,
    group="server",
    since="4.0.0",
    complexity="O(1)",
    summary="Reports what memory is used for.",
    tips=_REPORT_TIPS,
)
def memory_stats(session: Session) -> Reply:
    server = session.server
    memory = server.memory
    used, keys = memory.reported_bytes(), len(server.keyspace)
    overhead, peak = min(memory.overhead_bytes(), used), memory.peak_bytes
    dataset, resident = used - overhead, server.host.facts().resident_bytes
    held = used + memory.startup_bytes
    return {
        b"peak.allocated": peak,
        b"total.allocated": used,
        b"startup.allocated": EMPTY_SERVER_BYTES,
        b"clients.normal": sum(one.out_bytes for one in server.sessions.values()),
        b"overhead.total": overhead,
        b"keys.count": keys,
        b"keys.bytes-per-key": dataset // keys if keys else 0,
        b"dataset.bytes": dataset,
        b"dataset.percentage": dataset * 100 / used if used else 0.0,
        b"peak.percentage": used * 100 / peak if peak else 0.0,
        b"fragmentation": resident / held if held else 1.0,
        b"fragmentation.bytes": resident - held,
    }


@command(
    "MEMORY|DOCTOR",
    arity=2,
    flags=Flag.NONE,
    group="server",
    since="4.0.0",
    complexity="O(1)",
    summary="Reports in words whether memory is used as it should be.",
    tips=_REPORT_TIPS,
)
def memory_doctor(session: Session) -> Reply:
    findings = list(_findings(session.server)) or ["Nothing about this server's memory looks unusual."]
    return Verbatim("\n".join(findings).encode() + b"\n")


def _findings(server: Server) -> Iterator[str]:
    facts, config = server.host.facts(), server.config
    if server.is_out_of_memory:
        yield "More memory is used than maxmemory allows: commands that need more are refused."
    if not config.maxmemory and facts.resident_bytes * MUCH_OVERHEAD > facts.system_memory_bytes > 0:
        yield "Half of this machine's memory is used, and no maxmemory is set."
    if facts.peak_resident_bytes > MUCH_OVERHEAD * facts.resident_bytes:
        yield "There was a time when much more memory was used than now."
    waiting = sum(one.out_bytes for one in server.sessions.values())
    if waiting * 10 > facts.resident_bytes > 0:
        yield "Much memory holds answers that clients have not taken: CLIENT LIST shows which (omem)."


@command(
    "MEMORY|MALLOC-STATS",
    arity=2,
    flags=Flag.NONE,
    group="server",
    since="4.0.0",
    complexity="Depends on how much memory is allocated, could be slow",
    summary="Says why there are no statistics of the allocator.",
    tips=_REPORT_TIPS,
)
def memory_malloc_stats(session: Session) -> Reply:
    return Verbatim(b"Memory comes from Python's allocator, which offers no statistics to show.\n")


@command(
    "MEMORY|PURGE",
    arity=2,
    flags=Flag.NONE,
    group="server",
    since="4.0.0",
    complexity="Depends on how much memory is allocated, could be slow",
    summary="Collects garbage and gives free memory back to the system, as far as that goes.",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)
def memory_purge(session: Session) -> Reply:
    session.server.host.release_memory()
    return OK
