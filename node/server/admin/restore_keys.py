"""RESTORE-KEYS: what one Shoal node sends another while a slot moves. Clients have no use for it."""

from __future__ import annotations

from shoal.cluster.slots import key_slot
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, block, key_arg, one_key, one_of, token
from shoal.node.dataset.numbers import INT64_MAX
from shoal.node.dataset.values import Value
from shoal.node.persistence.dump_payload import BUSY_KEY, dump
from shoal.node.persistence.moving_keys import unpack
from shoal.node.resp.replies import OK, CommandError, Reply
from shoal.node.server.session import Session

OTHER_SLOT = "ERR the keys of RESTORE-KEYS have to be in one hash slot"


@command(
    "RESTORE-KEYS",
    arity=-6,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.ASKING,
    group="server",
    since="7.0.0",
    complexity="As RESTORE, for every key.",
    summary="RESTORE of many keys of a slot being imported; MIGRATE sends it to another Shoal node.",
    keys=one_key(KeyUse.OW | KeyUse.UPDATE),
    arguments=(
        block("key_ttl_value", key_arg(), Arg("ttl", "integer"), Arg("value"), multiple=True),
        one_of("condition", token("REPLACE"), token("KEEP")),
        Arg("checksum"),
    ),
    acl={"keyspace", "dangerous"},
    internal=True,
)
def restore_keys(session: Session, *words: bytes) -> Reply:
    """All or nothing: an error leaves everything as it was, and the sender goes on key by key.

    The first key stands for all where the command is routed; that the others are in its slot is checked here.
    """
    arriving = unpack(words)
    values, database = arriving.values, session.db
    slot = key_slot(words[0])
    if set(map(key_slot, values)) != {slot}:
        raise CommandError(OTHER_SLOT)
    there = [key for key in database.among(slot, values) if database.peek(key) is not None]
    if there and not arriving.replace:
        raise CommandError(BUSY_KEY)
    for key in there:
        database.delete(key)
    database.add_all(slot, values)
    for key, ttl_ms in arriving.ttls_ms.items():
        database.set_expiry(key, min(session.now_ms + ttl_ms, INT64_MAX))
    for key in values:
        database.changed(key, "restore")
    if session.server.propagation.is_wanted:
        _tell_of(session, values)
    return OK


def _tell_of(session: Session, values: dict[bytes, Value]) -> None:
    """Replicas and the log hear of each key as of a RESTORE, which every reader knows."""
    for key, value in values.items():
        expiry = session.db.expiry(key) or 0
        session.propagate(b"RESTORE", key, b"%d" % expiry, dump(value), b"REPLACE", b"ABSTTL")
