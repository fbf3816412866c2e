"""Who follows whom: what operators, replicas and clients say and ask about it."""

from __future__ import annotations

from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, block, one_of, token
from shoal.node.dataset.numbers import parse_integer, require_integer
from shoal.node.resp.replies import NO_REPLY, OK, CommandError, Reply, Status
from shoal.node.server.append_only import AofState
from shoal.node.server.attached_replica import AttachedReplica
from shoal.node.server.copy_waits import wait_for_disks, wait_for_replicas
from shoal.node.server.failover import FailoverState
from shoal.node.server.session import Session

_NOT_AN_INTEGER = "ERR value is not an integer or out of range"
_ADMIN = Flag.ADMIN | Flag.NOSCRIPT | Flag.STALE | Flag.NO_ASYNC_LOADING
_SYNC = Flag.ADMIN | Flag.NOSCRIPT | Flag.NO_ASYNC_LOADING | Flag.NO_MULTI
_WHOM = one_of(
    "args",
    block("host-port", Arg("host"), Arg("port", "integer")),
    block("no-one", token("NO"), token("ONE")),
)

# --- operators -----------------------------------------------------------------------------------------


@command(
    "REPLICAOF",
    arity=3,
    flags=_ADMIN,
    group="server",
    since="5.0.0",
    complexity="O(1)",
    summary="Makes this server follow another one, or none.",
    arguments=(_WHOM,),
)
def replicaof(session: Session, host: bytes, port: bytes) -> Reply:
    server = session.server
    if server.cluster is not None:
        raise CommandError("ERR REPLICAOF not allowed in cluster mode.")
    if server.replication.failover.state is not FailoverState.NONE:
        raise CommandError("ERR REPLICAOF not allowed while failing over.")
    if host.lower() == b"no" and port.lower() == b"one":
        server.become_primary()
        return OK
    if session.is_replica_link:
        raise CommandError("ERR Command is not valid when client is a replica.")
    number = parse_integer(port)
    if number is None or not 0 <= number <= 65535:
        raise CommandError("ERR Invalid master port")
    name = host.decode("utf-8", "surrogateescape")
    following = server.replication.following
    if following is not None and (following.host, following.port) == (name, number):
        return Status(b"OK Already connected to specified master")
    server.follow_primary(name, number)
    return OK


@command(
    "SLAVEOF",
    arity=3,
    flags=_ADMIN,
    group="server",
    since="1.0.0",
    complexity="O(1)",
    summary="Makes this server follow another one, or none.",
    arguments=(_WHOM,),
    deprecated_since="5.0.0",
    replaced_by="`REPLICAOF`",
)
def slaveof(session: Session, host: bytes, port: bytes) -> Reply:
    return replicaof(session, host, port)


@command(
    "FAILOVER",
    arity=-1,
    flags=Flag.ADMIN | Flag.NOSCRIPT | Flag.STALE,
    group="server",
    since="6.2.0",
    complexity="O(1)",
    summary="Hands this primary's role to one of its replicas, once that has every write.",
    arguments=(
        block(
            "target",
            Arg("host"),
            Arg("port", "integer"),
            token("FORCE", optional=True),
            token="TO",
            optional=True,
        ),
        token("ABORT", optional=True),
        Arg("milliseconds", "integer", token="TIMEOUT", optional=True),
    ),
)
def failover(session: Session, *options: bytes) -> Reply:
    server = session.server
    if server.cluster is not None:
        raise CommandError("ERR FAILOVER not allowed in cluster mode. Use CLUSTER FAILOVER command instead.")
    current = server.replication.failover
    if [word.lower() for word in options] == [b"abort"]:
        if current.state is FailoverState.NONE:
            raise CommandError("ERR No failover in progress.")
        current.abort("Failover manually aborted")
        return OK
    target, timeout_ms, force = _failover_options(list(options))
    if current.state is not FailoverState.NONE:
        raise CommandError("ERR FAILOVER already in progress.")
    if not server.is_primary:
        raise CommandError("ERR FAILOVER is not valid when server is a replica.")
    if not server.replication.attached:
        raise CommandError("ERR FAILOVER requires connected replicas.")
    if force and (target is None or timeout_ms is None):
        raise CommandError("ERR FAILOVER with force option requires both a timeout and target HOST and IP.")
    if target is not None:
        current.check_target(target)
    current.begin(target, timeout_ms, force=force)
    return OK


