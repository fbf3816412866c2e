"""Directives that need a socket, a file or the process: how CONFIG SET makes them take effect.

What is read anew each time it matters (`tcp-keepalive`, `save`, `dbfilename`, `shutdown-timeout`) needs no
rule. Those that the server itself follows are in `shoal.node.server.applying`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from shoal.node.runtime.file_limit import allow_clients
from shoal.node.runtime.sockets import ListeningFailed
from shoal.node.server.parameters import DirectiveError

if TYPE_CHECKING:
    from shoal.node.runtime.node import Node
    from shoal.node.server.config import Config

PORT_TAKEN = "Unable to listen on this port. Check server logs."
ADDRESS_TAKEN = "Failed to bind to specified addresses."


def follow_directives(node: Node) -> None:
    """Obey the running configuration from now on."""
    config, bus = node.server.config, node.bus

    def apply_log_level() -> None:
        node.log.set_level(config.loglevel)

    def apply_directory() -> None:
        try:
            os.chdir(config.dir)
        except OSError as error:
            raise DirectiveError(error.strerror) from None
        config.dir = os.getcwd()

    def apply_port() -> None:
        if config.cluster_enabled:
            raise DirectiveError(
                "a cluster node keeps its port while it runs, others know it by its bus port"
            )
        _move(node, PORT_TAKEN)

    def apply_addresses() -> None:
        _move(node, ADDRESS_TAKEN)

    def apply_client_limit() -> None:
        possible = allow_clients(config.maxclients)
        if possible < config.maxclients:
            raise DirectiveError(
                "The operating system is not able to handle the specified number of clients,"
                f" try with {possible}"
            )

    def apply_tls() -> None:
        refuse_tls(config)

    def apply_link_limit() -> None:
        bus.send_buffer_limit = config.cluster_link_sendbuf_limit

    def apply_source_address() -> None:
        bus.source_ip = config.bind_source_addr

    def apply_oom_score() -> None:
        node.oom_score.follow(is_primary=node.server.is_primary)

    with suppress(DirectiveError):  # the log has it
        apply_oom_score()
    apply_link_limit()
    apply_source_address()
    config.on_change(["appendonly"], node.append_only.follow_directive)
    config.on_change(["aof-disable-auto-gc"], node.append_only.delete_history)
    config.on_change(["loglevel"], apply_log_level)
    config.on_change(["dir"], apply_directory)
    config.on_change(["port"], apply_port)
    config.on_change(["tls-port", "tls-cluster", "tls-replication"], apply_tls)
    config.on_change(["bind"], apply_addresses)
    config.on_change(["maxclients"], apply_client_limit)
    config.on_change(["cluster-link-sendbuf-limit"], apply_link_limit)
    config.on_change(["bind-source-addr"], apply_source_address)
    config.on_change(["oom-score-adj", "oom-score-adj-values"], apply_oom_score)


def refuse_tls(config: Config) -> None:
    """DirectiveError if connections should be encrypted: none is, and nobody must believe it."""
    if config.tls_port or config.tls_cluster or config.tls_replication:
        raise DirectiveError("TLS is not supported: tls-port, tls-cluster and tls-replication cannot be used")


def _move(node: Node, refusal: str) -> None:
    """Listen elsewhere; DirectiveError with the refusal, and the cause in the log, if that fails."""
    try:
        node.listeners.move()
    except ListeningFailed as error:
        node.log.warning(str(error))
        raise DirectiveError(refusal) from None
