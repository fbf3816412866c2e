"""Changing what a node is: a primary, or the replica of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.cluster.effects import Level, Note
from shoal.node.dataset.expiry_mode import ExpiryMode
from shoal.node.resp.replies import CommandError
from shoal.node.server import migration
from shoal.node.server.blocking import BlockReason
from shoal.node.server.effects import RoleChanged

if TYPE_CHECKING:
    from shoal.node.server.server import Server

_UNBLOCKED = "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"


def become_primary(server: Server) -> None:
    """Go on as a primary with the data there is. Harmless for a node that is one."""
    if server.is_primary:
        return
    server.is_primary = True
    server.keyspace.own_expiries.clear()
    server.replication.stop_following()
    if server.cluster is None:
        server.config.replicaof = None
    server.effects += [Note(Level.NOTICE, "MASTER MODE enabled"), RoleChanged()]
    server.refresh_gates()


def follow_primary(server: Server, host: str, port: int) -> None:
    """Become a replica of this node, or change to it. Harmless if it is followed already."""
    following = server.replication.following
    if following is not None and (following.host, following.port) == (host, port):
        return
    if server.is_primary:
        server.is_primary = False
        server.effects.append(RoleChanged())
        _end_waits(server)
        migration.give_up(server)
    server.replication.follow(host, port)
    if server.cluster is None:
        server.config.replicaof = (host, port)
    server.effects.append(Note(Level.NOTICE, f"Connecting to MASTER {host}:{port}"))
    server.refresh_gates()


def _end_waits(server: Server) -> None:
    """On a replica, who waits for replicas or for a key would wait in vain, or for what another decides."""
    for reason in (BlockReason.WAIT, BlockReason.KEYS):
        for session in server.blocked.waiting_for(reason):
            server.blocked.end_wait_in_vain(session, CommandError(_UNBLOCKED))
            session.close_after_reply()


def expiry_mode(server: Server) -> ExpiryMode:
    """Only a primary deletes what has expired, and not while its offset must stand still for a failover."""
    if server.loading:
        return ExpiryMode.IGNORE
    return ExpiryMode.DELETE if server.is_primary and not server.pause.until_ms else ExpiryMode.HIDE


def is_stale(server: Server) -> bool:
    """Whether this is a replica out of touch with its primary that is not to answer from old data."""
    following = server.replication.following
    return following is not None and not following.is_connected and not server.config.replica_serve_stale_data