def _failover_options(words: list[bytes]) -> tuple[tuple[str, int] | None, int | None, bool]:
    """The target, the time limit in milliseconds, and whether it is handed over in any case after that."""
    target, timeout_ms, force = None, None, False
    while words:
        option = words.pop(0).lower()
        if option == b"timeout" and words and timeout_ms is None:
            timeout_ms = require_integer(words.pop(0))
            if timeout_ms <= 0:
                raise CommandError("ERR FAILOVER timeout must be greater than 0")
        elif option == b"to" and len(words) >= 2 and target is None:
            host, port = words.pop(0), require_integer(words.pop(0))
            target = (host.decode("utf-8", "surrogateescape"), port)
        elif option == b"force" and not force:
            force = True
        else:
            raise CommandError("ERR syntax error")
    return target, timeout_ms, force


# --- clients -------------------------------------------------------------------------------------------


@command(
    "ROLE",
    arity=1,
    flags=Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.FAST,
    group="server",
    since="2.8.12",
    complexity="O(1)",
    summary="Tells whether this server is a primary or a replica, and of whom.",
    acl={"admin", "dangerous"},
)
def role(session: Session) -> Reply:
    replication = session.server.replication
    following, offset = replication.following, replication.history.offset
    if following is not None:
        shown = offset if following.is_connected else -1
        return [b"slave", following.host.encode(), following.port, following.state.value.encode(), shown]
    replicas: list[Reply] = [
        [replica.host.encode(), b"%d" % replica.port, b"%d" % replica.acked_offset]
        for replica in replication.attached
        if replica.is_online
    ]
    return [b"master", offset, replicas]


@command(
    "WAIT",
    arity=3,
    flags=Flag.BLOCKING,
    group="generic",
    since="3.0.0",
    complexity="O(1)",
    summary="Waits until so many replicas have this connection's writes, or time is up.",
    arguments=(Arg("numreplicas", "integer"), Arg("timeout", "integer")),
    acl={"slow", "connection"},
    tips=("request_policy:all_shards", "response_policy:agg_min"),
)
def wait(session: Session, numreplicas: bytes, timeout: bytes) -> Reply:
    server = session.server
    if not server.is_primary:
        raise CommandError(
            "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a "
            "replica is configured to be writable (which is not the default) writes to replicas are just "
            "local and are not propagated."
        )
    replicas = require_integer(numreplicas)
    timeout_ms = require_integer(timeout, "ERR timeout is not an integer or out of range")
    if timeout_ms < 0:
        raise CommandError("ERR timeout is negative")
    count = wait_for_replicas(session, replicas, timeout_ms)
    return NO_REPLY if count is None else count


