"""Where the node listens, and how it treats those who connect."""

from __future__ import annotations

from shoal.node.server.parameters import (
    LONG_MAX,
    NO_TLS,
    UINT_MAX,
    Choice,
    Integer,
    Memory,
    MemoryOrPercent,
    Octal,
    Text,
    YesNo,
)
from shoal.node.server.special_parameters import BindAddresses, BufferLimit, OutputBufferLimits

_NO_THREADS = "none: a node is one thread by design"
_IN_TURN = "none: who connects is let in between two turns of those who are here, whatever their number"


class NetworkDirectives:
    """Listening, TLS, clients."""

    bind = BindAddresses(("*", "-::*"))
    port = Integer(6379, 0, 65535)
    unixsocket = Text(mutable=False)
    unixsocketperm = Octal(0, 0, 0o777, mutable=False)
    tcp_backlog = Integer(511, mutable=False)
    tcp_keepalive = Integer(300)
    bind_source_addr = Text()
    protected_mode = YesNo(True)
    socket_mark_id = Integer(0, 0, UINT_MAX, mutable=False, effect="none: sockets are not marked")

    maxclients = Integer(10000, 1, UINT_MAX)
    max_new_connections_per_cycle = Integer(10, 1, 1000, effect=_IN_TURN)
    max_new_tls_connections_per_cycle = Integer(1, 1, 1000, effect=NO_TLS)
    timeout = Integer(0)
    client_output_buffer_limit = OutputBufferLimits(
        {
            "normal": BufferLimit(0, 0, 0),
            "replica": BufferLimit(256 << 20, 64 << 20, 60),
            "pubsub": BufferLimit(32 << 20, 8 << 20, 60),
        }
    )
    client_query_buffer_limit = Memory(1 << 30, 1 << 20, LONG_MAX)
    proto_max_bulk_len = Memory(512 << 20, 1 << 20, LONG_MAX)
    maxmemory_clients = MemoryOrPercent(0, 0, LONG_MAX)
    tracking_table_max_keys = Integer(1_000_000, 0, LONG_MAX)
    io_threads = Integer(1, 1, 128, mutable=False, effect=_NO_THREADS)
    io_threads_do_reads = YesNo(False, mutable=False, effect=_NO_THREADS)

    requirepass = Text(sensitive=True)
    aclfile = Text(mutable=False)
    acllog_max_len = Integer(128, 0, LONG_MAX)
    acl_pubsub_default = Choice("resetchannels", ("allchannels", "resetchannels"))
    enable_protected_configs = Choice("no", ("no", "yes", "local"), mutable=False)
    enable_debug_command = Choice("no", ("no", "yes", "local"), mutable=False)
    enable_module_command = Choice(
        "no", ("no", "yes", "local"), mutable=False, effect="none: there are no modules to load"
    )

    tls_port = Integer(0, 0, 65535, effect=NO_TLS)
    tls_cert_file = Text(volatile=True, effect=NO_TLS)
    tls_key_file = Text(volatile=True, effect=NO_TLS)
    tls_key_file_pass = Text(sensitive=True, effect=NO_TLS)
    tls_client_cert_file = Text(volatile=True, effect=NO_TLS)
    tls_client_key_file = Text(volatile=True, effect=NO_TLS)
    tls_client_key_file_pass = Text(sensitive=True, effect=NO_TLS)
    tls_ca_cert_file = Text(volatile=True, effect=NO_TLS)
    tls_ca_cert_dir = Text(volatile=True, effect=NO_TLS)
    tls_dh_params_file = Text(volatile=True, effect=NO_TLS)
    tls_auth_clients = Choice("yes", ("no", "yes", "optional"), effect=NO_TLS)
    tls_replication = YesNo(False, effect=NO_TLS)
    tls_cluster = YesNo(False, effect=NO_TLS)
    tls_protocols = Text(effect=NO_TLS)
    tls_ciphers = Text(effect=NO_TLS)
    tls_ciphersuites = Text(effect=NO_TLS)
    tls_prefer_server_ciphers = YesNo(False, effect=NO_TLS)
    tls_session_caching = YesNo(True, effect=NO_TLS)
    tls_session_cache_size = Integer(20 << 10, effect=NO_TLS)
    tls_session_cache_timeout = Integer(300, effect=NO_TLS)

    ignore_warnings = Text(effect="none: a node starts whatever it warns of")
