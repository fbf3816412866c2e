"""`shoal-server`: from the command line to a node that accepts connections."""

from __future__ import annotations

import os
import secrets
import sys
import time
from functools import partial
from pathlib import Path
from random import Random

import trio

from shoal import __version__
from shoal.node import builtin_commands
from shoal.node.persistence.errors import RdbError
from shoal.node.runtime import plug_ins, process_title
from shoal.node.runtime.append_only import AppendOnlyFile
from shoal.node.runtime.append_only_loading import LoadingFailed
from shoal.node.runtime.append_only_log import CannotPersist
from shoal.node.runtime.collector import settle_collector
from shoal.node.runtime.crash_report import CrashReport
from shoal.node.runtime.daemon import detach, write_pidfile
from shoal.node.runtime.directives import refuse_tls
from shoal.node.runtime.disk import Disk
from shoal.node.runtime.file_limit import allow_clients
from shoal.node.runtime.host import RealHost
from shoal.node.runtime.log import Log
from shoal.node.runtime.node import Node
from shoal.node.runtime.nodes_file import NodesFile, NodesFileError
from shoal.node.runtime.sockets import ListeningFailed, open_sockets
from shoal.node.runtime.startup_files import RealFiles
from shoal.node.runtime.startup_loading import StartupLoading
from shoal.node.server.acl.lines import AclError
from shoal.node.server.config import Config
from shoal.node.server.parameters import DirectiveError
from shoal.node.server.server import Server
from shoal.node.server.startup import StartupStopped, load_config, parse_command_line


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
    try:
        plug_ins.load(config.command_modules)
    except plug_ins.PlugInError as error:
        print(error, file=sys.stderr)
        return 1
    log = Log(config.logfile, config.loglevel)
    try:
        os.chdir(config.dir)
    except OSError as error:
        print(f"Can't chdir to '{config.dir}': {error.strerror}", file=sys.stderr)
        return 1
    config.dir = os.getcwd()
    if config.daemonize:
        detach()
    server, disk, nodes_file, saved = build_server(config, log), Disk(), None, None
    log.notice("oO0OoO0OoO0Oo Shoal is starting oO0OoO0OoO0Oo")
    log.notice(f"Shoal version={__version__}, bits=64, pid={os.getpid()}, just started")
    if config.always_show_logo:
        mode = "cluster" if config.cluster_enabled else "standalone"
        log.notice(f"Running in {mode} mode, Port: {config.port}, PID: {os.getpid()}")
    for name, why in config.without_effect():
        log.warning(f"{name} has no effect: {why}")
    limit_clients(config, log)
    try:
        refuse_tls(config)
        server.acl.load_at_startup()
    except (DirectiveError, AclError) as error:
        refuse_to_start(log, error)
        return 1
    try:
        sockets = open_sockets(config)
        if config.cluster_enabled:
            nodes_file = NodesFile(Path(config.cluster_config_file).absolute(), disk)
            saved = nodes_file.load()
    except (ListeningFailed, NodesFileError, OSError, ValueError) as error:
        refuse_to_start(log, error)
        return 1
    if config.pidfile or config.daemonize:
        write_pidfile(config.pidfile or "/var/run/redis.pid", log)
    process_title.follow_config(config)
    settle_collector()
    append_only = AppendOnlyFile(server, log, disk)
    node = Node(server, log, nodes_file, append_only)
    loading = StartupLoading(server, log, append_only, saved)
    status = 1
    try:
        status = trio.run(partial(node.run, sockets, loading, saved), strict_exception_groups=True)
    except* CannotPersist:
        pass  # the log has it; nobody was told of what could not be kept
    except* (LoadingFailed, RdbError) as failures:
        refuse_to_start(log, failures.exceptions[0])
    return status


def refuse_to_start(log: Log, error: BaseException) -> None:
    """Say why, last of all."""
    log.warning("Refusing to start.")
    log.warning(str(error))
    print(error, file=sys.stderr)


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
    server.memory.startup_bytes = server.host.heap_bytes()
    return server


if __name__ == "__main__":
    main()