@command(
    "WAITAOF",
    arity=4,
    flags=Flag.BLOCKING,
    group="generic",
    since="7.2.0",
    complexity="O(1)",
    summary="Waits until this connection's writes are durable here, and on so many replicas, or time is up.",
    arguments=(Arg("numlocal", "integer"), Arg("numreplicas", "integer"), Arg("timeout", "integer")),
    acl={"slow", "connection"},
    tips=("request_policy:all_shards", "response_policy:agg_min"),
)
def waitaof(session: Session, numlocal: bytes, numreplicas: bytes, timeout: bytes) -> Reply:
    server = session.server
    here, replicas = require_integer(numlocal), require_integer(numreplicas)
    if not 0 <= here <= 1:
        raise CommandError("ERR value is out of range, value must between 0 and 1")
    if replicas < 0:
        raise CommandError("ERR value is out of range, must be positive")
    timeout_ms = require_integer(timeout, "ERR timeout is not an integer or out of range")
    if timeout_ms < 0:
        raise CommandError("ERR timeout is negative")
    if not server.is_primary:
        raise CommandError(
            "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are"
            " just local and are not propagated."
        )
    if here and server.aof.state is AofState.OFF:
        raise CommandError("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
    counts = wait_for_disks(session, here, replicas, timeout_ms)
    return NO_REPLY if counts is None else counts


# --- replicas ------------------------------------------------------------------------------------------


@command(
    "PSYNC",
    arity=-3,
    flags=_SYNC,
    group="server",
    since="2.8.0",
    complexity="O(N) where N is the number of bytes to send.",
    summary="What a replica asks its primary: to go on from an offset, or for everything.",
    arguments=(Arg("replicationid"), Arg("offset", "integer")),
)
def psync(session: Session, replid: bytes, offset: bytes, *request: bytes) -> Reply:
    if session.is_replica_link:
        return NO_REPLY
    replication, name = session.server.replication, replid.decode("latin-1")
    if request and request[0].lower() == b"failover":
        replication.take_over(name)
    number = parse_integer(offset)
    if number is None:
        replication.note_wrong_offset(session)
        raise CommandError(_NOT_AN_INTEGER)
    replication.synchronize(session, name, number)
    return NO_REPLY


@command(
    "SYNC",
    arity=1,
    flags=_SYNC,
    group="server",
    since="1.0.0",
    complexity="O(N) where N is the size of the dataset.",
    summary="What an old replica asks its primary: everything.",
)
def sync(session: Session) -> Reply:
    if not session.is_replica_link:
        session.server.replication.synchronize_blindly(session)
    return NO_REPLY


@command(
    "REPLCONF",
    arity=-1,
    flags=Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.ALLOW_BUSY,
    group="server",
    since="3.0.0",
    complexity="O(1)",
    summary="What a replica and its primary tell each other about themselves and the stream.",
    internal=True,
)
def replconf(session: Session, *words: bytes) -> Reply:
    if len(words) % 2:
        raise CommandError("ERR syntax error")
    replication = session.server.replication
    for option, value in zip(words[::2], words[1::2], strict=True):
        name = option.lower()
        if name == b"getack":
            if session.is_primary_link and replication.following is not None:
                replication.following.acknowledge()
            return NO_REPLY
        replica = replication.introduce(session)
        if name == b"ack":
            offset = parse_integer(value)
            if words[2:3] and words[2].lower() == b"fack":
                replica.synced_offset = parse_integer(words[3]) or 0
            if session.is_replica_link and offset is not None:
                replication.acknowledge(replica, offset)
            return NO_REPLY
        _introduce(replica, name, value, option)
    return OK


def _introduce(replica: AttachedReplica, name: bytes, value: bytes, option: bytes) -> None:
    if name == b"listening-port":
        replica.port = require_integer(value)
    elif name == b"ip-address":
        if len(value) > 255:
            raise CommandError("ERR REPLCONF ip-address provided by replica instance is too long")
        replica.host = value.decode("latin-1")
    elif name == b"capa":
        replica.knows_end_mark |= value.lower() == b"eof"
        replica.knows_second_id |= value.lower() == b"psync2"
    elif name == b"rdb-only":
        replica.wants_snapshot_only = require_integer(value) == 1
    elif name == b"rdb-filter-only":
        parts = value.split()
        if any(part.lower() != b"functions" for part in parts):
            shown = value.decode("utf-8", "replace")
            raise CommandError(f"ERR Unsupported rdb-filter-only option: {shown}")
        replica.wants_data, replica.wants_functions = False, bool(parts)
    elif name != b"version":
        raise CommandError(f"ERR Unrecognized REPLCONF option: {option.decode('utf-8', 'replace')}")
