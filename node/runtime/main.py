"""`shoal-server`: from the command line to a node that accepts connections."""

from __future__ import annotations

import gc
import os
import secrets
import sys
import time
from functools import partial
from pathlib import Path
from random import Random

import trio

from shoal import __version__
from shoal.cluster.messages import NodeFlag
from shoal.cluster.settings import ClusterSettings
from shoal.cluster.view import SavedConfig
from shoal.node import builtin_commands
from shoal.node.persistence.errors import RdbError
from shoal.node.runtime import process_title
from shoal.node.runtime.append_only import AppendOnlyFile
from shoal.node.runtime.append_only_loading import AppendOnlyLoading, LoadingFailed
from shoal.node.runtime.append_only_log import CannotPersist
from shoal.node.runtime.crash_report import CrashReport
from shoal.node.runtime.daemon import detach, write_pidfile
from shoal.node.runtime.file_limit import allow_clients
from shoal.node.runtime.host import RealHost
from shoal.node.runtime.log import Log
from shoal.node.runtime.node import Node
from shoal.node.runtime.nodes_file import NodesFile, NodesFileError
from shoal.node.runtime.rdb_file import load_rdb
from shoal.node.runtime.sockets import ListeningFailed, open_sockets
from shoal.node.runtime.startup_files import RealFiles
from shoal.node.server.cluster_bridge import ClusterBridge
from shoal.node.server.cluster_settings import apply_config
from shoal.node.server.config import Config
from shoal.node.server.server import Server
from shoal.node.server.startup import StartupStopped, load_config, parse_command_line

YOUNG_OBJECTS_BETWEEN_COLLECTIONS = 50_000
OLD_GENERATION_NEVER = 1_000_000_000


def main() -> None:
    """Entry point of `shoal-server`."""
    try:
        config = load_config(parse_command_line(sys.argv[1:]), RealFiles())
    except StartupStopped as stopped:
        print(stopped.text, file=sys.stderr if stopped.status else sys.stdout)
        sys.exit(stopped.status)
    sys.exit(serve(config))


def serve(config: Config) -> int:
    """Run a node until it is told to stop; returns the exit status."""
    builtin_commands.load()
    log = Log(config.logfile, config.loglevel)
    try:
        os.chdir(config.dir)
    except OSError as error:
        print(f"Can't chdir to '{config.dir}': {error.strerror}", file=sys.stderr)
        return 1
    config.dir = os.getcwd()
    if config.daemonize:
        detach()
    server, nodes_file, saved = build_server(config, log), None, None
    log.notice("oO0OoO0OoO0Oo Shoal is starting oO0OoO0OoO0Oo")
    log.notice(f"Shoal version={__version__}, bits=64, pid={os.getpid()}, just started")
    if config.always_show_logo:
        mode = "cluster" if config.cluster_enabled else "standalone"
        log.notice(f"Running in {mode} mode, Port: {config.port}, PID: {os.getpid()}")
    limit_clients(config, log)
    try:
        sockets = open_sockets(config)
        if config.cluster_enabled:
            nodes_file = NodesFile(Path(config.cluster_config_file).absolute())
            saved = nodes_file.load()
        append_only = AppendOnlyFile(server, log)
        if config.appendonly:
            AppendOnlyLoading(server, append_only.files, log).run()
            append_only.open_at_start()
        else:
            load_dataset(server, log, is_replica=starts_as_replica(config, saved))
        if nodes_file is not None:
            settings = apply_config(config, ClusterSettings())
            server.cluster = ClusterBridge(server, settings, server.rng, saved, server.keyspace.now_ms)
            server.cluster.data_loaded()
            if saved is None:
                log.notice(f"No cluster configuration found, I'm {server.cluster.view.myself.id}")
            else:
                log.notice(f"Node configuration loaded, I'm {server.cluster.view.myself.id}")
    except (ListeningFailed, LoadingFailed, NodesFileError, RdbError, OSError, ValueError) as error:
        log.warning("Refusing to start.")
        log.warning(str(error))
        print(error, file=sys.stderr)
        return 1
    if config.pidfile or config.daemonize:
        write_pidfile(config.pidfile or "/var/run/redis.pid", log)
    process_title.follow_config(config)
    settle_collector()
    node = Node(server, log, nodes_file, append_only)
    status = 1
    try:
        status = trio.run(partial(node.run, sockets), strict_exception_groups=True)
    except* CannotPersist:
        pass  # the log has it; nobody was told of what could not be kept
    return status


def limit_clients(config: Config, log: Log) -> None:
    """Let the process have the files that `maxclients` takes, or lower it to what the system allows."""
    wanted = config.maxclients
    config.maxclients = max(1, allow_clients(wanted))
    if config.maxclients < wanted:
        log.warning(
            f"You requested maxclients of {wanted} requiring more open files than the system allows."
            f" maxclients has been reduced to {config.maxclients}; raise 'ulimit -n' for more."
        )


def build_server(config: Config, log: Log) -> Server:
    """A server with this process's clock and entropy."""
    server = Server(
        config,
        Random(secrets.randbits(128)),
        time.perf_counter_ns,
        now_ms=time.time_ns() // 1_000_000,
        run_id=secrets.token_hex(20),
    )
    crash_report = CrashReport(server, log)
    crash_report.follow_config()
    server.host = RealHost(crash_report)
    server.startup_bytes = server.host.facts().resident_bytes
    return server


def starts_as_replica(config: Config, saved: SavedConfig | None) -> bool:
    """Whether this node will follow a primary, by what its cluster, or without one its directives, say."""
    if not config.cluster_enabled:
        return config.replicaof is not None
    mine = NodeFlag.MYSELF | NodeFlag.REPLICA
    return saved is not None and any(node.flags & mine == mine for node in saved.nodes)


def load_dataset(server: Server, log: Log, *, is_replica: bool) -> None:
    """Load the snapshot of the last run, if there is one.

    A replica keeps keys whose time has come until its primary's DEL. A primary drops them without a word,
    so then no replica can go on from the snapshot.
    """
    path = Path(server.config.dbfilename)
    server.persistence.last_save_time = server.keyspace.now_ms // 1000
    if not server.config.dbfilename or not path.exists():
        return
    started = time.monotonic()
    try:
        loader = load_rdb(
            path, server.keyspace, verify_checksum=server.config.rdbchecksum, keep_expired=is_replica
        )
    except (RdbError, OSError) as error:
        raise RdbError(f"Fatal error loading the DB {path.absolute()}: {error}") from None
    if not loader.expired_skipped:
        server.replication.resume(loader.auxiliary, is_replica=is_replica)
    server.persistence.keys_loaded = loader.loaded
    seconds = time.monotonic() - started
    log.notice(f"DB loaded from disk: {seconds:.3f} seconds, keys loaded: {loader.loaded}")


def settle_collector() -> None:
    """Keep the cyclic collector away from the dataset.

    Keys and values are bytes in dicts and lists: they make no cycles, so walking them all, which is what
    a collection of the oldest generation does, finds nothing and stops the world for as long as the
    dataset is large. The young generations stay on for what exceptions and tasks leave behind.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_BETWEEN_COLLECTIONS, 20, OLD_GENERATION_NEVER)


if __name__ == "__main__":
    main()
