"""Commands on whole databases: emptying and exchanging them."""

from __future__ import annotations

from shoal.node.commands.call import Call
from shoal.node.commands.options import SYNTAX_ERROR, check_database, parse_int32
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, one_of, token
from shoal.node.resp.replies import OK, CommandError, Reply

DANGEROUS = frozenset({"keyspace", "dangerous"})
EVERY_SHARD = ("request_policy:all_shards", "response_policy:all_succeeded")
FLUSH_MODE = one_of("async", token("ASYNC", since="4.0.0"), token("SYNC", since="6.2.0"), optional=True)
FLUSH_HISTORY = (("4.0.0", "The mode `ASYNC`."), ("6.2.0", "The mode `SYNC`."))


@command(
    "FLUSHDB",
    arity=-1,
    flags=Flag.WRITE,
    group="server",
    since="1.0.0",
    complexity="O(N) for N keys in the database.",
    summary="Deletes every key of the database.",
    arguments=(FLUSH_MODE,),
    acl=DANGEROUS,
    tips=EVERY_SHARD,
    history=FLUSH_HISTORY,
)
def flushdb(call: Call, *mode: bytes) -> Reply:
    _require_flush_mode(mode)
    call.db.flush()
    call.propagate(b"FLUSHDB", *mode)
    return OK


@command(
    "FLUSHALL",
    arity=-1,
    flags=Flag.WRITE,
    group="server",
    since="1.0.0",
    complexity="O(N) for N keys in all databases.",
    summary="Deletes every key of every database.",
    arguments=(FLUSH_MODE,),
    acl=DANGEROUS,
    tips=EVERY_SHARD,
    history=FLUSH_HISTORY,
)
def flushall(call: Call, *mode: bytes) -> Reply:
    """Replicas hear of it even if we hold nothing: they might hold something."""
    _require_flush_mode(mode)
    call.keyspace.flush()
    call.propagate(b"FLUSHALL", *mode)
    if call.keyspace.on_flushed is not None:
        call.keyspace.on_flushed()
    return OK


def _require_flush_mode(mode: tuple[bytes, ...]) -> None:
    if len(mode) > 1 or (mode and mode[0].upper() not in (b"ASYNC", b"SYNC")):
        raise CommandError(SYNTAX_ERROR)


@command(
    "SWAPDB",
    arity=3,
    flags=Flag.WRITE | Flag.FAST,
    group="server",
    since="4.0.0",
    complexity="O(N) for N clients that watch or wait for keys of the two databases.",
    summary="Exchanges the contents of two databases.",
    arguments=(Arg("index1", "integer"), Arg("index2", "integer")),
    acl=DANGEROUS,
)
def swapdb(call: Call, index1: bytes, index2: bytes) -> Reply:
    first = parse_int32(index1, "ERR invalid first DB index")
    second = parse_int32(index2, "ERR invalid second DB index")
    databases = len(call.keyspace.databases)
    for number in (first, second):
        check_database(number, databases)
    call.keyspace.swap(first, second)
    return OK
